"""What a model writes in a cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.magics.show import Said
from modelnook.testing.models import tiny_writer

pytestmark = pytest.mark.slow


def test_a_cell_shows_it_once_and_keeps_it(shell: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = str(tiny_writer(tmp_path / "writer"))
    text = mn.run(writer, "good room\nand bed", max_new_tokens=12)
    shell.run_cell(f"%%model run {writer} --max-new-tokens 12 -o said\ngood room\nand bed")
    assert capsys.readouterr().out.count(str(text)) == 1, "whole, as the cell's value"
    assert shell.user_ns["said"] == text
    assert not isinstance(shell.user_ns["said"], Said)
    shell.run_cell("said")
    assert str(text) in capsys.readouterr().out
