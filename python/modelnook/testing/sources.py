"""What every catalogue source must keep: inherit :class:`SourceSuite`, give the source and a model that it has."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelnook.catalog import SOURCES
from modelnook.catalog.base import Query, Source
from modelnook.domain.errors import ModelnookError
from modelnook.domain.event import Event, Progress
from modelnook.domain.model import ModelRef

__all__ = ["SourceSuite"]


class SourceSuite:
    """Set ``kind``; give fixtures ``source`` and ``ref``, a model of it whose weights are safetensors.

    Set ``listed`` to False for a source whose models aren't found by searching. ::

        class TestMine(SourceSuite):
            kind = "local"

            @pytest.fixture
            def source(self):
                return LocalSource()

            @pytest.fixture
            def ref(self, source):
                return ModelRef("local", "spam")
    """

    kind: str
    listed = True

    def test_is_its_row(self, source: Source) -> None:
        assert SOURCES.load(self.kind) is type(source)
        assert source.kind == self.kind

    def test_an_entry_says_what_and_where(self, source: Source, ref: ModelRef) -> None:
        info = source.info(ref)
        assert info.source == source.name
        assert ModelRef.parse(info.ref).source in (source.name, None)
        assert info.parameters
        assert "safetensors" in info.formats
        assert json.loads(json.dumps(info.to_dict(), allow_nan=False))["ref"] == info.ref

    def test_a_small_file_is_told_or_nothing_is(self, source: Source, ref: ModelRef) -> None:
        said = source.small(ref, "config.json")
        assert said is None or json.loads(said)["architectures"]
        assert source.small(ref, "no-such-file.json") in ((None,) if said is None else (b"",))

    def test_a_folder_is_complete(self, source: Source, ref: ModelRef) -> None:
        folder = source.fetch(ref, lambda event: None)
        assert (folder / "config.json").is_file()
        assert list(folder.glob("*.safetensors"))

    def test_fetched_twice_it_is_the_same(self, source: Source, ref: ModelRef) -> None:
        events: list[Event] = []
        folder = source.fetch(ref, events.append)
        files = _files(folder)
        events.clear()
        again = source.fetch(ref, events.append)
        assert _files(again) == files
        moved = [e for e in events if isinstance(e, Progress) and e.phase == "downloading" and e.step < (e.total or 0)]
        assert not moved, "what is here isn't brought again"

    def test_search_finds_it_by_a_word_and_not_by_another(self, source: Source, ref: ModelRef) -> None:
        if not self.listed:
            assert source.search(Query()) == []
            return
        name = source.info(ref).name
        assert any(found.name == name for found in source.search(Query(name, limit=5)))
        assert source.search(Query("no-model-is-called-like-this")) == []
        assert len(source.search(Query(limit=1))) <= 1

    def test_filters_hold(self, source: Source, ref: ModelRef) -> None:
        size = source.info(ref).parameters or 0
        for low, high in ((0, size - 1), (size + 1, 10 * size + 10)):
            found = source.search(Query(params=(low, high), limit=50))
            assert all(low <= (info.parameters or -1) <= high for info in found)

    def test_what_it_has_not_is_one_sentence_and_a_next_step(self, source: Source, ref: ModelRef) -> None:
        nothing = replace(ref, id=f"{ref.id}-that-is-not-there", revision=None)
        for ask in (source.info, lambda wanted: source.fetch(wanted, lambda event: None)):
            with pytest.raises(ModelnookError) as caught:
                ask(nothing)
            assert caught.value.hint
            assert "\n" not in caught.value.message


def _files(folder: Path) -> dict[str, Any]:
    return {f.name: f.stat().st_size for f in folder.iterdir() if f.is_file()}
