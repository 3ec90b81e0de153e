"""How an input is divided, and what is left of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from modelnook.explain.room import Reads, reads_of
from modelnook.explain.spans import grouped
from modelnook.explain.units import Unit, divided, words
from modelnook.tasks import TASKS

TEXTS = {
    "Don't wait, it's well-known (really)!": ["Don't", "wait,", "it's", "well-known", "(really)!"],
    "房间很干净，服务好。Good hotel": ["房", "间", "很", "干", "净，", "服", "务", "好。", "Good", "hotel"],
    "买iPhone手机（新）": ["买", "iPhone", "手", "机", "（新）"],
    "see https://a.example/b?c=1 :-)": ["see", "https://a.example/b?c=1", ":-)"],
    "한국어 문장": ["한국어", "문장"],
    "…": ["…"],
    " \n\t": [],
    "": [],
}


@pytest.mark.parametrize("text", TEXTS)
def test_words_with_the_marks_that_are_written_to_them(text: str) -> None:
    assert [text[a:b] for a, b in words(text)] == TEXTS[text]


def spec(task: str = "text-classification") -> Any:
    return TASKS.load(task, light=True)()


@pytest.mark.parametrize("text", TEXTS)
def test_all_stay_and_none_stays(text: str) -> None:
    row = divided(text, spec())
    assert row.keep([True] * len(row.units)) == text
    if row.units:
        assert row.keep([False] * len(row.units)) == ""


def test_what_stays_has_the_blanks_that_it_had() -> None:
    row = divided("  one two,\n three  four ", spec())
    assert row.keep([True, False, True, True]) == "one three  four"
    assert row.keep([False, True, False, True]) == "two,\n four"
    row = divided("房间很好，贵", spec())
    assert row.keep([True, True, True, False, True]) == "房间很贵"


def test_a_pair_is_divided_in_both_its_texts() -> None:
    row = divided({"text": "It rains. Hard.", "text_pair": "It is dry"}, spec())
    assert [(unit.column, unit.token) for unit in row.units] == [
        *(("text", w) for w in ("It", "rains.", "Hard.")),
        *(("text_pair", w) for w in ("It", "is", "dry")),
    ]
    first, second, third = ({unit.sentence for unit in row.units[a:b]} for a, b in ((0, 2), (2, 3), (3, 6)))
    assert len(first | second | third) == 3
    assert row.keep([True, False, True, False, False, True]) == {"text": "It Hard.", "text_pair": "dry"}
    assert divided({"text": "one", "text_pair": None}, spec()).keep([False]) == {"text": "", "text_pair": ""}


def test_a_row_is_divided_in_the_columns_that_the_model_reads() -> None:
    row = divided({"age": 3, "id": "x", "colour": None}, spec("table"), {"age", "colour"})
    assert [(unit.column, unit.token) for unit in row.units] == [("age", "3"), ("colour", "")]
    assert row.keep([False, True]) == {"age": None, "id": "x", "colour": None}


@pytest.mark.parametrize("most", [3, 10, 50, 333])
@pytest.mark.parametrize("sentence", [1, 7, 40, 10_000])
def test_spans_are_few_whole_and_alike(most: int, sentence: int) -> None:
    units = [Unit("ab"[i >= 900], "w", 0, 0, i // sentence + (i >= 900)) for i in range(1000)]
    spans = grouped(units, most)
    assert len(spans) <= most
    assert [i for span in spans for i in span] == list(range(1000))
    assert all(len({units[i].column for i in span}) == 1 for span in spans)
    assert max(map(len, spans)) <= max(2, 2 * 1000 / max(1, most - 2) + 1)


def test_short_sentences_stay_whole() -> None:
    sizes = np.random.default_rng(0).integers(3, 9, size=60)
    units = [Unit("text", "w", 0, 0, at) for at, size in enumerate(sizes.tolist()) for _ in range(size)]
    for span in grouped(units, 30):
        first, last = units[span.start].sentence, units[span.stop - 1].sentence
        assert len(span) == sizes[first : last + 1].sum()


def test_words_that_a_model_has_no_room_for_are_none() -> None:
    text = "one two. three four five"
    row = divided(text, spec(), reads=lambda texts: [14])
    assert ([unit.token for unit in row.units], row.unread) == (["one", "two.", "three"], 2)
    assert row.keep([True] * 3) == text
    assert row.keep([True, False, True]) == "one three", "none comes up from behind"
    pair = divided({"text": "one two", "text_pair": "one two three"}, spec(), reads=lambda texts: [7, 7])
    assert ([unit.token for unit in pair.units], pair.unread) == (["one", "two"] * 2, 1)


def reading(folder: Path, model: Any, room: int) -> Reads:
    """Of a model with such a tokenizer and so many tokens."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    runtime: Any = SimpleNamespace(path=folder, max_length=room)
    return reads_of(runtime)


def test_what_is_read_ends_with_a_token_not_with_a_word(tmp_path: Path) -> None:
    pieces = {"[UNK]": 0, "sound": 1, "##proof": 2, "##ing": 3, "of": 4, "rooms": 5}
    reads = reading(tmp_path, models.WordPiece(pieces, unk_token="[UNK]"), 4)
    assert reads(["soundproofing of rooms"]) == [len("soundproofing of")]
    assert reads(["rooms of rooms"]) == [14]
    assert reads(["soundproofing", "of rooms of of"]) == [len("soundproof"), len("of rooms")], "half of the room each"
    assert reads(["of", "of rooms of rooms of"]) == [2, len("of rooms of")], "what a short one leaves is the other's"
    row = divided("soundproofing of rooms", spec(), reads=reads)
    assert ([unit.token for unit in row.units], row.unread) == (["soundproofing", "of"], 1)


def test_a_token_of_several_characters_leaves_room_for_more(tmp_path: Path) -> None:
    reads = reading(tmp_path, models.Unigram([("<unk>", -9.0), ("房间", -1.0), ("很好", -1.0)], unk_id=0), 2)
    row = divided("房间很好", spec(), reads=reads)
    assert ([unit.token for unit in row.units], row.unread) == (["房", "间", "很", "好"], 0)
    assert row.keep([True, True, False, True]) == "房间好"


def test_tfidf_reads_so_many_characters() -> None:
    from modelnook.testing.explainers import learnt, planted

    with TemporaryDirectory() as folder:
        runtime = learnt(Path(folder) / "m", "text-classification", planted())
        row = divided("garden " * 571 + "xxx win", spec(), reads=reads_of(runtime))
        runtime.close()
    assert (row.units[-1].token, row.unread) == ("xxx", 1)
