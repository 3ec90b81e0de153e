"""The walk without a person shows what is its own, whatever else is done in the same home."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from modelnook.domain.run import RunRecord
from modelnook.store import Store

SCRIPT = Path(__file__).parents[2] / "examples" / "run.py"


@pytest.fixture
def script() -> Any:
    spec = importlib.util.spec_from_file_location("walk_script", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_only_its_own_runs_are_shown(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {"created": "2026-11-24T17:00:00Z", "started": "2026-11-24T17:00:00Z", "kind": "finetune"}
    mine = RunRecord("aaaaaaaa", "mine", state="finished", notebook="01_first_model.ipynb", **made)
    other = RunRecord("bbbbbbbb", "other", state="finished", notebook=None, **made)
    Store().list_again([mine, other])

    def cell(source: str, text: str) -> Any:
        data = {"text/plain": text}
        return new_code_cell(source, outputs=[new_output("display_data", data=data)])

    book = tmp_path / "01_first_model.ipynb"
    cells = [
        cell("%model finetune x --data train", "first"),
        cell("%model finetune x --data train", "trained. Next: %model evaluate topics --data test"),
        cell("%model runs", "bbbbbbbb other"),
        new_code_cell("%load_ext modelnook\n%model"),
    ]
    nbformat.write(new_notebook(cells=cells), book)
    cards = script.shown(book)
    assert list(cards) == ["finetune"]
    script.results(cards, {book.name})
    out = capsys.readouterr().out
    assert "trained. Next: modelnook evaluate topics --data test.csv" in out
    assert "aaaaaaaa" in out
    assert "other" not in out
    assert [record.name for record in script.begun(None, {book.name}).items] == ["mine"]
