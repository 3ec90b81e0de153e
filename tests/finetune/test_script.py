"""``run.code()``: the script runs by itself, and its figures are the run's."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.standins.scripts import output_of
from tests.tasks.test_multi_label_classification import tagged
from tests.tasks.test_sentence_similarity import matched, scored
from tests.tasks.test_table import loans
from tests.tasks.test_text_regression import priced

from modelnook.domain.dataset import DatasetRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.engine import FitResult, fit
from modelnook.finetune.script import code
from modelnook.runtime import runtime
from modelnook.tasks import TASKS
from modelnook.tasks.text2text_generation import Text2TextGeneration
from modelnook.testing.models import (
    WORDS,
    tiny_asked,
    tiny_model,
    tiny_pairs,
    tiny_prompts,
    tiny_rows,
    tiny_sentence_encoder,
    tiny_tagged,
    tiny_translator,
    tiny_writer,
)


def snapshot(folder: Path, rows: dict[str, list[Any]]) -> DatasetRef:
    import pyarrow as pa

    (folder / "f").mkdir(parents=True)
    table = pa.table(rows)
    with pa.OSFile(str(folder / "f" / "data.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return DatasetRef("f", table.num_rows, {name: name for name in rows})


def ran(
    tmp_path: Path,
    method: str,
    task: str = "text-classification",
    rows: dict[str, list[Any]] | None = None,
    make: Callable[[Path], Path] = tiny_model,
    **knobs: Any,
) -> tuple[str, FitResult]:
    """A run of 160 rows, and its script."""
    rows = rows or tiny_rows(160)
    split = {"train": list(range(120)), "validation": list(range(120, 160))}
    base = make(tmp_path / "base")
    run = tmp_path / "run1"
    run.mkdir()
    (run / "split.json").write_text(json.dumps(split))
    recipe = Recipe(
        "finetune",
        "local:base",
        data=snapshot(tmp_path / "data", rows),
        task=task,
        method=method,
        knobs={"epochs": 4, "learning_rate": 5e-3, "batch_size": 8, "max_length": 16, **knobs},
        name="tiny",
        threads=1,
    )
    parts = [{name: [values[i] for i in index] for name, values in rows.items()} for index in split.values()]
    result = fit(recipe, base, parts[0], parts[1], tmp_path / "out", run / "checkpoints", lambda event: None)
    record = RunRecord("run1", "tiny", "finetune", "finished", params=result.params)
    return code(recipe, record, base, tmp_path / "data", run), result


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora", "dora", "last-k", "few-shot"])
def test_the_script_gives_about_the_same_metrics(tmp_path: Path, method: str) -> None:
    # Its epochs are of pairs of rows.
    fewer = {"epochs": 2, "batch_size": 16} if method == "few-shot" else {}
    text, result = ran(tmp_path, method, **fewer)
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    assert theirs["accuracy"] == pytest.approx(result.metrics["accuracy"], abs=0.15)
    assert (tmp_path / "tiny" / "model.safetensors").is_file()


@pytest.mark.slow
def test_the_script_takes_a_methods_own_settings(tmp_path: Path) -> None:
    text, result = ran(tmp_path, "few-shot", mix=0.75, temperature=0.5, epochs=2)
    assert "0.75 * of_each" in text
    assert "unit.T / 0.5" in text
    assert figures(text, tmp_path)["accuracy"] == pytest.approx(result.metrics["accuracy"], abs=0.15)
    plain = tmp_path / "plain"
    plain.mkdir()
    assert "unit.T / 0.3" in ran(plain, "few-shot", epochs=1)[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["few-shot", "last-k"])
def test_the_script_reads_a_sentence_encoder_as_the_run_does(tmp_path: Path, method: str) -> None:
    text, result = ran(tmp_path, method, make=tiny_sentence_encoder, epochs=2)
    assert figures(text, tmp_path)["accuracy"] == pytest.approx(result.metrics["accuracy"], abs=0.15)
    made = [json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "tiny", result.path)]
    assert [said["num_hidden_layers"] for said in made] == [3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_model, tiny_sentence_encoder])
def test_the_script_of_a_frozen_body_trains_the_head_alone(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    from safetensors.torch import load_file

    text, result = ran(tmp_path, "head", make=make)
    assert set(figures(text, tmp_path)) == set(result.metrics)
    base, made = (load_file(folder / "model.safetensors") for folder in (tmp_path / "base", tmp_path / "tiny"))
    layers = {name: value for name, value in base.items() if name.startswith("encoder.")}
    assert layers
    assert all(value.equal(made[f"bert.{name}"]) for name, value in layers.items())


def figures(text: str, folder: Path) -> dict[str, float]:
    """What a script prints, run by itself."""
    line = next(line for line in reversed(output_of(text, folder).splitlines()) if line.startswith("{"))
    found: dict[str, float] = json.loads(line)
    return found


@pytest.mark.slow
def test_the_script_of_pairs_reads_both_texts(tmp_path: Path) -> None:
    rows = tiny_rows(160)
    rows = {"text": ["the dog"] * 160, "text_pair": rows["text"], "label": rows["label"]}
    text, result = ran(tmp_path, "full", rows=rows)
    assert result.metrics["accuracy"] > 0.7
    assert figures(text, tmp_path)["accuracy"] == pytest.approx(result.metrics["accuracy"], abs=0.15)


@pytest.mark.slow
def test_the_script_of_a_regression(tmp_path: Path) -> None:
    text, result = ran(tmp_path, "full", "text-regression", priced(160))
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    assert theirs["rmse"] == pytest.approx(result.metrics["rmse"], abs=100), "the labels' deviation is about 340"
    saved = json.loads((tmp_path / "tiny" / "config.json").read_text())["modelnook_learnt"]
    ours = json.loads((result.path / "config.json").read_text())["modelnook_learnt"]
    assert saved == pytest.approx(ours)


@pytest.mark.slow
def test_the_script_of_many_labels(tmp_path: Path) -> None:
    text, result = ran(tmp_path, "full", "multi-label-classification", tagged(160))
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    assert theirs["f1_micro"] == pytest.approx(result.metrics["f1_micro"], abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_script_of_tags(tmp_path: Path, method: str) -> None:
    text, result = ran(tmp_path, method, "token-classification", tiny_tagged(160))
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    assert result.metrics["f1"] > 0.5
    assert theirs["f1"] == pytest.approx(result.metrics["f1"], abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pairs", "chats", "lora", "rslora", "texts", "packed"])
def test_the_script_of_a_writer(tmp_path: Path, form: str) -> None:
    rows = tiny_prompts(160)
    if form == "chats":
        turns = zip(rows["prompt"], rows["completion"], strict=True)
        rows = {"messages": [[chat("user", p), chat("assistant", c)] for p, c in turns]}
    if form == "texts":
        rows = {"text": rows["prompt"]}
    method = form if form in ("lora", "rslora") else "full"
    made = partial(tiny_writer, chat=form not in ("pairs", "packed"))
    knobs = {"packing": True} if form == "packed" else {}
    text, result = ran(tmp_path, method, "text-generation", rows, made, max_length=32, **knobs)
    assert ("DataCollatorWithFlattening()" in text) is (form == "packed") is bool(result.params.get("packing"))
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    assert result.metrics["loss"] < (0.97 if "lora" in form else 0.95) * result.baselines["untrained"]["loss"]
    assert theirs["loss"] == pytest.approx(result.metrics["loss"], rel=0.1)


@pytest.mark.slow
def test_the_script_of_missing_words(tmp_path: Path) -> None:
    rows = {"text": [" ".join(WORDS[(i + k) % 12] for k in range(10)) for i in range(160)]}
    text, result = ran(tmp_path, "full", "fill-mask", rows, epochs=8)
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    assert max(theirs["perplexity"], result.metrics["perplexity"]) < 60, "there are a hundred and more words"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_script_of_a_translator(tmp_path: Path, method: str) -> None:
    text, result = ran(tmp_path, method, "text2text-generation", tiny_pairs(160), tiny_translator, epochs=8)
    theirs = figures(text, tmp_path)
    spec = Text2TextGeneration()
    ours = spec.score(result.truth, result.outputs, ())
    assert set(theirs) == set(ours)
    assert ours["loss"] < result.baselines["untrained"]["loss"]
    assert theirs["loss"] == pytest.approx(ours["loss"], rel=0.15)


def chat(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.mark.slow
def test_the_script_of_questions(tmp_path: Path) -> None:
    text, result = ran(tmp_path, "full", "question-answering", tiny_asked(160), max_length=32, epochs=16)
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    assert result.metrics["f1"] > 0.6
    assert theirs["f1"] == pytest.approx(result.metrics["f1"], abs=0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "task", "rows"),
    [
        ("tfidf", "text-classification", tiny_rows(160)),
        (
            "tfidf",
            "text-classification",
            {"text": ["房间很好", "房间很差", "服务好"] * 53, "label": ["1", "0", "1"] * 53},
        ),
        ("tfidf", "text-regression", priced(160)),
        ("tfidf", "multi-label-classification", tagged(160)),
        ("trees", "table", loans(160)),
    ],
)
def test_the_script_of_a_method_without_a_base(tmp_path: Path, method: str, task: str, rows: Any) -> None:
    rows = {role: [*values, *values][:160] for role, values in rows.items()}
    text, result = ran(tmp_path, method, task, rows)
    ast.parse(text)
    assert "import torch" not in text
    assert max(map(len, text.splitlines())) <= 160
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    for name, value in theirs.items():
        assert value == pytest.approx(result.metrics[name], rel=1e-3, abs=1e-3), name


def test_the_script_is_plain(tmp_path: Path) -> None:
    text, _ = ran(tmp_path, "full", epochs=1)
    ast.parse(text)
    assert "import modelnook" not in text
    assert "LABELS = ['ham', 'spam']" in text
    assert max(map(len, text.splitlines())) <= 160


@pytest.mark.slow
@pytest.mark.parametrize(("form", "method"), [("scored", "full"), ("matched", "full"), ("matched", "lora")])
def test_the_script_of_similar_sentences(tmp_path: Path, form: str, method: str) -> None:
    rows = {"scored": scored, "matched": matched}[form](160)
    text, result = ran(tmp_path, method, "sentence-similarity", rows)
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    for name, value in theirs.items():
        assert value == pytest.approx(result.metrics[name], abs=0.25)
    assert (tmp_path / "tiny" / "model.safetensors").is_file()


@pytest.mark.slow
def test_the_script_of_similar_sentences_reads_rows_to_evaluate_of_another_form(tmp_path: Path) -> None:
    """Trained on pairs that belong together, evaluated on pairs with a score, whose columns have other names."""
    base, rows, checks = tiny_model(tmp_path / "base"), matched(80), scored(40)
    snapshot(tmp_path / "data", rows)
    other = replace(snapshot(tmp_path / "checks", checks), fingerprint="g")
    (tmp_path / "checks" / "f").rename(tmp_path / "data" / "g")
    recipe = Recipe(
        "finetune",
        "local:base",
        data=DatasetRef("f", 80, {name: name for name in rows}),
        eval_data=other,
        task="sentence-similarity",
        method="full",
        knobs={"epochs": 1, "learning_rate": 5e-4, "batch_size": 8, "max_length": 16},
        name="tiny",
        threads=1,
    )
    result = fit(recipe, base, rows, checks, tmp_path / "out", tmp_path / "checkpoints", lambda event: None)
    record = RunRecord("run1", "tiny", "finetune", "finished", params=result.params)
    theirs = figures(code(recipe, record, base, tmp_path / "data", tmp_path / "run1"), tmp_path)
    assert set(theirs) == set(result.metrics) == {"spearman", "pearson"}
    assert theirs["pearson"] == pytest.approx(result.metrics["pearson"], abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("late", [0.5, 0.15])
def test_the_script_of_a_table(tmp_path: Path, late: float) -> None:
    text, result = ran(tmp_path, "full", "table", loans(160, late=late), max_length=48)
    theirs = figures(text, tmp_path)
    assert set(theirs) == set(result.metrics)
    assert theirs["accuracy"] == pytest.approx(result.metrics["accuracy"], abs=0.15)
    assert theirs["auc_pr"] == pytest.approx(result.metrics["auc_pr"], abs=0.25)


def pooled_by(how: str, folder: Path) -> Path:
    tiny_sentence_encoder(folder)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": how}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cls", "lasttoken", "max"])
def test_the_script_pools_as_the_folder_says(tmp_path: Path, how: str) -> None:
    # Next to nothing is learnt: the vectors alone decide.
    still = {"learning_rate": 1e-9, "precision": "fp32"}
    text, result = ran(tmp_path, "full", "sentence-similarity", scored(160), partial(pooled_by, how), **still)
    assert figures(text, tmp_path)["spearman"] == pytest.approx(result.metrics["spearman"], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_script_has_the_layers_after_the_pooling(tmp_path: Path, method: str) -> None:
    make = partial(tiny_sentence_encoder, dense=((24, "Tanh"), (8, "Identity")))
    text, result = ran(tmp_path, method, "sentence-similarity", scored(160), make, epochs=2, precision="fp32")
    assert figures(text, tmp_path)["spearman"] == pytest.approx(result.metrics["spearman"], abs=0.1)
    base, made = (
        runtime(tmp_path / name, task="sentence-similarity", device="cpu").outputs(["the dog"])
        for name in ("base", "tiny")
    )
    assert base.shape == made.shape == (1, 1, 8)
    assert abs(base - made).max() > 1e-3


@pytest.mark.slow
def test_the_script_of_layers_after_the_pooling_computes_what_the_run_does(tmp_path: Path) -> None:
    # Next to nothing is learnt: the vectors alone decide.
    still = {"learning_rate": 1e-9, "precision": "fp32"}
    make = partial(tiny_sentence_encoder, dense=((24, "Tanh"), (8, "Identity")))
    text, result = ran(tmp_path, "full", "sentence-similarity", scored(160), make, **still)
    assert figures(text, tmp_path)["spearman"] == pytest.approx(result.metrics["spearman"], abs=0.01)
    before, after = (
        runtime(tmp_path / name, task="sentence-similarity", device="cpu").outputs(["the dog", "a cat"])
        for name in ("base", "tiny")
    )
    assert abs(before - after).max() < 1e-4


def unpadded(folder: Path) -> Path:
    """A decoder whose folder names no token for padding."""
    tiny_writer(folder)
    for name in ("config.json", "tokenizer_config.json"):
        file = folder / name
        said = json.loads(file.read_text())
        file.write_text(json.dumps({n: value for n, value in said.items() if n not in ("pad_token", "pad_token_id")}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "rows"),
    [
        ("text-classification", tiny_rows(160)),
        ("token-classification", tiny_tagged(160)),
        ("question-answering", tiny_asked(160)),
        ("sentence-similarity", scored(160)),
    ],
)
def test_the_script_of_a_decoder_without_padding(tmp_path: Path, task: str, rows: dict[str, list[Any]]) -> None:
    text, result = ran(tmp_path, "full", task, rows, unpadded, epochs=1, max_length=32)
    assert set(figures(text, tmp_path)) == set(result.metrics)


@pytest.mark.slow
def test_the_script_of_conversations_reads_what_the_run_reads(tmp_path: Path) -> None:
    rows = tiny_prompts(160)
    turns = [[{"from": "human", "value": p}, {"from": "助手", "value": c}] for p, c in zip(*rows.values(), strict=True)]
    text, result = ran(
        tmp_path,
        "full",
        "text-generation",
        {"messages": [json.dumps(cell) for cell in turns]},
        partial(tiny_writer, chat=True),
        max_length=32,
    )
    assert figures(text, tmp_path)["loss"] == pytest.approx(result.metrics["loss"], rel=0.1)


@pytest.mark.slow
def test_the_script_of_a_template_that_rewrites_earlier_turns(tmp_path: Path) -> None:
    pairs = [*zip(*tiny_prompts(20).values(), strict=True)]
    rows = {
        "messages": [
            [chat("user", p), chat("assistant", c), chat("user", q), chat("assistant", d)]
            for (p, c), (q, d) in zip(pairs, pairs[1:] + pairs[:1], strict=True)
        ]
    }

    def rewriting(folder: Path) -> Path:
        made = tiny_writer(folder, chat=True)
        (made / "chat_template.jinja").write_text(
            "{% for m in messages %}[CLS]{{ m['role'] }} {% if loop.last and m['role'] == 'assistant' %}we {% endif %}"
            "{{ m['content'] }}[SEP]{% endfor %}{% if add_generation_prompt %}[CLS]assistant {% endif %}"
        )
        return made

    base, data = rewriting(tmp_path / "base"), snapshot(tmp_path / "data", rows)
    knobs = {"epochs": 1, "learning_rate": 5e-3, "batch_size": 8, "max_length": 32}
    recipe = Recipe(
        "finetune", "local:base", data=data, task="text-generation", method="full", knobs=knobs, name="a", threads=1
    )
    text = code(recipe, RunRecord("run1", "a", "finetune", "finished", params=knobs), base, tmp_path / "data", tmp_path)
    reads = "tokenizer = AutoTokenizer.from_pretrained(MODEL)\nprint(json.dumps([encode(row) for row in read(DATA)]))\n"
    theirs = json.loads(output_of(text[: text.index("set_seed(")] + reads, tmp_path).splitlines()[-1])
    task = TASKS.load("text-generation")()
    ours = task.encode(task.load(str(base))[1], rows, 32)
    assert theirs == [
        {"input_ids": list(ids), "labels": list(labels)}
        for ids, labels in zip(ours["input_ids"], ours["labels"], strict=True)
    ]


@pytest.mark.slow
def test_the_script_of_missing_words_trains_a_head_that_is_new(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    rows = {"text": [" ".join(WORDS[(i + k) % 12] for k in range(10)) for i in range(160)]}
    text, result = ran(tmp_path, "lora", "fill-mask", rows, epochs=8)
    theirs = figures(text, tmp_path)
    assert theirs["loss"] == pytest.approx(result.metrics["loss"], rel=0.15)
    for folder in (tmp_path / "tiny", result.path):
        assert load_file(folder / "model.safetensors")["cls.predictions.transform.dense.bias"].any(), "it began with 0"


@pytest.mark.slow
def test_the_script_ends_by_patience_where_it_is_evaluated_and_freezes_no_more_than_there_is(tmp_path: Path) -> None:
    text, result = ran(tmp_path, "last-k", epochs=1.5, patience=2, layers=9)
    assert "EarlyStopping" not in text
    assert set(figures(text, tmp_path)) == set(result.metrics)
