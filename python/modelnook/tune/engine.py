"""``search``: what is tried, in which order, and when it is enough. What a trial is, the caller says.

The default configuration comes first: it is what the gain is measured against. Trials follow until their number or the
time is used up; the best model so far is always on disk.
"""

from __future__ import annotations

import math
import statistics
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelnook.domain.errors import ConflictError, DataError, InternalError, ModelnookError, StoreError, UsageError
from modelnook.domain.event import Emit, MetricLogged, Progress, Warned
from modelnook.domain.knobs import own_knobs
from modelnook.tune.space import Range, Space
from modelnook.tune.study import Study

__all__ = ["Outcome", "Pruned", "Try", "search"]

HOPELESS = 3
"""Failed trials in a row, with none that ended well, after which the cause is the person's to know."""

WORTH = 0.5
"""A trial isn't begun in less than this share of the time that the shortest took."""


class Pruned(Exception):
    """Raised out of a trial that is given up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial came to: its values, knobs as resolved, seconds in the training loop, whether it was cut short.

    ``values`` are one a number that the study counts, the first what a trial is told by; ``whole`` is how many seconds
    it would have taken without the cut, as far as its steps tell.
    """

    values: tuple[float, ...]
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    trained: float = 0.0
    stopped: bool = False
    whole: float = 0.0


Try = Callable[[str, Mapping[str, Any], Callable[[int, float], None], Callable[[], bool]], Outcome]
"""``(name, knobs, report(epoch, value), stop()) -> Outcome``; what it made is its own business."""


def search(
    study: Study,
    space: Space,
    attempt: Try,
    *,
    metric: str,
    defaults: Mapping[str, Any],
    trials: int | None,
    deadline: Callable[[], float],
    emit: Emit,
    listed: Callable[[list[dict[str, Any]]], None],
    stop: Callable[[], bool],
    at_once: int = 1,
) -> None:
    """Try until ``trials`` have ended, ``deadline()`` (a time of ``time.monotonic``) has come or ``stop()``.

    The default configuration is one of them.

    A trial that fails, however it does, is one of them; where that shows that there was no time left to begin it
    (``tune.no_time``), it is none.

    Args:
        defaults: the knobs that the default configuration has; those in ``space`` are taught to the sampler.
        listed: called with all trials' rows after each.
        at_once: how many processes try in the study.

    Raises:
        DataError: what counts isn't a number for the default configuration.
        ModelnookError: the default configuration fails, or the first trials one after another; the disk is full.
    """
    if study.default is None:
        _default(study, space, attempt, metric, defaults, deadline, stop)
        with study.lock:
            listed(study.told())
    with study.lock:
        _points(study, metric, emit)
    failures = 0
    while not stop():
        ended = len(study.told())
        if trials is not None and ended >= trials:
            return
        if not _time_for_one(study, space, deadline):
            return
        emit(Progress("tuning", ended, trials, eta_s=_left(study, ended, trials, deadline, at_once)))
        found = _one(study, space, attempt, metric, trials, deadline, emit, stop)
        if found is None:
            return
        state, error = found
        with study.lock:
            listed(study.told())
            _points(study, metric, emit)
        failures = failures + 1 if state == "failed" else 0
        if failures >= HOPELESS and len(study.done) <= 1 and error is not None:
            raise error


def _default(
    study: Study,
    space: Space,
    attempt: Try,
    metric: str,
    defaults: Mapping[str, Any],
    deadline: Callable[[], float],
    stop: Callable[[], bool],
) -> None:
    start = time.monotonic()
    found = attempt("default", {}, lambda epoch, value: None, lambda: stop() or _over(deadline))
    seconds = time.monotonic() - start
    if found.stopped and _over(deadline) and not stop():
        # What it reached is no measure: nothing can be said to be better than a training that was cut off.
        raise UsageError("tune.budget_short", spent=round(seconds), seconds=round(max(seconds, found.whole)))
    _check(found, metric)
    told = {**_told(found, "finished", seconds), "knobs": dict(found.params)}
    own = own_knobs(str(found.params.get("method")), defaults)
    study.add_default(space, {**defaults, **own, **found.params, **_factors(space)}, found.values, told)


def _factors(space: Space) -> dict[str, Any]:
    """The default configuration in knobs that are factors of it."""
    return {name: 1.0 for name, values in space.items() if isinstance(values, Range) and values.times}


