"""src/data/types.ts says what the domain's values say: made by tools/typescript.py, and true of ``to_dict``."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from tools.typescript import SHAPES, TARGET, Shape, properties, text

from modelnook.domain.event import event_to_dict
from modelnook.domain.table import Table

NAMES = {shape.cls: shape.name for shape in SHAPES}
TOOL = Path(__file__).parents[2] / "tools" / "typescript.py"


def sample(cls: type) -> Any:
    values = {"table": Table(("a",), ((1,),)), "data": {}, "front": (), "columns": ("a",), "rows": ((1,),), "items": ()}
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    return cls(**{name: values.get(name, "x") for name in needed})


def json_of(shape: Shape) -> dict[str, Any]:
    value = sample(shape.cls)
    if hasattr(value, "to_dict"):
        return dict(value.to_dict())
    return {k: v for k, v in event_to_dict(value).items() if k != "type"}


def test_the_committed_file_is_what_the_tool_makes() -> None:
    assert TARGET.read_text(encoding="utf-8") == text(), "stale: run python tools/typescript.py"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_the_properties_are_those_of_the_json(shape: Shape) -> None:
    spread = [s for s in SHAPES if shape.spread and s.cls is Table]
    said = {name for one in (shape, *spread) for name in properties(one, NAMES)}
    assert said == set(json_of(shape))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_what_is_said_finer_is_a_field(shape: Shape) -> None:
    known = {f.name for f in fields(shape.cls)}
    assert set(shape.finer) <= known
    assert not set(shape.more) & known


def test_the_tool_runs_by_itself() -> None:
    assert subprocess.run([sys.executable, str(TOOL), "--check"], check=False).returncode == 0
