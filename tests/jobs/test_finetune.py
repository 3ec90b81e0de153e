"""The whole way of a training job, and what a second Run All finds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook import cards
from modelnook.api.bases import check_method
from modelnook.domain.errors import (
    ConflictError,
    DataError,
    ModelnookError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from modelnook.finetune import METHODS
from modelnook.run import Run
from modelnook.store import Store
from modelnook.store.runs import seconds
from modelnook.tasks import TASKS
from modelnook.testing.models import tiny_translator, tiny_writer

from .conftest import table

pytestmark = pytest.mark.slow

Rows = list[dict[str, Any]]


@pytest.mark.usefixtures("logged")
def test_a_run_from_rows_to_a_model(tiny: str, rows: Rows) -> None:
    run = mn.finetune(tiny, rows, name="spam", epochs=4)
    assert (run.state, run.model, run.base) == ("finished", "local:spam@1", tiny)
    assert set(run.metrics) >= {"accuracy", "f1_macro"}
    low, high = run.intervals["accuracy"]
    assert low <= run.metrics["accuracy"] <= high
    assert {"majority", "tfidf"} <= set(run.baselines)
    history = run.history()
    assert {"step", "epoch", "time", "loss"} <= set(history.columns)
    assert history["step"].is_monotonic_increasing
    assert history["epoch"].is_monotonic_increasing
    assert history["epoch"].iloc[-1] == pytest.approx(4)
    info = mn.info("spam")
    assert info.task == "text-classification"
    assert info.base_model == tiny
    assert info.run == run.id
    assert not list((Store().home / "runs" / run.id).glob("checkpoints/*"))
    answers = mn.predict("spam", [rows[0]["text"], rows[1]["text"]])
    assert list(answers.columns) == ["label", "score", "scores"]
    assert set(answers["label"]) <= {"ham", "spam"}

    again = mn.finetune(tiny, rows, name="spam", epochs=4)
    assert again.id == run.id
    assert again.note
    anew = mn.finetune(tiny, rows, name="spam", epochs=4, again=True)
    assert anew.model == "local:spam@2"
    assert mn.info("spam").revision == "2"
    assert anew.metrics == run.metrics, "the same recipe on the same data gives the same result"

    judged = mn.evaluate("spam", table(40, seed=9))
    assert judged.metrics["accuracy"] == pytest.approx(judged.to_frame().set_index("metric")["value"]["accuracy"])
    assert judged.note == ""
    assert mn.evaluate("spam").note, "validation rows are marked as used while choosing"
    sliced(table(40, seed=9))
    assert {r.kind for r in mn.runs()} == {"finetune", "evaluate"}


def test_a_column_that_divides_the_rows_otherwise_is_another_run(rows: Rows) -> None:
    def validation(parts: list[int]) -> tuple[str, list[int]]:
        given = [{**row, "part": part} for row, part in zip(rows, parts, strict=True)]
        run = mn.finetune(data=given, method="tfidf", split="group:part", name="spam", on="kernel", track="none")
        return run.id, run.folder.split()["validation"]

    first, second = ([(i + moved) // 12 for i in range(96)] for moved in (0, 6))
    (run, held), (other, theirs) = validation(first), validation(second)
    assert run != other
    assert held != theirs
    assert validation(second) == (other, theirs), "Run All twice is free"


def test_lora_makes_a_model_that_stands_alone(tiny: str, rows: Rows) -> None:
    planned = mn.finetune(tiny, rows, rank=4, dry_run=True)
    assert (planned.method, planned.reason) == ("lora", "lora: rank is a setting of it")
    run = mn.finetune(tiny, rows, name="adapted", rank=4, alpha=12, epochs=1, background=True)
    assert run.note == "Trained with lora: rank is a setting of it."
    run.wait()
    folder = Path(mn.info("adapted").path or "")
    assert (folder / "model.safetensors").exists()
    assert not list(folder.glob("adapter_*"))
    assert run.params["method"] == "lora"
    assert "r=4, lora_alpha=12" in run.code()


def test_in_this_process(tiny: str, rows: Rows) -> None:
    run = mn.finetune(tiny, rows, name="here", epochs=1, on="kernel")
    assert run.state == "finished"
    assert run.record.pid is None


def test_the_kernel_stays_free_of_torch(tiny: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(r) for r in table(40)))
    code = (
        f"import sys, modelnook as mn\nrun = mn.finetune({tiny!r}, {str(file)!r}, name='light', epochs=1)\n"
        "print(run.state, 'torch' in sys.modules, 'transformers' in sys.modules, 'datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["finished", "False", "False", "False"], done.stderr


def test_a_file_beside_the_notebook_does_not_shadow_a_package(
    tiny: str, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizers.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert mn.finetune(tiny, rows, name="calm", epochs=1).state == "finished"


def test_eval_data_is_used_whole(tiny: str, rows: Rows) -> None:
    run = mn.finetune(tiny, rows, eval_data=table(20, seed=3), name="given", epochs=1)
    assert run.params["rows"] == 96


def test_dry_run_stops_at_the_plan(tiny: str, rows: Rows) -> None:
    plan = mn.finetune(tiny, rows, dry_run=True)
    assert plan.rows + 10 >= 96 - 10
    assert plan.method == "full"
    assert plan.patience == 3
    assert mn.runs().items == ()


def test_a_dry_run_tells_what_there_is_to_say_of_the_rows(tiny: str, rows: Rows) -> None:
    odd = [*rows, *rows[:9], {"text": rows[0]["text"], "label": {"ham": "spam", "spam": "ham"}[rows[0]["label"]]}]
    said = mn.finetune(tiny, odd, eval_data=[*rows[:4], *table(20, seed=3)], dry_run=True)
    assert {"data.leak", "data.conflict", "data.copies"} <= {w.code for w in said.warnings}
    assert "data.copies" in {w.code for w in mn.finetune(tiny, odd, dry_run=True).warnings}


def test_a_label_by_another_name_is_not_passed_over(tiny: str) -> None:
    rows = [{"review": f"good {i}" if i % 2 else f"bad {i}", "verdict": "yes" if i % 2 else "no"} for i in range(60)]
    plan = mn.finetune(tiny, rows, dry_run=True)
    assert (plan.task, plan.columns) == ("text-classification", {"label": "verdict", "text": "review"})
    assert all(word in cards.text(plan) for word in ("text-classification", plan.base, "label=verdict"))
    with pytest.raises(UsageError, match="no use for 'label'"):
        mn.finetune(tiny, rows, task="fill-mask", label="verdict", dry_run=True)


def test_a_budget_of_time_is_part_of_what_chooses(tiny: str, rows: Rows) -> None:
    plan = mn.finetune(tiny, rows, budget="0.1s", dry_run=True)
    assert plan.method in ("last-k", "head")
    assert "0.1 s are given" in plan.reason
    assert mn.finetune(tiny, rows, budget="10m", dry_run=True).method == "full"


def test_the_plan_is_told_before_the_first_step_and_kept(tiny: str, rows: Rows) -> None:
    dry = mn.finetune(tiny, rows, dry_run=True)
    assert dry.seconds is not None, "nothing was trained here yet"
    run = mn.finetune(tiny, rows, name="told", background=True)
    while run.record.plan is None and run.record.live:
        time.sleep(0.005)
    early = run.record
    done = run.wait().record
    told = done.plan
    assert told is not None
    assert early.plan == told
    low, high = told["seconds"]
    took = seconds(done.ended) - seconds(done.started)
    assert low <= took <= high
    assert low <= dry.seconds[1]
    assert (told["rows"], told["held_out"], told["batch_size"]) == (dry.rows, dry.held_out, dry.batch_size)
    assert told["memory_free"] > told["memory"] > 100 << 20
    assert told["disk_free"] > told["disk"] > 0
    # The card of a run that goes on, whatever this one came to meanwhile.
    live = cards.text(replace(done, state="running", progress={"phase": "training", "step": 1, "total": 9}, metrics={}))
    assert told["reason"] in live
    for label in ("memory needed", "free now", "disk for it", "tokens cut off", "time"):
        assert label in live, label
    assert len(live.splitlines()) <= 12
    assert "memory needed" not in cards.text(done)
    again = mn.finetune(tiny, rows, name="told-again", dry_run=True)
    assert again.known, "by what it took"


@pytest.mark.parametrize(
    ("asked", "method"),
    [
        ({"warmup": 0.3, "weight_decay": 0.05, "patience": 1, "precision": "fp32"}, "full"),
        ({"rank": 2, "alpha": 3, "dropout": 0.25}, "lora"),
        ({"layers": 1}, "last-k"),
        ({"mix": 0.25, "temperature": 0.5}, "few-shot"),
    ],
    ids=str,
)
def test_each_knob_reaches_the_run(tiny: str, rows: Rows, asked: dict[str, Any], method: str) -> None:
    run = mn.finetune(
        tiny, rows, name="knobs", epochs=1, on="kernel", method="full" if method == "full" else "auto", **asked
    )
    assert run.params["method"] == method
    assert {name: run.params[name] for name in asked} == asked


def test_a_folder_without_a_model_starts_no_job(rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match=r"config\.json") as caught:
        mn.finetune("./x", rows)
    assert "'./x'" in caught.value.message
    assert caught.value.hint
    assert mn.runs().items == ()


def test_how_a_file_was_read_is_a_warning_of_the_run(tiny: str, rows: Rows, tmp_path: Path) -> None:
    lines = [f"{row['text']} 好,{row['label']}" for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["内容,标签", *lines]), encoding="gbk")
    run = mn.finetune(tiny, str(tmp_path / "rows.csv"), epochs=0.1, on="kernel", track="none")
    assert run.state == "finished"
    assert [w for w in run.warnings if "is not UTF-8 and was read as GB18030" in w]
    assert run.record.data["columns"] == {"text": "内容", "label": "标签"}


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"epochs": -1}, UsageError, "epochs"),
        ({"learning_rate": 0}, UsageError, "learning_rate"),
        ({"batch_size": 0}, UsageError, "batch_size"),
        ({"method": "lorra"}, UsageError, "lora"),
        ({"method": "full", "rank": 8}, UsageError, "lora, dora"),
        ({"method": "lora", "rank": 0}, UsageError, "rank"),
        ({"method": "full", "layers": 2}, UsageError, "last-k"),
        ({"rank": 2, "layers": 2}, UsageError, "--method"),
        ({"warmup": 1.5}, UsageError, "0 to 0.9"),
        ({"patience": 1.5}, UsageError, "patience"),
        ({"precision": "fp23"}, UsageError, "fp32"),
        ({"mix": 2, "method": "few-shot"}, UsageError, "0 to 1"),
        ({"metric": "acuracy"}, UsageError, "accuracy"),
        ({"task": "text-clasification"}, UsageError, "text-classification"),
        ({"text": "txt"}, ModelnookError, "text"),
        ({"split": "time"}, UsageError, "time"),
        ({"name": "a/b"}, UsageError, "a/b"),
        ({"size": "huge"}, UsageError, "balanced"),
        ({"on": "moon"}, UsageError, "kernel"),
        ({"budget": "soon"}, UsageError, "90s"),
        ({"ref": "pip:nothing-here"}, NotFoundError, "nothing-here"),
        ({"ref": "./no/such/folder"}, NotFoundError, "folder"),
        ({"data": "./no-such.csv"}, NotFoundError, "no-such.csv"),
        ({"data": [{"text": "a", "label": "x"}] * 8}, DataError, "two labels"),
        ({"eval_data": [{"text": "a", "label": "eggs"}] * 8}, DataError, "eval_data"),
        ({"eval_data": [{"texts": "a"}] * 8, "text": "text"}, NotFoundError, "eval_data"),
        ({"eval_data": [{"premise": "a", "hypothesis": "b", "label": "x"}] * 8}, DataError, "text, text_pair"),
        ({"eval_data": [{"text": "a", "label": "x"}] * 8, "split": "nonsense"}, UsageError, "predefined"),
        ({"data": [{"text": "a", "label": "x"}, {"text": ["b"], "label": "y"}] * 4}, DataError, "row 1"),
        ({"data": [{"text": "a", "label": {"id": n % 2}} for n in range(8)]}, DataError, "row 0 is a dict"),
        ({"data": [{"text": "a", "label": float("nan")}, {"text": "b", "label": 1.0}] * 4}, DataError, "row"),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence_and_a_next_step(
    tiny: str, rows: Rows, change: dict[str, Any], kind: type[ModelnookError], says: str
) -> None:
    asked = {"ref": tiny, "data": rows, **change}
    ref, data = asked.pop("ref"), asked.pop("data")
    with pytest.raises(kind) as caught:
        mn.finetune(ref, data, **asked)
    assert says in str(caught.value)
    assert caught.value.hint
    assert mn.runs().items == (), "nothing was started"


@pytest.mark.parametrize(
    ("task", "data", "can"),
    [
        ("text-generation", [{"text": f"word {i}"} for i in range(12)], "gpt2"),
        ("text2text-generation", [{"source": f"a {i}", "target": f"b {i}"} for i in range(12)], "marian"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_base_that_cannot_do_the_task_is_refused_before_a_job(
    tiny: str, task: str, data: Rows, can: str, dry_run: bool
) -> None:
    with pytest.raises(UnsupportedError, match="BertModel") as caught:
        mn.finetune(tiny, data, task=task, dry_run=dry_run)
    assert can in caught.value.hint
    assert mn.runs().items == ()


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_a_base_lacks_for_these_rows_is_told_before_a_job(tmp_path: Path, dry_run: bool) -> None:
    """An encoder-decoder tags no words; a tokenizer without a chat template writes no conversations."""
    words = [{"tokens": ["a", "dog"], "ner_tags": ["O", "B-ANIMAL"]}] * 12
    with pytest.raises(UnsupportedError, match="'BartForConditionalGeneration' has no form for token-class") as caught:
        mn.finetune(str(tiny_translator(tmp_path / "translator")), words, dry_run=dry_run)
    assert "deberta-v2" in caught.value.hint
    talk = [{"role": "user", "content": "a dog"}, {"role": "assistant", "content": "a cat"}]
    writer = str(tiny_writer(tmp_path / "writer"))
    with pytest.raises(UnsupportedError, match=f"'{writer}' has no chat template") as caught:
        mn.finetune(writer, [{"messages": talk}] * 12, dry_run=dry_run)
    assert "Instruct" in caught.value.hint
    assert mn.runs().items == ()


def test_columns_called_source_and_target_are_translated(tmp_path: Path) -> None:
    """``target`` is a label's name as well; texts that hardly repeat are none."""
    translator = str(tiny_translator(tmp_path / "translator"))
    pairs = [{"source": f"a dog {i}", "target": f"the cat {i}"} for i in range(12)]
    assert mn.finetune(translator, pairs, dry_run=True).task == "text2text-generation"


