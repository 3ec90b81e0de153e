"""The control around every backend: measured before, measured after, and nothing that fell too far gets through.

::

    result = compress(source, target, scheme="int8", backend="auto", task_name="text-classification",
                      rows={"text": texts, "label": labels}, max_drop=0.01, probe=probe, emit=emit)
    result.report["after"]["metrics"]["accuracy"]

Each backend's attempts are tried in turn, from the fastest to the most careful, until one stays within ``max_drop``;
of the backends that have one, the quickest is taken. Where none stays within it, the numbers are the error.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelnook.domain.errors import DataError, RefusedError, StoreError, UnsupportedError
from modelnook.domain.event import Emit, Progress, Warned
from modelnook.domain.table import jsonable
from modelnook.measure.judge import Judge, Verdict
from modelnook.measure.probe import Probe
from modelnook.messages import t
from modelnook.quantize import QUANTIZERS, backends
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized
from modelnook.tasks import TASKS
from modelnook.tasks.base import Columns

__all__ = ["CompressResult", "Measure", "Trial", "compress"]

Measure = Callable[[Path, list[Any]], Probe]

# More rows than these don't change a decision about a point, but cost minutes with a slow model.
MOST_ROWS = 4_000
CALIBRATION = 64
SEED = 7


@dataclass(frozen=True, slots=True)
class Trial:
    """One attempt: which backend with which options, what it measured, whether it stays within the drop."""

    backend: str
    options: dict[str, Any]
    path: Path
    verdict: Verdict
    probe: Probe = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, for the report."""
        figures = {n: getattr(self.probe, n) for n in ("bytes", "p50_ms", "rows_per_s")}
        return {"backend": self.backend, "options": self.options, **asdict(self.verdict), **figures}


@dataclass(frozen=True, slots=True)
class CompressResult:
    """``path`` holds the model, unless ``stopped`` before one was good enough. ``report`` is JSON, see the contract."""

    path: Path
    backend: str
    scheme: str
    options: dict[str, Any]
    report: dict[str, Any]
    stopped: bool = False


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
) -> CompressResult:
    """Make ``target`` a smaller model that does as well as ``source`` on the person's rows.

    Args:
        rows: role -> values to measure on; at most 4,000 rows are used, a seeded sample of more. Without the task's
            targets among them, agreement with the original is measured.
        max_drop: how far the metric may fall, as a fraction: 0.01 is one point. On the point estimate.
        probe: measures a folder on texts, in a clean process or in this one.
        metric: what decides; the task's primary metric where it is None.

    Raises:
        RefusedError: every attempt fell further than ``max_drop``; the numbers are in it.
        UnsupportedError: already quantized, or an architecture that the backend (with ``auto``: each) can't do.
        DataError: no rows, or labels that the model doesn't know.
        StoreError: the disk is full.
    """
    refuse_quantized(source)
    names = backends(backend, scheme)
    spec = TASKS.load(task_name, light=True)()
    columns = _sample(rows)
    asked = spec.as_rows(columns)
    emit(Progress("measuring"))
    before = probe(source, asked)
    judge = Judge(spec, columns, before, metric, max_drop)
    work = target.with_name(f".{target.name}.tries")
    shutil.rmtree(work, ignore_errors=True)
    try:
        run = _Run(source, work, scheme, task_name, asked, probe, judge, emit, stop)
        trials, best = run.all(names, backend == "auto")
        if best is None:
            if not trials or stop():
                return CompressResult(target, "", scheme, {}, {}, stopped=True)
            raise _refusal(source, scheme, judge, trials)
        _place(best.path, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for warning in judge.warnings(best.verdict):
        emit(warning)
    if best.probe.rows_per_s < before.rows_per_s:
        times = f"{best.probe.rows_per_s / before.rows_per_s:.2f}"
        emit(Warned("quantize.slower", t("quantize.slower", backend=best.backend, times=times)))
    return CompressResult(target, best.backend, scheme, best.options, _report(judge, before, best, trials, scheme))


@dataclass(frozen=True, slots=True)
class _Run:
    source: Path
    work: Path
    scheme: str
    task: str
    rows: list[Any]
    probe: Measure
    judge: Judge
    emit: Emit
    stop: Callable[[], bool]

    def all(self, names: list[str], auto: bool) -> tuple[list[Trial], Trial | None]:
        """Every attempt made, and the quickest of those within the drop."""
        trials: list[Trial] = []
        failed: UnsupportedError | None = None
        for name in names:
            try:
                for trial in self.attempts(name):
                    trials.append(trial)
                    if trial.verdict.accepted:
                        break
            except UnsupportedError as error:
                if self.stop():
                    break
                if not auto:
                    raise
                failed = error
                text = t("quantize.backend_failed", backend=name, error=error.message)
                self.emit(Warned("quantize.backend_failed", text))
        if failed and not trials and not self.stop():
            raise failed
        good = [trial for trial in trials if trial.verdict.accepted]
        return trials, max(good, key=lambda trial: trial.probe.rows_per_s, default=None)

    def attempts(self, name: str) -> Iterator[Trial]:
        """A backend's attempts, measured, the most careful last; none after a stop."""
        quantizer: Quantizer = QUANTIZERS.load(name)()
        for number, options in enumerate(quantizer.attempts(self.scheme)):
            if self.stop():
                return
            path = self.work / f"{name}-{number}"
            quantizer.quantize(
                self.source,
                path,
                self.scheme,
                task=self.task,
                calibration=self.rows[:CALIBRATION],
                emit=self.emit,
                **options,
            )
            if self.stop():
                return
            self.emit(Progress("measuring"))
            after = self.probe(path, self.rows)
            yield Trial(name, options, path, self.judge(after), after)


def _sample(rows: Columns) -> dict[str, list[Any]]:
    count = len(next(iter(rows.values())))
    if not count:
        raise DataError("quantize.no_rows")
    if count <= MOST_ROWS:
        return {role: list(values) for role, values in rows.items()}
    taken = sorted(random.Random(SEED).sample(range(count), MOST_ROWS))
    return {role: [values[i] for i in taken] for role, values in rows.items()}


def _refusal(source: Path, scheme: str, judge: Judge, trials: list[Trial]) -> RefusedError:
    best = min(trials, key=lambda trial: trial.verdict.drop)
    return RefusedError(
        "quantize.refused",
        scheme=scheme,
        metric=judge.metric,
        before=f"{judge.value:.3f}",
        after=f"{best.verdict.value:.3f}",
        points=f"{100 * best.verdict.drop:.1f}",
        allowed=f"{100 * judge.max_drop:g}",
        tries=len(trials),
        backends=", ".join(dict.fromkeys(trial.backend for trial in trials)),
        rows=judge.rows,
    )


def _place(made: Path, target: Path) -> None:
    try:
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        made.rename(target)
    except OSError as error:
        raise StoreError("quantize.not_saved", path=target, error=error) from error


def _report(judge: Judge, before: Probe, best: Trial, trials: list[Trial], scheme: str) -> dict[str, Any]:
    report = {
        "before": {**before.figures(), **judge.scores(before)},
        "after": {**best.probe.figures(), **judge.scores(best.probe)},
        "backend": best.backend,
        "scheme": scheme,
        "options": best.options,
        "metric": judge.metric,
        "drop": best.verdict.drop,
        "drop_interval": best.verdict.interval,
        "max_drop": judge.max_drop,
        "rows": judge.rows,
        "labels_used": judge.known,
        "attempts": [trial.to_dict() for trial in trials],
    }
    made: dict[str, Any] = jsonable(report)
    return made
