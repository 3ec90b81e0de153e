"""What a model folder runs on. ``pick`` answers from the folder's files alone; nothing heavy is imported by it."""

from __future__ import annotations

from pathlib import Path

from modelnook.catalog.adapter import adapter_in
from modelnook.domain.errors import NotFoundError, UnsupportedError
from modelnook.registry import Entry, Registry
from modelnook.runtime.base import Runtime
from modelnook.runtime.folder import config, formats, task_of

__all__ = ["RUNTIMES", "pick", "runtime"]

RUNTIMES: Registry[type[Runtime]] = Registry(
    "runtime",
    {
        "llama": Entry(
            "modelnook.runtime.llama:LlamaRuntime",
            "llama.cpp: GGUF files in the precision that they have, on a CPU",
            requires=("cyllama", "numpy", "torch", "transformers"),
            extra="llama",
            tasks=("text-generation",),
        ),
        "onnx": Entry(
            "modelnook.runtime.onnx:OnnxRuntime",
            "ONNX Runtime: quick on a CPU, needs no PyTorch",
            requires=("numpy", "onnxruntime", "tokenizers"),
            extra="onnx",
        ),
        "openvino": Entry(
            "modelnook.runtime.openvino:OpenVinoRuntime",
            "OpenVINO: quick on a CPU, needs no PyTorch",
            requires=("numpy", "openvino", "tokenizers"),
            extra="openvino",
        ),
        "sklearn": Entry(
            "modelnook.runtime.sklearn:SklearnRuntime",
            "TF-IDF and boosted trees: a fraction of a millisecond, needs no PyTorch",
            requires=("numpy", "sklearn", "safetensors"),
            extra="train",
        ),
        "transformers": Entry(
            "modelnook.runtime.transformers:TransformersRuntime",
            "PyTorch: every safetensors model, on a CPU or a GPU",
            requires=("torch", "transformers"),
            extra="train",
        ),
    },
)

# Format of the weights -> the runtime that runs it, the quickest first.
_RUNS = {
    "sklearn": "sklearn",
    "onnx": "onnx",
    "openvino": "openvino",
    "torchao": "transformers",
    "quanto": "transformers",
    "bitsandbytes": "transformers",
    "gptq": "transformers",
    "safetensors": "transformers",
    "gguf": "llama",
}
# A runtime that isn't there, or can't do what is asked -> the one that does it too.
_ELSE = {"llama": "transformers"}


def pick(path: Path, *, task: str | None = None, device: str = "auto") -> str:
    """The name of the runtime for a model folder, from its files.

    Args:
        task, device: where they were asked for.

    Raises:
        NotFoundError: no folder, or no ``config.json``, adapter or GGUF file in it.
        UnsupportedError: no weights that run here; weights that are only there as a pickle are named as that.
    """
    found = formats(path)
    if "gguf" not in found and not (path / "config.json").is_file() and not adapter_in(path):
        raise NotFoundError("runtime.no_config", path=path)
    for form, name in _RUNS.items():
        if form in found:
            return _ELSE[name] if name in _ELSE and not _does(name, path, task, device) else name
    if "pickle" in found:
        raise UnsupportedError("runtime.pickle", path=path)
    raise UnsupportedError("runtime.no_weights", path=path, found=", ".join(found) or "-")


def _does(name: str, path: Path, task: str | None, device: str) -> bool:
    entry = RUNTIMES[name]
    return not entry.missing and device in ("auto", "cpu") and (task or task_of(config(path))) in entry.tasks


def runtime(
    path: Path, *, name: str = "auto", task: str | None = None, device: str = "auto", threads: int | None = None
) -> Runtime:
    """Load a model folder on a runtime, ``auto`` being :func:`pick`'s.

    Raises:
        NotFoundError, UnsupportedError: see :func:`pick`; a runtime was named that doesn't run what the folder holds.
        MissingPackage: the runtime's package isn't installed.
    """
    chosen = pick(path, task=task, device=device) if name == "auto" else name
    kind = RUNTIMES.load(chosen)
    if not {*kind.formats} & {*formats(path)}:
        told = {"runtime": chosen, "reads": ", ".join(kind.formats), "found": ", ".join(formats(path))}
        raise UnsupportedError("runtime.other_format", path=path, other=pick(path, task=task, device=device), **told)
    return kind(path, task=task, device=device, threads=threads)
