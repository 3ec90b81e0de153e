"""Publishing to a hub with the real client, against a hub on loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.catalog.team import taken
from tests.standins.hub import HubStandIn, safetensors
from tests.standins.hub_repos import as_file

import modelnook as mn
from modelnook import api
from modelnook.catalog import hub as hub_module
from modelnook.catalog import hub_publish
from modelnook.catalog.search import resolve
from modelnook.domain.errors import ConflictError, NotFoundError, OfflineError, RefusedError, UsageError
from modelnook.domain.model import ModelRef
from modelnook.settings import home

Make = Callable[..., str]
# Each upload is a process of its own.
pytestmark = pytest.mark.slow
TOKEN = "hf_canary_token_that_must_not_be_seen"


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    monkeypatch.setattr(hub_module, "_KNOWN", {})
    monkeypatch.setattr(hub_publish, "_XET", {})
    hub_server.add_token(TOKEN, "anna", orgs=("team",))
    hub_server.add_token("hf_reader", "anna", role="read")
    monkeypatch.setenv("WORK_TOKEN", TOKEN)
    api.add_source("work", hub_server.url, token_env="WORK_TOKEN")
    return hub_server


def test_it_is_private_with_a_version_and_an_alias(hub: HubStandIn, make: Make) -> None:
    done = mn.publish(make(), "work", alias="prod")
    assert done.ref == "work:anna/topics@v1"
    assert hub.repo("anna/topics").private
    files = hub.files("anna/topics")
    assert files["README.md"].decode() == done.card
    assert "mn.predict('work:anna/topics'" in done.card
    assert {n for n, _, _ in done.files.rows} == set(files) - {".gitattributes"}
    assert hub.repo("anna/topics").refs.keys() >= {"main", "v1", "prod"}
    assert hub.seen("PUT /_lfs/"), "weights go as LFS where there is no Xet"
    folder = taken("work:anna/topics@v1")
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert mn.info("work:anna/topics").license == "apache-2.0"


def test_the_persons_own_hub_takes_it_with_their_own_token(
    hub_server: HubStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_KNOWN", {})
    monkeypatch.setattr(hub_publish, "_XET", {})
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    hub_server.add_token(TOKEN, "anna")
    ref = make()
    with pytest.raises(UsageError, match="must know who you are"):
        mn.publish(ref, "hub")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert mn.publish(ref, "hub").ref == "hub:anna/topics@v1"
    assert hub_server.repo("anna/topics").private


@pytest.mark.parametrize("weights", [300, 3_000_000])
def test_where_there_is_xet_it_goes_by_xet(weights: int, hub: HubStandIn, make: Make, tmp_path: Path) -> None:
    hub.with_xet(tmp_path / "cas")
    data = safetensors({"w": (10, 4)}, padding=weights)
    done = mn.publish(make(files={"model.safetensors": data}), "work")
    assert done.ref == "work:anna/topics@v1"
    assert not hub.seen("PUT /_lfs/")
    assert hub.seen("xet-write-token")
    assert hub.files("anna/topics")["model.safetensors"] == data
    assert (taken("work:anna/topics") / "model.safetensors").read_bytes() == data


def test_again_is_no_new_version_and_a_change_is(hub: HubStandIn, make: Make) -> None:
    for wanted in ("v1", "v1"):
        assert mn.publish("topics" if wanted in hub_refs(hub) else make(), "work", alias="prod").ref.endswith(wanted)
    make("topics", files={"model.safetensors": safetensors({"w": (11, 4)})})
    done = mn.publish("topics", "work:anna/topics", alias="prod")
    assert done.ref == "work:anna/topics@v2"
    refs = hub.repo("anna/topics").refs
    assert refs["prod"] == refs["v2"] != refs["v1"]
    assert [row[1] for row in api.alias("work:anna/topics", "prod").rows] == ["v2", "v1"]


def test_an_alias_has_a_history_and_goes_back(hub: HubStandIn, make: Make) -> None:
    files = {"config.json": "{}"}
    hub.add_repo("anna/topics", files)
    commits = [hub.repo("anna/topics").commit({"x": as_file("x", mark)}, mark).sha for mark in "abc"]
    refs = hub.repo("anna/topics").refs
    refs |= {f"v{n}": commit for n, commit in enumerate(commits, 1)} | {"prod": commits[0]}

    def meant() -> list[str]:
        return [row[1] for row in api.alias("work:anna/topics", "prod").rows]

    assert meant() == ["v1"], "what was set where no history is kept"
    for version in ("2", "v3"):
        api.alias(f"work:anna/topics@{version}", "prod")
    assert meant() == ["v3", "v2", "v1"]
    assert refs["prod"] == refs["v3"]
    assert api.alias("work:anna/topics", "prod", back=True).rows[0][:3] == ("prod", "v2", "anna")
    assert api.alias("work:anna/topics", "prod", back=True).rows[0][1] == "v1"
    assert refs["prod"] == refs["v1"]
    with pytest.raises(NotFoundError, match="meant no other version"):
        api.alias("work:anna/topics", "prod", back=True)
    assert meant() == ["v1", "v2", "v3", "v2", "v1"]
    api.alias("work:anna/topics@prod", "best")
    api.alias("work:anna/topics@v3", "prod")
    rows = api.alias("work:anna/topics").rows
    assert [row[:3] for row in rows] == [("best", "v1", "anna"), ("prod", "v3", "anna")]
    assert all(row[3].startswith("20") for row in rows)
    assert resolve("work:anna/topics@prod").source.info(ModelRef("work", "anna/topics", "prod")).revision == commits[2]
    # Somebody moves it on the hub's own page.
    refs["prod"] = commits[1]
    assert meant()[:2] == ["v2", "v3"]
    assert api.alias("work:anna/topics", "prod", back=True).rows[0][1] == "v3"
    with pytest.raises(NotFoundError, match="no such revision"):
        api.alias("work:anna/topics@v9", "prod")


def test_an_alias_is_moved_by_who_may_write(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repo("anna/topics", {"config.json": "{}"})
    hub.repo("anna/topics").refs["v1"] = hub.repo("anna/topics").refs["main"]
    monkeypatch.setenv("WORK_TOKEN", "hf_reader")
    with pytest.raises(RefusedError):
        api.alias("work:anna/topics@v1", "prod")
    monkeypatch.delenv("WORK_TOKEN")
    with pytest.raises(UsageError, match="must know who you are"):
        api.alias("work:anna/topics", "prod", back=True)
    assert set(hub.repo("anna/topics").refs) == {"main", "v1"}
    api.offline("on")
    before = len(hub.requests)
    with pytest.raises(OfflineError):
        api.alias("work:anna/topics", "prod")
    assert len(hub.requests) == before


def hub_refs(hub: HubStandIn) -> dict[str, str]:
    return next((r.refs for r in hub.state.repos.values()), {})


def test_weights_of_before_do_not_stay_beside_the_new_ones(hub: HubStandIn, make: Make) -> None:
    old = {"model-00001-of-00002.safetensors": safetensors({"w": (2, 2)}), "picture.png": b"png"}
    hub.add_repo("anna/topics", old, private=True)
    mn.publish(make(), "work:anna/topics")
    assert set(old) & set(hub.files("anna/topics")) == {"picture.png"}


def test_a_dry_run_asks_nobody(hub: HubStandIn, make: Make) -> None:
    plan = mn.publish(make(), "work:anna/topics", dry_run=True)
    assert plan.ref == "work:anna/topics"
    assert hub.requests == []


def test_who_may_see_it_is_not_changed(hub: HubStandIn, make: Make) -> None:
    hub.add_repo("anna/open", {"config.json": "{}"})
    hub.add_repo("anna/closed", {"config.json": "{}"}, private=True)
    ref = make()
    with pytest.raises(RefusedError, match="is public already"):
        mn.publish(ref, "work:anna/open")
    with pytest.raises(RefusedError, match="is private, and it was to be for everybody"):
        mn.publish(ref, "work:anna/closed", private=False)
    with pytest.raises(RefusedError, match="'internal' can't be published for everybody"):
        mn.publish(ref, "work:anna/new", private=False, license="internal")
    assert mn.publish(ref, "work:anna/open", private=False).sent
    assert not hub.repo("anna/open").private


def test_without_a_token_nothing_is_asked(hub_server: HubStandIn, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    api.add_source("work", hub_server.url, token_env="WORK_TOKEN")
    with pytest.raises(UsageError, match="must know who you are") as caught:
        mn.publish(make(), "work:anna/topics")
    assert "WORK_TOKEN" in caught.value.hint
    assert hub_server.requests == []


def test_a_token_that_may_not_write(hub: HubStandIn, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match="may not write to 'work:bob/topics'"):
        mn.publish(make(), "work:bob/topics")
    monkeypatch.setenv("WORK_TOKEN", "hf_reader")
    with pytest.raises(RefusedError, match="may not write"):
        mn.publish("topics", "work:anna/topics")
    monkeypatch.setenv("WORK_TOKEN", "hf_unknown")
    with pytest.raises(UsageError, match="doesn't know your token"):
        mn.publish("topics", "work:anna/topics")


def test_offline_nothing_is_asked(hub: HubStandIn, make: Make) -> None:
    api.offline("on")
    with pytest.raises(OfflineError):
        mn.publish(make(), "work:anna/topics")
    assert hub.requests == []


def test_a_colleagues_commit_in_between_is_built_upon(hub: HubStandIn, make: Make) -> None:
    ref = make()
    mn.publish(ref, "work:anna/topics")
    make("topics", files={"model.safetensors": safetensors({"w": (11, 4)})})
    rule = hub.fail(r"POST /api/models/anna/topics/commit", 412, body="{}", times=2)
    assert mn.publish("topics", "work:anna/topics").ref.endswith("@v2")
    assert rule.hits == 2
    hub.fail(r"POST /api/models/anna/topics/commit", 412, body="{}")
    make("topics", files={"model.safetensors": safetensors({"w": (12, 4)})})
    with pytest.raises(ConflictError, match=r"changes .* all the time"):
        mn.publish("topics", "work:anna/topics")
    assert set(hub.repo("anna/topics").refs) == {"main", "v1", "v2"}


def test_a_cut_upload_leaves_nothing_to_see(hub: HubStandIn, make: Make) -> None:
    ref = make()
    hub.fail(r"PUT /_lfs/", 507)
    with pytest.raises(OfflineError):
        mn.publish(ref, "work:anna/topics")
    assert set(hub.files("anna/topics")) == {".gitattributes"}
    hub.heal()
    assert mn.publish(ref, "work:anna/topics").ref.endswith("@v1")


def test_a_bad_id_is_not_asked(hub: HubStandIn, make: Make) -> None:
    ref = make()
    for bad in ("../x", "a/b/c", "x\x1by", "Ünï/x"):
        with pytest.raises(UsageError, match="can't be the name of a model"):
            mn.publish(ref, f"work:{bad}")
    assert hub.requests == []


def test_the_token_is_kept_nowhere(hub: HubStandIn, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    mn.publish(make(), "work", alias="prod")
    taken("work:anna/topics")
    kept = [p for p in home().rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]
    assert kept == []
    assert not any(TOKEN.encode() in data for data in hub.files("anna/topics").values())
    assert TOKEN not in "".join(capsys.readouterr())


def test_a_colleague_sees_the_run_of_a_hubs_model(
    hub: HubStandIn, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mn.publish(make(), "work")
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "colleague"))
    api.add_source("work", hub.url, token_env="WORK_TOKEN")
    mn.pull("work:anna/topics")
    [run] = list(mn.runs(kind="finetune"))
    assert (run.origin, run.metrics["accuracy"]) == ("work", 0.98)
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "another"))
    api.add_source("work", hub.url, token_env="WORK_TOKEN")
    api.refresh_sources("work")
    [seen] = list(mn.runs(kind="finetune"))
    assert (seen.id, seen.origin, seen.metrics["accuracy"]) == (run.id, "work", 0.98)
