"""A tracker that writes a run's curves into ``curves.csv``, a line a value, below the run's folder."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, TextIO

from modelnook.domain.event import Emit, Event, MetricLogged
from modelnook.domain.run import RunRecord
from modelnook.tracking.base import Tracker

__all__ = ["CsvTracker"]


class CsvTracker(Tracker):
    """Columns ``step, epoch, name, value``: a table that any spreadsheet can pivot."""

    name = "csv"

    def __init__(self, folder: Path, emit: Emit) -> None:
        super().__init__(folder, emit)
        self._file: TextIO | None = None
        self._resume = False

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "curves.csv"

    def open(self, record: RunRecord, *, mode: str = "auto", resume: bool = False) -> None:
        """Nothing is written before the first point, whose step says where a resumed run goes on."""
        self._resume = resume

    def on_event(self, event: Event) -> None:
        """Write a point."""
        if isinstance(event, MetricLogged):
            file = self._writing(event.step)
            csv.writer(file).writerows((event.step, event.epoch, name, value) for name, value in event.values.items())
            file.flush()

    def close(self, record: RunRecord) -> None:
        """Close the file; the final metrics are its last lines."""
        if self._file is None:
            return
        csv.writer(self._file).writerows(("", "", f"final/{name}", value) for name, value in record.metrics.items())
        self._file.close()

    def status(self) -> dict[str, Any] | None:
        """Where the file is."""
        return {"path": str(self.path)} if self._file else None

    def _writing(self, step: int) -> TextIO:
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = self._before(step) if self._resume else []
            self._file = self.path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerows([("step", "epoch", "name", "value"), *kept])
        return self._file

    def _before(self, step: int) -> list[list[str]]:
        """The lines up to the checkpoint that a resumed run goes on from; those after it are written anew."""
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))[1:]
        return [line for line in lines if line[0] and int(line[0]) < step]
