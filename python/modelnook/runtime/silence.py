"""Engines print nothing: what libraries would write while a model is loaded, converted or saved is held back."""

from __future__ import annotations

import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

__all__ = [
    "by_values",
    "failed_in",
    "first_line",
    "mute_gptq",
    "mute_imports",
    "mute_telemetry",
    "operation",
    "silence",
]

_LOUD = (
    "onnx_ir",
    "onnxscript",
    "root",
    "torch.export",
    "torch.fx",
    "torch.onnx",
    "torch.utils._pytree",
    "torchao",
)

_ON_IMPORT = ("torch.utils._pytree", "torchao")

# A library's name before a dot may be that of a module, unless an overload stands at the end.
_OPERATION = (
    r"\b(?:aten|prims|torchvision|transformers)::\w+(?:\.\w+)?"
    r"|\b(?:aten|prims)\.\w+(?:\.\w+)?|\b(?:torchvision|transformers)\.\w+\.default\b"
)

# ONNX Runtime: the node on one line. OpenVINO: the places in its own source line by line, the reason on the last.
_FAILED = (
    re.compile(r"running (?P<op>\w+) node\. Name:'[^']*' Status Message: (?P<why>.*)"),
    re.compile(r"^\[CPU\] (?P<op>\w+) node with name .*\n(?P<why>.+)\Z", re.MULTILINE),
)
_PLACES = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"|\S+\.(?:cc|cpp|h|hpp):\d+ (?:[\w:<>*&~, ]*::~?\w+\([^()]*\)(?: const)? )?"
    r"|Load model from .*? failed: ?|^\[cpu\]\w+: "
)
_OP = re.compile(r"^\w+ op: ")

# What PyTorch says where it would have to know a value while it traces, and whose line of code wanted that.
_BY_VALUES = "data-dependent expression"
_CALLERS = (r"following call raised this error:\n.*\n.*?(\w+(?:\.\w+)+)\(", r"Caused by: \(.* in (\w+)\)")


@contextmanager
def silence() -> Iterator[None]:
    """No progress bars, warnings or logs of transformers, torch.onnx and torchao inside the block."""
    from transformers.utils import logging as theirs

    bars = theirs.is_progress_bar_enabled()
    level = theirs.get_verbosity()
    levels = {name: logging.getLogger(None if name == "root" else name).level for name in _LOUD}
    theirs.disable_progress_bar()
    theirs.set_verbosity_error()
    for name in _LOUD:
        logging.getLogger(None if name == "root" else name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, was in levels.items():
            logging.getLogger(None if name == "root" else name).setLevel(was)
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()


def mute_imports() -> None:
    """Keep torchao from logging, as it is imported, which of its kernels this machine lacks: people read a job's log.

    Called before anything that may import it; it is for processes of our own.
    """
    for name in _ON_IMPORT:
        logging.getLogger(name).setLevel(logging.ERROR)


def mute_telemetry() -> None:
    """Keep OpenVINO and NNCF from telling their makers that they are used: nothing leaves the machine unasked.

    Both send an event as they are imported, and take the absence of the package that sends it for a no. Called before
    anything that may import them.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def mute_gptq() -> None:
    """Keep GPT-QModel from printing a banner as it is imported, and which of its kernels it takes.

    Called before anything that may import it. Its logger writes to stdout, an empty line as soon as it is made. It
    compiles with PyTorch, which imports every backend for that which is installed, OpenVINO among them.
    """
    mute_telemetry()
    try:
        from logbar import LogBar
    except ImportError:
        return
    with redirect_stdout(io.StringIO()):
        LogBar.shared().setLevel(logging.ERROR)


def first_line(error: BaseException) -> str:
    """What a library's error says, cut to one line of at most 300 characters, without a full stop at its end.

    Where it stands in the sources of ONNX Runtime or OpenVINO is left out: it tells a person nothing.
    """
    known = failed_in(error)
    if known:
        return known
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("Exception from ")]
    return _cut(lines[0] if lines else type(error).__name__)


def failed_in(error: BaseException) -> str | None:
    """The operation of a program that failed as it ran, and why; None where the error tells of none.

    >>> failed_in(RuntimeError("Non-zero status code returned while running Expand node. Name:'n' Status Message: odd"))
    'Expand: odd'
    """
    text = str(error).strip()
    found = next((match for known in _FAILED if (match := known.search(text))), None)
    return f"{found['op']}: {_OP.sub('', _cut(found['why']))}" if found else None


def _cut(said: str) -> str:
    return _PLACES.sub("", said)[:300].rstrip(".")


def by_values(error: BaseException) -> str | None:
    """The call, or else the function, that goes by values which no tracing knows; None where that isn't the reason."""
    text = str(error)
    if _BY_VALUES not in text:
        return None
    found = next((match for known in _CALLERS if (match := re.search(known, text))), None)
    return found[1] if found else type(error).__name__


def operation(error: BaseException) -> str | None:
    """The operation that couldn't be traced, from the error's text or its causes'; None where none is named."""
    cause: BaseException | None = error
    while cause is not None:
        found = re.search(_OPERATION, str(cause))
        if found:
            return found.group()
        cause = cause.__cause__ or cause.__context__
    return None
