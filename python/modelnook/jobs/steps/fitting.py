"""The trainings of a study: knobs in, a model's folder and what it reached out. Whoever holds the rows runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelnook.data.snapshot import load_snapshot
from modelnook.domain.errors import ConflictError, NotFoundError, UnsupportedError
from modelnook.domain.event import Emit, Event, Progress, Stopped, ending
from modelnook.domain.recipe import Recipe
from modelnook.jobs.steps.context import Rows, take
from modelnook.store import Store
from modelnook.store.runs import RunFolder
from modelnook.tune import DEFAULT

__all__ = ["Fit", "Fitted", "Fitting", "Parts", "training_of"]

OF_RECIPE = ("method", "model", "quantize")
"""Knobs of a space that are no knobs of a training."""

SHOWN = ("method", "learning_rate", "epochs", "batch_size", "max_length", "weight_decay", "warmup")
"""What a trial's row says of it, beside the knobs of the space."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training came to, plain: it travels. ``knobs`` are as resolved, ``seconds`` those of its loop."""

    metrics: dict[str, float]
    knobs: dict[str, Any]
    seconds: float
    stopped: bool


Keep = Callable[[dict[str, float]], bool]
Fit = Callable[[str, Mapping[str, Any], Path, Emit, Callable[[], bool], Keep], Fitted]
"""``(name, knobs, out, emit, stop, keep) -> Fitted``: trains; a model of whose metrics ``keep`` says so lies in
``out``."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The rows of a study: to train on, to choose by, and those that no trial sees."""

    train: Rows
    evaluation: Rows
    holdout: Rows

    @classmethod
    def of(cls, store: Store, run: RunFolder, recipe: Recipe) -> Parts:
        """Those of a tuning run."""
        if recipe.data is None:
            raise NotFoundError("jobs.no_snapshot", run=run.id)
        rows: Rows = dict(load_snapshot(recipe.data, store.home))
        split, given = run.split(), recipe.eval_data
        evaluation: Rows = dict(load_snapshot(given, store.home)) if given else take(rows, split["validation"])
        return cls(take(rows, split["train"]), evaluation, take(rows, split["holdout"]))


def training_of(tuning: Recipe, knobs: Mapping[str, Any], threads: int | None) -> Recipe:
    """The recipe of the training that a trial's knobs mean; a rate in factors of the planned one stays such."""
    fixed = {n: v for n, v in tuning.knobs["fixed"].items() if v is not None}
    # What the study counts chooses a trial's checkpoint too: the trial's own rows may suggest another metric.
    own = {"metric": tuning.knobs.get("metric"), **fixed, **{n: v for n, v in knobs.items() if n not in OF_RECIPE}}
    seconds = tuning.knobs.get("trial_seconds")
    own |= {"max_seconds": seconds} if seconds else {}
    model, method = str(knobs.get("model", tuning.model)), str(knobs.get("method", tuning.method or "auto"))
    return replace(tuning, verb="finetune", model=model, method=method, knobs=own, threads=threads)


class Fitting:
    """Trains here; what trainings on the same rows share is computed once.

    Args:
        tuning: the recipe of the tuning.
        fetch: gives a model's folder.
        threads: of each training.
    """

    def __init__(self, tuning: Recipe, parts: Parts, fetch: Callable[[str], Path], threads: int | None) -> None:
        from modelnook.finetune.ready import joined
        from modelnook.finetune.shared import Shared
        from modelnook.tasks import TASKS

        self.tuning, self.parts, self.fetch, self.threads = tuning, parts, fetch, threads
        self.spec = TASKS.load(tuning.task or "", light=True)()
        self.shared = Shared(models=True)
        whole = parts.train if tuning.eval_data else joined(parts.train, parts.evaluation)
        # The rows that no trial sees are the table's as well: a label that only they have is one of the model's.
        self.labels = self.spec.labels(joined(whole, parts.holdout))

    def __call__(
        self, name: str, knobs: Mapping[str, Any], out: Path, emit: Emit, stop: Callable[[], bool], keep: Keep
    ) -> Fitted:
        """See :data:`Fit`.

        Raises:
            UnsupportedError: memory ran out; ``stop`` said so before the first step of any but the default, whose model
                is always wanted.
        """
        from modelnook.training.device import is_out_of_memory

        try:
            recipe = self._resolved(training_of(self.tuning, knobs, self.threads), knobs)
            return self._fitted(recipe, knobs, out, emit if name == DEFAULT else _begun(emit, stop), stop, keep)
        except Stopped:
            raise UnsupportedError("tune.no_time", number=name) from None
        except ConflictError as error:
            if error.code != "hub.stopped" or name == DEFAULT:
                raise
            raise UnsupportedError("tune.no_time", number=name) from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Out of the except clause: its traceback holds what has to go before the next training.
        raise UnsupportedError("tune.out_of_memory")

    def _fitted(
        self, recipe: Recipe, knobs: Mapping[str, Any], out: Path, emit: Emit, stop: Callable[[], bool], keep: Keep
    ) -> Fitted:
        from modelnook.finetune.engine import fit

        done = fit(
            recipe,
            self.fetch(recipe.model),
            self.parts.train,
            self.parts.evaluation,
            out=out,
            checkpoints_dir=None,
            emit=emit,
            stop=stop,
            keep=keep,
            shared=self.shared,
            labels=self.labels,
        )
        resolved = {n: recipe.knobs.get(n, v) for n, v in knobs.items()}
        said = {n: done.params[n] for n in SHOWN if n in done.params}
        return Fitted(done.metrics, {**resolved, **said}, done.seconds, done.stopped)

    def _resolved(self, recipe: Recipe, knobs: Mapping[str, Any]) -> Recipe:
        """A training's recipe with a rate where it had a factor of the planned one."""
        space = self.tuning.knobs["space"]
        if knobs.get("learning_rate") is None or not space.get("learning_rate", {}).get("times"):
            return recipe
        rate = knobs["learning_rate"] * self._planned(recipe).learning_rate
        return replace(recipe, knobs={**recipe.knobs, "learning_rate": rate})

    def _planned(self, recipe: Recipe) -> Any:
        from modelnook.finetune.lengths import lengths_for
        from modelnook.finetune.plan import plan_for

        path, train = self.fetch(recipe.model), self.parts.train
        lengths = self.shared.once(("lengths", path), lambda: lengths_for(self.spec, path, train))
        knobs = {n: v for n, v in recipe.knobs.items() if n != "learning_rate"}
        # As a trial's training plans.
        return plan_for(
            self.spec, path, train, method=recipe.method or "auto", knobs=knobs, lengths=lengths, timed=False
        )


def _begun(emit: Emit, stop: Callable[[], bool]) -> Emit:
    """``emit`` of a training that ends where it makes ready: once it trains, it asks ``stop`` itself.

    Raises (from what it gives):
        Stopped: ``stop`` says so.
    """
    making_ready = True
    ends = ending(emit, stop)

    def told(event: Event) -> None:
        nonlocal making_ready
        (ends if making_ready else emit)(event)
        making_ready = making_ready and not (isinstance(event, Progress) and event.phase == "training")

    return told
