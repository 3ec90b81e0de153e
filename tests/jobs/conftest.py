"""Jobs on a random two-layer model: real worker processes, one thread each."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelnook.testing.models import tiny_model, tiny_rows


@pytest.fixture(autouse=True)
def _one_thread(untracked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_THREADS", "1")


@pytest.fixture
def logged(untracked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are logged as a person's are."""
    monkeypatch.delenv("WANDB_MODE")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path to a tiny encoder."""
    return str(tiny_model(tmp_path_factory.mktemp("tiny") / "base"))


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return table(96)


def table(count: int, seed: int = 0) -> list[dict[str, Any]]:
    columns = tiny_rows(count, seed=seed)
    return [{"text": x, "label": y} for x, y in zip(columns["text"], columns["label"], strict=True)]


def until(condition: Callable[[], object], seconds: float = 300.0, look: float = 0.05) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(look)


@pytest.fixture
def store_home(_alone: None) -> Path:
    from modelnook.settings import home

    return home()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in this process, and a model is measured for a moment."""
    from modelnook.jobs import executor, submit
    from modelnook.measure.probe import Probe, measure
    from modelnook.measure.race import race

    start = submit._start

    def in_kernel(store: Any, run: Any, recipe: Any, place: Any, *, seen: int = 0) -> None:
        start(store, run, recipe, executor("kernel"), seen=seen)

    def prober(context: Any, seconds: float | None = None, **more: Any) -> Callable[..., Probe]:
        return lambda path, rows: measure(path, rows, task=context.recipe.task, seconds=0.02)

    def racer(context: Any) -> Callable[..., Any]:
        return lambda paths, rows: race(paths, rows, task=context.recipe.task, seconds=0.02)

    monkeypatch.setattr("modelnook.measure.speed.REST", 0.0)
    for step in ("quantize", "smaller"):
        monkeypatch.setattr(f"modelnook.jobs.steps.{step}.racer", racer)
    monkeypatch.setattr(submit, "_start", in_kernel)
    for step in ("work", "quantize", "compare", "trial"):
        monkeypatch.setattr(f"modelnook.jobs.steps.{step}.prober", prober)
