"""A colleague's run, which only W&B has: its curves are fetched and kept, or the answer says where to look."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.standins.wandb import WandbStandIn

from modelnook import api
from modelnook.domain.errors import ModelnookError, OfflineError
from modelnook.records import history
from modelnook.store import Store
from modelnook.tracking.reader import known, main

pytestmark = pytest.mark.slow

CURVE = [
    {"_step": n, "_runtime": n / 2, "_timestamp": 1.7e9 + n, "loss": 1 / (n + 1), "name": "x", "odd": "NaN"}
    | ({"eval_accuracy": n / 10} if n % 5 == 4 else {})
    for n in range(10)
]


@pytest.fixture
def colleague(server: WandbStandIn) -> WandbStandIn:
    """A project with a run of somebody else's, brought into the list by the reader."""
    server.add_run("far", display_name="hers", state="finished", rows=CURVE)
    assert main(["--once"]) == 0
    assert "far" in known(Store())
    return server


def test_its_curves_are_fetched_and_kept(colleague: WandbStandIn) -> None:
    run = api.run_of("far")
    assert (run.name, run.origin, run.state) == ("hers", "wandb", "finished")
    table = run.history_table()
    assert table.columns == ("step", "epoch", "time", "eval_accuracy", "loss")
    assert table.rows[4] == (4, None, 2.0, 0.4, 0.2)
    assert len(table.rows) == 10
    assert list(run.history().columns) == list(table.columns)
    asked = len(colleague.requests)
    drawn = history("far", points=50)
    assert drawn["series"]["loss"]["value"] == [row["loss"] for row in CURVE]
    assert (drawn["total"], drawn["note"]) == (10, "")
    assert len(colleague.requests) == asked


def test_they_are_fetched_again_when_the_run_has_moved(colleague: WandbStandIn) -> None:
    run = api.run_of("far")
    run.history_table()
    far = colleague.runs["far"]
    far.history.append(json.dumps({"_step": 10, "_runtime": 5.0, "loss": 0.01}))
    far.summary["loss"] = 0.01
    far.heartbeat_at = "2026-12-01T00:00:00Z"
    assert main(["--once"]) == 0
    assert run.history_table().rows[-1] == (10, None, 5.0, None, 0.01)


def test_where_w_and_b_is_off_the_answer_says_where_to_look(
    colleague: WandbStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    asked = len(colleague.requests)
    with pytest.raises(OfflineError) as told:
        api.run_of("far").history_table()
    assert told.value.code == "tracking.curves_off"
    assert "/runs/far" in told.value.hint
    said: dict[str, Any] = history("far")
    assert (said["series"], said["note"]) == ({}, str(told.value))
    assert len(colleague.requests) == asked


def test_a_run_that_is_gone_there_is_an_answer(colleague: WandbStandIn) -> None:
    del colleague.runs["far"]
    with pytest.raises(OfflineError, match="far") as told:
        api.run_of("far").history_table()
    assert told.value.code == "tracking.curves_unread"
    assert "/runs/far" in told.value.hint


def test_what_was_kept_stays_where_nothing_newer_can_be_had(colleague: WandbStandIn) -> None:
    run = api.run_of("far")
    whole = run.history_table()
    del colleague.runs["far"]
    Store().index.put_runs([replace(run.record, metrics={"loss": 0.01})])
    assert run.history_table() == whole


def test_what_only_its_owner_can_do_is_refused_in_words(colleague: WandbStandIn) -> None:
    run = api.run_of("far")
    assert run.log() == ""
    for act in (run.stop, run.resume, run.delete, run.code):
        with pytest.raises(ModelnookError, match="far"):
            act()
    assert run.to_dict()["origin"] == "wandb"
