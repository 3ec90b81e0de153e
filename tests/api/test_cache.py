"""`cache` says what lies on the disk and who uses it; `cache rm` frees it, and never what a run needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.standins.hub import HubStandIn, safetensors

import modelnook as mn
from modelnook import api, cards
from modelnook.catalog.hub import HubSource
from modelnook.cli import main
from modelnook.domain.errors import NotFoundError, RefusedError, UsageError
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.settings import save_sources
from modelnook.store import Store

SIZES = {"tiny": 1_000, "large": 50_000}


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    for name, size in SIZES.items():
        parts = {"config.json": "{}", "model.safetensors": safetensors({"w": (2, 2)}, padding=size)}
        hub_server.add_repo(f"alice/{name}", parts)
    return hub_server


def brought(name: str, source: str = "hub") -> ModelRef:
    where = HubSource(source)
    ref = ModelRef(source, f"alice/{name}")
    folder = where.fetch(ref, lambda event: None)
    return ref.at(folder.name)


def used(ref: ModelRef, state: str, id: str = "usedbyme", **more: Any) -> None:
    record = RunRecord(id=id, name="topics", kind="finetune", state=state, created="2026-01-01T00:00:00Z", **more)
    Store().create_run(Recipe("finetune", str(ref), name="topics"), record)


def listed() -> dict[str, dict[str, Any]]:
    table = mn.cache()
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return {row["model"]: row for row in rows if row["source"] != "pip"}


def test_earlier_revisions_are_seen(tmp_path: Path) -> None:
    for name, size in (("topics", 10), ("topics", 20), ("spam", 5)):
        made = tmp_path / "made"
        made.mkdir()
        (made / "model.safetensors").write_bytes(b"x" * size)
        Store().models.add(name, made, ModelInfo("x", "x", "local"))
    found = mn.list()
    assert [info.ref for info in found] == ["local:spam@1", "local:topics@2"]
    assert "topics@1" in cards.text(found)
    assert "(1)" in found.hint
    rows = listed()
    assert {ref: rows[ref]["bytes"] for ref in rows} == {"local:topics@2": 20, "local:topics@1": 10, "local:spam@1": 5}
    mn.rm("topics@1")
    assert "topics@1" not in cards.text(mn.list())
    for _ in range(9):
        made.mkdir()
        Store().models.add("spam", made, ModelInfo("x", "x", "local"))
    assert re.search(r"\(9\).*spam@9, spam@8.*spam@4, …", mn.list().hint), "more than are named are counted"


def test_it_lists_by_size_what_each_model_takes_and_who_uses_it(hub: HubStandIn) -> None:
    tiny, large = brought("tiny"), brought("large")
    used(large, "finished", model="local:topics@1")
    rows = listed()
    assert list(rows) == [str(large), str(tiny)]
    assert SIZES["large"] < rows[str(large)]["bytes"] < SIZES["large"] + 1000
    assert (rows[str(large)]["used_by"], rows[str(tiny)]["used_by"]) == (
        ("usedbyme (local:topics@1)",),
        (),
    )
    assert rows[str(large)]["free"] == rows[str(large)]["bytes"]
    said = cards.text(mn.cache())
    assert "Models on this disk" in said
    assert "usedbyme (local:topics@1)" in said
    assert mn.runs()[0].id == "usedbyme", "what is said can be shown: runs show usedbyme"


def test_models_made_here_are_listed_and_can_not_go_this_way(tmp_path: Any) -> None:
    from modelnook.catalog.folder import describe

    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(safetensors({"w": (2, 2)}))
    Store().models.add("spam", folder, describe(folder, ref="", id="spam", source="local"))
    assert listed()["local:spam@1"]["free"] == 0
    with pytest.raises(UsageError, match="not downloaded"):
        api.rm_cached("local:spam")


def test_it_frees_a_model_or_one_revision(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    first = brought("tiny")
    from tests.standins.hub_repos import as_file

    more = {"vocab.txt": as_file("vocab.txt", "b")}
    hub.repo("alice/tiny").commit(more, "second")
    second = brought("tiny")
    large = brought("large")
    assert main(["cache", "rm", str(first)]) == 0
    assert str(first) in capsys.readouterr().out
    assert set(listed()) == {str(second), str(large)}
    assert HubSource().here(second)
    assert "freed" in api.rm_cached("hub:alice/tiny")
    assert set(listed()) == {str(large)}
    with pytest.raises(NotFoundError, match="alice/tiny"):
        api.rm_cached("hub:alice/tiny")
    assert api.rm_cached("alice/large").startswith("Removed hub:alice/large")
    assert listed() == {}


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_what_a_run_needs_to_go_on_stays(hub: HubStandIn, state: str) -> None:
    large = brought("large")
    used(large, state)
    row = listed()[str(large)]
    assert (row["free"], row["needed_by"]) == (0, ("usedbyme",))
    for ref in ("hub:alice/large", str(large)):
        with pytest.raises(RefusedError, match="usedbyme") as caught:
            api.rm_cached(ref)
        assert caught.value.code == "api.cache_resumable"
    assert HubSource().here(large)
    mn.runs()[0].delete()
    assert "freed" in api.rm_cached("hub:alice/large")


def test_what_a_run_reads_now_stays(hub: HubStandIn) -> None:
    large = brought("large")
    used(large, "running")
    assert Store().run("usedbyme").lease.take(0)
    with pytest.raises(RefusedError) as caught:
        api.rm_cached("hub:alice/large")
    assert caught.value.code == "api.cache_live"


def test_parts_of_a_download_are_told_and_go_with_the_model(hub: HubStandIn) -> None:
    large = brought("large")
    part = HubSource().cache / "models--alice--large" / "blobs" / "abc.modelnook.incomplete"
    part.write_bytes(bytes(1234))
    row = listed()["hub:alice/large"]
    assert (row["bytes"], row["part"]) == (1234, True)
    api.rm_cached("hub:alice/large")
    assert not part.exists()
    assert HubSource().here(large) is None


def test_endpoints_are_told_apart(hub: HubStandIn) -> None:
    save_sources(lambda _: [{"name": "mine", "url": hub.url, "kind": "hub"}])
    here, there = brought("tiny"), brought("tiny", "mine")
    used(there, "stopped")
    assert set(listed()) == {str(here), str(there)}
    api.rm_cached("hub:alice/tiny")
    with pytest.raises(RefusedError):
        api.rm_cached("mine:alice/tiny")


def test_it_is_asked_by_rpc_too(hub: HubStandIn) -> None:
    from modelnook import rpc

    ref = brought("tiny")
    answer = rpc.call("cache", {})
    assert str(ref) in [row[0] for row in answer["rows"]]
