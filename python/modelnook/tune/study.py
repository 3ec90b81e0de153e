"""The study: Optuna's, in a file of the run's folder that a restarted job, and optuna-dashboard, open as well."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from modelnook.domain.errors import ConflictError
from modelnook.domain.front import beaten, pareto
from modelnook.tune import DEFAULT
from modelnook.tune.journal import Lock, said
from modelnook.tune.space import OF_METHOD, Choice, Range, Space

__all__ = ["Study"]

NAME = "modelnook"
ALONE_FROM = 8
"""Trials from which hopeless ones are ended early by ``auto``: before, there is nothing to compare them with."""

STARTUP_SHARE = 3


class Study:
    """A study of one number, or of several, each to be raised or lowered. The first is what the best is told by.

    Args:
        file: the journal; made where it isn't there.
        fingerprint: of the rows, the space and the objectives: a study of others is refused.
        lower: of each number, whether less is better.
        pruner: one of ``PRUNERS``; of several numbers none ends a trial, Optuna has none for them.
        place: this process's number among those that work on it at the same time; the first one is 0.
        several: whether there are others.

    Raises:
        ConflictError: the file holds a study of other rows, or is locked by another process.
        StoreError: it can't be written.
    """

    def __init__(
        self,
        file: Path,
        *,
        fingerprint: str,
        lower: Sequence[bool],
        seed: int,
        trials: int | None,
        pruner: str = "auto",
        place: int = 0,
        several: bool = False,
    ) -> None:
        self.lower = tuple(lower)
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        with self._open():
            backend = JournalFileBackend(str(file), lock_obj=Lock(str(file)))
            self.study = optuna.create_study(
                study_name=NAME,
                storage=JournalStorage(backend),
                sampler=optuna.samplers.TPESampler(
                    seed=seed + place,
                    multivariate=True,
                    n_startup_trials=max(4, min(10, (trials or 30) // STARTUP_SHARE)),
                    # What others are trying isn't tried as well.
                    constant_liar=several,
                ),
                pruner=_pruner(pruner if len(self.lower) == 1 else "none", trials),
                directions=["minimize" if less else "maximize" for less in self.lower],
                load_if_exists=True,
            )
            held = self.study.user_attrs.get("fingerprint")
            if held is None:
                self.study.set_user_attr("fingerprint", fingerprint)
            elif held != fingerprint:
                raise ConflictError("tune.other_study", path=file)
            # What was tried when the process died is over; whoever joins later has nothing to end.
            if not place:
                self.end_running()
        self.lock = threading.RLock()
        """Held by a thread that shows what was tried."""
        self.pointed = {row["number"] for row in self.told()}
        """The trials that the history has its point of."""

    @contextmanager
    def _open(self) -> Iterator[None]:
        """To read and write it in."""
        with quiet(), said(self.file):
            yield

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of them, in their order."""
        found: list[FrozenTrial] = self.study.get_trials(deepcopy=False)
        return found

    @property
    def done(self) -> list[FrozenTrial]:
        """Those with a value."""
        return [t for t in self.trials if t.state is TrialState.COMPLETE]

    @property
    def many(self) -> bool:
        """Whether more than one number counts."""
        return len(self.lower) > 1

    def leads(self, values: Sequence[float]) -> bool:
        """Whether nothing that was reached so far, the default configuration too, is as good in every number."""
        mine = self._falling(values)
        reached = [self._falling(trial.values) for trial in self.done]
        reached += [self._falling(self.default["values"])] if self.default else []
        return mine not in reached and not beaten(mine, reached)

    def front(self) -> list[int | str]:
        """The numbers of the trials that no other beats, the default's among them if so; of equals the first."""
        rows = [row for row in self.told() if row["state"] == "finished"]
        points = [self._falling(row["values"]) for row in rows]
        first = [at for at in pareto(points) if points.index(points[at]) == at]
        return [rows[at]["number"] for at in first]

    def first(self, front: Sequence[int | str]) -> int | str | None:
        """Of a front, the trial whose first number is the best; None while there is none."""
        values = {row["number"]: self._falling(row["values"])[0] for row in self.told() if row["state"] == "finished"}
        return min(front, key=values.__getitem__, default=None)

    def _falling(self, values: Sequence[float]) -> tuple[float, ...]:
        """The numbers in a form of which less is better."""
        return tuple(value if less else -value for value, less in zip(values, self.lower, strict=True))

    def ask(self, space: Space) -> tuple[Any, dict[str, Any]]:
        """``(trial, its knobs)``; knobs that its method doesn't have are left out."""
        with self._open():
            trial = self.study.ask()
            knobs: dict[str, Any] = {}
            for name in sorted(space, key=lambda name: name in OF_METHOD):
                if "method" in knobs and knobs["method"] not in OF_METHOD.get(name, (knobs["method"],)):
                    continue
                knobs[name] = trial._suggest(name, distribution(space[name]))
        return trial, knobs

    def end_running(self) -> None:
        """End what nobody tries any more."""
        with self._open():
            for number in self.running:
                self.study.tell(number, state=TrialState.FAIL)

    @property
    def running(self) -> list[int]:
        """The numbers of those that are being tried, here or by others."""
        return [t.number for t in self.trials if t.state is TrialState.RUNNING]

    def one_too_many(self, trial: Any, most: int) -> bool:
        """Whether ``most`` trials, the default among them, were begun before this one; it is then given back."""
        begun = [
            t.number
            for t in self.trials
            if not t.user_attrs.get(DEFAULT) and (t.state is TrialState.RUNNING or t.user_attrs.get("told"))
        ]
        if 1 + sum(number < trial.number for number in begun) < most:
            return False
        self.give_back(trial)
        return True

    def give_back(self, trial: Any) -> None:
        """End a trial that wasn't tried: nobody hears of it."""
        with self._open():
            self.study.tell(trial, state=TrialState.FAIL)

    def tell(self, trial: Any, values: Sequence[float] | None, state: str, told: dict[str, Any]) -> None:
        """End a trial: ``finished`` with its values, ``pruned`` or ``failed``; ``told`` is what a person sees of it."""
        states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        with self._open():
            trial.set_user_attr("told", json.dumps(told))
            self.study.tell(trial, values if state == "finished" else None, state=states[state])

    def add_default(self, space: Space, knobs: dict[str, Any], values: Sequence[float], told: dict[str, Any]) -> None:
        """Keep what the default configuration reached, and teach the sampler from it where it lies in the space."""
        inside = {name: knobs.get(name) for name in space if knobs.get(name) in space[name]}
        with self._open():
            self.study.set_user_attr(DEFAULT, json.dumps({"values": list(values), "told": told}))
            if len(inside) == len(space):
                self.study.add_trial(
                    create_trial(
                        params={n: _value(space[n], v) for n, v in inside.items()},
                        distributions={n: distribution(space[n]) for n in inside},
                        values=list(values),
                        user_attrs={DEFAULT: True, "told": json.dumps(told)},
                    )
                )

    @property
    def default(self) -> dict[str, Any] | None:
        """``{"values", "told"}`` of the default configuration; None before it was tried."""
        held = self.study.user_attrs.get(DEFAULT)
        return json.loads(held) if held else None

    @property
    def elapsed(self) -> float:
        """Seconds for which it was worked on, by however many at the same time."""
        return float(self.study.user_attrs.get("elapsed", 0.0))

    @elapsed.setter
    def elapsed(self, seconds: float) -> None:
        with self._open():
            self.study.set_user_attr("elapsed", seconds)

    @property
    def end(self) -> dict[str, Any] | None:
        """What the run's end was, where that was all done; JSON."""
        held = self.study.user_attrs.get("end")
        return json.loads(held) if held else None

    @end.setter
    def end(self, told: dict[str, Any]) -> None:
        with self._open():
            self.study.set_user_attr("end", json.dumps(told))

    @property
    def models(self) -> dict[str, str]:
        """Trial -> the local model that it was made at an end; a resumed run goes on from there."""
        return dict(json.loads(self.study.user_attrs.get("models", "{}")))

    def add_model(self, number: int | str, ref: str) -> None:
        """Keep what a trial's model is called now."""
        with self._open():
            self.study.set_user_attr("models", json.dumps({**self.models, str(number): ref}))

    def told(self) -> list[dict[str, Any]]:
        """What a person sees of each ended trial, the default first."""
        held = self.default
        rows = [{**held["told"], "number": DEFAULT}] if held else []
        own = (trial for trial in self.trials if trial.user_attrs.get("told") and not trial.user_attrs.get(DEFAULT))
        return [*rows, *({**json.loads(trial.user_attrs["told"]), "number": trial.number} for trial in own)]

    def importances(self) -> dict[str, float]:
        """Knob -> share of the first value's variance it explains (fANOVA, Hutter et al. 2014); {} where too few."""
        varied = {name for trial in self.done for name in trial.params}
        if len(self.done) < ALONE_FROM or len(varied) < 2:
            return {}
        with quiet():
            try:
                found = optuna.importance.get_param_importances(self.study, target=lambda trial: trial.values[0])
            except (ValueError, RuntimeError, ZeroDivisionError):
                return {}
        return {name: float(share) for name, share in found.items()}


def distribution(values: Range | Choice) -> BaseDistribution:
    """Optuna's form of what a knob may be."""
    if isinstance(values, Choice):
        return CategoricalDistribution(values.values)
    if values.whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _value(values: Range | Choice, value: Any) -> Any:
    if isinstance(values, Choice):
        return next(v for v in values.values if v == value)
    return int(value) if values.whole else float(value)


def _pruner(name: str, trials: int | None) -> optuna.pruners.BasePruner:
    if name == "auto":
        name = "asha" if trials is None or trials >= ALONE_FROM else "none"
    if name == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource="auto")
    return optuna.pruners.MedianPruner(n_startup_trials=4) if name == "median" else optuna.pruners.NopPruner()


_QUIET = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna's own log and its warnings of experimental parts are nobody's business here.

    One thread at a time: both are settings of the whole process.
    """
    with _QUIET:
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            optuna.logging.set_verbosity(level)
