"""Text-to-text: metrics against sacrebleu and rouge-score, the loss, what is written, the whole way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
import torch
from rouge_score.rouge_scorer import RougeScorer

import modelnook as mn
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.domain.recipe import Recipe
from modelnook.finetune.engine import fit
from modelnook.finetune.plan import plan_for
from modelnook.measure.score import score
from modelnook.tasks import TASKS, text2text_generation_heavy, writing_heavy
from modelnook.tasks.text2text_generation import Text2TextGeneration
from modelnook.tasks.translated import ROUGE, tokenizer_for, words
from modelnook.testing.models import tiny_model, tiny_pairs, tiny_translator, tiny_writer
from modelnook.testing.tasks import TaskSuite

pytestmark = pytest.mark.usefixtures("untracked")

spec = Text2TextGeneration()


class TestText2Text(TaskSuite):
    name = "text2text-generation"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return tiny_pairs(32)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_translator(tmp_path / "base")

    @pytest.fixture
    def asked(self, rows: dict[str, list[Any]]) -> list[Any]:
        return rows["source"][:9]

    def test_padding_changes_nothing(self, loaded: Any, rows: dict[str, list[Any]]) -> None:
        task, model, tokenizer = loaded
        encoded = task.encode(tokenizer, rows, 32)
        model.eval()
        with torch.inference_mode():
            together = task.outputs(model, task.collate(tokenizer, encoded))
            for i in range(4):
                one = {name: values[i : i + 1] for name, values in encoded.items()}
                (alone,) = task.outputs(model, task.collate(tokenizer, one))
                assert alone[0] == together[i][0]
                assert alone[1:] == pytest.approx(together[i][1:], rel=1e-3)


class TestT5(TestText2Text):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_translator(tmp_path / "base", kind="t5")


def table(count: int, seed: int = 0) -> list[dict[str, str]]:
    columns = tiny_pairs(count, seed)
    return [{"source": a, "target": b} for a, b in zip(columns["source"], columns["target"], strict=True)]


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        (["a"] * 3, ["b"] * 3, "task.too_few_rows"),
        (["a"] * 9, ["b"] * 4 + [None] * 5, "task.no_target"),
        (["a"] * 9, ["b"] * 4 + [" "] * 5, "task.no_target"),
        ([""] * 9, ["b"] * 9, "task.no_source"),
    ],
)
def test_what_makes_training_impossible_is_an_error(source: list[Any], target: list[Any], code: str) -> None:
    with pytest.raises(DataError) as caught:
        spec.check({"source": source, "target": target})
    assert caught.value.code == code
    assert caught.value.hint
    if code == "task.no_target":
        assert "Row 4" in caught.value.message


def test_what_is_only_odd_is_warned_of() -> None:
    assert spec.check({"source": list("abcdefghi"), "target": list("ihgfedcba")}) == []
    assert [w.code for w in spec.check({"source": ["", *"bcdefghi"], "target": ["x"] * 9})] == ["task.empty_text"]
    assert [w.code for w in spec.check({"source": list("abcdefghi"), "target": list("abcdefghi")})] == [
        "task.same_texts"
    ]


def spoilt(texts: list[str], seed: int = 0) -> list[str]:
    """The texts as a poor model writes them: parts left out, parts of others put in, some empty."""
    rng = random.Random(seed)
    found = []
    for text in texts:
        parts = list(text) if " " not in text else text.split()
        other = rng.choice(texts)
        kept = [part for part in parts if rng.random() > 0.3]
        join = "" if " " not in text else " "
        found.append(join.join([*kept, *(other.split() if " " in other else list(other))[: rng.randrange(3)]]))
    return [*found[:-3], "", *found[-2:]]


@pytest.fixture(scope="module")
def tatoeba(shared_data: Path) -> list[tuple[str, str]]:
    lines = (shared_data / "tatoeba-cmn-eng" / "cmn.txt").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t")[:2]) for line in lines[5000:25000:40]]  # type: ignore[misc]


@pytest.mark.real
@pytest.mark.parametrize(("side", "tokenizer"), [(0, "13a"), (1, "zh")])
def test_metrics_are_those_of_the_libraries(tatoeba: list[tuple[str, str]], side: int, tokenizer: str) -> None:
    wanted = [pair[side] for pair in tatoeba]
    found = spoilt(wanted)
    assert tokenizer_for(wanted) == tokenizer
    ours = spec.score(wanted, [(text, 2.0, 1.0) for text in found], ())
    assert 0.2 < ours["bleu"] < 0.9
    assert ours["bleu"] == pytest.approx(sacrebleu.corpus_bleu(found, [wanted], tokenize=tokenizer).score / 100)
    assert ours["chrf"] == pytest.approx(sacrebleu.corpus_chrf(found, [wanted]).score / 100)
    assert ours["loss"] == 2.0
    if side == 0:
        scorer = RougeScorer(list(ROUGE))
        scores = [scorer.score(a, b) for a, b in zip(wanted, found, strict=True)]
        for name in ROUGE:
            theirs = np.mean([score[name].fmeasure for score in scores])
            assert ours[name] == pytest.approx(theirs, abs=0.005), "letters with accents are words' to us"
    assert 0.3 < ours["rougeL"] < 0.95


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (["the cat sat on the mat"], ["the cat sat on the mat"]),
        (["the dog"], ["the cat sat on the mat"]),
        ([""], ["the cat"]),
        (["a b c d e", "x"], ["a b q d e", "y z"]),
        (["a"] * 3, ["b"] * 3),
    ],
)
def test_short_texts_score_as_sacrebleu_says(found: list[str], wanted: list[str]) -> None:
    ours = spec.score(wanted, [(text, 0.0, 0.0) for text in found], ())
    assert ours["bleu"] == pytest.approx(sacrebleu.corpus_bleu(found, [wanted]).score / 100)
    assert ours["chrf"] == pytest.approx(sacrebleu.corpus_chrf(found, [wanted]).score / 100)
    assert "loss" not in ours, "nothing is known of it"


def test_words_are_characters_where_there_are_no_blanks() -> None:
    assert words("我们 met Émile!") == ["我", "们", "met", "émile"]
    chinese = spec.score(["我们在公园里"], [("我们去公园里", 0.0, 0.0)], ())
    assert chinese["rougeL"] == pytest.approx(5 / 6)


def test_intervals_hold_the_value_and_follow_from_sums() -> None:
    wanted = tiny_pairs(80)["target"]
    outputs = [(text, 3.0, 2.0) for text in spoilt(wanted)]
    metrics, intervals = score(spec, wanted, outputs, ())
    assert set(intervals) == set(metrics) == {"chrf", "bleu", *ROUGE, "loss"}
    for name in ("chrf", *ROUGE):
        low, high = intervals[name]
        assert low < metrics[name] < high
    assert spec.agree(outputs, [("x", 0, 0), *outputs[1:]]).tolist() == [False] + [True] * 79


def loaded(folder: Path) -> tuple[Any, Any, Any]:
    task = TASKS.load("text2text-generation")()
    model, tokenizer = task.load(str(folder))
    return task, model.eval(), tokenizer


@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_the_loss_is_that_of_the_model_itself(tmp_path: Path, kind: str) -> None:
    task, model, tokenizer = loaded(tiny_translator(tmp_path / "m", kind=kind))
    encoded = task.encode(tokenizer, tiny_pairs(9), 32)
    batch = task.collate(tokenizer, encoded)
    assert "attention_mask" in batch
    with torch.inference_mode():
        theirs = float(model(**batch).loss)
        assert float(task.loss(model, batch)) == pytest.approx(theirs, rel=1e-4)
        checked = task.check(model, batch)
    assert task.check_score(checked)["loss"] == pytest.approx(theirs, rel=1e-4)
    assert task.weight(encoded) == checked[:, 1].sum()


@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_what_is_written_is_what_generate_writes(tmp_path: Path, kind: str) -> None:
    task, model, tokenizer = loaded(tiny_translator(tmp_path / "m", kind=kind))
    sources = ["dog", "sun rain cat dog good", "bad"]
    ours = task.answer(model, tokenizer, sources, max_new_tokens=6)
    for source, found in zip(sources, ours, strict=True):
        inputs = tokenizer(source, return_tensors="pt")
        ids = model.generate(inputs["input_ids"], max_new_tokens=6, num_beams=1, do_sample=False)
        assert found == {"text": tokenizer.decode(ids[0], skip_special_tokens=True).strip()}


@pytest.mark.parametrize(("kind", "kept"), [("bart", 64), ("t5", 122)])
def test_targets_longer_than_their_sources_are_planned_for(tmp_path: Path, kind: str, kept: int) -> None:
    folder = tiny_translator(tmp_path / "m", kind=kind)
    rows = tiny_pairs(40)
    rows["target"] = [" ".join([text.split()[0]] * 120) for text in rows["target"]]
    found = plan_for(spec, folder, rows)
    assert found.tokens_lost == pytest.approx(0.455 if kind == "bart" else 0.0, abs=0.02), "BART has places for 64"
    assert [w.code for w in found.warnings] == (["train.truncated"] if kind == "bart" else [])
    task, _, tokenizer = loaded(folder)
    assert max(map(len, task.encode(tokenizer, rows, found.max_length)["labels"])) == kept
    short = plan_for(spec, folder, rows, knobs={"max_length": 16})
    assert [w.code for w in short.warnings] == ["train.truncated"]
    assert short.tokens_lost > 0.6


@pytest.mark.parametrize(("method", "words", "new"), [("full", 199, 200), ("lora", 199, 200), ("full", 9, 128)])
def test_a_model_writes_as_much_as_it_was_taught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, words: int, new: int
) -> None:
    asked: list[int] = []

    def noted(model: Any, tokenizer: Any, inputs: dict[str, Any], most: int, **options: Any) -> list[str]:
        asked.append(most)
        return [""] * len(inputs["input_ids"])

    for module in (writing_heavy, text2text_generation_heavy):
        monkeypatch.setattr(module, "written", noted)
    base = tiny_translator(tmp_path / "base", kind="t5")
    settings = base / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"model_max_length": 64', '"model_max_length": 512'))
    rows = {"source": ["dog"] * 8, "target": [" ".join(["sun"] * words)] * 8}
    knobs = {"epochs": 1, "learning_rate": 1e-3, "batch_size": 8, "max_length": 100, "precision": "fp32"}
    rows["target"][0] = "sun"
    recipe = Recipe("finetune", "local:base", task=spec.name, method=method, knobs=knobs, threads=1)
    done = fit(recipe, base, rows, rows, tmp_path / "out", None, lambda event: None)
    task, model, tokenizer = loaded(done.path)
    task.answer(model, tokenizer, ["dog"])
    assert asked == [new] * len(asked)
    assert len(asked) >= 2, "when it was scored, and of what was stored"


def test_other_models_are_refused(tmp_path: Path) -> None:
    for folder in (tiny_model(tmp_path / "bert"), tiny_writer(tmp_path / "llama")):
        with pytest.raises(UnsupportedError) as caught:
            loaded(folder)
        assert caught.value.code == "task.no_translator"


def test_the_task_has_the_names_that_people_know() -> None:
    for name in ("seq2seq", "translation", "summarization"):
        assert name in TASKS
        assert TASKS.load(name, light=True) is Text2TextGeneration
        assert name not in list(TASKS)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    base = str(tiny_translator(tmp_path / "base"))
    run = mn.finetune(base, table(400), task="seq2seq", method=method, name="turn", epochs=8, learning_rate=5e-3)
    assert (run.record.task, run.primary_metric, run.state) == ("text2text-generation", "chrf", "finished")
    assert set(run.metrics) == {"chrf", "bleu", *ROUGE, "loss"}
    assert set(run.baselines) == {"copy", "untrained"}
    assert "loss" not in run.baselines["copy"]
    assert run.metrics["loss"] < run.baselines["untrained"]["loss"]
    low, high = run.intervals["chrf"]
    assert low <= run.metrics["chrf"] <= high
    if method == "full":
        assert run.metrics["chrf"] > run.baselines["copy"]["chrf"]
    answers = mn.predict("turn", ["a an and", "be by"], max_new_tokens=8)
    assert list(answers.columns) == ["text"]
    assert mn.evaluate("turn").metrics["loss"] == pytest.approx(run.metrics["loss"], rel=1e-2)
    judged = mn.evaluate("turn", table(20, seed=9))
    assert judged.baselines["copy"]["chrf"] < 0.5


@pytest.mark.real
@pytest.mark.slow
def test_real_sentences_teach_a_small_model(tatoeba: list[tuple[str, str]], tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    base = str(tiny_translator(tmp_path / "base", hidden=64))
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    # Chinese is none of its words as it is.
    tokenizer = tokenizer.train_new_from_iterator([text for pair in tatoeba for text in pair], vocab_size=2000)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    rows = [{"英文": english, "中文": chinese} for english, chinese in tatoeba]
    given = {"source": "英文", "target": "中文"}
    run = mn.finetune(base, rows, columns=given, task="translation", epochs=10, learning_rate=3e-3, name="first")
    assert run.metrics["loss"] < 0.7 * run.baselines["untrained"]["loss"]
    # So few sentences teach which characters Chinese is made of, hardly what they mean.
    assert run.metrics["rouge1"] > run.baselines["copy"]["rouge1"]
    assert run.metrics["chrf"] > run.baselines["copy"]["chrf"]


def test_rows_are_alike_in_both_sides_of_a_batch() -> None:
    rows = {"input_ids": [[1] * 4, [1] * 4, [1] * 9], "labels": [[2] * 30, [2] * 3, [2] * 2]}
    task = text2text_generation_heavy.Text2TextGenerationTask([])
    assert task.lengths(rows) == [34, 7, 11]
    assert task.lengths({"input_ids": rows["input_ids"]}) == [4, 4, 9]