def test_a_writer_may_start_a_classifier_and_reads_no_sounds(tmp_path: Path, rows: Rows) -> None:
    writer = str(tiny_writer(tmp_path / "writer"))
    assert mn.finetune(writer, rows, task="text-classification", dry_run=True).method == "full"
    with pytest.raises(ModelnookError, match="LlamaForCausalLM") as caught:
        mn.finetune(writer, [{"audio": {"array": [0.0] * 999, "sampling_rate": 999}, "label": x} for x in "ab" * 8])
    assert "wav2vec2" in caught.value.hint
    assert mn.runs().items == ()


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_method_that_a_task_is_not_tested_with_is_refused_by_name(name: str) -> None:
    """The pairs that README's table leaves empty: no head for translation, no qlora for images."""
    spec = TASKS.load(name, light=True)()
    for method in set(METHODS) - set(spec.methods):
        with pytest.raises(UsageError) as caught:
            check_method(method, spec)
        assert {method, spec.name} <= set(re.findall(r"[\w-]+", str(caught.value)))
        assert ", ".join(spec.methods) in caught.value.hint


def test_a_row_of_a_megabyte_is_trained_on_and_answered(tiny: str, rows: Rows) -> None:
    long = {"text": "the dog and the cat " * 53_000, "label": "ham"}
    assert len(long["text"]) > 1 << 20
    run = mn.finetune(tiny, [*rows, long], name="long-row", epochs=1, on="kernel")
    assert run.state == "finished"
    assert run.params["max_length"] <= 64
    answers = mn.predict("long-row", [long["text"], "the dog"])
    assert set(answers["label"]) <= {"ham", "spam"}


