"""Making a model smaller, one way after another: each result measured beside the model that the chain began with.

A run of ``trim``, ``prune`` or ``distil`` is a chain of one step; ``shrink`` is one of several. A step is a word of
``knobs["steps"]``, ``NAME`` or ``NAME:OPTION``. No step may fall further below the first model than ``max_drop``, so
that losses don't add up unseen.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from modelnook.catalog.folder import parameters_of, tensors_of
from modelnook.catalog.search import info
from modelnook.domain.errors import ModelnookError, RefusedError, StoreError, UnsupportedError, UsageError
from modelnook.domain.event import Finished, Warned
from modelnook.domain.model import Licence, ModelInfo
from modelnook.domain.table import jsonable
from modelnook.jobs.steps import distil, prune, quantize, trim
from modelnook.jobs.steps.context import Context
from modelnook.jobs.steps.probing import racer
from modelnook.jobs.steps.work import Made, Work
from modelnook.measure.judge import Verdict
from modelnook.messages import t
from modelnook.store.files import folder, folder_bytes, read_json, write_json
from modelnook.store.runs import RESUMABLE

__all__ = ["MAKERS", "smaller"]

MAKERS: dict[str, Callable[[Work, Path, Path, str], Made]] = {
    "distil": distil.distil,
    "prune": prune.prune,
    "trim": trim.trim,
}
"""The first part of a step's word -> what makes ``target`` from ``source``; other words are schemes of ``quantize``."""

_STRICT = ("permissive", "copyleft", "other", "unknown", "noncommercial")
"""Kinds of licences, each stricter, or less sure to be free, than the ones before."""


def smaller(context: Context) -> Finished:
    """Carry the steps out; the last one's model is the run's.

    Raises:
        RefusedError: a step fell further than is allowed; what those before it made is a model all the same.
    """
    context.phase("loading")
    source = context.fetch(context.recipe.model)
    # What the steps made on the way stays for a run that goes on from it.
    kept = context.recipe.verb in RESUMABLE
    try:
        finished = _carried_out(context, source)
        kept &= not finished.model
    except (RefusedError, UnsupportedError, UsageError) as error:
        if not context.stop():
            kept = False
            raise
        if not isinstance(error, UnsupportedError):
            raise
        # What measures in another process says of a stop that it failed.
        finished = Finished(stopped=True)
    finally:
        if not kept:
            shutil.rmtree(context.run.path / "steps", ignore_errors=True)
    return finished


def _carried_out(context: Context, source: Path) -> Finished:
    _check_first(context, source)
    work = Work.of(context, source)
    paths = [source]
    told: list[dict[str, Any]] = []
    count = parameters_of(tensors_of(source)) or None
    steps = context.recipe.knobs["steps"]
    for at, word in enumerate(steps):
        path = paths[-1]
        try:
            made, said = _made(work, path, at, word)
            if made is None:
                return Finished(stopped=True)
            if limited := said.pop("limited", None):
                work = work.limited(limited)
            if limited := said.pop("source_limited", None):
                work.with_outputs(path, limited)
            verdict = work.judged(made)
            if not verdict.accepted:
                raise work.refusal(word, verdict)
        except (RefusedError, UnsupportedError, UsageError) as error:
            if error.code == "shrink.nothing_to_trim" and (at < len(steps) - 1 or told):
                # What other steps make is no worse for it.
                context.emit(Warned.of("shrink.nothing_trimmed", step=word, **error.values))
                continue
            if told and not context.stop():
                # A name that another task holds, or a full disk, must not hide why the step was refused.
                with suppress(ModelnookError, OSError):
                    _keep(work, path, told, error)
            raise
        before = {**work.figures(path), "parameters": count, **said.pop("before", {})}
        # Quantized weights are packed: their number is that of the weights they were made from.
        count = parameters_of(tensors_of(made)) or count if word.partition(":")[0] in MAKERS else count
        after = {**work.figures(made), "parameters": count, **said.pop("after", {})}
        told.append({"step": word, "before": before, "after": after, **_fall(verdict), **said})
        # A student may be any model; what quantize makes larger it says itself.
        if word.partition(":")[0] in MAKERS and after["bytes"] >= before["bytes"]:
            sizes = {name: f"{side['bytes'] / 1e6:.1f}" for name, side in (("before", before), ("after", after))}
            context.emit(Warned.of("shrink.not_smaller", step=word, **sizes))
        # Told as it goes: what is done stays to be seen where a later step is refused.
        context.recorder.change(report=jsonable({"before": told[0]["before"], "steps": told, **_measured(work)}))
        paths.append(made)
    _in_turns(work, paths, told)
    for warning in work.judge.warnings(work.judged(paths[-1])):
        context.emit(warning)
    quantize.say_of_labels(context, work.judge.rows, work.judge.known)
    return _finished(work, paths[-1], told)


