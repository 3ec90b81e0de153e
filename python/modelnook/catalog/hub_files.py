"""Which of a hub repository's files a model needs, and what its file names give away. No network, nothing imported."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from modelnook.domain.errors import RefusedError, UnsupportedError
from modelnook.domain.model import Risk
from modelnook.messages import t

__all__ = ["RepoFile", "needed", "packed", "risks"]

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5")

# Configuration, tokenizer and papers of a model lie beside its weights; a sentence encoder's parts one folder deeper.
_SMALL = re.compile(
    r"[^/]+\.(json|jinja|model|tiktoken|txt)|README\.md|(LICEN[CS]E|NOTICE|USE_POLICY)[^/]*"
    r"|\d+_\w+/(config\.json|model\.safetensors)",
    re.IGNORECASE,
)
_NOT_NEEDED = re.compile(r".*\.index\.json|trainer_state\.json|requirements.*\.txt|training_args.*", re.IGNORECASE)
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.(safetensors|bin|gguf)$")
# Of many GGUF files of one model, in this order: what llama.cpp takes by itself, then the one that loses least.
_PACKED = ("q4_k_m", "q8_0")


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file at a commit. ``sha256`` is known of large (LFS) files, ``git`` is the git blob's id."""

    name: str
    size: int
    git: str = ""
    sha256: str = ""


def needed(names: Iterable[str], ref: str, *, allow_pickle: bool = False) -> list[str]:
    """The files to have: safetensors weights, else one GGUF file, else, where allowed, pickled ones; configuration,
    tokenizer; no code.

    >>> needed(["model.safetensors", "pytorch_model.bin", "config.json", "run.py", "onnx/model.onnx"], "a/b")
    ['config.json', 'model.safetensors']

    Raises:
        RefusedError: the weights are pickles alone.
        UnsupportedError: there are no weights.
    """
    everything = sorted(names)
    weights = _weights(everything, "model", "safetensors")
    if not weights and (one := packed(everything)):
        weights = [one]
    if not weights:
        pickled = _weights(everything, "pytorch_model", "bin")
        if pickled and not allow_pickle:
            raise RefusedError("catalog.pickle_only", ref=ref)
        weights = pickled
    if not weights:
        raise UnsupportedError("hub.no_weights", ref=ref)
    small = [n for n in everything if _SMALL.fullmatch(n) and not _NOT_NEEDED.fullmatch(n)]
    return sorted({*small, *weights})


def packed(names: Iterable[str]) -> str | None:
    """The GGUF file to have of a model that comes in several: the only one, or the one that most people take.

    >>> packed(["m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-m.gguf"]), packed(["m-Q2_K.gguf", "m-Q3_K.gguf"])
    ('m-Q4_K_M.gguf', None)
    """
    files = [n for n in names if n.endswith(".gguf") and "/" not in n and not _SHARD.search(n)]
    files = [n for n in files if not n.startswith("mmproj")]
    choices = [files, *([n for n in files if mark in n.lower()] for mark in _PACKED)]
    return next((found[0] for found in choices if len(found) == 1), None)


def _weights(names: list[str], stem: str, ending: str) -> list[str]:
    """The one file, else the index and its shards, else an adapter's, else whatever has the ending."""
    whole, index = f"{stem}.{ending}", f"{stem}.{ending}.index.json"
    if whole in names:
        return [whole]
    top = [n for n in names if "/" not in n and n.endswith(f".{ending}")]
    if index in names:
        return [index, *(n for n in top if n.startswith(f"{stem}-") and _SHARD.search(n))]
    adapter = f"adapter_model.{ending}"
    if adapter in names:
        return [adapter]
    return top if ending == "safetensors" else []


def risks(names: Iterable[str], *, code: bool = False, flagged: Iterable[str] = ()) -> tuple[Risk, ...]:
    """Pickled weights, code that the model would have run, what the hub's scanners flag."""
    found = []
    pickles = sorted(n for n in names if n.endswith(PICKLES))
    if pickles:
        found.append(Risk("pickle", t("catalog.risk_pickle", files=", ".join(pickles[:3]))))
    if code:
        found.append(Risk("remote_code", t("catalog.risk_remote_code")))
    bad = sorted(flagged)
    if bad:
        found.append(Risk("unsafe", t("hub.risk_unsafe", files=", ".join(bad[:3]))))
    return tuple(found)
