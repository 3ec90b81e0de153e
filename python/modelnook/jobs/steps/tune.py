"""Tuning: trials of fine-tuning on the same rows, and what the best of them gains on rows that none of them saw."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from modelnook.catalog.search import fetch
from modelnook.domain.errors import ModelnookError
from modelnook.domain.event import Finished, MetricLogged, Progress, Warned
from modelnook.domain.model import ModelRef
from modelnook.jobs.process import share_of_tokenizers
from modelnook.jobs.steps.budget import Budget, TimeKnown
from modelnook.jobs.steps.context import Context
from modelnook.jobs.steps.fitting import Fit, Fitting, Parts, training_of
from modelnook.jobs.steps.telling import Importances, Logged
from modelnook.jobs.steps.trial import Made
from modelnook.jobs.steps.winners import Winners
from modelnook.settings import current
from modelnook.tune import DEFAULT, lower

__all__ = ["Trials", "take_part", "tune"]


class Places(Protocol):
    """Machines that trials are carried out on, as many at once as ``count`` says."""

    count: int

    def search(self, trials: Trials) -> None:
        """Try until there are enough trials or no time is left, the default configuration first."""


def tune(context: Context, places: Places | None = None) -> Finished:
    """Search, then measure the best and the default configuration on the held-out rows.

    Args:
        places: where trials are carried out; without it here.
    """
    context.phase("loading")
    trials = Trials(context, at_once=places.count if places else None)
    if trials.study.end:
        # The process died between the end of its work and its record.
        return trials.over(Finished(**trials.study.end))
    # What this process has read and imported is in the budget as well.
    trials.began = context.recorder.begun
    most = context.recipe.knobs.get("budget_seconds")
    trials.budget.until = None if most is None else trials.began + max(0.0, most - trials.before)
    if places:
        places.search(trials)
        trials.study.end_running()
        if trials.study.default is None:
            return Finished(stopped=True)
    else:
        _search_here(context, trials)
    # Shows what the others have ended last.
    trials.search(most=0)
    return trials.end()


def _search_here(context: Context, trials: Trials) -> None:
    """Try in this process, and in others beside it where that was asked for."""
    from modelnook.jobs.parallel import Parallel

    # The default configuration is this process's alone: what the others need of it is in the study then.
    trials.search(most=0)
    with Parallel(context, None if trials.budget.until is None else trials.deadline()) as others:
        trials.search(most=trials.most, at_once=others.count)
        others.wait()
        trials.study.end_running()


def take_part(context: Context, place: int, until: float | None) -> None:
    """Try in the study of a worker that has begun it.

    Args:
        place: this process's number; the worker's is 0.
        until: the time of ``time.time`` at which the budget ends.
    """
    trials = Trials(context, place)
    trials.budget.until = None if until is None else time.monotonic() + until - time.time()
    trials.search(most=trials.most)
    trials.logged.close()


class Trials:
    """The trials of a run, as one process makes them.

    Args:
        place: this process's number among those that do.
        at_once: how many this process makes at the same time, where they don't share this machine.
    """

    def __init__(self, context: Context, place: int = 0, at_once: int | None = None) -> None:
        from modelnook.tune.space import Space
        from modelnook.tune.study import Study

        recipe, knobs = context.recipe, context.recipe.knobs
        parallel = 1 if at_once else int(knobs.get("parallel") or 1)
        self.context, self.place = context, place
        self.most: int | None = knobs["trials"]
        self.objectives = tuple(knobs.get("objectives") or (context.recorder.record.primary_metric or "",))
        self.metric = self.objectives[0]
        self.study = Study(
            context.run.path / "study.log",
            fingerprint=recipe.identity(),
            lower=[lower(name) for name in self.objectives],
            seed=recipe.seed,
            trials=self.most,
            pruner=knobs["pruner"],
            place=place,
            several=(at_once or parallel) > 1,
        )
        self.space = Space.from_dict(knobs["space"])
        self.threads = recipe.threads
        if parallel > 1:
            self.threads = max(1, (recipe.threads or current().threads) // parallel)
            share_of_tokenizers(self.threads)
        self.before, self.began = self.study.elapsed, time.monotonic()
        """Seconds that processes before this one worked on the study, and when this one began."""
        self.budget = Budget(knobs.get("trial_seconds"))
        self.parts = Parts.of(context.store, context.run, recipe)
        self.fitting = Fitting(recipe, self.parts, self.fetch, self.threads)
        self.spec = self.fitting.spec
        self.made = Made(context, self.spec, self.parts.evaluation, self.objectives, "quantize" in self.space, place)
        self.measuring = threading.Lock()
        self.winners = Winners(context, self.study)
        self.folder = self.winners.folder
        self.held = self.spec.as_rows(self.parts.holdout)
        self.outputs: dict[int | str, tuple[list[str], Any]] = {}
        """Trial -> labels and outputs on the held-out rows, where they were computed."""
        self.ended = 0
        self.shown: Progress | None = None
        self.importances = Importances(self.study)
        self.report: dict[str, Any] = {}
        self.logged = Logged(context)

    def search(
        self,
        most: int | None,
        at_once: int = 1,
        fit: Fit | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Try until ``most`` trials have ended, by whomever, or there is no time; first of all the default.

        Args:
            fit: trains; in this process without it.
            stop: ends it, as the person's own wish does.
        """
        from modelnook.tune.engine import search

        search(
            self.study,
            self.space,
            partial(self.attempt, fit or self.fitting),
            metric=self.metric,
            defaults=self.defaults(),
            trials=most,
            deadline=self.deadline,
            emit=self.emit,
            listed=self.show,
            stop=lambda: self.context.stop() or stop(),
            at_once=at_once,
        )
        if self.budget.until is not None and most == 0 and not self.outputs and not self.context.stop():
            # Needed at the end in any case: now it tells what has to be left of the budget for the others, which find
            # imported what answers.
            self.winners.outputs(DEFAULT, self.held[:1])
            self.held_out(DEFAULT)

    def deadline(self) -> float:
        """The time of ``time.monotonic`` at which training has to end; infinite where it needn't."""
        return self.budget.deadline()

    def fetch(self, ref: str) -> Path:
        """A model's folder; what would be downloaded for a trial ends with the time that there is."""

        def stop() -> bool:
            over = self.study.default is not None and time.monotonic() >= self.deadline()
            return over or self.context.stop()

        return fetch(ModelRef.parse(ref), self.context.emit, stop=stop)

    def held_out(self, number: int | str) -> tuple[list[str], Any]:
        """The labels of a trial's model, and its outputs on the rows that no trial saw."""
        if number not in self.outputs:
            with self.budget.scored():
                self.outputs[number] = self.winners.outputs(number, self.held)
        return self.outputs[number]

    def defaults(self) -> dict[str, Any]:
        """What a training has that nobody says anything to: knobs that the plan doesn't decide."""
        fixed = {name: value for name, value in self.context.recipe.knobs["fixed"].items() if value is not None}
        return {"warmup": 0.1, "weight_decay": 0.0, "model": self.context.recipe.model, "quantize": "none", **fixed}

    def emit(self, event: Any) -> None:
        """An event of the search itself."""
        if isinstance(event, Progress):
            self.ended = event.step
            self.shown = event
        self.context.emit(event)

    def attempt(
        self,
        fit: Fit,
        name: str,
        knobs: Mapping[str, Any],
        report: Callable[[int, float], None],
        stop: Callable[[], bool],
    ) -> Any:
        """One training; a model that nothing before it beats lies in ``trials/NAME``, and so does the default's."""
        from modelnook.tune.engine import Outcome, Pruned

        out = self.folder / name
        shutil.rmtree(out, ignore_errors=True)
        if name == DEFAULT:
            self._rehearse(fit, out, stop)
        self.logged.begin(name, training_of(self.context.recipe, knobs, self.threads))
        listen = self._listener(name, report)
        ended: dict[str, Any] = {"state": "failed"}
        try:
            done = fit(name, knobs, out, listen, stop, lambda found: self.made.needed or self._kept(name, found))
            metrics = self._made(out, knobs, done.metrics) if self.made.needed else done.metrics
            if not self._kept(name, metrics):
                shutil.rmtree(out, ignore_errors=True)
            ended = {"state": "finished", "metrics": metrics}
        except Pruned:
            ended = {"state": "stopped"}
            raise
        except ModelnookError as error:
            ended = {"state": "stopped" if error.code == "tune.no_time" else "failed"}
            raise
        finally:
            self.logged.end(name, **ended)
        # What was cut short because the run is another's now is nothing to tell its study.
        self.context.hold()
        said = {"quantize": "none"} if name == DEFAULT and self.made.quantized else {}
        whole = self.budget.whole if name == DEFAULT else 0.0
        return Outcome(self._values(metrics), metrics, {**done.knobs, **said}, done.seconds, done.stopped, whole)

    def _made(self, out: Path, knobs: Mapping[str, Any], metrics: Mapping[str, float]) -> dict[str, float]:
        """One after another: what runs beside a measurement would be measured as well."""
        with self.measuring, self.budget.made(str(knobs.get("quantize"))):
            return self.made(out, knobs, metrics)

    def _values(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(metrics[name] for name in self.objectives)

    def _kept(self, name: str, metrics: Mapping[str, float]) -> bool:
        """Whether a trial's model stays: the default's is what the others are compared with."""
        return name == DEFAULT or self.study.leads(self._values(metrics))

    def _listener(self, name: str, report: Callable[[int, float], None]) -> Callable[[Any], None]:
        def listen(event: Any) -> None:
            self.logged.on_event(name, event)
            if isinstance(event, Progress):
                if name == DEFAULT:
                    self.budget.check(event)
                self._goes_on(event)
            elif isinstance(event, Warned):
                self.context.emit(event)
            elif isinstance(event, MetricLogged) and f"eval_{self.metric}" in event.values:
                report(max(1, round(event.epoch or 1)), event.values[f"eval_{self.metric}"])

        return listen

    def _goes_on(self, event: Progress) -> None:
        """Show that a training does, as a part of the tuning."""
        left = self.shown.eta_s if self.shown else None
        self.context.emit(replace(event, phase="tuning", step=self.ended, total=self.most, eta_s=left))

    def _rehearse(self, fit: Fit, out: Path, stop: Callable[[], bool]) -> None:
        """Take some steps of the default configuration where there is a budget, before it is begun.

        What trainings share is computed meanwhile, and nothing else remains of it.

        Raises:
            UsageError: the budget is shorter than one trial.
        """
        if self.budget.until is None:
            return
        try:
            fit(DEFAULT, {}, out, self.budget.rehearsal(self._goes_on), stop, lambda found: False)
        except TimeKnown:
            pass

    def show(self, rows: list[dict[str, Any]]) -> None:
        """Show the trials so far, in the record; the models that others beat go."""
        if self.place:
            return
        self.study.elapsed = self.before + time.monotonic() - self.began
        # Asked before the front: what ends meanwhile is in one of them at least.
        kept = {str(number) for number in [*self.study.running, *self.study.front()]}
        for left in self.folder.glob("[0-9]*"):
            if left.name.partition(".")[0] not in kept:
                shutil.rmtree(left, ignore_errors=True)
        rows = self.study.told()
        front = self.study.front()
        self.budget.models = max(1, sum(number != DEFAULT for number in front))
        by_number = {row["number"]: row for row in rows}
        best = by_number.get(self.study.first(front))
        self.report = {
            "trials": rows,
            "best": best and {name: best[name] for name in ("number", "value", "knobs")},
            "space": str(self.space),
            "importances": self.importances(rows, at_once=self.budget.until is not None),
        }
        if self.study.many:
            chosen = ({n: by_number[number][n] for n in ("number", "values", "knobs")} for number in front)
            self.report |= {"objectives": list(self.objectives), "front": list(chosen)}
        self.context.recorder.change(report=self.report)

    def end(self) -> Finished:
        """The best model beside the default one, on rows that no trial saw."""
        from modelnook.measure.score import paired_drop, score

        self.context.phase("scoring")
        self.importances.due = 0.0
        self.show(self.study.told())
        labels, before = self.held_out(DEFAULT)
        truth = self.spec.truth(self.parts.holdout, labels)
        best = self.report["best"]["number"]
        kept_ones = [row["number"] for row in self.report.get("front", ())] or [best]
        found = {number: self.held_out(number)[1] for number in (DEFAULT, *kept_ones)}
        outputs = found[best]
        drop, (low, high) = paired_drop(self.spec, self.metric, truth, before, outputs, labels)
        gain = {"points": 0.0 - drop, "interval": [0.0 - high, 0.0 - low], "gained": high < 0, "rows": len(before)}
        gain |= {"default": self.spec.score(truth, before, labels)[self.metric]}
        gain |= {"best": self.spec.score(truth, outputs, labels)[self.metric]}
        if low > 0:
            # Chosen on the validation rows, and surely worse on others: what was there before is the better model.
            best, outputs = DEFAULT, before
            self.context.emit(Warned.of("tune.worse", metric=self.metric))
        metrics, intervals = score(self.spec, truth, outputs, labels)
        kept = DEFAULT if best == DEFAULT else "best"
        report = {**self.report, "gain": gain, "rows": gain["rows"], "data": "holdout", "kept": kept}
        self.logged.close()
        knobs = {row["number"]: row["knobs"] for row in report["trials"]}
        ref = self.winners.add(best, labels, metrics, self.context.recipe.name, knobs[best])
        for row in report.get("front", ()):
            own, between = score(self.spec, truth, found[row["number"]], labels)
            row["holdout"], row["interval"] = own[self.metric], between.get(self.metric)
            number = row["number"]
            name = self.winners.name(number)
            row["model"] = ref if number == best else self.winners.add(number, labels, own, name, knobs[number])
        stopped = self.context.stop()
        told = Finished(metrics, intervals, {}, ref, json.loads(json.dumps(report)), stopped=stopped)
        return told if stopped else self.over(told)

    def over(self, end: Finished) -> Finished:
        """Remove what the end was told from; what is told is kept first: this process may die before its record."""
        self.study.end = asdict(end)
        shutil.rmtree(self.folder, ignore_errors=True)
        return end
