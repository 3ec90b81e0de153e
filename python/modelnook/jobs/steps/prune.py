"""Fewer layers, as a step: those that are missed least go; where that costs too much, the rest is retrained."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.jobs.steps.teaching import teach
from modelnook.jobs.steps.work import Made, Work
from modelnook.measure.judge import Verdict
from modelnook.shrink import TAUGHT

__all__ = ["prune"]

EPOCHS = 3.0
"""Of the short training after layers went, where it is asked for."""


def prune(work: Work, source: Path, target: Path, option: str) -> Made:
    """Drop layers down to ``option`` (a number, a share, ``auto``), and retrain what is left where that helps.

    ``auto`` aims at half of the layers, and leaves more where the drop is too big.

    Raises:
        RefusedError: no number of layers stays within the drop.
    """
    from modelnook.shrink.prune import Pruner, wanted

    context = work.context
    pruner = Pruner(source, work.task, work.columns, emit=context.emit, stop=context.stop)
    asked = wanted(option or "auto", pruner.count)
    aim = asked or -(-pruner.count // 2)
    plain: dict[int, Verdict] = {}
    while len(pruner.kept) > aim:
        if pruner.drop() is None:
            if context.stop():
                return {}
            raise UnsupportedError("shrink.placed_layers", architecture=type(pruner.model).__name__)
        left = len(pruner.kept)
        plain[left] = work.judge(work.answered(pruner.outputs(left), pruner.heavy.labels))
    best: tuple[int, Verdict] | None = None
    recovers = context.recipe.knobs.get("recover") != "never" and work.train is not None and work.task in TAUGHT
    for layers, retrain in _attempts(plain, aim if asked else None, recovers):
        verdict, more = _attempt(work, pruner, source, target, layers, retrain)
        if verdict is None:
            return {}
        if verdict.accepted:
            gone = [asdict(one) for one in pruner.dropped[: pruner.count - layers]]
            counts = {"before": {"layers": pruner.count}, "after": {"layers": layers}}
            return {**counts, "dropped": gone, "retrained": retrain, **more}
        best = min(filter(None, (best, (layers, verdict))), key=lambda one: one[1].drop)
    layers, verdict = best or ((asked, plain[asked]) if asked else min(plain.items(), key=lambda one: one[1].drop))
    raise work.refusal(f"prune:{layers}", verdict)


def _attempts(plain: dict[int, Verdict], asked: int | None, recovers: bool) -> Iterator[tuple[int, bool]]:
    """``(layers left, whether to retrain)``, the smallest first; what is within the drop as it is needs no training."""
    good = [layers for layers, verdict in plain.items() if verdict.accepted]
    fewest = min(plain)
    if fewest in good:
        yield fewest, False
        return
    if recovers:
        yield fewest, True
    if asked is None:
        above = min(good, default=max(plain) + 1)
        middle = (fewest + above + 1) // 2
        if recovers and fewest < middle < above:
            yield middle, True
        if good:
            yield min(good), False


def _attempt(
    work: Work, pruner: Any, source: Path, target: Path, layers: int, retrain: bool
) -> tuple[Verdict | None, Made]:
    """Write, train and measure one number of layers at ``target``; no verdict after a stop."""
    work.probes.pop(target, None)
    start = target.with_name(f"{target.name}.start") if retrain else target
    shutil.rmtree(target, ignore_errors=True)
    pruner.write(layers, start)
    more: Made = {}
    if retrain:
        shutil.rmtree(work.context.run.checkpoints, ignore_errors=True)
        done = teach(work, source, start, target, {"epochs": EPOCHS, "soft": 0.7, "temperature": 2.0})
        shutil.rmtree(start, ignore_errors=True)
        if done is None:
            return None, {}
        more = done
    if work.context.stop():
        return None, {}
    return work.judged(target), more
