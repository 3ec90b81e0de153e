"""The study: Optuna's, in a file of the run's folder that a restarted job, and optuna-dashboard, open as well."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from modelnook.domain.errors import ConflictError, StoreError
from modelnook.tune.space import OF_METHOD, Choice, Range, Space

__all__ = ["DEFAULT", "Study"]

NAME = "modelnook"
DEFAULT = "default"
ALONE_FROM = 8
"""Trials from which hopeless ones are ended early by ``auto``: before, there is nothing to compare them with."""

STARTUP_SHARE = 3


class Study:
    """A study of one number, to be raised or lowered.

    Args:
        file: the journal; made where it isn't there.
        fingerprint: of the rows, the space and the metric: a study of others is refused.

    Raises:
        ConflictError: the file holds a study of other rows, or is locked by another process.
        StoreError: it can't be written.
    """

    def __init__(
        self, file: Path, *, fingerprint: str, lower: bool, seed: int, trials: int | None, pruner: str = "auto"
    ) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with quiet():
            try:
                backend = JournalFileBackend(str(file), lock_obj=JournalFileOpenLock(str(file)))
                self.study = optuna.create_study(
                    study_name=NAME,
                    storage=JournalStorage(backend),
                    sampler=optuna.samplers.TPESampler(
                        seed=seed, multivariate=True, n_startup_trials=max(4, min(10, (trials or 30) // STARTUP_SHARE))
                    ),
                    pruner=_pruner(pruner, trials),
                    direction="minimize" if lower else "maximize",
                    load_if_exists=True,
                )
            except TimeoutError as error:
                raise ConflictError("tune.locked", path=file) from error
            except OSError as error:
                raise StoreError("tune.not_written", path=file, error=error.strerror or error) from error
            held = self.study.user_attrs.get("fingerprint")
            if held is None:
                self.study.set_user_attr("fingerprint", fingerprint)
            elif held != fingerprint:
                raise ConflictError("tune.other_study", path=file)
            # What was tried when the process died is over.
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                self.study.tell(trial.number, state=TrialState.FAIL)

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
    def best(self) -> FrozenTrial | None:
        """The one with the best value."""
        return self.study.best_trial if self.done else None

    def leads(self, value: float) -> bool:
        """Whether a value beats all that were reached so far, the default configuration's too."""
        sign = -1 if self.study.direction is StudyDirection.MINIMIZE else 1
        reached = [trial.value for trial in self.done if trial.value is not None]
        reached += [self.default["value"]] if self.default else []
        return all(sign * value > sign * other for other in reached)

    def ask(self, space: Space) -> tuple[Any, dict[str, Any]]:
        """``(trial, its knobs)``; knobs that its method doesn't have are left out."""
        with quiet():
            trial = self.study.ask()
            knobs: dict[str, Any] = {}
            for name in sorted(space, key=lambda name: name in OF_METHOD):
                if "method" in knobs and knobs["method"] not in OF_METHOD.get(name, (knobs["method"],)):
                    continue
                knobs[name] = trial._suggest(name, distribution(space[name]))
        return trial, knobs

    def tell(self, trial: Any, value: float | None, state: str, told: dict[str, Any]) -> None:
        """End a trial: ``finished`` with its value, ``pruned`` or ``failed``; ``told`` is what a person sees of it."""
        states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        with quiet():
            trial.set_user_attr("told", json.dumps(told))
            self.study.tell(trial, value if state == "finished" else None, state=states[state])

    def add_default(self, space: Space, knobs: dict[str, Any], value: float, told: dict[str, Any]) -> None:
        """Keep what the default configuration reached, and teach the sampler from it where it lies in the space."""
        self.study.set_user_attr(DEFAULT, json.dumps({"value": value, "told": told}))
        inside = {name: knobs.get(name) for name in space if knobs.get(name) in space[name]}
        with quiet():
            if len(inside) == len(space):
                self.study.add_trial(
                    create_trial(
                        params={n: _value(space[n], v) for n, v in inside.items()},
                        distributions={n: distribution(space[n]) for n in inside},
                        value=value,
                        user_attrs={DEFAULT: True, "told": json.dumps(told)},
                    )
                )

    @property
    def default(self) -> dict[str, Any] | None:
        """``{"value", "told"}`` of the default configuration; None before it was tried."""
        held = self.study.user_attrs.get(DEFAULT)
        return json.loads(held) if held else None

    def told(self) -> list[dict[str, Any]]:
        """What a person sees of each ended trial, the default first."""
        held = self.default
        rows = [{**held["told"], "number": DEFAULT}] if held else []
        own = (trial for trial in self.trials if trial.user_attrs.get("told") and not trial.user_attrs.get(DEFAULT))
        return [*rows, *({**json.loads(trial.user_attrs["told"]), "number": trial.number} for trial in own)]

    def importances(self) -> dict[str, float]:
        """Knob -> share of the value's variance that it explains (fANOVA, Hutter et al. 2014); {} where too few."""
        varied = {name for trial in self.done for name in trial.params}
        if len(self.done) < ALONE_FROM or len(varied) < 2:
            return {}
        with quiet():
            try:
                found = optuna.importance.get_param_importances(self.study)
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


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna's own log and its warnings of experimental parts are nobody's business here."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
