"""`sources refresh` of a hub lists the runs that colleagues published with their models, before a model is pulled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.standins.hub import HubStandIn
from tests.standins.hub_repos import as_file

import modelnook as mn
from modelnook import api
from modelnook.catalog import hub_runs
from modelnook.catalog.base import RUN_FILE
from modelnook.catalog.search import source

FILES = r"GET /[^/]+/[^/]+/resolve/"
ASKED = r"GET /api/(models|whoami-v2)$"
TOKEN = "hf_canary_token_that_must_not_be_seen"


def published(hub: HubStandIn, id: str, run: str, *, record: Any = None, **more: Any) -> None:
    said = {"record": {"id": run, "kind": "finetune", "metrics": {"f1": 0.5}}} if record is None else record
    files = {"config.json": "{}", RUN_FILE: json.dumps(said)}
    hub.add_repo(id, files, tags=("modelnook", f"run:{run}"), **more)


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    """A hub where anna shares two organizations with colleagues, and strangers publish too."""
    hub_server.add_token(TOKEN, "anna", orgs=("team", "lab"))
    published(hub_server, "team/topics", "aaaaaaa1", private=True)
    published(hub_server, "lab/spam", "aaaaaaa2")
    published(hub_server, "eve/other", "aaaaaaa3")
    hub_server.add_repo("team/made-elsewhere", {"config.json": "{}"})
    monkeypatch.setenv("WORK_TOKEN", TOKEN)
    api.add_source("work", hub_server.url, token_env="WORK_TOKEN")
    return hub_server


def refreshed() -> str:
    [(_, models, note)] = api.refresh_sources("work").rows
    assert models == 4
    return str(note)


def listed() -> dict[str, str | None]:
    return {run.id: run.model for run in mn.runs()}


def test_colleagues_runs_are_listed_and_strangers_are_not(hub: HubStandIn) -> None:
    note = refreshed()
    assert "runs of colleagues listed: 2" in note
    assert "calls made: 5" in note, "the list, who one is, three accounts"
    assert len(hub.seen(ASKED)) == 5
    runs = listed()
    assert set(runs) == {"aaaaaaa1", "aaaaaaa2"}
    assert runs["aaaaaaa1"] == f"work:team/topics@{hub.repo('team/topics').at('main').sha}"
    assert mn.runs()[0].origin == "work"
    assert mn.runs()[0].metrics == {"f1": 0.5}
    assert not source("work").names(), "nothing of the model was downloaded"


def test_what_is_known_is_not_read_again(hub: HubStandIn) -> None:
    refreshed()
    before = len(hub.seen(FILES))
    assert before == 2
    assert "colleagues" not in refreshed()
    assert len(hub.seen(FILES)) == before
    published(hub, "team/topics", "aaaaaaa4", private=True)
    assert "runs of colleagues listed: 1" in refreshed()
    assert "aaaaaaa4" in listed()


def test_the_calls_of_a_refresh_are_ten_at_most(hub: HubStandIn) -> None:
    refreshed()
    hub.state.page_size = 1
    for id in ("team/topics", "lab/spam", "eve/other", "team/made-elsewhere"):
        hub.repo(id).commit({"README.md": as_file("README.md", "changed")}, "changed")
    published(hub, "lab/spam", "aaaaaaa5")
    hub.add_token(TOKEN, "anna", orgs=[f"org-{n}" for n in range(40)])
    before = len(hub.seen(ASKED))
    refreshed()
    assert len(hub.seen(ASKED)) - before <= 10


def test_many_are_read_a_few_at_a_time(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_runs, "_AT_ONCE", 1)
    refreshed()
    assert len(listed()) == 1
    refreshed()
    assert len(listed()) == 2


@pytest.mark.parametrize(
    "record", [7, {}, {"record": {"id": "../../x"}}, {"record": {"id": "aaaaaaa1", "params": [1]}}]
)
def test_a_record_that_is_none_ends_no_refresh(hub: HubStandIn, record: Any) -> None:
    published(hub, "team/topics", "aaaaaaa1", private=True, record=record)
    refreshed()
    assert set(listed()) - {"aaaaaaa1"} == {"aaaaaaa2"}


def test_a_file_too_large_to_be_a_record_is_left(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_runs, "LARGEST", 10)
    assert "colleagues" not in refreshed()


def test_an_endpoint_that_ignores_what_is_asked_lists_no_stranger(hub: HubStandIn) -> None:
    hub.state.can_search = False
    refreshed()
    assert set(listed()) == {"aaaaaaa1", "aaaaaaa2"}


def test_without_a_token_nobody_is_asked_who_one_is(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORK_TOKEN")
    hub.repo("team/topics").private = False
    assert "calls made: 1" in refreshed()
    assert not listed()
    assert not hub.seen("whoami")


@pytest.mark.parametrize(("status", "said"), [(404, ""), (429, "no runs of colleagues: "), (401, "no runs of")])
def test_who_does_not_say_who_one_is_lists_no_runs(hub: HubStandIn, status: int, said: str) -> None:
    hub.fail("GET /api/whoami-v2", status, headers={"Retry-After": "20"})
    note = refreshed()
    assert said in note
    assert TOKEN not in note
    assert ("colleagues" in note) == bool(said)
    assert not listed()


def test_the_persons_own_hub_is_asked_with_their_own_token(
    hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.add_token(TOKEN, "anna", orgs=("team",))
    published(hub_server, "team/topics", "aaaaaaa1", private=True)
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "runs of colleagues listed: 1" in str(api.refresh_sources("hub").rows[0][2])
    assert set(listed()) == {"aaaaaaa1"}
