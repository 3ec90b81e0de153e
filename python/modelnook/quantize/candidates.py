"""The tries of one run: which are made in which order, how long they may take, which of them is taken.

Every way (a backend and a scheme) has its quickest attempt first, the best known ways before the others; those that
fell too far come again with their more careful attempts, round by round. What the budget doesn't reach is named. Ways
that are known to be slower than the original are spared where another stays within the drop, unless all are asked for.
"""

from __future__ import annotations

import math
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ModelnookError, StoreError, UnsupportedError
from modelnook.domain.event import Emit, Progress, Stopped, Warned, ending
from modelnook.measure.judge import Judge, Verdict
from modelnook.measure.probe import Probe
from modelnook.measure.race import TOGETHER
from modelnook.measure.speed import Speed
from modelnook.messages import t
from modelnook.quantize import QUANTIZERS, absent, other
from modelnook.quantize.base import Quantizer
from modelnook.quantize.library import asked, backend
from modelnook.runtime.folder import config
from modelnook.store.files import folder_bytes

__all__ = ["Measure", "Race", "Search", "Trial", "called", "pace"]

Measure = Callable[[Path, list[Any]], Probe]
Race = Callable[[list[Path], list[Any]], list[Speed]]
"""Times several folders in turns, see :mod:`modelnook.measure.race`."""

CALIBRATION = 64
NOISE = 0.05
"""Paces that differ by less are the same, as far as measuring for seconds can tell."""
FINALISTS, FAR = 4, 1 / 3
"""How many are timed in turns at most; what had less than this share of the quickest's pace is not among them."""
RACING = 20.0
"""Seconds kept for that where time is short."""
HUNDRED_MB = 1e8
TRAININGS = 3.0
"""Trying several ways takes at most so many times what the model's training took, or says first how long."""

_FIGURES = ("bytes", "p50_ms", "p95_ms", "rows_per_s", "load_s", "peak_memory_bytes", "device")


@dataclass(frozen=True, slots=True)
class Trial:
    """One attempt: which backend with which options, what it measured, whether it stays within the drop.

    ``seconds`` is what making and measuring it took.
    """

    backend: str
    scheme: str
    options: dict[str, Any]
    path: Path
    verdict: Verdict
    probe: Probe = field(repr=False)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, for the report."""
        figures = {name: getattr(self.probe, name) for name in _FIGURES}
        way = {"backend": self.backend, "scheme": self.scheme, "options": self.options}
        return {**way, **asdict(self.verdict), **figures, "seconds": self.seconds}


def pace(speed: Probe | Speed) -> float:
    """How quick a model is, with many rows and with one, weighed alike: the mean (geometric) of both rates.

    Rows a second alone would choose OpenVINO for MiniLM in int8, with 1,750 rows/s and 2.6 ms for a single row, before
    ONNX Runtime with 1,600 rows/s and 1.0 ms.
    """
    return math.sqrt(speed.rows_per_s * 1e3 / max(speed.p50_ms, 1e-6))


def called(backend: str, scheme: str, options: dict[str, Any]) -> str:
    """A candidate in words.

    >>> called("openvino", "int4", {"by_data": True, "ratio": 0.6})
    'openvino int4 by_data ratio=0.6'
    """
    said = (name if value is True else f"{name}={value:g}" for name, value in options.items())
    return " ".join((backend, scheme, *said))


@dataclass
class _Way:
    """A backend and a scheme, and the attempts that it has left."""

    quantizer: Quantizer
    scheme: str
    left: list[dict[str, Any]]
    number: int = 0
    took: float | None = None
    """Seconds of its last attempt."""

    @property
    def name(self) -> str:
        return f"{self.quantizer.name} {self.scheme}"

    @property
    def known(self) -> float:
        """Its rows a second as a multiple of the original's, where they were measured before."""
        return self.quantizer.speed.get(self.scheme, 1.0)

    def expected(self, source_bytes: int, measuring: float) -> float:
        """Seconds that its next attempt will take."""
        if self.took is not None:
            return self.took
        return self.quantizer.seconds * max(0.2, source_bytes / HUNDRED_MB) + measuring


