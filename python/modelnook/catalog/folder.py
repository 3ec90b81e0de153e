"""What a model folder says of itself: headers and small files only, no weights, no code, nothing imported."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelnook.catalog.adapter import adapter_in
from modelnook.catalog.adapter import task_of as adapter_task
from modelnook.catalog.gguf import read_header, said_by
from modelnook.catalog.papers import config_in, facts, first, front_matter
from modelnook.domain.model import ModelInfo, Risk
from modelnook.messages import t

__all__ = [
    "CLASSIC",
    "Tensor",
    "describe",
    "dtypes_of",
    "layer_tree",
    "pickles",
    "safetensors_head",
    "safetensors_header",
    "task_in",
    "task_of",
    "tensors_of",
]

Tensor = tuple[str, str, tuple[int, ...]]
"""``(name, dtype, shape)``."""

CLASSIC = "sklearn.safetensors"
"""The arrays of a model that was learnt from rows alone; see :mod:`modelnook.classic`."""

# Beyond these a header isn't meant: what it counts must stay a number that can be said.
_DIMENSIONS, _LARGEST, _DEEPEST = 16, 1 << 50, 40

_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5")

# Which task a transformers class serves; the suffix is the library's own convention.
_TASKS = {
    # Models of sounds classify whole sounds under the name that others use for texts.
    **{
        f"{name}ForSequenceClassification": "audio-classification"
        for name in (
            "Data2VecAudio",
            "Hubert",
            "SEW",
            "SEWD",
            "UniSpeech",
            "UniSpeechSat",
            "Wav2Vec2",
            "Wav2Vec2Bert",
            "Wav2Vec2Conformer",
            "WavLM",
        )
    },
    **{
        f"{name}ForConditionalGeneration": "automatic-speech-recognition"
        for name in ("Moonshine", "Speech2Text", "Whisper")
    },
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "ForMaskedLM": "fill-mask",
    "ForImageClassification": "image-classification",
    "ForAudioClassification": "audio-classification",
    "ForCTC": "automatic-speech-recognition",
}

# What "problem_type" of a sequence classifier's config makes of it.
_PROBLEMS = {"regression": "text-regression", "multi_label_classification": "multi-label-classification"}


def task_of(architectures: Iterable[str]) -> str | None:
    """The task of a config's ``architectures``; a bare encoder embeds.

    >>> task_of(["BertForSequenceClassification"]), task_of(["BertModel"]), task_of([])
    ('text-classification', 'feature-extraction', None)
    >>> task_of(["Wav2Vec2ForSequenceClassification"])
    'audio-classification'
    """
    for name in architectures:
        for suffix, task in _TASKS.items():
            if name.endswith(suffix):
                return task
        if name.endswith("Model"):
            return "feature-extraction"
    return None


def task_in(config: dict[str, Any]) -> str | None:
    """The task of a config: the one that it was trained for here, else by its architecture and kind of problem.

    >>> task_in({"architectures": ["BertForSequenceClassification"], "problem_type": "regression"})
    'text-regression'
    """
    if config.get("modelnook_task"):
        return str(config["modelnook_task"])
    task = task_of(config.get("architectures") or ())
    return _PROBLEMS.get(config.get("problem_type") or "", task) if task == "text-classification" else task


def safetensors_header(path: Path) -> list[Tensor]:
    """The tensors of a safetensors file, from its header (8 bytes of length, then JSON); empty where it is damaged."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            return [] if size > 100_000_000 else _tensors(file.read(size))
    except (OSError, struct.error):
        return []


def safetensors_head(beginning: bytes) -> list[Tensor]:
    """The tensors that the first bytes of a safetensors file tell of; empty where the header goes on beyond them."""
    if len(beginning) < 8:
        return []
    (size,) = struct.unpack_from("<Q", beginning)
    return _tensors(beginning[8 : 8 + size]) if size <= len(beginning) - 8 else []


def _tensors(header: bytes) -> list[Tensor]:
    try:
        said = json.loads(header)
        return [_tensor(n, e["dtype"], e["shape"]) for n, e in said.items() if n != "__metadata__"]
    except (ValueError, OverflowError, AttributeError, KeyError, TypeError, RecursionError):
        return []


def _tensor(name: str, dtype: str, shape: list[int]) -> Tensor:
    sizes = tuple(map(int, shape[:_DIMENSIONS]))
    if not isinstance(dtype, str) or len(sizes) < len(shape) or not 0 <= math.prod(sizes) <= _LARGEST:
        raise ValueError(name)
    return _printable(name), _printable(dtype)[:20], sizes


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())


def tensors_of(folder: Path) -> list[Tensor]:
    """The tensors of a folder's safetensors, or of its GGUF file where it has none."""
    found = [tensor for file in sorted(folder.glob("*.safetensors")) for tensor in safetensors_header(file)]
    return found or [tensor for file in sorted(folder.glob("*.gguf"))[:1] for tensor in read_header(file).tensors]


def parameters_of(tensors: Iterable[Tensor]) -> int:
    """How many numbers the tensors hold; position ids and the like, which are integers, don't count.

    >>> parameters_of([("w", "F32", (2, 3)), ("ids", "I64", (512,))])
    6
    """
    return sum(math.prod(shape) for _, dtype, shape in tensors if not dtype.startswith(("I64", "I32", "BOOL")))


