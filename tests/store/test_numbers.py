"""A revision's number means one model for ever: what refers to it never comes to mean another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import modelnook as mn
from modelnook.domain.errors import ConflictError, UsageError
from modelnook.domain.model import ModelInfo
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs.submit import _still_there
from modelnook.store import Store
from modelnook.store.runs import RunFolder, new_id, now


@pytest.fixture
def store() -> Store:
    return Store()


def made(store: Store, name: str, **fields: object) -> RunFolder:
    """A finished run and its model."""
    run = store.create_run(Recipe("finetune", "", name=name), RunRecord(new_id(), name, "finetune", "finished"), None)
    source = store.home / "made"
    source.mkdir()
    (source / "config.json").write_text("{}")
    ref = store.models.add(name, source, ModelInfo("", name, "local", task="text-classification", run=run.id))
    written = replace(run.record(), model=str(ref), created=now(), **fields)  # type: ignore[type-var]
    run.write(written, epoch=0)
    store.list_again([written])
    return run


def model_of(run: RunFolder) -> str | None:
    record = run.record()
    assert record is not None
    return record.model


def test_a_number_does_not_come_back_after_rm(store: Store) -> None:
    made(store, "spam")
    mn.rm("spam")
    assert model_of(made(store, "spam")) == "local:spam@2"
    made(store, "spam")
    mn.rm("spam@3")
    assert model_of(made(store, "spam")) == "local:spam@4"
    mn.rm("spam@2")
    mn.rm("spam")
    assert store.models.names() == []
    assert model_of(made(store, "spam")) == "local:spam@5"


def test_what_was_made_from_a_model_follows_its_name(store: Store) -> None:
    made(store, "spam")
    for name, info in (
        ("small", {"base_model": "local:spam@1"}),
        ("mean", {"bases": ("local:spam@1", "local:spam@11")}),
    ):
        source = store.home / name
        source.mkdir()
        store.models.add(name, source, ModelInfo("", name, "local", task="text-classification", **info))
    mn.rename("spam", "old")
    assert mn.info("local:small").base_model == "local:old@1"
    assert mn.info("local:mean").bases == ("local:old@1", "local:spam@11")


def test_a_run_follows_the_model_that_it_made(store: Store) -> None:
    first = made(store, "spam", report={"front": [{"number": 3, "model": "local:spam@1"}], "said": "local:spam@11"})
    second = made(store, "spam")
    assert mn.rename("spam", "old") == "local:old"
    assert (model_of(first), model_of(second)) == ("local:old@1", "local:old@2")
    assert [r.model for r in store.runs(model="local:old")] == ["local:old@2", "local:old@1"]
    record = first.record()
    assert record is not None
    assert record.report == {"front": [{"number": 3, "model": "local:old@1"}], "said": "local:spam@11"}
    assert first.lease.holder() is None, "given back"
    assert model_of(made(store, "spam")) == "local:spam@3", "what measured spam@1 did not measure this one"


def test_a_renamed_model_takes_no_number_that_the_name_gave_before(store: Store) -> None:
    for _ in range(2):
        made(store, "spam")
    mn.rm("spam")
    runs = [made(store, "mails"), made(store, "mails")]
    mn.rename("mails", "spam")
    assert store.models.revisions("spam") == [3, 4]
    assert [model_of(run) for run in runs] == ["local:spam@3", "local:spam@4"]
    assert [store.models.info("spam", n).run for n in (3, 4)] == [run.id for run in runs]


def test_renaming_one_revision_is_refused_since_all_would_go(store: Store) -> None:
    made(store, "spam")
    with pytest.raises(UsageError, match="'spam@1'") as caught:
        mn.rename("spam@1", "old")
    assert "rename spam old" in caught.value.hint
    assert store.models.revisions("spam") == [1]


def test_a_model_whose_run_is_at_work_keeps_its_name(store: Store) -> None:
    """Whoever holds the run writes its record, and would write the old name."""
    first, second = made(store, "spam"), made(store, "spam")
    assert second.lease.take(0)
    with pytest.raises(ConflictError, match=second.id):
        mn.rename("spam", "old")
    assert (store.models.revisions("spam"), first.lease.live()) == ([1, 2], None)
    second.lease.give_back(1)
    mn.rename("spam", "old")
    assert model_of(second) == "local:old@2"


def test_the_same_training_again_makes_a_model_of_the_name_that_is_asked_for(store: Store) -> None:
    run = made(store, "spam")
    record = run.record()
    assert record is not None
    assert _still_there(store, record)
    mn.rename("spam", "old")
    record = run.record()
    assert record is not None
    assert not _still_there(store, record), "there is no model 'spam' now"


def test_a_run_without_its_folder_is_no_obstacle(store: Store, tmp_path: Path) -> None:
    store.delete_run(made(store, "spam"))
    assert mn.rename("spam", "old") == "local:old"
