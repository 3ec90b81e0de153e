"""Which rows a figure is of: the rows really scored, those used while choosing, those that were trained on."""

from __future__ import annotations

from typing import Any

import pytest

import modelnook as mn
from modelnook import cards

from .conftest import table

pytestmark = pytest.mark.slow


def test_rows_are_counted_as_scored_and_trained_ones_are_told(
    tiny: str, rows: list[dict[str, Any]], here: None
) -> None:
    run = mn.finetune(tiny, rows, name="spam", epochs=1, track="none")
    held = len(run.folder.split()["validation"])
    chosen = mn.evaluate("spam")
    assert (chosen.data["rows"], chosen.warnings) == (held, ())
    assert f"on {held} rows · used while choosing" in cards.text(chosen).splitlines()[0]

    seen = mn.evaluate("spam", rows)
    assert seen.data["rows"] == len(rows)
    assert f"{len(rows) - held} of these {len(rows)} texts" in cards.text(seen).splitlines()[1]

    mn.rename("spam", "good")
    again = mn.finetune(tiny, rows, name="spam", epochs=1, seed=1, track="none")
    assert again.model == "local:spam@2", "spam@1 stays what it was"
    assert mn.evaluate("spam").run != chosen.run, "another model under the name is another evaluation"
    assert mn.evaluate("good").run not in (chosen.run, mn.evaluate("spam").run)

    beside = mn.compare("spam", "good")
    assert (beside.data["rows"], bool(beside.note)) == (held, True)
    assert f"on {held} rows · used while choosing" in cards.text(beside).splitlines()[0]

    small = mn.quantize("good", backend="torchao", max_drop=1.0)
    assert (small.report["data"], small.report["rows"], small.report["labels_used"]) == ("validation", held, True)

    # Run All once more.
    known = len(mn.runs())
    judged = mn.evaluate("good")
    assert mn.evaluate("good").run == judged.run
    assert mn.quantize("good", backend="torchao", max_drop=1.0).id == small.id
    assert mn.compare("spam", "good").run == beside.run
    assert len(mn.runs()) == known


def test_new_rows_are_no_reason_to_warn(tiny: str, rows: list[dict[str, Any]], here: None) -> None:
    mn.finetune(tiny, rows, name="spam", epochs=1, track="none")
    fresh = [{**row, "text": f"{row['text']} {at}"} for at, row in enumerate(table(24, seed=9))]
    assert mn.evaluate("spam", fresh).warnings == ()


def test_rows_of_a_table_are_known_again_without_the_column_that_divided_them(here: None) -> None:
    rows = [{"age": at, "day": f"2026-01-{1 + at % 28:02}", "label": "ab"[at % 2]} for at in range(60)]
    mn.finetune("auto", rows, task="table", method="trees", split="time:day", label="label", name="ages", track="none")
    assert any("was trained on" in said for said in mn.evaluate("ages", rows).warnings)
