"""``finetune`` without a reference: a base is chosen among what is here, and why is said."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelnook as mn
from modelnook.api.bases import READ, READ_IN_PART, choose_base
from modelnook.catalog.folder import describe
from modelnook.domain.errors import DataError, NotFoundError, UsageError
from modelnook.finetune.lengths import measure_lengths
from modelnook.store import Store
from modelnook.tasks import TASKS
from modelnook.testing.models import tiny_model, tiny_writer

from .conftest import table

SPEC = TASKS.load("text-classification", light=True)()
CHINESE = ["房间很干净服务也好"] * 20


def keep(folder: Path, name: str, hidden: int, words: tuple[str, ...] = ()) -> None:
    """A local base."""
    made = tiny_model(folder, hidden=hidden, **({"words": words} if words else {}))
    Store().models.add(name, made, describe(made, ref="", id=name, source="local"))


def unread(name: str, texts: list[str]) -> float:
    """The share of the texts' tokens that a local base doesn't know."""
    kept = next(Path(m.path or "") for m in Store().models.all() if m.id == name)
    return measure_lengths(kept, texts).unknown


@pytest.fixture(autouse=True)
def _no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the test itself put there."""
    monkeypatch.setattr("modelnook.catalog.pip.PipSource.search", lambda self, query: [])


def test_the_largest_that_reads_the_texts(tmp_path: Path, store_home: Path) -> None:
    keep(tmp_path / "a", "small", 32)
    keep(tmp_path / "b", "large", 64)
    keep(tmp_path / "c", "chinese", 32, tuple("房间很干净服务也好"))
    ref, why = choose_base(SPEC, {"text": [row["text"] for row in table(20)]})
    assert ref.startswith("local:large")
    assert "local:large" in why
    assert choose_base(SPEC, {"text": CHINESE})[0].startswith("local:chinese")


def test_conversations_are_read_by_what_has_a_chat_template(tmp_path: Path, store_home: Path) -> None:
    for name, hidden, chat in (("large", 64, False), ("chats", 32, True)):
        made = tiny_writer(tmp_path / name, hidden=hidden, chat=chat)
        Store().models.add(name, made, describe(made, ref="", id=name, source="local"))
    spec = TASKS.load("text-generation", light=True)()
    talk = [{"role": "user", "content": "a dog"}, {"role": "assistant", "content": "a cat"}]
    assert choose_base(spec, {"text": ["a dog"] * 8})[0].startswith("local:large")
    assert choose_base(spec, {"messages": [talk] * 8})[0].startswith("local:chats")


def test_none_that_can_read_or_do_it(tmp_path: Path, store_home: Path) -> None:
    with pytest.raises(NotFoundError, match="text-classification"):
        choose_base(SPEC, {"text": ["a"]})
    keep(tmp_path / "a", "small", 32)
    with pytest.raises(DataError, match=r"local:small.*100%") as refused:
        choose_base(SPEC, {"text": CHINESE})
    assert "--method tfidf" in refused.value.hint


def test_what_is_read_but_for_a_few_words_is_taken(tmp_path: Path, store_home: Path) -> None:
    keep(tmp_path / "a", "large", 64)
    keep(tmp_path / "b", "better", 32, ("dog", "cat", *CHINESE[0]))
    texts = ["dog cat"] * 17 + [CHINESE[0]]
    assert unread("large", texts) > READ > unread("better", texts)
    assert choose_base(SPEC, {"text": texts})[0].startswith("local:better")
    Store().models.remove("better")
    few = ["dog dog dog"] * 8 + ["很 好 吗"]
    assert READ < unread("large", few) < READ_IN_PART
    chosen, why = choose_base(SPEC, {"text": few})
    assert chosen.startswith("local:large")
    assert "knows the most of these texts" in why, "it isn't the largest that reads them"


@pytest.mark.slow
def test_finetune_without_a_reference(tmp_path: Path, store_home: Path) -> None:
    keep(tmp_path / "a", "small", 32)
    run = mn.finetune(data=table(64), epochs=1, name="spam", track="none")
    assert run.base == "local:small@1"
    assert "local:small" in run.note
    with pytest.raises(UsageError, match="needs the rows") as caught:
        mn.finetune()
    assert "modelnook.finetune(data=train)" in caught.value.hint
