"""What a model was made from is looked up before its licence is passed on: bases that only a hub has, and theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.standins.hub import HubStandIn, safetensors

import modelnook as mn
from modelnook import api
from modelnook.catalog import hub as hub_module
from modelnook.catalog.search import resolve
from modelnook.domain.errors import RefusedError

Make = Callable[..., str]
WEIGHTS = {"model.safetensors": safetensors({"w": (4, 2)}), "config.json": '{"model_type": "bert"}'}
LORA = {
    "adapter_config.json": json.dumps({"peft_type": "LORA", "base_model_name_or_path": "bob/base"}),
    "adapter_model.safetensors": safetensors({"a": (2, 2)}),
}
NC = "'hub:bob/base' has the licence 'cc-by-nc-4.0'"


@pytest.fixture
def hub(hub_server: HubStandIn, place: Path, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    monkeypatch.setattr(hub_module, "_KNOWN", {})
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    hub_server.add_repo("bob/base", WEIGHTS, card={"license": "cc-by-nc-4.0"}, pipeline_tag="fill-mask")
    hub_server.add_repo("eve/lora", LORA, card={"license": "mit", "base_model": "bob/base"})
    return hub_server


def brought(ref: str) -> str:
    """Fetch a model in this process; its reference with the commit."""
    found = resolve(ref)
    found.source.fetch(found.ref, lambda event: None)
    return str(found.ref)


def test_an_adapter_may_not_be_freer_than_its_base(hub: HubStandIn, place: Path) -> None:
    brought("hub:eve/lora")
    with pytest.raises(RefusedError, match=NC):
        mn.publish("hub:eve/lora", "team", license="mit")
    assert not list(place.glob("models/*"))
    plan = mn.publish("hub:eve/lora", "team", dry_run=True)
    assert (plan.license, plan.problems) == ("cc-by-nc-4.0", ())
    assert "base: hub:bob/base, cc-by-nc-4.0" in plan.card
    said: dict[str, Any] = yaml.safe_load(plan.card.split("---\n")[1])
    assert said["base_model"] == "bob/base"


def test_its_own_licence_counts_beside_its_bases(hub: HubStandIn) -> None:
    hub.add_repo("eve/free", WEIGHTS, card={"license": "gpl-3.0", "base_model": "carl/open"})
    hub.add_repo("carl/open", WEIGHTS, card={"license": "apache-2.0"})
    brought("hub:eve/free")
    with pytest.raises(RefusedError, match=r"the model 'hub:eve/free@\w+' has the licence 'gpl-3.0'"):
        mn.publish("hub:eve/free", "team", license="mit")


@pytest.mark.parametrize("bases", [["carl/open", "bob/base"], "bob/base"])
def test_every_base_is_asked_however_far_up(bases: list[str] | str, hub: HubStandIn, make: Make) -> None:
    hub.add_repo("carl/open", WEIGHTS, card={"license": "mit"})
    hub.add_repo("eve/merged", WEIGHTS, card={"license": "mit", "base_model": bases})
    ref = make("mine", license="mit", base=brought("hub:eve/merged"))
    with pytest.raises(RefusedError, match=NC):
        mn.publish(ref, "team", license="mit")
    card = mn.publish(ref, "team", dry_run=True).card
    said: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    assert said["base_model"] == bases


def test_more_bases_than_are_looked_up_are_said(hub: HubStandIn) -> None:
    names = [f"carl/open-{n}" for n in range(10)]
    for name in names:
        hub.add_repo(name, WEIGHTS, card={"license": "mit"})
    more = [f"carl/more-{n}" for n in range(1000)]
    hub.add_repo("eve/merged", WEIGHTS, card={"license": "mit", "base_model": [*names, "bob/base", *names, *more]})
    plan = mn.publish(brought("hub:eve/merged"), "team", license="mit", dry_run=True)
    assert plan.checks[1].startswith("The licence of 'hub:bob/base', which it was made from, was not compared.")
    assert "only 10 models are looked up" in plan.checks[1]
    assert "base: hub:bob/base, not looked up" in plan.card
    assert plan.card.count("not looked up") <= 10


def test_what_cannot_be_looked_up_is_not_compared_and_said(hub: HubStandIn, make: Make) -> None:
    ref = brought("hub:eve/lora")
    api.offline("on")
    before = len(hub.requests)
    plan = mn.publish(ref, "team", license="mit", dry_run=True)
    assert plan.problems == ()
    assert plan.checks[0].endswith("fits what it was made from (mit).")
    assert plan.checks[1].startswith("The licence of 'hub:bob/base', which it was made from, was not compared.")
    assert "base: hub:bob/base, not looked up" in plan.card
    plan = mn.publish(make("mine", license="mit", base="hub:eve/other@abc"), "team", dry_run=True)
    assert plan.license == "mit"
    assert "as it was noted when the model was made" in plan.checks[1]
    assert len(hub.requests) == before


def test_the_index_knows_a_base_while_offline(hub: HubStandIn) -> None:
    ref = brought("hub:eve/lora")
    api.refresh_sources("hub", limit=10)
    api.offline("on")
    with pytest.raises(RefusedError, match=NC):
        mn.publish(ref, "team", license="mit")


@pytest.mark.parametrize("base", ["/home/anna/private", "local:mine", "mine", "hub:nobody/knows"])
def test_a_strangers_card_names_nothing_of_this_machine(base: str, hub: HubStandIn, make: Make) -> None:
    make("mine", license="gpl-3.0")
    hub.add_repo("eve/odd", WEIGHTS, card={"license": "mit", "base_model": base})
    brought("hub:eve/odd")
    plan = mn.publish("hub:eve/odd", "team", license="mit", dry_run=True)
    assert plan.problems == ()
    assert "was not compared" in plan.checks[1]
    assert "/home/anna" not in plan.card


def test_a_hub_is_asked_for_the_licence_of_its_data(hub: HubStandIn, place: Path, make: Make) -> None:
    hub.add_repo("carol/rows", {}, kind="datasets", card={"license": "cc-by-nc-4.0"})
    hub.add_repo("carol/mine", {}, kind="datasets", card={"license": "mit"}, private=True)
    ref = make(rows="hub:carol/rows:zh")
    with pytest.raises(RefusedError, match="'hub:carol/rows' has the licence 'cc-by-nc"):
        mn.publish(ref, "team")
    assert not list(place.glob("models/*"))
    assert not mn.publish(ref, "team", license="cc-by-nc-4.0", dry_run=True).problems
    asked = len(hub.seen("GET /api/datasets/"))
    assert asked
    # Who has another licence for them says so.
    assert not mn.publish(ref, "team", data_license="cc-by-4.0", dry_run=True).problems
    assert len(hub.seen("GET /api/datasets/")) == asked
    # What is made of it was trained on the same rows.
    smaller = make("smaller", base=ref)
    assert "cc-by-nc-4.0" in " ".join(mn.publish(smaller, "team", dry_run=True).problems)
    unseen = mn.publish(make("other", rows="hub:carol/mine"), "team", dry_run=True)
    assert "no data set 'hub:carol/mine'" in " ".join(unseen.checks)
    assert "carol" not in unseen.card
    api.offline("on")
    assert "was not compared" in " ".join(mn.publish(ref, "team", dry_run=True).checks)


def test_a_data_set_that_not_all_may_see_is_not_named(
    hub: HubStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_token("hf_of_carol", "carol")
    monkeypatch.setenv("HF_TOKEN", "hf_of_carol")
    hub.add_repo("carol/mine", {}, kind="datasets", card={"license": "mit"}, private=True)
    plan = mn.publish(make(rows="hub:carol/mine"), "team", dry_run=True)
    assert not plan.problems
    assert "the rows that it was trained on, mit" in plan.card
    assert "carol" not in plan.card
