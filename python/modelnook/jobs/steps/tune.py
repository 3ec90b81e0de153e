"""Tuning: trials of fine-tuning on the same rows, and what the best of them gains on rows that none of them saw."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from modelnook.domain.errors import UsageError
from modelnook.domain.event import Finished, MetricLogged, Progress, Warned
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs.apart import Apart
from modelnook.jobs.steps.context import Context, take
from modelnook.jobs.steps.trial import Made
from modelnook.jobs.steps.winners import Winners
from modelnook.jobs.trackers import Trackers
from modelnook.messages import t
from modelnook.settings import current
from modelnook.tune import DEFAULT, lower

__all__ = ["take_part", "tune"]

CLOSE_WITHIN = 20.0
"""Seconds that the end waits for the trackers of trials."""

IMPORTANCES_FROM = 60.0
IMPORTANCES_SHARE = 0.02
"""Of the trials' time (seconds), when the knobs' importances are first shown, and what computing them may take of it:
what computes them takes a second to import. At the end they are there in any case."""

FIRST_STEPS = 10
SURE = 1.5
"""Steps after which the time of a trial is foretold; a budget that this is so many times longer than is too short."""

OF_RECIPE = ("method", "model", "quantize")
"""Knobs of a space that are no knobs of a training."""

SHOWN = ("method", "learning_rate", "epochs", "batch_size", "max_length", "weight_decay", "warmup")
"""What a trial's row says of it, beside the knobs of the space."""


def tune(context: Context) -> Finished:
    """Search, then measure the best and the default configuration on the held-out rows."""
    from modelnook.jobs.parallel import Parallel

    context.phase("loading")
    trials = _Trials(context)
    budget = context.recipe.knobs.get("budget_seconds")
    trials.until = None if budget is None else time.monotonic() + max(0.0, budget - trials.before)
    # The default configuration is this process's alone: what the others need of it is in the study then.
    trials.search(most=0)
    with Parallel(context, trials.until) as others:
        trials.search(most=context.recipe.knobs["trials"], at_once=others.count)
        others.wait()
        trials.study.end_running()
        # Shows what the others have ended last.
        trials.search(most=0)
    return trials.end()


def take_part(context: Context, place: int, until: float | None) -> None:
    """Try in the study of a worker that has begun it.

    Args:
        place: this process's number; the worker's is 0.
        until: the time of ``time.time`` at which the budget ends.
    """
    trials = _Trials(context, place)
    trials.until = None if until is None else time.monotonic() + until - time.time()
    trials.search(most=context.recipe.knobs["trials"])
    trials.close()


