"""A card tells results of the very model that it goes with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import modelnook as mn
from modelnook import rpc
from modelnook.domain.dataset import DatasetRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.store import Store

Make = Callable[..., str]
ROWS = DatasetRef("e" * 64, 1234, {}, "test")


def measured(ref: str, contents: tuple[str, ...], created: str = "2026-11-25T00:00:00Z") -> None:
    """An evaluation and a quantization that started from a reference."""
    for id, kind, report in (
        ("tested01", "evaluate", {"data": "data"}),
        ("smaller1", "quantize", {"before": {"metrics": {"accuracy": 0.961}, "p50_ms": 3.5}, "after": {"p50_ms": 1.5}}),
    ):
        record = RunRecord(
            id,
            "topics",
            kind,
            "finished",
            base=ref,
            model="local:topics-int8@1" if kind == "quantize" else None,
            data=ROWS.to_dict(),
            metrics={"accuracy": 0.961},
            report=report,
            created=created,
        )
        Store().create_run(Recipe(kind, ref, ROWS, knobs={"measured_on": "data"}, contents=contents), record)


def told(ref: str) -> tuple[bool, bool]:
    """Whether the figures stand on its card, and in the sidebar's comparison."""
    card = mn.publish(ref, "team", dry_run=True).card
    return "1,234 rows that were kept apart" in card, "p50_ms" in rpc.compare([ref]).columns


@pytest.mark.parametrize(
    ("contents", "created", "its"),
    [
        ("itself", "2026-11-25T00:00:00Z", True),
        ("another", "2026-11-25T00:00:00Z", False),
        ("", "2026-11-25T00:00:00Z", True),
        ("", "2026-11-24T00:00:00Z", False),
    ],
)
def test_figures_of_another_model_under_the_reference_are_left_out(
    place: Path, make: Make, contents: str, created: str, its: bool
) -> None:
    """Of stores from before numbers were used once; records of before contents were told are judged by their time."""
    ref = make()
    by = mn.info(ref).run or ""
    measured(ref, {"itself": (by,), "another": ("zother00",), "": ()}[contents], created)
    assert told(ref) == (its, its)


def test_what_a_run_measured_of_its_result_is_that_models_alone(place: Path, make: Make) -> None:
    small = make("topics-int8")
    measured(make(), ())
    assert "p50_ms" not in rpc.compare([small]).columns, "made by another run"
