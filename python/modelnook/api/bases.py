"""Which model a training starts from: what can't be is refused before a job, ``ref="auto"`` takes one that is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from modelnook.api.reading import spec_of
from modelnook.catalog.adapter import adapter_in
from modelnook.catalog.folder import pickles
from modelnook.domain.errors import DataError, NotFoundError, UnsupportedError, UsageError
from modelnook.domain.model import ModelInfo
from modelnook.domain.recipe import Recipe
from modelnook.messages import t
from modelnook.runtime.folder import config, without_floats
from modelnook.tasks.heads import base_in, base_named, chats_by
from modelnook.tasks.spec import Columns, Spec

__all__ = ["by_itself", "can_start", "check_method", "choose_base", "otherwise", "trained_no_further"]

_ENCODERS = ("feature-extraction", "fill-mask", "sentence-similarity")
_BASES = {
    "text-generation": ("text-generation",),
    "text2text-generation": ("text2text-generation", "translation", "summarization"),
    "image-classification": ("image-classification", "image-feature-extraction"),
    "audio-classification": ("audio-classification", "automatic-speech-recognition"),
    "automatic-speech-recognition": ("automatic-speech-recognition",),
}
"""Task -> tasks of the models that it can start from; encoders for the others."""

_ENCODED = (
    *("fill-mask", "sentence-similarity", "token-classification", "question-answering", "table", "text-regression"),
    *("text-classification", "multi-label-classification"),
)
_WRITTEN = ("text-generation", "text2text-generation", "translation", "summarization")
_SEEN = ("image-classification", "image-feature-extraction")
_HEARD = ("audio-classification", "automatic-speech-recognition")
_REFUSED = {
    "text-generation": ((*_ENCODED, *_WRITTEN[1:], *_SEEN, *_HEARD), "task.no_writer"),
    "text2text-generation": ((*_ENCODED, _WRITTEN[0], *_SEEN, *_HEARD), "task.no_translator"),
    "image-classification": ((*_ENCODED, *_WRITTEN, *_HEARD), "task.no_image_head"),
    "audio-classification": ((*_ENCODED, *_WRITTEN, *_SEEN), "task.no_audio_head"),
    "automatic-speech-recognition": ((*_ENCODED, *_WRITTEN, *_SEEN), "task.no_audio_head"),
    "fill-mask": ((*_WRITTEN, *_SEEN, *_HEARD), "task.no_masked"),
    "sentence-similarity": ((*_SEEN, *_HEARD), "task.no_encoder"),
}
"""Task -> tasks of bases that plainly can't be trained for it, and the message that says which can."""

_OTHERS_REFUSED = ((*_SEEN, *_HEARD), "task.no_head")

_BARE = tuple("Albert Bert Camembert Deberta DistilBert Electra MPNet ModernBert Roberta XLMRoberta".split())
"""Beginnings of architectures that encode texts: of a bare encoder the task doesn't tell what it reads."""

READ = 0.05
"""The most of the texts' tokens that may be unknown to a base that is taken for its size."""

READ_IN_PART = 0.2
"""The most that may be unknown to one that is taken where none reads better; the plan warns of it."""

SAMPLE = 500