class _Trials:
    """The trials of a run, as one process makes them.

    Args:
        place: this process's number among those that do.
    """

    def __init__(self, context: Context, place: int = 0) -> None:
        from modelnook.finetune.shared import Shared
        from modelnook.tasks import TASKS
        from modelnook.tune.space import Space
        from modelnook.tune.study import Study

        recipe, split, knobs = context.recipe, context.run.split(), context.recipe.knobs
        parallel = int(knobs.get("parallel") or 1)
        self.context, self.place = context, place
        self.objectives = tuple(knobs.get("objectives") or (context.recorder.record.primary_metric or "",))
        self.metric = self.objectives[0]
        self.study = Study(
            context.run.path / "study.log",
            fingerprint=recipe.identity(),
            lower=[lower(name) for name in self.objectives],
            seed=recipe.seed,
            trials=knobs["trials"],
            pruner=knobs["pruner"],
            place=place,
            several=parallel > 1,
        )
        self.space = Space.from_dict(knobs["space"])
        self.threads = max(1, (recipe.threads or current().threads) // parallel) if parallel > 1 else recipe.threads
        self.before, self.began = self.study.elapsed, time.monotonic()
        """Seconds that processes before this one worked on the study, and when this one began."""
        self.until: float | None = None
        """The time of ``time.monotonic`` at which the budget ends."""
        rows = context.rows(recipe.data)
        self.train, self.holdout = take(rows, split["train"]), take(rows, split["holdout"])
        given = recipe.eval_data is not None
        self.evaluation = context.rows(recipe.eval_data) if given else take(rows, split["validation"])
        self.spec = TASKS.load(recipe.task or "", light=True)()
        self.made = Made(context, self.spec, self.evaluation, self.objectives, "quantize" in self.space, place)
        self.shared = Shared(models=True)
        self.winners = Winners(context, self.study)
        self.folder = self.winners.folder
        self.ended = 0
        self.importances: dict[str, float] = {}
        self.due = IMPORTANCES_FROM
        self.report: dict[str, Any] = {}
        self.records: dict[str, RunRecord] = {}
        self.closing: list[threading.Thread] = []
        self.apart = Apart()

    def search(self, most: int | None, at_once: int = 1) -> None:
        """Try until ``most`` trials have ended, by whomever, or there is no time; first of all the default."""
        from modelnook.tune.engine import search

        search(
            self.study,
            self.space,
            self.attempt,
            metric=self.metric,
            defaults=self.defaults(),
            trials=most,
            deadline=self.until,
            emit=self.emit,
            listed=self.show,
            stop=self.context.stop,
            at_once=at_once,
        )

    def close(self) -> None:
        """Wait for the trackers of trials."""
        for thread in self.closing:
            thread.join(CLOSE_WITHIN)
        self.apart.end()

    def defaults(self) -> dict[str, Any]:
        """What a training has that nobody says anything to: knobs that the plan doesn't decide."""
        return {"warmup": 0.1, "weight_decay": 0.0, "rank": 16, "alpha": 32, "dropout": 0.05, "layers": 2,
                "model": self.context.recipe.model, "quantize": "none"}  # fmt: skip

    def emit(self, event: Any) -> None:
        """An event of the search itself."""
        if isinstance(event, Progress):
            self.ended = event.step
            self.shown = event
        self.context.emit(event)

    def attempt(
        self, name: str, knobs: Mapping[str, Any], report: Callable[[int, float], None], stop: Callable[[], bool]
    ) -> Any:
        """One training; a model that nothing before it beats lies in ``trials/NAME``, and so does the default's."""
        from modelnook.finetune.engine import fit
        from modelnook.tune.engine import Outcome, Pruned

        recipe, resolved = self._recipe(knobs)
        out = self.folder / name
        shutil.rmtree(out, ignore_errors=True)
        trackers = self._trackers(name, recipe)
        ended: dict[str, Any] = {"state": "failed"}
        try:
            done = fit(
                recipe,
                self.context.fetch(recipe.model),
                self.train,
                self.evaluation,
                out=out,
                checkpoints_dir=None,
                emit=self._listener(name, report, trackers),
                stop=stop,
                keep=lambda metrics: self.made.needed or self._kept(name, metrics),
                shared=self.shared,
            )
            metrics = self.made(out, knobs, done.metrics) if self.made.needed else done.metrics
            if not self._kept(name, metrics):
                shutil.rmtree(out, ignore_errors=True)
            ended = {"state": "finished", "metrics": metrics}
        except Pruned:
            ended = {"state": "stopped"}
            raise
        finally:
            self._close(name, trackers, ended)
        # What was cut short because the run is another's now is nothing to tell its study.
        self.context.hold()
        said = {n: done.params[n] for n in SHOWN if n in done.params}
        if name == DEFAULT and self.made.quantized:
            said["quantize"] = "none"
        return Outcome(self._values(metrics), metrics, {**resolved, **said}, done.seconds, done.stopped)

    def _values(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(metrics[name] for name in self.objectives)

    def _kept(self, name: str, metrics: Mapping[str, float]) -> bool:
        """Whether a trial's model stays: the default's is what the others are compared with."""
        return name == DEFAULT or self.study.leads(self._values(metrics))

    def _recipe(self, knobs: Mapping[str, Any]) -> tuple[Recipe, dict[str, Any]]:
        """A training's recipe, and the knobs that it has from the space; factors of the planned rate resolved."""
        base = self.context.recipe
        fixed = {n: v for n, v in base.knobs["fixed"].items() if v is not None}
        own = {**fixed, **{n: v for n, v in knobs.items() if n not in OF_RECIPE}}
        model, method = str(knobs.get("model", base.model)), str(knobs.get("method", base.method or "auto"))
        made = replace(base, verb="finetune", model=model, method=method, knobs=own, threads=self.threads)
        space = base.knobs["space"]
        if knobs.get("learning_rate") is not None and space.get("learning_rate", {}).get("times"):
            own["learning_rate"] = knobs["learning_rate"] * self._planned(made, own).learning_rate
        seconds = base.knobs.get("trial_seconds")
        own |= {"max_seconds": seconds} if seconds else {}
        resolved = {n: own.get(n, v) for n, v in knobs.items()}
        return replace(made, knobs=own), resolved

    def _planned(self, made: Recipe, own: Mapping[str, Any]) -> Any:
        from modelnook.finetune.lengths import lengths_for
        from modelnook.finetune.plan import plan_for

        path = self.context.fetch(made.model)
        lengths = self.shared.once(("lengths", path), lambda: lengths_for(self.spec, path, self.train))
        rest = {n: v for n, v in own.items() if n != "learning_rate"}
        return plan_for(self.spec, path, self.train, method=made.method or "auto", knobs=rest, lengths=lengths)

    def _trackers(self, name: str, recipe: Recipe) -> Trackers:
        """Each trial is logged as a run of its own, in the group of the tuning run."""
        context = self.context
        self.records[name] = replace(
            context.recorder.record,
            id=f"{context.run.id}-{name}",
            name=f"{recipe.name} {name}",
            kind="trial",
            group=context.run.id,
            base=recipe.model,
            method=recipe.method,
            params=recipe.knobs,
            report=None,
            model=None,
        )
        folder = context.run.path / "tracking" / "trials" / name
        names = [row for row in recipe.track if row.partition(":")[0] == "wandb"]
        record = partial(self.records.__getitem__, name)
        return Trackers(names, folder, record, context.emit, lambda status: None, apart=self.apart)

    def _close(self, name: str, trackers: Trackers, ended: dict[str, Any]) -> None:
        """End a trial's trackers beside the next trial: nobody waits for them but the end."""
        self.records[name] = replace(self.records[name], **ended)
        thread = threading.Thread(target=trackers.close, name=f"modelnook-trial-{name}", daemon=True)
        thread.start()
        self.closing.append(thread)

    def _listener(self, name: str, report: Callable[[int, float], None], trackers: Trackers) -> Callable[[Any], None]:
        total = self.context.recipe.knobs["trials"]
        shown = getattr(self, "shown", None)

        def listen(event: Any) -> None:
            trackers.on_event(event)
            if isinstance(event, Progress):
                if name == DEFAULT:
                    self._check_budget(event)
                left = shown.eta_s if shown else None
                self.context.emit(replace(event, phase="tuning", step=self.ended, total=total, eta_s=left))
            elif isinstance(event, Warned):
                self.context.emit(event)
            elif isinstance(event, MetricLogged) and f"eval_{self.metric}" in event.values:
                report(max(1, round(event.epoch or 1)), event.values[f"eval_{self.metric}"])

        return listen

    def _check_budget(self, event: Progress) -> None:
        """End it after some steps of the default configuration where they tell that it won't come to its end.

        Raises:
            UsageError: the budget is shorter than one trial.
        """
        if self.until is None or event.phase != "training" or event.step < FIRST_STEPS or event.eta_s is None:
            return
        share = event.step / max(1, event.total or 1)
        whole = event.eta_s / max(1e-9, 1 - share)
        # A trial's own budget cuts it short: what is left of it then is less than what the steps foretell.
        most = min(whole, self.context.recipe.knobs.get("trial_seconds") or whole)
        if most - share * whole > SURE * (self.until - time.monotonic()):
            raise UsageError("tune.budget_trial", seconds=round(most))

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
        by_number = {row["number"]: row for row in rows}
        best = by_number.get(self.study.first(front))
        self.report = {
            "trials": rows,
            "best": best and {name: best[name] for name in ("number", "value", "knobs")},
            "space": str(self.space),
            "importances": self._importances(rows),
        }
        if self.study.many:
            chosen = ({n: by_number[number][n] for n in ("number", "values", "knobs")} for number in front)
            self.report |= {"objectives": list(self.objectives), "front": list(chosen)}
        self.context.recorder.change(report=self.report)

    def _importances(self, rows: list[dict[str, Any]]) -> dict[str, float]:
        """How much each knob matters, computed anew when the trials since have taken long beside it, and at the end."""
        took = sum(row["seconds"] for row in rows)
        if took >= self.due:
            began = time.monotonic()
            self.importances = self.study.importances()
            self.due = took + (time.monotonic() - began) / IMPORTANCES_SHARE
        return self.importances

    def end(self) -> Finished:
        """The best model beside the default one, on rows that no trial saw."""
        from modelnook.measure.score import paired_drop, score

        self.context.phase("scoring")
        self.due = 0.0
        self.show(self.study.told())
        held = self.spec.as_rows(self.holdout)
        labels, before = self.winners.outputs(DEFAULT, held)
        truth = self.spec.truth(self.holdout, labels)
        best = self.report["best"]["number"]
        found = {DEFAULT: before}
        for number in [row["number"] for row in self.report.get("front", ())] or [best]:
            if number not in found:
                found[number] = self.winners.outputs(number, held)[1]
        outputs = found[best]
        drop, (low, high) = paired_drop(self.spec, self.metric, truth, before, outputs, labels)
        gain = {"points": 0.0 - drop, "interval": [0.0 - high, 0.0 - low], "gained": high < 0, "rows": len(before)}
        gain |= {"default": self.spec.score(truth, before, labels)[self.metric]}
        gain |= {"best": self.spec.score(truth, outputs, labels)[self.metric]}
        if low > 0:
            # Chosen on the validation rows, and surely worse on others: what was there before is the better model.
            best, outputs = DEFAULT, before
            self.context.emit(Warned("tune.worse", t("tune.worse", metric=self.metric)))
        metrics, intervals = score(self.spec, truth, outputs, labels)
        kept = DEFAULT if best == DEFAULT else "best"
        report = {**self.report, "gain": gain, "rows": gain["rows"], "data": "holdout", "kept": kept}
        self.close()
        knobs = {row["number"]: row["knobs"] for row in report["trials"]}
        ref = self.winners.add(best, labels, metrics, self.context.recipe.name, knobs[best])
        for row in report.get("front", ()):
            own, between = score(self.spec, truth, found[row["number"]], labels)
            row["holdout"], row["interval"] = own[self.metric], between.get(self.metric)
            number = row["number"]
            name = self.winners.name(number)
            row["model"] = ref if number == best else self.winners.add(number, labels, own, name, knobs[number])
        stopped = self.context.stop()
        if not stopped:
            shutil.rmtree(self.folder, ignore_errors=True)
        return Finished(metrics, intervals, {}, ref, json.loads(json.dumps(report)), stopped=stopped)
