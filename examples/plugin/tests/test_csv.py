"""The tracker keeps what every tracker must, and its file is a table."""

from __future__ import annotations

import csv
from pathlib import Path

from modelnook.domain.run import RunRecord
from modelnook.testing import TrackerSuite
from modelnook.tracking.base import Tracker


class TestCsv(TrackerSuite):
    name = "csv"

    def test_a_spreadsheet_reads_it(self, tracker: Tracker, record: RunRecord, folder: Path) -> None:
        self.run(tracker, record, steps=3)
        with (folder / "curves.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["step"] for row in rows if row["name"] == "loss"] == ["1", "2", "3"]
        assert rows[-1] == {"step": "", "epoch": "", "name": "final/accuracy", "value": "0.5"}