class Search:
    """Tries ways until each has an attempt within the drop, none left, or no time.

    Args:
        work: a folder for what is made; what fell too far is removed from it at once.
        until: the time of ``clock`` after which nothing new is begun, once something was tried; None: no end.
        measuring: seconds that measuring the original took: what the others will take.
        trained: seconds that the training of the model took, where they are known.
        race: times the best and the original in turns before one is taken; without it what was measured of each by
            itself decides, and is told.
        gpu: whether results may run on a GPU; PyTorch is asked by default.
    """

    def __init__(
        self,
        source: Path,
        work: Path,
        *,
        task: str,
        rows: list[Any],
        probe: Measure,
        judge: Judge,
        emit: Emit,
        stop: Callable[[], bool],
        until: float | None = None,
        measuring: float = 0.0,
        trained: float | None = None,
        race: Race | None = None,
        gpu: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.race, self.gpu = race, gpu
        self.source, self.work, self.task, self.rows = source, work, task, rows
        self.probe, self.judge, self.emit, self.stop = probe, judge, emit, stop
        self.until, self.measuring, self.trained, self.clock = until, measuring, trained, clock
        self.trials: list[Trial] = []
        self.failed: dict[str, str] = {}
        """Way -> why its backend can't do the model."""
        self.untried: list[str] = []
        """What there was no time for."""
        self.spared: list[str] = []
        """What is known to be slower than the original, where another stayed within the drop."""
        self.more = _more(0.0 if until is None else until - clock() + measuring)
        """A budget that would give more time."""
        self.before: Speed | None = None
        """The original's speed in the turns that its successors had, where it had some."""
        self._bytes = folder_bytes(source)
        self._error: tuple[str, UnsupportedError] | None = None
        self._alone = False

    def run(self, ways: Sequence[tuple[str, str]], *, every: bool = True) -> Trial | None:
        """Try the ways; the best that stays within the drop, or None.

        Args:
            every: whether also those are measured that are known to be slower than the original.

        Raises:
            UnsupportedError: none of them can do the model; each says why.
        """
        self._alone = len(ways) == 1
        waiting = self._ordered(ways)
        if waiting:
            self._say_how_long([way for way in waiting if every or way.known >= 1] or waiting)
        while waiting and not self.stop():
            again = []
            for way in waiting:
                if self.stop():
                    break
                if not every and way.known < 1 and self.best() is not None:
                    self.spared.append(called(way.quantizer.name, way.scheme, way.left[0]))
                elif self._late(way):
                    self.untried.append(called(way.quantizer.name, way.scheme, way.left[0]))
                elif self._try(way) and way.left:
                    again.append(way)
            waiting = again
        if self._error is not None and not self.trials and not self.stop():
            several = len({name for name, _ in ways}) > 1
            raise self._none_can([scheme for _, scheme in ways]) if several else asked(*self._error)
        if self.untried and not self.stop():
            self._warn("quantize.untried", ways=", ".join(self.untried), n=len(self.untried), more=self.more)
        self._in_turns()
        return self.best()

    def unable(self) -> str:
        """The ways of which nothing could be measured, each with the reason."""
        measured = {f"{trial.backend} {trial.scheme}" for trial in self.trials}
        return "; ".join(f"{way}: {said.rstrip('.。')}" for way, said in self.failed.items() if way not in measured)

    def best(self) -> Trial | None:
        """Within the drop the best by :func:`pace`; of those as quick the smallest."""
        good = [trial for trial in self.trials if trial.verdict.accepted]
        top = max((pace(trial.probe) for trial in good), default=0.0)
        quick = [trial for trial in good if pace(trial.probe) >= (1 - NOISE) * top]
        return min(quick, key=lambda trial: (trial.probe.bytes, -pace(trial.probe)), default=None)

    def _in_turns(self) -> None:
        """Time those that may be the best once more, the original beside them: each was measured while the machine did
        other things.
        """
        places = self._finalists()
        size = sum(self.trials[at].probe.bytes for at in places)
        if self.race is None or not places or size + self._bytes > TOGETHER or self.stop():
            return
        self.emit(Progress("measuring"))
        try:
            found = self.race([self.source, *(self.trials[at].path for at in places)], self.rows)
        except (StoreError, UnsupportedError):
            # Too many at once for this machine, or its disk is full: what is known of each by itself must do.
            return
        self.before = found[0]
        for at, speed in zip(places, found[1:], strict=True):
            self.trials[at] = replace(self.trials[at], probe=replace(self.trials[at].probe, **asdict(speed)))

    def _finalists(self) -> list[int]:
        """Places of the trials that may be the best, the quickest first."""
        good = [at for at, trial in enumerate(self.trials) if trial.verdict.accepted]
        paces = {at: pace(self.trials[at].probe) for at in good}
        good.sort(key=lambda at: -paces[at])
        near = [at for at in good if paces[at] >= FAR * paces[good[0]]]
        while len(near) > 1 and self._bytes + sum(self.trials[at].probe.bytes for at in near[:FINALISTS]) > TOGETHER:
            near = near[:FINALISTS][:-1]
        return near[:FINALISTS]

    def _ordered(self, ways: Sequence[tuple[str, str]]) -> list[_Way]:
        """The best known first. One instance a backend: its schemes may share what it traced."""
        backends: dict[str, Quantizer] = {}
        for name, _ in ways:
            if name not in backends and name not in self.failed:
                try:
                    backends[name] = backend(name)()
                except UnsupportedError as error:
                    self._can_not(name, name, error)
        can = [(backends[name], scheme) for name, scheme in ways if name in backends]
        found = [_Way(quantizer, scheme, quantizer.attempts(scheme)) for quantizer, scheme in can]
        return sorted(found, key=lambda way: -way.known)

    def _say_how_long(self, waiting: list[_Way]) -> None:
        """Say it beforehand where trying every way once takes longer than there is, or may take much longer than the
        model's training did.
        """
        # Of the whole run, in which the original has been measured already.
        need = sum(way.expected(self._bytes, self.measuring) for way in waiting) + self.measuring
        left = None if self.until is None else self.until - self.clock() + self.measuring
        if left is not None and need > left:
            said = {"needed": _minutes(need), "there": _minutes(left), "more": self.more}
            if len(waiting) == 1:
                self._warn("quantize.takes_longer_one", way=waiting[0].name, **said)
            else:
                self._warn("quantize.takes_longer", n=len(waiting), **said)
        elif self.trained is not None and not self._alone and (left is None or left > TRAININGS * self.trained):
            # Also where once each is quicker: what falls too far is tried again.
            said = {"needed": _told(need), "trained": _told(self.trained)}
            self._warn("quantize.longer_than_training", n=len(waiting), **said)

    def _warn(self, code: str, **values: Any) -> None:
        self.emit(Warned.of(code, **values))

    def _late(self, way: _Way) -> bool:
        if self.until is None or not self.trials:
            return False
        left = self.until - self.clock()
        if self.race is not None and self.best() is not None:
            left -= RACING
        return way.expected(self._bytes, self.measuring) > left

    def _try(self, way: _Way) -> bool:
        """Make and measure the next attempt of a way; whether a more careful one is worth it."""
        try:
            trial = self._attempt(way)
        except UnsupportedError as error:
            if not self.stop():
                self._can_not(way.name, way.quantizer.name, error)
            return False
        except StoreError as error:
            if self.best() is None:
                raise
            # What it wrote is gone again: there is room for the one that is taken.
            self._can_not(way.name, way.quantizer.name, error)
            return False
        if trial is None:
            return False
        self.trials.append(trial)
        if not trial.verdict.accepted:
            shutil.rmtree(trial.path, ignore_errors=True)
        return not trial.verdict.accepted

    def _can_not(self, way: str, backend: str, error: UnsupportedError | StoreError) -> None:
        told = error.message in self.failed.values()
        self.failed[way] = error.message
        if isinstance(error, UnsupportedError):
            self._error = self._error or (way, error)
        # Alone it is the run's own error, unless an earlier attempt of it was measured.
        if not told and (self.trials or not self._alone):
            self._warn("quantize.backend_failed", backend=backend, error=error.message)

    def _none_can(self, schemes: Sequence[str]) -> UnsupportedError:
        """Several backends were asked, and each says why not; what is left is one that isn't installed, or a verb."""
        why = self.unable()
        others = absent(schemes, self.task, gpu=self.gpu)
        if others:
            return UnsupportedError("quantize.none_can_here", why=why, extra=QUANTIZERS[others[0]].extra or others[0])
        return UnsupportedError("quantize.none_can", why=why)

    def _cant_run(self, way: _Way, error: ModelnookError) -> UnsupportedError:
        """The original was measured just so: it is what the backend made of it that doesn't run."""
        architecture = (config(self.source).get("architectures") or [self.source.name])[0]
        why = error.values.get("why") or error.values["error"]
        next = other(way.quantizer.name, way.scheme)
        return UnsupportedError("quantize.cant_run", architecture=architecture, error=why, next=next)

    def _attempt(self, way: _Way) -> Trial | None:
        began, options = self.clock(), way.left.pop(0)
        path = self.work / f"{way.quantizer.name}-{way.scheme}-{way.number}"
        way.number += 1
        try:
            way.quantizer.quantize(
                self.source,
                path,
                way.scheme,
                task=self.task,
                calibration=self.rows[:CALIBRATION],
                emit=ending(self.emit, self.stop),
                **options,
            )
        except Stopped:
            return None
        except (ModelnookError, MemoryError, OSError):
            raise
        except Exception as error:
            # A backend's own mistake, as a plug-in may hold one: the others are not to pay for it.
            if self._alone:
                raise
            traceback.print_exception(error)
            said = f"{type(error).__name__}: {error}"[:200]
            raise UnsupportedError("quantize.broke", error=said) from error
        if self.stop():
            return None
        self.emit(Progress("measuring"))
        try:
            after = self.probe(path, self.rows)
        except ModelnookError as error:
            # What can't be measured is never taken: the disk has its room again.
            shutil.rmtree(path, ignore_errors=True)
            if error.code != "measure.failed":
                raise
            raise self._cant_run(way, error) from error
        way.took = self.clock() - began
        return Trial(way.quantizer.name, way.scheme, options, path, self.judge(after), after, way.took)


def _more(seconds: float) -> str:
    """A budget that is worth giving after one of so many seconds.

    >>> _more(120), _more(900)
    ('10m', '30m')
    """
    return f"{max(10, math.ceil(seconds / 30))}m"


def _told(seconds: float) -> str:
    """A length of time that is only known roughly, with its unit.

    >>> _told(6.2), _told(62), _told(0.2), _told(95), _told(6000)
    ('6 s', '1 min', '1 s', '1.6 min', '100 min')
    """
    if seconds < 59.5:
        return t("quantize.seconds", n=max(1, round(seconds)))
    minutes = max(1.0, seconds / 60)
    return t("quantize.minutes", n=f"{minutes:.2g}" if minutes < 9.5 else round(minutes))


def _minutes(seconds: float) -> str:
    return f"{max(seconds, 0) / 60:.1f}"
