"""README's table of tasks and methods is what the code allows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelnook.finetune import METHODS, alone
from modelnook.tasks import TASKS

ROOT = Path(__file__).parents[2]


def test_the_front_end_keeps_the_same_baselines() -> None:
    text = (ROOT / "src/views/parts/run-metrics.tsx").read_text(encoding="utf-8")
    block = re.search(r"const KEPT.*?\{(.*?)\};", text, re.DOTALL)
    assert block
    found = {
        name: set(re.findall(r"'([a-z-]+)'", tasks)) for name, tasks in re.findall(r"(\w+): \[(.*?)\]", block[1], re.S)
    }
    wanted = {m: {n for n in TASKS if m in TASKS.load(n, light=True).methods} for m in METHODS if alone(m)}
    assert found == wanted


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
