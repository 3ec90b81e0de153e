"""Models learnt from rows alone: as scikit-learn itself answers, and the same to the last bit when read again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks.test_multi_label_classification import tagged
from tests.tasks.test_table import loans
from tests.tasks.test_text_regression import priced

from modelnook.classic.base import read, write
from modelnook.classic.tfidf import Tfidf
from modelnook.classic.trees import Column, Trees
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.tasks import TASKS
from modelnook.testing.models import tiny_rows

pytest.importorskip("sklearn")

ELSEWHERE = """
import json, sys
from pathlib import Path
from modelnook.runtime import runtime
model = runtime(Path(sys.argv[1]))
print(model.outputs(json.loads(sys.argv[2])).tobytes().hex())
print([name for name in ("torch", "pickle5", "joblib.numpy_pickle") if name in sys.modules][:1] == ["torch"])
"""

CHINESE = {"text": ["房间干净服务好", "房间脏服务差"] * 12, "label": ["好", "差"] * 12}


def kinds(count: int = 240) -> dict[str, list[Any]]:
    """Three labels, columns of words and numbers with gaps."""
    rng = random.Random(3)
    rows: dict[str, list[Any]] = {"feature:size": [], "feature:colour": [], "feature:same": [], "label": []}
    for _ in range(count):
        size, colour = rng.gauss(0, 1), rng.choice(["red", "green", "blue", None])
        rows["feature:size"].append(None if rng.random() < 0.1 else size)
        rows["feature:colour"].append(colour)
        rows["feature:same"].append("x")
        rows["label"].append("a" if colour == "red" else "b" if size > 0 else "c")
    return rows


CASES = {
    "text-classification": (Tfidf, tiny_rows(64)),
    "chinese": (Tfidf, CHINESE),
    "three": (Tfidf, tiny_rows(66, ("one", "two", "three"))),
    "multi-label-classification": (Tfidf, tagged(64)),
    "text-regression": (Tfidf, priced(64)),
    "table": (Trees, loans(200)),
    "kinds": (Trees, kinds()),
}


def made(case: str) -> tuple[Any, Any, dict[str, list[Any]], list[str]]:
    kind, rows = CASES[case]
    task = {"chinese": "text-classification", "three": "text-classification", "kinds": "table"}.get(case, case)
    spec = TASKS.load(task, light=True)()
    labels = spec.labels(rows)
    model = kind.learn(spec, rows, labels)
    assert model is not None
    return spec, model, rows, labels


@pytest.mark.parametrize("case", CASES)
def test_what_was_written_is_read_again_to_the_last_bit(case: str, tmp_path: Path) -> None:
    spec, model, rows, labels = made(case)
    folder = tmp_path / "made"
    folder.mkdir()
    write(model, folder, task=spec.name, labels=labels)
    again = read(folder)
    asked = {role: values for role, values in rows.items() if role != "label"}
    expected = model.outputs(spec, asked)
    assert again.outputs(spec, asked).tobytes() == expected.tobytes()
    one = {role: values[5:6] for role, values in asked.items()}
    assert again.outputs(spec, one)[0].tobytes() == expected[5].tobytes(), "whatever stands beside a row"
    assert {f.suffix for f in folder.iterdir()} == {".json", ".safetensors"}
    assert spec.score(spec.truth(rows, labels), expected, labels)[spec.metrics[0]] is not None


@pytest.mark.slow
@pytest.mark.parametrize("case", ["text-classification", "kinds"])
def test_a_new_process_gives_the_same_bits_without_torch(case: str, tmp_path: Path) -> None:
    spec, model, rows, labels = made(case)
    write(model, tmp_path, task=spec.name, labels=labels)
    asked = spec.as_rows({role: values for role, values in rows.items() if role != "label"})
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path), json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    hexed, torch = done.stdout.split()
    assert bytes.fromhex(hexed) == model.outputs(spec, rows).tobytes()
    assert torch == "False"


@pytest.mark.parametrize("case", ["table", "kinds"])
def test_trees_answer_as_scikit_learn_does(case: str) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    spec, model, rows, labels = made(case)
    assert "same" not in [c.name for c in model.columns]
    seen = np.stack([c.numbers(rows[f"feature:{c.name}"]) for c in model.columns], axis=1)
    words = np.array([c.words is not None for c in model.columns])
    theirs = HistGradientBoostingClassifier(categorical_features=words, random_state=13)
    theirs.fit(seen, spec.truth(rows, labels))
    asked = seen.copy()
    asked[::3, 0] = np.nan
    shares = np.exp(model.margins(asked))
    if shares.shape[1] == 1:
        shares = np.concatenate([1 / (1 + shares), shares / (1 + shares)], axis=1)
    else:
        shares = shares / shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, theirs.predict_proba(asked), atol=1e-12)


def test_words_answer_as_scikit_learn_does() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    spec, model, rows, labels = made("three")
    theirs = make_pipeline(
        TfidfVectorizer(
            sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", dtype=np.float32, max_features=50_000
        ),
        LogisticRegression(C=10.0, max_iter=200, tol=1e-3),
    ).fit(rows["text"], spec.truth(rows, labels))
    asked = [*tiny_rows(30, ("one", "two", "three"), seed=8)["text"], "", "不在其中"]
    ours = np.exp(model.outputs(spec, {"text": asked}))
    np.testing.assert_allclose(ours, theirs.predict_proba(asked), atol=1e-5)


def test_chinese_is_read_by_its_characters() -> None:
    _, model, _, _ = made("chinese")
    assert model.words.by == "char"
    assert "房间" in model.words.terms


def test_what_a_row_lacks_is_said() -> None:
    spec, model, rows, _ = made("table")
    with pytest.raises(DataError, match="income"):
        model.outputs(spec, {"feature:home": ["own"], "feature:kids": [1]})
    odd = {role: values[:2] for role, values in rows.items()}
    odd["feature:income"] = [12.5, "plenty"]
    with pytest.raises(DataError, match="plenty") as caught:
        model.outputs(spec, odd)
    assert caught.value.hint
    assert np.isfinite(model.outputs(spec, odd, strict=False)).all()


def test_new_words_and_gaps_are_missing_values() -> None:
    column = Column.of("colour", ["red", "red", "blue", None])
    assert column.words == ("red", "blue")
    found = column.numbers(["blue", "green", None, float("nan")])
    assert found[0] == 1
    assert np.isnan(found[1:]).all()


def test_rows_that_say_nothing_teach_nothing() -> None:
    spec = TASKS.load("text-classification", light=True)()
    assert Tfidf.learn(spec, {"text": ["!", "?"] * 8, "label": ["a", "b"] * 8}, ["a", "b"]) is None
    spec = TASKS.load("table", light=True)()
    assert Trees.learn(spec, {"feature:x": [1] * 16, "label": ["a", "b"] * 8}, ["a", "b"]) is None


def test_damaged_files_are_said(tmp_path: Path) -> None:
    spec, model, _, labels = made("text-classification")
    write(model, tmp_path, task=spec.name, labels=labels)
    (tmp_path / "sklearn.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(UnsupportedError) as caught:
        read(tmp_path)
    assert str(tmp_path) in caught.value.message
