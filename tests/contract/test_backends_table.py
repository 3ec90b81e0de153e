"""The READMEs' table of quantization backends is what their rows say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelnook.quantize import QUANTIZERS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_table_is_that_of_the_rows(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    table = re.search(r"^\| [^|]+ \| `--to` \| \|\n\|---\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table, "a table with the column --to"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    found = {name.strip("`"): tuple(re.findall(r"`(\w+)`", schemes)) for name, schemes, _ in rows}
    assert found == {name: entry.schemes for name, entry in QUANTIZERS.items()}
    for name, _, said in rows:
        entry = QUANTIZERS[name.strip("`")]
        assert ("GPU" in said) >= (entry.gpu or entry.for_gpu), name
