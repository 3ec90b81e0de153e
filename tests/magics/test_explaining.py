"""An explanation in a cell: its card, and the value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.magics.test_completion import completed

from modelnook.domain.explanation import Explanation
from modelnook.testing.explainers import learnt, planted

pytest.importorskip("sklearn")


def test_a_cell_of_texts_is_explained(shell: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learnt(tmp_path / "spam", "text-classification", planted()).close()
    shell.run_cell(f"%%model explain {tmp_path / 'spam'} -o why\nwin the garden\ncoffee")
    said = capsys.readouterr().out
    assert "win +" in said
    why = shell.user_ns["why"]
    assert isinstance(why, Explanation)
    assert why.tokens == ("win", "the", "garden", "coffee")
    shell.user_ns["rows"] = ["win"]
    shell.run_cell(f"%model explain {tmp_path / 'spam'} --data rows --label ham --method occlusion -o why")
    assert shell.user_ns["why"].items[0].label == "ham"
    html = shell.display_formatter.format(why)[0]["text/html"]
    assert "rgba(" in html
    assert "<sup>+" in html


def test_options_are_completed(shell: Any) -> None:
    shell.user_ns["rows"] = pd.DataFrame({"body": ["a"]})
    typed = "%model explain topics --data rows"
    assert completed(shell.Completer, f"{typed} --method ") >= {
        f"{typed} --method {name}" for name in ("auto", "linear", "occlusion", "shapley")
    }
    assert f"{typed} --text body" in completed(shell.Completer, f"{typed} --text b")
