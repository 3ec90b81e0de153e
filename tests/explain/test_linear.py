"""What a TF-IDF model's own terms say: they add up to its answer, for each of its kinds."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks.test_multi_label_classification import tagged
from tests.tasks.test_text_regression import priced

from modelnook.classic.words import Words
from modelnook.domain.errors import UnsupportedError
from modelnook.explain.engine import explained
from modelnook.testing.explainers import learnt
from modelnook.testing.models import tiny_rows

pytest.importorskip("sklearn")

CHINESE = {
    "text": ["房间干净 服务好", "房间脏，服务差", "早餐好  位置好", "太吵"] * 8,
    "label": ["好", "差", "好", "差"] * 8,
}
PAIRS = {
    "text": ["it rains", "it shines", "it snows"] * 8,
    "text_pair": ["take a coat", "take a hat", "take a coat"] * 8,
    "label": ["yes", "no", "no"] * 8,
}
CASES: dict[str, tuple[str, dict[str, list[Any]], Any]] = {
    "two": ("text-classification", tiny_rows(64), "the good room, good money today"),
    "three": ("text-classification", tiny_rows(66, ("one", "two", "three")), "the good room, good money today"),
    "chinese": ("text-classification", CHINESE, "房间好  干净，  服务差"),
    "pairs": ("text-classification", PAIRS, {"text": "it rains and shines", "text_pair": "rains take coat"}),
    "each": ("multi-label-classification", tagged(64), tagged(64)["text"][3]),
    "number": ("text-regression", priced(64), priced(64)["text"][3]),
}


def asked(folder: Path, case: str, **more: Any) -> tuple[Any, Any]:
    task, rows, row = CASES[case]
    model = learnt(folder / "learnt", task, rows)
    options: dict[str, Any] = {"method": "linear", "label": None, "most": 1000, "seed": 0, **more}
    return model, explained(model, model.spec(), [row], **options)[0]


@pytest.mark.parametrize("case", CASES)
def test_the_terms_add_up_to_the_answer(case: str, tmp_path: Path) -> None:
    model, found = asked(tmp_path, case)
    row = CASES[case][2]
    nothing = dict.fromkeys(row, "") if isinstance(row, dict) else ""
    assert found.predictions == 1
    assert any(part.score for part in found.parts)
    assert sum(part.score for part in found.parts) == pytest.approx(found.value - found.base, abs=1e-5)
    for value, answer in zip((found.value, found.base), model.predict([row, nothing]), strict=True):
        if found.label is None:
            assert value == pytest.approx(answer["value"], rel=1e-5)
        else:
            share = answer["scores"][found.label]
            assert value == pytest.approx(math.log(share / (1 - share)), abs=1e-4)


def test_both_texts_of_a_pair_have_their_words(tmp_path: Path) -> None:
    _, found = asked(tmp_path, "pairs")
    said = [(part.column, part.token) for part in found.parts if part.score]
    assert {("text", "rains"), ("text_pair", "rains"), ("text_pair", "coat")} <= set(said)


def test_a_label_that_nothing_was_learnt_of_has_no_terms(tmp_path: Path) -> None:
    model = learnt(tmp_path / "learnt", "text-classification", tiny_rows(64))
    model.labels.append("never")
    model.model.width += 1  # type: ignore[attr-defined]
    (found,) = explained(model, model.spec(), ["good"], method="linear", label="never", most=1000, seed=0)
    assert found.value == found.base == pytest.approx(math.log(1e-9))
    assert [part.score for part in found.parts] == [0]


def test_another_model_is_refused(tmp_path: Path) -> None:
    from tests.tasks.test_table import loans

    from modelnook.classic.base import write
    from modelnook.classic.trees import Trees
    from modelnook.runtime import runtime
    from modelnook.tasks import TASKS

    spec, rows = TASKS.load("table", light=True)(), loans(200)
    trees = Trees.learn(spec, rows, spec.labels(rows))
    assert trees is not None
    write(trees, tmp_path, task="table", labels=spec.labels(rows))
    model = runtime(tmp_path)
    with pytest.raises(UnsupportedError) as caught:
        explained(model, model.spec(), [{"a": 1}], method="linear", label=None, most=1000, seed=0)
    assert (caught.value.code, "occlusion" in caught.value.hint) == ("explain.not_linear", True)


@pytest.mark.parametrize(
    "texts",
    [
        ["The room, the ROOM is good.", "İstanbul'da bir gün the_room", "Straße  ΣΊΣΥΦΟΣ x", ""],
        ["房间  很好，\n\n房间大", "早餐 a  B不错", "İ好 好", "  "],
    ],
    ids=["words", "characters"],
)
def test_terms_stand_where_scikit_learn_counts_them(texts: list[str]) -> None:
    made = Words.learn(texts)
    assert made is not None
    found, _ = made
    analyse = found._vectorizer.build_analyzer()
    for text in texts:
        places = found.places(text)
        counted = Counter(analyse(text))
        assert {found.terms[feature]: len(at) for feature, at in places.items()} == dict(counted)
        for feature, occurrences in places.items():
            first = found.terms[feature].split()[0][0] if found.by == "word" else found.terms[feature][0]
            for starts in occurrences:
                assert first in text[starts[0]].lower() or first == " "
    long = "x" * 5_000
    assert all(at < 4_000 for occurrences in found.places(long).values() for starts in occurrences for at in starts)


def test_an_occurrence_is_shared_by_its_words(tmp_path: Path) -> None:
    """Two copies of a word in the same company have the same part."""
    task, rows, _ = CASES["two"]
    model = learnt(tmp_path / "learnt", task, rows)
    options: dict[str, Any] = {"method": "linear", "label": None, "most": 1000, "seed": 0}
    (found,) = explained(model, model.spec(), ["xyzzy good xyzzy good xyzzy"], **options)
    scores = [part.score for part in found.parts]
    assert scores[1] == pytest.approx(scores[3])
    np.testing.assert_allclose(scores[::2], 0)