def dtypes_of(tensors: Iterable[Tensor]) -> dict[str, int]:
    """How many numbers there are of each type.

    >>> dtypes_of([("w", "F16", (2, 3)), ("b", "F32", (3,))])
    {'F16': 6, 'F32': 3}
    """
    found: dict[str, int] = {}
    for _, dtype, shape in tensors:
        found[dtype] = found.get(dtype, 0) + math.prod(shape)
    return found


def describe(path: Path, *, ref: str, id: str, source: str, **more: Any) -> ModelInfo:
    """A folder's catalogue entry; ``more`` wins over what the files say."""
    config = _config(path / "config.json")
    tensors = tensors_of(path)
    files = [f for f in path.rglob("*") if f.is_file()]
    card = front_matter(path / "README.md")
    said: dict[str, Any] = {
        "name": path.name,
        "task": task_in(config),
        **facts(card),
        "parameters": parameters_of(tensors) or None,
        "bytes": sum(f.stat().st_size for f in files),
        "formats": formats_of(f.name for f in files),
        "architecture": next(iter(config.get("architectures") or ()), None) or config.get("model_type"),
        "labels": tuple(map(str, (config.get("id2label") or {}).values())),
        "risks": risks_of(files, config),
        "layers": layer_tree(tensors) or None,
        "dtypes": dtypes_of(tensors),
        "path": str(path),
    }
    if not config:
        said |= {name: value for name, value in (_adapter(path) or _gguf(path)).items() if not said.get(name)}
    return ModelInfo(ref=ref, id=id, source=source, **{**said, **{k: v for k, v in more.items() if v is not None}})


def _adapter(path: Path) -> dict[str, Any]:
    """What an adapter tells, where a folder holds that alone."""
    said = adapter_in(path)
    if not said:
        return {}
    return {"task": adapter_task(said), "base_model": first(said.get("base_model_name_or_path")), "tags": ("adapter",)}


def _gguf(path: Path) -> dict[str, Any]:
    """What a folder's GGUF file tells, where that is all there is."""
    files = sorted(path.glob("*.gguf"))
    return said_by(read_header(files[0])) if files else {}


def formats_of(names: Iterable[str]) -> tuple[str, ...]:
    """The weight formats among file names, in the order in which a runtime would prefer them."""
    endings = {"safetensors": ".safetensors", "onnx": ".onnx", "gguf": ".gguf", "openvino": ".xml"}
    names = list(names)
    if CLASSIC in names:
        return ("sklearn",)
    found = [kind for kind, ending in endings.items() if any(n.endswith(ending) for n in names)]
    if pickles(names):
        found.append("pickle")
    return tuple(found)


def pickles(names: Iterable[str]) -> list[str]:
    """The file names that end as pickled weights do, sorted; the plain numbers beside an OpenVINO graph are none.

    >>> pickles(["pytorch_model.bin", "openvino_model.xml", "openvino_model.bin"])
    ['pytorch_model.bin']
    """
    known = set(names)
    return sorted(n for n in known if n.endswith(_PICKLES) and f"{n.removesuffix('.bin')}.xml" not in known)


def risks_of(files: Iterable[Path], config: dict[str, Any]) -> tuple[Risk, ...]:
    """Pickled weights, and code that the model would have run."""
    risks = []
    found = pickles(f.name for f in files)
    if found:
        risks.append(Risk("pickle", t("catalog.risk_pickle", files=", ".join(found[:3]))))
    if config.get("auto_map"):
        risks.append(Risk("remote_code", t("catalog.risk_remote_code")))
    return tuple(risks)


def layer_tree(tensors: Iterable[Tensor]) -> str:
    """The modules that a file's tensor names spell, with parameter counts; numbered repeats are folded into one.

    >>> print(layer_tree([("enc.layer.0.w", "F32", (4, 2)), ("enc.layer.1.w", "F32", (4, 2)), ("head.b", "F32", (3,))]))
    model  19
    ├── enc  16
    │   └── layer  2 ×  16
    │       └── w  4×2
    └── head  3
        └── b  3
    """
    root: dict[str, Any] = {}
    for name, _, shape in tensors:
        node: Any = root
        *path, leaf = name.split(".", _DEEPEST)
        for part in path:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node
        # What bears the name of a module and of a tensor is drawn as what came first.
        if isinstance(node, dict):
            node.setdefault(leaf, shape)
    if not root:
        return ""
    lines = [f"model  {_count(_sum(root))}"]
    _draw(root, "", lines)
    return "\n".join(lines)


def _draw(node: dict[str, Any], indent: str, lines: list[str]) -> None:
    items = list(node.items())
    for at, (name, child) in enumerate(items):
        last = at == len(items) - 1
        head = f"{indent}{'└── ' if last else '├── '}{name}"
        below = indent + ("    " if last else "│   ")
        if not isinstance(child, dict):
            lines.append(f"{head}  {'×'.join(map(str, child)) or '1'}")
            continue
        total, repeats = _count(_sum(child)), [k for k in child if k.isdigit()]
        if len(repeats) == len(child) > 1 and len({_shape(child[k]) for k in repeats}) == 1:
            lines.append(f"{head}  {len(repeats)} ×  {total}")
            child = child[repeats[0]] if isinstance(child[repeats[0]], dict) else {}
        else:
            lines.append(f"{head}  {total}")
        _draw(child, below, lines)


def _shape(node: Any) -> str:
    return json.dumps(node, sort_keys=True)


def _sum(node: Any) -> int:
    return sum(map(_sum, node.values())) if isinstance(node, dict) else math.prod(node)


def _count(number: int) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def _config(path: Path) -> dict[str, Any]:
    try:
        return config_in(path.read_bytes())
    except OSError:
        return {}
