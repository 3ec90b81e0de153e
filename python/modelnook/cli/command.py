"""One command: words, a call, its card on stdout; progress and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from modelnook import __version__, cards
from modelnook.cards.typed import typed
from modelnook.domain.errors import DataError, InternalError, ModelnookError, UsageError
from modelnook.domain.table import jsonable
from modelnook.domain.written import INTERRUPTED as WAS_INTERRUPTED
from modelnook.messages import t
from modelnook.settings import current
from modelnook.verbs import Call, overview, parse, usage
from modelnook.verbs.options import as_options
from modelnook.verbs.said import in_full, said

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "run"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130

_PYTHON = {", or .to_frame()": "", " 或 .to_frame() 查看": " 查看", ".to_dict()": "--json"}


def run(argv: Sequence[str] | None = None) -> int:
    """Do what the words say; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or current().debug
    try:
        return _run(words)
    except KeyboardInterrupt:
        print(t("faces.interrupted"), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as head, has had enough; Python's own flush at the end must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if debug:
            raise
        return _tell(error)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        say(_here(cards.text(overview("terminal"))))
        return 0
    if words[0] in ("-V", "--version"):
        say(f"modelnook {__version__}")
        return 0
    call = parse(words, door="terminal", piped=_piped)
    if call.help:
        say(_here(cards.text(usage(call.verb, "terminal"))))
        return 0
    if call.verb.pieces and not call.json:
        from modelnook.live.writing import show

        return INTERRUPTED if show(call).ended == WAS_INTERRUPTED else 0
    result, stopped = _result(call)
    say(_json(result) if call.json else _text(call, result))
    if call.verb.name == "serve":
        _hold(result)
    return INTERRUPTED if stopped else 0


def _piped() -> str:
    """What is piped in; nothing where a person sits at the keyboard.

    Raises:
        UsageError: text in no known encoding.
    """
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return ""
    if not hasattr(sys.stdin, "buffer"):
        return sys.stdin.read()
    from modelnook.data.encoding import to_utf8

    try:
        text = to_utf8(sys.stdin.buffer.read())[0].decode()
    except DataError:
        raise UsageError("faces.piped_encoding", encoding=sys.stdin.encoding or "utf-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _result(call: Call) -> tuple[Any, bool]:
    """What the verb gives, and whether an interrupt ended the run that it waited for."""
    from modelnook.live import carried

    result, _, run = carried(call, call.verb.finish, waits=call.waits)
    return result, run is not None and run.record.state in ("queued", "running", "stopped")


def _hold(server: Any) -> None:
    """Serve until an interrupt. A token that was drawn can be read nowhere else; one that was given is known."""
    token = "" if current().serve_token else server.token
    print(t("faces.serve_token", token=token or "MODELNOOK_SERVE_TOKEN"), file=sys.stderr, flush=True)
    server.wait()


def _text(call: Call, result: Any) -> str:
    """A sentence or a card, its hints as they are typed here; what a model, script or log says stays as it is."""
    if (sentence := said(call.verb.name, result)) is not None:
        return _here(sentence)
    if path := call.kwargs.get("output"):
        return str(result.noted(t("faces.answers_kept", n=len(result), path=path)))
    if hasattr(result, "to_string"):
        # Answers of predict; a file's worth of them is printed whole.
        text: str = result.text() if hasattr(result, "text") else result.to_string(max_colwidth=60)
        return text
    if not cards.knows(result):
        return str(result)
    return _here(cards.whole(result) if in_full(call) else cards.text(result))


def _json(result: Any) -> str:
    if hasattr(result, "to_dict"):
        # A DataFrame's own to_dict is by column; ours is columns and rows.
        frame = hasattr(result, "to_string")
        if hasattr(result, "with_inputs"):
            result = result.with_inputs()
        result = (
            json.loads(result.to_json(orient="split", index=False, date_format="iso")) if frame else result.to_dict()
        )
        if frame:
            result = {"columns": result["columns"], "rows": result["data"]}
    return json.dumps(jsonable(result), ensure_ascii=False, default=str)


def _tell(error: Exception) -> int:
    """An error as one sentence and a next step, and its exit code."""
    if not isinstance(error, ModelnookError):
        error = InternalError("core.internal", error=f"{type(error).__name__}: {error}")
    for line in filter(None, (error.message, error.hint)):
        print(_here(line), file=sys.stderr)
    return USAGE if isinstance(error, UsageError) else FAILED


def say(text: str) -> None:
    """Print on stdout; where the terminal can't write a character, it is replaced rather than fatal."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)


def _here(text: str) -> str:
    """Text with its hints as they are typed here; arguments of Python are options."""
    for python, here in _PYTHON.items():
        text = text.replace(python, here)
    return as_options(typed(text))
