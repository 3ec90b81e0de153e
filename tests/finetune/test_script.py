"""``run.code()``: the script runs by itself, and its figures are the run's."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.dataset import DatasetRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.engine import FitResult, fit
from modelnook.finetune.script import code
from modelnook.testing.models import tiny_model, tiny_rows


def snapshot(folder: Path, rows: dict[str, list[Any]]) -> DatasetRef:
    import pyarrow as pa

    (folder / "f").mkdir(parents=True)
    table = pa.table(rows)
    with pa.OSFile(str(folder / "f" / "data.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return DatasetRef("f", table.num_rows, {name: name for name in rows})


def ran(tmp_path: Path, method: str, **knobs: Any) -> tuple[str, FitResult]:
    """A run, and its script."""
    rows = tiny_rows(160)
    split = {"train": list(range(120)), "validation": list(range(120, 160))}
    base = tiny_model(tmp_path / "base")
    run = tmp_path / "run1"
    run.mkdir()
    (run / "split.json").write_text(json.dumps(split))
    recipe = Recipe(
        "finetune",
        "local:base",
        data=snapshot(tmp_path / "data", rows),
        task="text-classification",
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
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_script_gives_about_the_same_metrics(tmp_path: Path, method: str) -> None:
    text, result = ran(tmp_path, method)
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    theirs = json.loads(line)
    assert set(theirs) == set(result.metrics)
    assert theirs["accuracy"] == pytest.approx(result.metrics["accuracy"], abs=0.15)
    assert (tmp_path / "tiny" / "model.safetensors").is_file()


def test_the_script_is_plain(tmp_path: Path) -> None:
    text, _ = ran(tmp_path, "full", epochs=1)
    ast.parse(text)
    assert "import modelnook" not in text
    assert "LABELS = ['ham', 'spam']" in text
    assert max(map(len, text.splitlines())) <= 160
