"""`sources refresh` fills the index, `sources gc` frees what nothing uses and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.standins.hub import HubStandIn

from modelnook import api, cards
from modelnook.catalog.hub import HubSource
from modelnook.catalog.index import CatalogIndex
from modelnook.catalog.search import fell_silent, note_silence
from modelnook.data.read import read
from modelnook.data.snapshot import snapshot
from modelnook.domain.dataset import Columns, DatasetRef
from modelnook.domain.errors import NotFoundError, UsageError
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.settings import save_sources
from modelnook.store import Store
from modelnook.store.files import temporary
from modelnook.store.runs import RunFolder

OLD = time.time() - 7200


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    for n in range(30):
        hub_server.add_repo(f"alice/model-{n}", {"config.json": "{}"}, downloads=n)
    return hub_server


def refreshed(name: str | None = None, **options: int) -> dict[str, tuple[int | None, str]]:
    return {source: (models, note) for source, models, note in api.refresh_sources(name, **options).rows}


def test_a_hub_is_read_up_to_a_limit(hub: HubStandIn) -> None:
    assert refreshed("hub", limit=25) == {"hub": (25, "25 read, calls made: 1")}
    index = CatalogIndex(Store().home)
    held = [m.ref for m in index.all("hub")]
    assert len(held) == 25
    assert held[0] == "hub:alice/model-29"
    row = next(r for r in api.sources().rows if r[0] == "hub")
    assert row[4] == 25
    assert row[5].startswith("20")
    assert "just now" in cards.text(api.sources())
    assert refreshed("hub", limit=5)["hub"][0] == 25
    assert len(list(index.all("hub"))) == 25


def test_a_model_that_is_being_made_is_waited_for() -> None:
    record = RunRecord("abcdefgh", "topics", "finetune", "running")
    Store().create_run(Recipe("finetune", "pip:x@1", name="topics"), record, None)
    with pytest.raises(NotFoundError, match="'topics' is still being made") as caught:
        api.predict("topics", ["a text"])
    assert "runs show abcdefgh" in caught.value.hint


def test_what_cannot_be_asked_says_why_and_stays_known(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    refreshed("hub", limit=5)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    models, note = refreshed()["hub"]
    assert models is None
    assert "offline" in note
    told = " ".join(cards.text(api.refresh_sources("hub")).split())
    assert note in told, "what to do stands at its end, which a cell would cut off"
    assert CatalogIndex(Store().home).counts() == {"hub": 5}


def test_a_source_that_did_not_answer_is_told_as_that(hub: HubStandIn) -> None:
    def state() -> str:
        return {name: state for name, _, _, state, *_ in api.sources().rows}["hub"]

    assert state() == "not_asked"
    api.search("model-1", source="hub")
    assert state() == "ready"
    hub.stop()
    found = api.search("model-2", source="hub")
    assert found.notes[0].startswith("hub (")
    assert "no connection can be made" in found.notes[0]
    assert state() == "unreachable"
    assert "did not answer" in cards.text(api.sources())
    note_silence("hub", silent=False)
    assert state() == "ready"
    assert refreshed("hub")["hub"][0] is None
    assert state() == "unreachable", "a refresh asks it as well"


def test_a_source_that_refuses_or_is_not_asked_did_answer(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.fail("GET /api/models", 429, headers={"Retry-After": "900"})
    assert "fewer questions" in api.search("model-1", source="hub").notes[0]
    assert not fell_silent("hub")
    hub.heal()
    hub.fail("GET /api/models", 401)
    assert "token" in api.search("model-1", source="hub").notes[0]
    assert "token" in refreshed("hub")["hub"][1]
    assert not fell_silent("hub")
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    refreshed("hub")
    assert not fell_silent("hub")


def test_a_hub_that_is_slow_ends_the_wait(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelnook.catalog.hub_list._ASK_WITHIN", 0.2)
    hub.slow("GET /api/models", 3.0)
    models, note = refreshed("hub")["hub"]
    assert models is None
    assert "can't be reached" in note


def test_local_models_that_are_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    store = Store()
    from modelnook.domain.model import ModelInfo

    store.index.put_models("local", [ModelInfo("local:gone@1", "gone", "local")])
    assert refreshed("local") == {"local": (0, "")}
    assert store.index.models(source="local") == []
    assert refreshed("pip")["pip"][0] is not None
    assert set(refreshed()) == {"local", "pip", "hub"}


def test_an_unknown_source_is_an_error() -> None:
    with pytest.raises(UsageError, match="hub"):
        api.refresh_sources("hib")


def rows(text: str) -> DatasetRef:
    return snapshot(read([{"text": text, "label": "a"}]), Columns.of(text="text", label="label"), Store().home)


def run_of(id: str, data: DatasetRef, state: str = "finished", kind: str = "evaluate") -> RunFolder:
    record = RunRecord(id=id, name=id, kind=kind, state=state, created="2026-01-01T00:00:00Z")
    return Store().create_run(Recipe(kind, "pip:x", data=data), record)


def age(path: Path) -> Path:
    os.utime(path, (OLD, OLD))
    return path


def made(path: Path, content: str = "x" * 100) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text(content)
    return age(path)


def test_what_nothing_uses_is_freed_and_nothing_else() -> None:
    store = Store()
    used, orphan, young = rows("used"), rows("orphan"), rows("young")
    done = run_of("done0001", used)
    alive = run_of("live0001", used, "running")
    assert alive.lease.take(0)
    kept = [store.data / used.fingerprint, store.data / young.fingerprint, made(alive.path / "probe")]
    age(kept[0])
    removed = [
        age(store.data / orphan.fingerprint),
        made(done.path / "probe"),
        made(done.path / "probe-race"),
        made(store.home / "runs" / ".halfmade.1234abcd.tmp"),
        made(store.home / "wandb-reader" / "curves" / "nobody"),
        made(store.home / "cache" / "hub" / "gone.example-12345678"),
        made(store.home / "cache" / "git" / "gone.example-12345678"),
    ]
    part = store.home / "cache" / "hub" / "team" / "abc.modelnook.incomplete"
    save_sources(lambda _: [{"name": "team", "url": "https://team.example", "kind": "hub"}])
    team = HubSource("team").cache
    kept.append(made(team))
    part = age(_file(team / "abc.modelnook.incomplete"))
    said = api.gc_sources()
    assert not [p for p in (*removed, part) if p.exists()]
    assert all(p.exists() for p in kept)
    for word in (
        "Freed",
        "1 snapshots",
        "2 folders of measurements",
        "2 unfinished",
        "2 caches",
        "1 colleagues' curves",
    ):
        assert word in said
    assert api.gc_sources() == "Nothing to free."


def test_what_a_killed_run_made_on_its_way_is_freed_unless_it_can_go_on_from_it() -> None:
    store, data = Store(), rows("used")
    over = run_of("over0001", data, "running", "quantize")
    goes_on, lives = run_of("goes0001", data, "running", "shrink"), run_of("live0001", data, "running", "shrink")
    resumed = run_of("next0001", data, "failed", "shrink")
    resumed.claim_resume()
    assert lives.lease.take(0)
    assert [run.seen().resumable for run in (over, goes_on)] == [False, True]  # type: ignore[union-attr]
    removed = [made(temporary(over.path / "model", "tries")), made(over.path / "steps"), made(over.path / "trials")]
    kept = [made(goes_on.path / "steps"), made(lives.path / "steps"), made(temporary(lives.path / "model"))]
    kept.append(made(resumed.path / "steps"))
    assert "3 unfinished" in api.gc_sources()
    assert not [p for p in removed if p.exists()]
    assert all(p.exists() for p in (*kept, store.data / data.fingerprint))


def _file(path: Path) -> Path:
    path.write_text("half")
    return path


def test_entries_of_a_removed_source_are_forgotten() -> None:
    from modelnook.domain.model import ModelInfo

    api.add_source("team", "https://team.example")
    Store().index.put_models("team", [ModelInfo("team:a/0", "a/0", "team")])
    CatalogIndex(Store().home).write("team", [ModelInfo(f"team:a/{n}", f"a/{n}", "team") for n in range(2)])
    assert api.gc_sources() == "Nothing to free."
    api.remove_source("team")
    assert "3 entries" in api.gc_sources()
    assert Store().index.models(source="team") == []
    assert CatalogIndex(Store().home).counts() == {}