def _one(
    study: Study,
    space: Space,
    attempt: Try,
    metric: str,
    trials: int | None,
    deadline: Callable[[], float],
    emit: Emit,
    stop: Callable[[], bool],
) -> tuple[str, ModelnookError | None] | None:
    """``(state, error)`` of one trial; None where others have begun the last meanwhile, or no time was left for it."""
    trial, knobs = study.ask(space)
    if trials is not None and study.one_too_many(trial, trials):
        return None
    start = time.monotonic()
    last: list[float] = []

    def report(epoch: int, value: float) -> None:
        last.append(value)
        if study.many:
            return
        trial.report(value, epoch)
        if trial.should_prune():
            raise Pruned

    def over() -> bool:
        return stop() or _over(deadline)

    error: ModelnookError | None = None
    state, values = "finished", None
    told: dict[str, Any] = {}
    try:
        found = attempt(str(trial.number), knobs, report, over)
        _check(found, metric)
        values, told = found.values, _told(found, "finished", time.monotonic() - start)
    except Pruned:
        state = "pruned"
        told = {"state": state, "value": last[-1] if last else None, "seconds": time.monotonic() - start}
    except StoreError:
        study.tell(trial, None, "failed", {"state": "failed", "seconds": time.monotonic() - start})
        raise
    except Exception as caught:
        if isinstance(caught, ConflictError) and caught.code == "store.lease_lost":
            # The study is another's now.
            raise
        if isinstance(caught, ModelnookError) and caught.code == "tune.no_time":
            study.give_back(trial)
            return None
        error = _told_error(caught)
        state = "failed"
        told = {"state": state, "value": None, "error": error.message, "seconds": time.monotonic() - start}
        emit(Warned.of("tune.trial_failed", number=trial.number, error=error.message))
    study.tell(trial, values, state, {**told, "knobs": {**knobs, **told.get("knobs", {})}})
    return state, error


def _check(found: Outcome, metric: str) -> None:
    """Refuse what Optuna can't learn from: a value that is no number, as the AUC of rows of one label."""
    odd = next((value for value in found.values if not math.isfinite(value)), None)
    if odd is not None:
        # Of several objectives the first is not always the one.
        names = [metric] if found.values[0] is odd else [n for n, v in found.metrics.items() if not math.isfinite(v)]
        raise DataError("tune.no_value", metric=(names or [metric])[0], value=f"{odd:g}")


def _told_error(caught: Exception) -> ModelnookError:
    """What a trial failed with, for the person; where nobody foresaw it, its traceback goes to the log."""
    if isinstance(caught, ModelnookError):
        error: ModelnookError = caught
    else:
        traceback.print_exception(caught)
        error = InternalError("core.internal", error=f"{type(caught).__name__}: {str(caught)[:200]}")
    # What the training held would be held as long as the error is.
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def _told(found: Outcome, state: str, seconds: float) -> dict[str, Any]:
    return {
        "state": state,
        "value": found.values[0],
        "values": list(found.values),
        "metrics": found.metrics,
        "seconds": seconds,
        "trained_seconds": found.trained,
        "knobs": dict(found.params),
        "cut": found.stopped,
    }


def _points(study: Study, metric: str, emit: Emit) -> None:
    """Points of the history for what has ended since, here or by others: each trial's value, and the best so far."""
    pick = min if study.lower[0] else max
    reached: list[float] = []
    for row in sorted(study.told(), key=lambda row: row["number"] not in study.pointed):
        if row["state"] == "finished":
            reached.append(row["value"])
        if row["number"] not in study.pointed:
            if row["state"] == "finished":
                values = {f"eval_{metric}": row["value"], f"best_{metric}": pick(reached)}
                emit(MetricLogged(len(study.pointed), values))
            study.pointed.add(row["number"])


def _over(deadline: Callable[[], float]) -> bool:
    return time.monotonic() >= deadline()


def _time_for_one(study: Study, space: Space, deadline: Callable[[], float]) -> bool:
    """Whether the time that is left holds the worth of a trial, and a model that is read for it as the first was."""
    rows = [row for row in study.told() if row["state"] == "finished"]
    least = WORTH * min((row["seconds"] for row in rows), default=0.0)
    if "model" in space:
        least = max([least, *(row["seconds"] - row.get("trained_seconds", 0.0) for row in rows[:1])])
    return time.monotonic() + least < deadline()


def _left(study: Study, ended: int, trials: int | None, deadline: Callable[[], float], at_once: int) -> float | None:
    """Seconds: what the trials that are left will take, or what the budget leaves."""
    took = [row["seconds"] for row in study.told()]
    work = (trials - ended) * statistics.mean(took) / at_once if trials is not None and took else math.inf
    left = min(work, max(0.0, deadline() - time.monotonic()))
    return left if math.isfinite(left) else None