def _check_first(context: Context, source: Path) -> None:
    """Refuse what no step can do before anything is measured."""
    from modelnook.shrink.folder import refuse

    steps = context.recipe.knobs["steps"]
    name, _, option = steps[0].partition(":")
    if name in ("prune", "trim") or (name == "distil" and option.partition(":")[0] in ("", "auto", "layers")):
        refuse(source, name)
    # A student that is another model has a tokenizer of its own.
    if len(steps) > 1 and steps[-1].partition(":")[0] not in MAKERS and not context.recipe.models:
        kinds = {step.partition(":")[0] for step in steps}
        quantize.check_lowered(context, source, steps[-1], trimmed="trim" in kinds)


def _in_turns(work: Work, paths: list[Path], told: list[dict[str, Any]]) -> None:
    """Time the first model and those that the steps made side by side: each was measured at a moment of its own."""
    from modelnook.measure.race import TOGETHER

    context = work.context
    if context.stop() or sum(folder_bytes(path) for path in paths) > TOGETHER:
        return
    context.phase("measuring")
    try:
        found = [asdict(speed) for speed in racer(context)(paths, work.rows)]
    except (StoreError, UnsupportedError):
        # Too many at once for this machine, or its disk is full: what is known of each by itself must do.
        return
    for step, before, after in zip(told, found, found[1:], strict=False):
        step["before"].update(before)
        step["after"].update(after)


def _fall(verdict: Verdict) -> dict[str, Any]:
    """How far below the first model a step's result is."""
    return {"drop": verdict.drop, "drop_interval": verdict.interval}


def _made(work: Work, source: Path, at: int, word: str) -> tuple[Path | None, Made]:
    """What a step makes of ``source``, and what it says of it; the one that an earlier worker made where there is one.

    None after a stop.
    """
    context = work.context
    name, _, option = word.partition(":")
    target = folder(context.run.path / "steps") / f"{at}-{name}"
    kept = target.with_suffix(".json")
    if target.is_dir() and kept.is_file():
        return target, read_json(kept)
    make = MAKERS.get(name, quantize.lowered)
    said: Made = jsonable(make(work, source, target, option if name in MAKERS else word))
    if context.stop() or not target.is_dir():
        return None, {}
    write_json(kept, said)
    return target, said


def _measured(work: Work) -> dict[str, Any]:
    """By what and on which rows every step is measured."""
    judge = work.judge
    how = {"metric": judge.metric, "max_drop": judge.max_drop, "rows": judge.rows, "labels_used": judge.known}
    return {**how, "data": work.context.recipe.knobs.get("measured_on")}


def _finished(work: Work, path: Path, told: list[dict[str, Any]]) -> Finished:
    """Add the last model, and say what each step did."""
    last = told[-1]
    report = {
        **(last if len(told) == 1 else _fall(work.judged(path))),
        "before": {**_counts(reversed(told), "before"), **told[0]["before"], **work.judge.scores(work.before)},
        "after": {**last["after"], **_counts(told, "after")},
        "steps": told,
        **_measured(work),
    }
    entry, ref = _added(work, path, told, work.context.recipe.name)
    return Finished(entry.metrics, last["after"].get("intervals") or {}, {}, ref, jsonable(report))


def _keep(work: Work, path: Path, told: list[dict[str, Any]], error: ModelnookError) -> None:
    """Make a model of what was made before a step that ended in ``error``, and say so there."""
    steps = [step["step"] for step in told]
    name = "-".join((work.context.recipe.name, *(step.partition(":")[0] for step in steps)))
    _, ref = _added(work, path, told, name)
    error.hint = f"{error.hint} {t('shrink.kept', steps=', '.join(steps), ref=ref)}".strip()


def _added(work: Work, path: Path, told: list[dict[str, Any]], name: str) -> tuple[ModelInfo, str]:
    """A folder as a local model: its entry and its reference."""
    context, last = work.context, told[-1]
    labels = work.probe(path).labels
    out = context.run.path / "model"
    shutil.rmtree(out, ignore_errors=True)
    path.rename(out)
    entry = replace(
        context.lineage(out),
        task=context.recipe.task,
        labels=tuple(labels) or context.base().labels,
        metrics=last["after"]["metrics"],
        language=context.base().language,
        parameters=last["after"]["parameters"],
        license=_licence(context),
    )
    return entry, str(context.add(out, name, entry))


def _licence(context: Context) -> str | None:
    """The strictest licence of the model and of the students that it taught."""
    found = [context.base().license, *(info(ref)[0].license for ref in context.recipe.models)]
    return max(found, key=lambda licence: _STRICT.index(Licence(licence).kind))


def _counts(told: Iterable[dict[str, Any]], side: str) -> dict[str, int]:
    """Tokens and layers as the last of the steps says them that cut any."""
    return {name: step[side][name] for step in told for name in ("tokens", "layers") if name in step[side]}
