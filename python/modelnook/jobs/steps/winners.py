"""What becomes of the trials that a tuning keeps: their outputs on the held-out rows, and local models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelnook.domain.model import ModelRef
from modelnook.jobs.steps.context import Context

__all__ = ["Winners"]


class Winners:
    """The models below a run's ``trials``, on their way into the store. All of it can be done again after a kill.

    Args:
        study: where it is written down which of them have been made local models.
    """

    def __init__(self, context: Context, study: Any) -> None:
        self.context, self.study = context, study
        self.folder = context.run.path / "trials"

    def made(self, number: int | str) -> ModelRef | None:
        """The local model that an earlier end of this run made of a trial's."""
        known, models = self.study.models, self.context.store.models
        if str(number) in known:
            return ModelRef.parse(known[str(number)])
        if (self.folder / str(number)).exists():
            return None
        # Moved, and the process died before it could write that down.
        for name in (self.context.recipe.name, self.name(number)):
            for revision in reversed(models.revisions(name)):
                ref = ModelRef("local", name, str(revision))
                if str(ref) not in known.values() and models.info(name, revision).run == self.context.run.id:
                    return ref
        return None

    def name(self, number: int | str) -> str:
        """What a model of the front is called, beside the best."""
        return f"{self.context.recipe.name}-{number}"

    def outputs(self, number: int | str, rows: Any) -> tuple[list[str], Any]:
        """The labels of a trial's model, and its outputs."""
        from modelnook.jobs import executor
        from modelnook.runtime import runtime

        made, models = self.made(number), self.context.store.models
        folder = models.folder(made.id, made.revision) if made else self.folder / str(number)
        device = self.context.recorder.record.device or "cpu"
        # Where trials are made elsewhere, no accelerator of this machine is this job's.
        device = device if executor(self.context.recipe.on, without=True).here else "cpu"
        loaded = runtime(folder, task=self.context.recipe.task, device=device)
        try:
            return list(loaded.labels), loaded.outputs(rows)
        finally:
            loaded.close()

    def add(
        self,
        number: int | str,
        labels: Sequence[str],
        metrics: dict[str, float],
        name: str,
        knobs: Mapping[str, Any],
    ) -> str:
        """Make a trial's model a local one; what it was trained from may have been one of its knobs."""
        from modelnook.catalog.search import info as entry_of

        made = self.made(number)
        if made:
            self.study.add_model(number, str(made))
            return str(made)
        folder = self.folder / str(number)
        base = str(knobs.get("model") or self.context.recipe.model)
        entry = entry_of(base)[0]
        info = replace(
            self.context.lineage(folder),
            base_model=base,
            license=entry.license,
            task=self.context.recipe.task,
            labels=tuple(labels),
            metrics=metrics,
            language=entry.language,
        )
        ref = str(self.context.add(folder, name, info))
        self.study.add_model(number, ref)
        return ref
