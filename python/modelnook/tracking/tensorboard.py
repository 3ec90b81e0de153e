"""Event files for TensorBoard, below the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.domain.event import Emit, Event, MetricLogged, Started
from modelnook.domain.run import RunRecord
from modelnook.tracking.base import Tracker
from modelnook.tracking.outgoing import plain

__all__ = ["TensorBoardTracker"]

_FLUSH_EVERY = 1


class TensorBoardTracker(Tracker):
    """Curves as scalars, settings as text; ``tensorboard --logdir`` of the folder shows them while it runs."""

    name = "tensorboard"

    def __init__(self, folder: Path, emit: Emit) -> None:
        super().__init__(folder, emit)
        self._writer: Any = None
        self._resume = False
        self._settings: dict[str, Any] = {}

    def open(self, record: RunRecord, *, mode: str = "auto", resume: bool = False) -> None:
        """Nothing is written before the first point, whose step says where a resumed run goes on."""
        self._resume = resume

    def on_event(self, event: Event) -> None:
        """Write a point."""
        if isinstance(event, Started):
            self._settings |= plain(event.params)
        elif isinstance(event, MetricLogged):
            writer = self._writing(event.step)
            for name, value in event.values.items():
                writer.add_scalar(name, value, event.step)

    def close(self, record: RunRecord) -> None:
        """Write the final metrics and close the file."""
        if self._writer is None:
            return
        for name, value in record.metrics.items():
            self._writer.add_scalar(f"final/{name}", value)
        self._writer.close()

    def status(self) -> dict[str, Any] | None:
        """Where the event files are."""
        return {"path": str(self.folder / "tensorboard")} if self._writer else None

    def _writing(self, step: int) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Points after the checkpoint were written once already; TensorBoard forgets them.
            purge = {"purge_step": step} if self._resume and step else {}
            self._writer = SummaryWriter(str(self.folder / "tensorboard"), flush_secs=_FLUSH_EVERY, **purge)
            text = "\n".join(f"    {name}: {value}" for name, value in self._settings.items())
            self._writer.add_text("settings", text, step)
        return self._writer
