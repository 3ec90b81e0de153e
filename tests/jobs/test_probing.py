"""Measuring in a process of its own leaves none of a person's rows behind, however it ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelnook.domain.errors import UnsupportedError
from modelnook.jobs.steps import probing
from modelnook.jobs.steps.probing import prober, racer
from modelnook.store import Store


def _context(folder: Path, stop: Any, device: str) -> Any:
    run = SimpleNamespace(path=folder, log=folder / "log")
    recipe = SimpleNamespace(task=None)
    return SimpleNamespace(run=run, store=Store(), recipe=recipe, stop=stop, device=lambda: device)


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.parametrize("kind", ["probe", "race"])
def test_a_model_is_measured_on_the_jobs_device(
    tmp_path: Path, kind: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def call(arguments: list[str], *rest: Any, **more: Any) -> int:
        called.append(arguments)
        return -9

    monkeypatch.setattr(probing.process, "call", call)
    context = _context(tmp_path, lambda: False, device)
    measure: Any = racer(context) if kind == "race" else prober(context)
    with pytest.raises(UnsupportedError):
        measure([tmp_path] if kind == "race" else tmp_path, ["a text"])
    (arguments,) = called
    assert arguments[arguments.index("--device") + 1] == device


@pytest.mark.parametrize("kind", ["probe", "race"])
def test_a_stopped_measurement_leaves_nothing(tmp_path: Path, kind: str) -> None:
    seen: list[str] = []
    folder = tmp_path / "run"
    folder.mkdir()

    def stop() -> bool:
        seen.extend(path.relative_to(folder).as_posix() for path in folder.rglob("rows.json"))
        return True

    context = _context(folder, stop, "cpu")
    measure: Any = racer(context) if kind == "race" else prober(context, place=1)
    with pytest.raises(UnsupportedError):
        measure([folder] if kind == "race" else folder, ["a text"])
    assert seen
    assert all(name.startswith("probe") for name in seen), "the name that a killed job's leftovers are found by"
    assert [path.name for path in folder.iterdir()] == ["log"]
