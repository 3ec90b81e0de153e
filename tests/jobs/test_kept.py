"""A baseline kept as the model: trained as a job like any other, one command from the run that it beat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import needed
from tests.jobs.conftest import table
from tests.jobs.test_table import table as loans

import modelnook as mn
from modelnook import api, cards
from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.verbs import parse, split

pytestmark = pytest.mark.slow
needed("sklearn")


def test_words_as_the_model(rows: list[dict[str, Any]]) -> None:
    run = mn.finetune(data=rows, method="tfidf", name="words", epochs=3)
    assert "epochs" in run.note
    assert run.state == "finished"
    assert run.base is None
    assert run.model == "local:words@1"
    assert set(run.baselines) == {"majority"}, "it is no baseline of its own"
    assert run.metrics["accuracy"] > 0.9
    assert run.intervals["accuracy"]
    info = mn.info("words")
    assert (info.task, info.formats, info.base_model, info.run) == ("text-classification", ("sklearn",), None, run.id)
    assert set(info.labels) == {"ham", "spam"}
    assert not info.risks
    assert mn.predict("words", [rows[0]["text"]])["label"][0] == rows[0]["label"]
    judged = mn.evaluate("words", table(40, seed=5))
    assert judged.metrics["accuracy"] > 0.9
    assert set(judged.baselines) == {"majority"}
    assert mn.evaluate("words").metrics["accuracy"] == run.metrics["accuracy"]
    side = mn.compare("words", "words", data=table(40, seed=5))
    assert side.table.rows
    text = cards.text(run)
    assert len(text.splitlines()) <= 12
    assert "tfidf" in text
    assert run.code().count("TfidfVectorizer") == 2
    with pytest.raises(UnsupportedError, match="tfidf") as caught:
        mn.quantize("words")
    assert "predict words" in caught.value.hint
    with pytest.raises(UnsupportedError, match="rows alone"):
        mn.finetune("words", rows)
    again = mn.finetune("pip:whatever", rows, method="tfidf", name="words")
    assert again.id == run.id, "neither base nor epochs count"
    assert "pip:whatever" in (again.note or "") or "--again" in again.note


def test_a_table_as_trees() -> None:
    plan = mn.finetune(data=loans(200), label="label", drop="id", method="trees", dry_run=True)
    assert (plan.method, plan.rows, plan.held_out) == ("trees", 180, 20)
    assert "epochs" not in cards.text(plan)
    run = mn.finetune(data=loans(200), label="label", drop="id", method="trees")
    assert run.model == "local:trees@1"
    assert run.metrics["accuracy"] > 0.8
    poor = {"income": 12.0, "home": "own", "kids": 1}
    assert list(mn.predict("trees", [poor, {**poor, "income": 75.0}])["label"]) == ["bad", "good"]
    with pytest.raises(UsageError, match="base model"):
        api.rerun(run, method="lora")
    with pytest.raises(UsageError, match="table"):
        mn.finetune(data=loans(200), label="label", drop="id", method="tfidf")


def test_the_card_of_a_beaten_run_gives_the_command(tiny: str, rows: list[dict[str, Any]]) -> None:
    run = mn.finetune(tiny, rows, name="topic", epochs=0.2, learning_rate=1e-5, track="none")
    assert run.metrics["accuracy"] < run.baselines["tfidf"]["accuracy"]
    text = " ".join(cards.text(run).split())
    start = text.index("%model runs rerun")
    command = " ".join(text[start:].split()[:8])
    assert command == f"%model runs rerun {run.id} --method tfidf --name topic-tfidf"
    kept = parse(split(command.removeprefix("%model ")))()
    assert kept.model == "local:topic-tfidf@1"
    assert kept.metrics == pytest.approx(run.baselines["tfidf"])
    assert mn.info("topic-tfidf").formats == ("sklearn",)
    assert mn.info("topic").revision == "1", "the name still means what it did"


@pytest.mark.real
def test_chinese_reviews_by_their_characters(shared_data: Path) -> None:
    [file] = (shared_data / "chnsenticorp-htl").glob("*.csv")
    import pandas

    frame = pandas.read_csv(file).dropna().sample(1500, random_state=0)
    run = mn.finetune(data=frame, method="tfidf", text="review", label="label", name="hotels")
    assert run.metrics["accuracy"] > 0.8
    assert mn.info("hotels").language == ("zh",)
    assert list(mn.predict("hotels", ["房间很脏，服务态度差，再也不来了"])["label"]) == ["0"]
