"""Measuring in a process of its own leaves none of a person's rows behind, however it ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelnook.domain.errors import UnsupportedError
from modelnook.jobs.steps.probing import prober, racer
from modelnook.store import Store


@pytest.mark.parametrize("kind", ["probe", "race"])
def test_a_stopped_measurement_leaves_nothing(tmp_path: Path, kind: str) -> None:
    seen: list[str] = []
    folder = tmp_path / "run"
    folder.mkdir()

    def stop() -> bool:
        seen.extend(path.relative_to(folder).as_posix() for path in folder.rglob("rows.json"))
        return True

    run = SimpleNamespace(path=folder, log=folder / "log")
    context: Any = SimpleNamespace(run=run, store=Store(), recipe=SimpleNamespace(task=None), stop=stop)
    measure: Any = racer(context) if kind == "race" else prober(context, place=1)
    with pytest.raises(UnsupportedError):
        measure([folder] if kind == "race" else folder, ["a text"])
    assert seen
    assert all(name.startswith("probe") for name in seen), "the name that a killed job's leftovers are found by"
    assert [path.name for path in folder.iterdir()] == ["log"]
