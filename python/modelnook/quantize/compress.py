"""The control around every backend: measured before, measured after, and nothing that fell too far gets through.

::

    result = compress(source, target, scheme="int8", backend="auto", task_name="text-classification",
                      rows={"text": texts, "label": labels}, max_drop=0.01, probe=probe, emit=emit)
    result.report["after"]["metrics"]["accuracy"]

Attempts are made from the fastest to the most careful (see :mod:`modelnook.quantize.candidates`) until one stays
within ``max_drop``; of the ways that have one, the best in rows a second and a single row's latency together is taken.
Where none has, the numbers are the error.
"""

from __future__ import annotations

import math
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import DataError, RefusedError, StoreError, UnsupportedError
from modelnook.domain.event import Emit, Progress, Warned
from modelnook.domain.table import jsonable
from modelnook.measure.judge import Judge
from modelnook.measure.probe import Probe
from modelnook.messages import t
from modelnook.quantize import AUTO, ways
from modelnook.quantize.candidates import Measure, Race, Search, Trial, called
from modelnook.quantize.folder import refuse_quantized
from modelnook.quantize.library import backend as backend_of
from modelnook.runtime.folder import quantized
from modelnook.store.files import place, temporary
from modelnook.tasks import TASKS
from modelnook.tasks.spec import Columns

__all__ = ["CompressResult", "Measure", "Trial", "compress"]

# More rows than these don't change a decision about a point, but cost minutes with a slow model.
MOST_ROWS = 4_000
SEED = 7

MUCH = 0.8
"""Of the bytes of what was taken: an attempt that has fewer is worth telling of."""


@dataclass(frozen=True, slots=True)
class CompressResult:
    """``path`` holds the model, unless ``stopped`` before one was good enough. ``report`` is JSON, see the contract;
    ``probe`` what was measured of the model.
    """

    path: Path
    backend: str
    scheme: str
    options: dict[str, Any]
    report: dict[str, Any]
    stopped: bool = False
    probe: Probe | None = field(default=None, repr=False)


