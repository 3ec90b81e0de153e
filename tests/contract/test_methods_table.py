"""README's table of tasks and methods is what the code allows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelnook.finetune import METHODS
from modelnook.tasks import TASKS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_table_is_that_of_the_tasks(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    head = re.search(r"^\|[^|]*\|((?: `[a-z-]+` \|)+)$", text, re.MULTILINE)
    assert head, "a head row with the methods"
    methods = re.findall(r"`([a-z-]+)`", head[1])
    assert sorted(methods) == sorted(METHODS)
    found = {}
    row = rf"^\| `([a-z0-9-]+)`[^|]*\|((?:[^|\n]*\|){{{len(methods)}}})$"
    for name, cells in re.findall(row, text, re.MULTILINE):
        if name in TASKS:
            found[name] = tuple(m for m, cell in zip(methods, cells.split("|"), strict=False) if cell.strip() == "✓")
    assert set(found) == set(TASKS)
    for name, allowed in found.items():
        assert set(allowed) == set(TASKS.load(name, light=True).methods), name
