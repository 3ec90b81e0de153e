"""What is loaded is what its reference means now, and what is gone takes no memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import modelnook as mn
from modelnook.catalog.folder import describe
from modelnook.classic.base import write
from modelnook.classic.tfidf import Tfidf
from modelnook.domain.errors import NotFoundError
from modelnook.store import Store
from modelnook.tasks.text_classification import TextClassification
from modelnook.testing.models import tiny_rows

NEWS, MAILS = ("news", "sport"), ("ham", "spam")


def plain(folder: Path, labels: tuple[str, ...]) -> Path:
    """A classifier that is there at once."""
    model = Tfidf.learn(TextClassification(), tiny_rows(64, labels), sorted(labels))
    assert model is not None
    folder.mkdir()
    write(model, folder, task="text-classification", labels=sorted(labels))
    return folder


def added(tmp_path: Path, name: str, labels: tuple[str, ...]) -> str:
    folder = plain(tmp_path / "made", labels)
    return str(Store().models.add(name, folder, describe(folder, ref="", id=name, source="local")))


def answers(ref: str | Path) -> set[str]:
    return set(mn.predict(str(ref), ["a text"])["scores"][0])


def in_memory() -> list[str]:
    return [row["name"] for row in mn.ps().to_frame().to_dict("records") if row["state"] == "loaded"]


def test_a_path_answers_by_the_files_that_are_there(tmp_path: Path) -> None:
    folder = plain(tmp_path / "model", MAILS)
    assert answers(folder) == set(MAILS)
    with mn.load(str(folder)) as held:
        shutil.rmtree(folder)
        plain(folder, NEWS)
        assert answers(folder) == set(NEWS)
        assert set(held.predict(["a text"])["scores"][0]) == set(MAILS), "a person's handle stays the model it was"
    assert in_memory() == [str(folder)], "what nobody holds made way"


def test_a_removed_model_is_out_of_memory(tmp_path: Path) -> None:
    added(tmp_path, "topics", MAILS)
    assert answers("topics") == set(MAILS)
    mn.rm("topics")
    assert in_memory() == []
    with pytest.raises(NotFoundError):
        mn.predict("topics@1", ["a text"])
    added(tmp_path, "topics", NEWS)
    assert answers("topics") == set(NEWS)


def test_a_renamed_model_is_known_by_its_new_name(tmp_path: Path) -> None:
    added(tmp_path, "topics", MAILS)
    assert answers("topics") == set(MAILS)
    mn.rename("topics", "mails")
    assert in_memory() == []
    with mn.load("mails") as held:
        mn.rename("mails", "letters")
        assert (held.ref, in_memory()) == ("local:letters@1", ["local:letters@1"])
        assert mn.load("letters") is held


def test_a_handle_answers_after_rm_and_can_be_unloaded(tmp_path: Path) -> None:
    held = mn.load(added(tmp_path, "topics", MAILS))
    mn.rm("topics")
    assert set(held.predict(["a text"])["scores"][0]) == set(MAILS)
    assert in_memory() == ["local:topics@1"]
    assert mn.unload("local:topics@1") == ["local:topics@1"]
    assert in_memory() == []