def compress(
    source: Path,
    target: Path,
    *,
    scheme: str,
    backend: str = "auto",
    task_name: str,
    rows: Columns,
    max_drop: float,
    probe: Measure,
    emit: Emit,
    stop: Callable[[], bool] = lambda: False,
    metric: str | None = None,
    judge: Judge | None = None,
    budget: float | None = None,
    trained: float | None = None,
    race: Race | None = None,
    gpu: Callable[[], bool] | None = None,
    refused: Callable[[dict[str, Any]], None] = lambda report: None,
    clock: Callable[[], float] = time.monotonic,
) -> CompressResult:
    """Make ``target`` a smaller model that does as well as ``source`` on the person's rows.

    Args:
        scheme: a scheme, or ``auto``: each that a backend makes.
        backend: a backend, or ``auto``: all that this machine can run.
        rows: role -> values to measure on; at most 4,000 rows are used, a seeded sample of more. Without the task's
            targets among them, agreement with the original is measured.
        max_drop: how far the metric may fall, as a fraction: 0.01 is one point. On the point estimate.
        probe: measures a folder on texts, in a clean process or in this one.
        metric: what decides; the task's primary metric where it is None.
        judge: compares with another model than ``source``, on these rows: one that a chain began with. Its own are
            the metric and the drop that is allowed.
        budget: seconds after which no further attempt is begun; at least one is made. None: all are.
        trained: seconds that the model's training took: trying several ways for more than three times as long is said
            first.
        race: times the best folders and the original in turns before one is taken.
        gpu: whether results may run on a GPU; PyTorch is asked by default.
        refused: hears what was measured of all that was tried, a report without ``after``, before a refusal.
        clock: seconds that only grow; tests give their own.

    Raises:
        RefusedError: every attempt fell further than ``max_drop``; the numbers are in it.
        UnsupportedError: already quantized, or an architecture that the backend (with ``auto``: each) can't do.
        DataError: no rows, or labels that the model doesn't know.
        StoreError: the disk is full.
    """
    candidates = ways(backend, scheme, task_name, gpu=gpu)
    if quantized(source):
        # Those that quantize a GGUF file once more, if any.
        candidates = [way for way in candidates if _again(way[0])]
        refuse_quantized(source, again=bool(candidates))
    spec = TASKS.load(task_name, light=True)()
    columns = _sample(rows)
    asked = spec.as_rows(columns)
    emit(Progress("measuring"))
    began = clock()
    before = probe(source, asked)
    measuring = clock() - began
    judge = judge or Judge(spec, columns, before, metric, max_drop)
    work = temporary(target, "tries")
    shutil.rmtree(work, ignore_errors=True)
    search = Search(
        source,
        work,
        task=task_name,
        rows=asked,
        probe=probe,
        judge=judge,
        emit=emit,
        stop=stop,
        until=None if budget is None else began + budget,
        measuring=measuring,
        trained=trained,
        race=race,
        gpu=gpu,
        clock=clock,
    )
    try:
        best = search.run(candidates, every=scheme == AUTO or backend != AUTO)
        if best is None:
            if not search.trials or stop():
                return CompressResult(target, "", scheme, {}, {}, stopped=True)
            refused({**_tried(judge, before, search), "seconds": clock() - began})
            raise _refusal(scheme, judge, search)
        try:
            place(best.path, target)
        except OSError as error:
            raise StoreError("quantize.not_saved", path=target, error=error.strerror or error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if search.before is not None:
        before = replace(before, **asdict(search.before))
    for warning in judge.warnings(best.verdict):
        emit(warning)
    for warning in (*_slow(before, best, named=backend != AUTO), *_large(before, best), *_strict(judge, best, search)):
        emit(warning)
    report = _report(judge, before, best, search)
    report["seconds"] = clock() - began
    return CompressResult(target, best.backend, best.scheme, best.options, report, probe=best.probe)


def _again(name: str) -> bool:
    """Whether a backend quantizes what is quantized already; one that can't be imported doesn't."""
    try:
        return bool(backend_of(name).again)
    except UnsupportedError:
        return False


def _sample(rows: Columns) -> dict[str, list[Any]]:
    count = len(next(iter(rows.values())))
    if not count:
        raise DataError("quantize.no_rows")
    if count <= MOST_ROWS:
        return {role: list(values) for role, values in rows.items()}
    taken = sorted(random.Random(SEED).sample(range(count), MOST_ROWS))
    return {role: [values[i] for i in taken] for role, values in rows.items()}


def _slow(before: Probe, best: Trial, *, named: bool) -> list[Warned]:
    """What the result takes longer for than the original."""
    after, how = best.probe, []
    if after.rows_per_s < before.rows_per_s:
        how.append(t("quantize.slower_rows", times=f"{after.rows_per_s / before.rows_per_s:.2f}"))
    if after.p50_ms > before.p50_ms:
        how.append(t("quantize.slower_one", times=f"{after.p50_ms / before.p50_ms:.2f}"))
    code = "quantize.slower_named" if named else "quantize.slower"
    return [Warned.of(code, backend=best.backend, how=t("quantize.and").join(how))] if how else []


def _large(before: Probe, best: Trial) -> list[Warned]:
    """A file that is quantized again may grow: what has four bits already gets eight."""
    if best.probe.bytes <= before.bytes:
        return []
    return [Warned.of("quantize.larger", before=_mb(before.bytes), after=_mb(best.probe.bytes))]


def _strict(judge: Judge, best: Trial, search: Search) -> list[Warned]:
    """Where a much smaller attempt fell too far by agreement alone, which counts a better answer as lost too."""
    small = [one for one in search.trials if not one.verdict.accepted and one.probe.bytes < MUCH * best.probe.bytes]
    if judge.known or not small:
        return []
    near = min(small, key=lambda one: one.verdict.drop)
    told = {"way": called(near.backend, near.scheme, near.options), "mb": _mb(near.probe.bytes)}
    enough = math.ceil(1000 * near.verdict.drop) / 1000
    code = "quantize.strict_tokens" if judge.spec.scores_texts else "quantize.strict"
    return [Warned.of(code, **told, percent=f"{100 * near.verdict.drop:.1f}", enough=f"{enough:g}")]


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f}"


def _refusal(scheme: str, judge: Judge, search: Search) -> RefusedError:
    best = min(search.trials, key=lambda trial: trial.verdict.drop)
    # What nobody tried may well pass: that goes before how sure the rest is.
    codes = ("quantize.refused", "quantize.refused_few") if not search.untried else ("quantize.refused_late",) * 2
    reasons = search.unable()
    return judge.refusal(
        *codes,
        best.verdict,
        unable=t("quantize.unable", ways=reasons) if reasons else "",
        otherwise=t("quantize.or_others"),
        scheme=scheme if scheme != AUTO else ", ".join(dict.fromkeys(trial.scheme for trial in search.trials)),
        tries=len(search.trials),
        backends=", ".join(dict.fromkeys(trial.backend for trial in search.trials)),
        late=len(search.untried),
        ways=", ".join(search.untried),
        more=search.more,
    )


def _report(judge: Judge, before: Probe, best: Trial, search: Search) -> dict[str, Any]:
    report = {
        "after": {**best.probe.figures(), **judge.scores(best.probe)},
        "backend": best.backend,
        "scheme": best.scheme,
        "options": best.options,
        "drop": best.verdict.drop,
        "drop_interval": best.verdict.interval,
    }
    made: dict[str, Any] = jsonable(report)
    return {**_tried(judge, before, search), **made}


def _tried(judge: Judge, before: Probe, search: Search) -> dict[str, Any]:
    """What was measured of the original and of each attempt."""
    report = {
        "before": {**before.figures(), **judge.scores(before)},
        "metric": judge.metric,
        "max_drop": judge.max_drop,
        "rows": judge.rows,
        "labels_used": judge.known,
        "attempts": [trial.to_dict() for trial in search.trials],
        "failed": search.failed,
        "untried": search.untried,
        "spared": search.spared,
    }
    told: dict[str, Any] = jsonable(report)
    return told
