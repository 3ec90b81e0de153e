"""The whole way of a training job, and what a second Run All finds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.domain.errors import (
    ConflictError,
    DataError,
    ModelnookError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from modelnook.run import Run
from modelnook.store import Store

from .conftest import table

pytestmark = pytest.mark.slow

Rows = list[dict[str, Any]]


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


def test_lora_makes_a_model_that_stands_alone(tiny: str, rows: Rows) -> None:
    planned = mn.finetune(tiny, rows, rank=4, dry_run=True)
    assert (planned.method, planned.reason) == ("lora", "lora: rank is a setting of it")
    run = mn.finetune(tiny, rows, name="adapted", rank=4, alpha=12, epochs=1, background=True)
    assert run.note == "Trained with LoRA: rank is a setting of it."
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
    assert mn.runs().items == ()


def test_a_folder_without_a_model_starts_no_job(rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match=r"config\.json") as caught:
        mn.finetune("./x", rows)
    assert "'./x'" in caught.value.message
    assert caught.value.hint
    assert mn.runs().items == ()


def test_an_architecture_that_the_task_cannot_use(tiny: str, rows: Rows, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "x")
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    other = {"model_type": "vit", "architectures": ["ViTModel"]}
    (tmp_path / "x" / "config.json").write_text(json.dumps(config | other))
    with pytest.raises(UnsupportedError, match="has no form for text-classification") as caught:
        mn.finetune(str(tmp_path / "x"), rows, task="text-classification", on="kernel", track="none")
    assert "Take a text encoder instead" in caught.value.hint
    [run] = mn.runs()
    assert (run.state, run.record.error["code"]) == ("failed", "task.no_head")


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


def test_pickled_weights_are_refused(tiny: str, rows: Rows, tmp_path: Path) -> None:
    import shutil

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
    found = mn.evaluate("spam", rows, metrics=["f1_macro"], slices=["city", "price"])
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