def choose_base(spec: Spec, columns: Columns, *, packing: bool = False) -> tuple[str, str]:
    """``(reference, why in one sentence)``: of the models here that can read these rows and that memory can train,
    the largest, or the best reader where none reads nearly all; nothing is downloaded and the hub isn't asked.

    Args:
        packing: whether several rows are to stand in one sequence; where no model here can do that, one is given that
            :func:`can_start` refuses for it.

    Raises:
        NotFoundError: no model here can be trained for the task.
        DataError: none of those can read the texts; the best one and its share are named.
    """
    from modelnook.finetune.costs import ROOM
    from modelnook.finetune.lengths import measure_lengths
    from modelnook.measure.memory import free, need

    kinds, texts = _BASES.get(spec.name, _ENCODERS), spec.texts(columns)
    left = free()
    of_kind = [m for m in _here() if m.task in kinds and m.path and m.parameters]
    held = [m for m in of_kind if _does(m, spec, columns, packing)]
    if packing and not held:
        held = [m for m in of_kind if _does(m, spec, columns, packing=False)]
    fitting = [m for m in held if left is None or need(m.parameters or 0).lora <= ROOM * left]
    if not fitting:
        raise NotFoundError("train.no_base", task=spec.name)
    step = max(1, len(texts or ()) // SAMPLE)
    unread = {m.ref: measure_lengths(Path(m.path or ""), texts[::step]).unknown if texts else 0.0 for m in fitting}
    best = min(fitting, key=lambda m: (unread[m.ref] > READ, -(m.parameters or 0) if unread[m.ref] <= READ else 0))
    if unread[best.ref] > READ:
        best = min(fitting, key=lambda m: unread[m.ref])
    if unread[best.ref] > READ_IN_PART:
        rows_alone = t("train.or_tfidf") if "tfidf" in spec.methods else ""
        raise DataError("train.no_reader", model=best.ref, percent=round(100 * unread[best.ref]), other=rows_alone)
    size = f"{(best.parameters or 0) / 1e6:.0f}M"
    if unread[best.ref] > READ:
        return best.ref, t("train.chosen_reader", model=best.ref, parameters=size, count=len(fitting))
    return best.ref, t("train.chosen_base", model=best.ref, parameters=size, count=len(held))


def by_itself(method: str, knobs: dict[str, Any], ref: str = "auto") -> tuple[dict[str, Any], str]:
    """``(the knobs that a method without a base has, what a person gave that isn't used in one sentence)``."""
    from modelnook.finetune.classic import IGNORED

    given = [ref] if ref != "auto" else []
    said = {"max_seconds": "budget"}
    given += [said.get(name, name) for name in IGNORED if knobs.get(name) not in (None, "auto", "balanced")]
    kept = {name: value for name, value in knobs.items() if name not in IGNORED}
    return kept, t("train.unused", method=method, names=", ".join(given)) if given else ""


def check_method(method: str, spec: Any, on: str = "process", among: Sequence[str] | None = None) -> None:
    """Refuse a method that a task isn't tested with.

    Args:
        among: those that are taken; None: all of the task's.

    Raises:
        UsageError: it isn't; those that are are named.
        MissingPackage: a package that it needs isn't installed.
        UnsupportedError: it needs a GPU that isn't here.
    """
    from modelnook.finetune import METHODS
    from modelnook.jobs import executor
    from modelnook.jobs.device import pick

    if method != "auto":
        METHODS.check(method)
        known = spec.methods if among is None else among
        if method not in known:
            raise UsageError("train.not_for_task", method=method, task=spec.name, known=", ".join(known))
        if METHODS[method].gpu and executor(on).here and pick() != "cuda":
            raise UnsupportedError("train.needs_gpu", method=method)


def otherwise(recipe: Recipe, method: str, run: str) -> Recipe:
    """A training run's recipe with another method.

    Raises:
        UsageError: a run that trained nothing, a method that the task isn't tested with, or one that needs a base where
            the run had none.
    """
    from modelnook.finetune import alone

    if recipe.verb != "finetune":
        raise UsageError("api.not_trained", run=run, method=method)
    check_method(method, spec_of(recipe.task), recipe.on)
    if alone(method):
        knobs = by_itself(method, recipe.knobs)[0]
        return replace(recipe, model="", method=method, knobs=knobs, unlabelled=None, device="cpu")
    if not recipe.model:
        raise UsageError("api.no_base", run=run, method=method)
    return replace(recipe, method=method)


def can_start(found: Any, spec: Spec, columns: Columns, *, packing: bool = False) -> None:
    """Refuse, before a job is started for it, a base that can't be trained further, or not for the task.

    Args:
        columns: role -> values of the rows to train on.
        packing: whether several of them are to stand in one sequence.

    Raises:
        UnsupportedError: it was learnt from rows alone, its weights are no floats or pickles alone, or it is of another
            kind than the task needs; the hint says which are of that kind.
    """
    entry = found.source.info(found.ref)
    if "sklearn" in entry.formats:
        raise UnsupportedError("train.classic_base", ref=str(found.ref), method=entry.architecture)
    how = trained_no_further(entry)
    if how:
        code = "train.no_floats_made" if entry.base_model else "train.no_floats"
        raise UnsupportedError(code, ref=str(found.ref), how=how, base=entry.base_model)
    _check_kind(entry, str(found.ref), spec, columns, packing, partial(found.source.small, found.ref))
    if "pickle" in entry.formats and entry.path and not {"safetensors", "gguf"} & {*entry.formats}:
        held = pickles(f.name for f in Path(entry.path).iterdir())
        raise UnsupportedError("task.pickle", path=entry.path, file=held[0] if held else "*.bin")


def trained_no_further(entry: ModelInfo) -> str | None:
    """As what its weights are here, where no training can change them."""
    path = Path(entry.path) if entry.path else None
    return without_floats(path) if path and path.is_dir() else None


def _check_kind(
    entry: ModelInfo,
    name: str,
    spec: Spec,
    columns: Columns,
    packing: bool = False,
    read: Callable[[str], bytes | None] = lambda file: None,
) -> None:
    """Refuse a base of another kind than the task needs: by its files, or by what its source says of it.

    Args:
        read: gives a small file of it that isn't here, see :meth:`Source.small`.
    """
    path = Path(entry.path) if entry.path else None
    # An adapter's base may have to be fetched: that is the job's, or the plan's.
    there = path is not None and path.is_dir() and not adapter_in(path)
    base = base_in(name, path, config(path)) if path and there else base_named(name, entry.architecture)
    if "messages" in columns and base.chats is None:
        base = replace(base, chats=chats_by(read))
    if base.known:
        spec.check_base(base, columns, packing=packing)
        return
    kinds, code = _REFUSED.get(spec.name, _OTHERS_REFUSED)
    bare = (entry.architecture or "").startswith(_BARE) and entry.task == "feature-extraction"
    if entry.task != spec.name and ("fill-mask" if bare else entry.task) in kinds:
        raise UnsupportedError(code, architecture=entry.architecture or entry.task, task=spec.name)


def _does(entry: ModelInfo, spec: Spec, columns: Columns, packing: bool) -> bool:
    try:
        _check_kind(entry, entry.ref, spec, columns, packing)
    except UnsupportedError:
        return False
    return True


def _here() -> list[ModelInfo]:
    """What is on this machine, without the models that were trained for something else."""
    from modelnook.catalog.base import Query
    from modelnook.catalog.search import search

    found: list[Any] = []
    for name in ("local", "pip"):
        found += search(Query(limit=500), name).items
    return [m for m in found if not m.run or m.task == "fill-mask"]