def test_pickled_weights_are_refused(tiny: str, rows: Rows, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ModelnookError) as caught:
        mn.finetune(str(tmp_path / "pickled"), rows)
    assert "pickle" in str(caught.value)
    assert not list(mn.runs())  # refused before a job was started for it


def test_a_name_of_another_task_is_refused(tiny: str, rows: Rows) -> None:
    from modelnook.domain.model import ModelInfo

    folder = Store().home / "made"
    folder.mkdir(parents=True)
    Store().models.add("tagger", folder, ModelInfo("", "tagger", "local", task="token-classification"))
    with pytest.raises(ConflictError, match="token-classification"):
        mn.finetune(tiny, rows, name="tagger")


def sliced(rows: list[dict[str, Any]]) -> None:
    """Metrics chosen, and told by the values of a column."""
    rows = [{**row, "city": ("Ulm", "Köln")[i % 4 == 0], "price": i} for i, row in enumerate(rows)]
    found = mn.evaluate("spam", rows, metrics=" f1_macro, ", slices=["city", "price"])
    assert list(found.metrics) == ["f1_macro"]
    assert found.primary_metric == "f1_macro"
    assert found.slices is not None
    table_ = found.slices.to_frame()
    assert list(table_.columns) == ["column", "value", "rows", "f1_macro", "low", "high"]
    assert table_.groupby("column")["rows"].sum().to_dict() == {"city": 40, "price": 40}
    assert set(table_[table_["column"] == "city"]["value"]) == {"Ulm", "Köln"}
    assert len(table_[table_["column"] == "price"]) == 4, "quartiles of a number"
    with pytest.raises(UsageError, match="f1_makro"):
        mn.evaluate("spam", rows, metrics=["f1_makro"])
    with pytest.raises(NotFoundError, match="citi"):
        mn.evaluate("spam", rows, slices=["citi"])
    with pytest.raises(UsageError, match="city"):
        mn.evaluate("spam", slices=["city"])


def test_rows_that_another_run_reads_stay(tiny: str, rows: Rows) -> None:
    held = table(40, seed=5)
    run = mn.finetune(tiny, rows, eval_data=held, name="spam", epochs=1)
    judged = mn.evaluate("spam", held)
    Run(Store(), judged.run).delete()
    assert mn.evaluate("spam").metrics, "the validation rows are those of the deleted evaluation"
    kept = set((Store().home / "data").iterdir())
    for other in mn.runs():
        other.delete()
    assert kept
    assert not list((Store().home / "data").iterdir())
    assert not (Store().home / "runs" / run.id).exists()
