"""The time that is told before a training, by those done on this machine: which of them tell, and what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelnook.domain.run import RunRecord
from modelnook.finetune.costs import STARTING
from modelnook.finetune.estimate import estimated, seconds_before, with_unlabelled
from modelnook.finetune.plan import Plan
from modelnook.store import Store

BASE = "pip:base"
PLAN = Plan("full", "", 10, 1e-4, 16, 64, 0.1, 0.0, 3, 1000, 630, 0.0, 0, None, seconds=(1.0, 2.0), expected=1.5)


@pytest.fixture
def store() -> Store:
    """An empty one."""
    return Store()


def ran(store: Store, took: float, epochs: float = 10, id: str = "aaaaaaa1", **more: Any) -> None:
    """A run of ten planned epochs that came to so many of them in so many seconds."""
    values: dict[str, Any] = {
        "base": BASE,
        "params": {"method": "full", "max_length": 64, "rows": 1000, "epochs": 10},
        "started": "2026-01-01T00:00:00+00:00",
        "ended": f"2026-01-01T00:{int(took) // 60:02}:{took % 60:06.3f}+00:00",
        "epoch": 1,
    }
    store.index.put_runs([RunRecord(id, "x", "finetune", "finished", **{**values, **more})])
    store.run(id).series.append(round(63 * epochs), took, {"loss": 0.1, "epoch": epochs})


def test_a_training_that_ended_early_tells_by_what_it_did(store: Store) -> None:
    ran(store, 40, epochs=4)
    assert seconds_before(store, BASE, PLAN) == pytest.approx((80, 125))
    found = estimated(PLAN, store, BASE)
    assert found.known
    assert found.seconds is not None
    # From four epochs, after which patience may be at its end, to all ten.
    assert found.seconds[0] < 40
    assert found.seconds[1] > 100


@pytest.mark.parametrize(
    "other",
    [{"origin": "hub:colleague/topics"}, {"epoch": 2}, {"report": {"unlabelled": {"taken": 9}}}],
    ids=["another machine", "gone on with", "two rounds"],
)
def test_what_tells_nothing_of_this_machine_is_left_out(store: Store, other: dict[str, Any]) -> None:
    ran(store, 300, **other)
    assert seconds_before(store, BASE, PLAN) is None
    assert estimated(PLAN, store, BASE).seconds == PLAN.seconds


def test_two_rounds_share_a_budget(store: Store) -> None:
    ran(store, 300)
    within = with_unlabelled(estimated(PLAN, store, BASE, 60.0), 3000, 60.0)
    assert within.seconds is not None
    assert within.seconds[1] == 60.0 + STARTING[1]
    free = with_unlabelled(estimated(PLAN, store, BASE), 3000)
    assert free.seconds is not None
    assert free.seconds[1] > 5 * 300
    assert with_unlabelled(replace(PLAN, seconds=None), 3000).seconds is None
