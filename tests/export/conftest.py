"""Small trained models to export, and a look at what was written from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.event import Event
from modelnook.domain.model import ModelInfo
from modelnook.testing.models import tiny_rows
from modelnook.testing.trained import trained_model

Export = Callable[..., dict[str, Any]]
Outside = Callable[[str, Path, list[str]], Any]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trained classifier."""
    return trained_model(tmp_path_factory.mktemp("export") / "spam")


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Texts of unlike lengths."""
    return list(tiny_rows(24, seed=4)["text"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of the test's own; its home lies beside it."""
    made = tmp_path / "place"
    made.mkdir()
    return made


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def written(events: list[Event]) -> Export:
    """Export a folder in this process."""
    from modelnook.export.engine import export

    def write(
        source: Path, target: Path, to: str, rows: list[Any], task: str = "text-classification", **more: Any
    ) -> Any:
        about = {"license": "apache-2.0", "language": ("en",), "base_model": "pip:tiny@1", "labels": ("ham", "spam")}
        info = ModelInfo("local:spam@2", "spam", "local", name="spam", task=task, **about)
        given = {
            "lineage": ["local:spam@2", "pip:tiny@1"],
            "identity": "x",
            "emit": events.append,
            "info": info,
            **more,
        }
        return export(source, target, to=to, task=task, rows=rows, **given)

    return write


@pytest.fixture
def outside() -> Outside:
    """The outputs of an export in a process that has nothing of modelnook."""

    def run(how: str, folder: Path, inputs: list[str]) -> Any:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).with_name("outside.py")), how, str(folder)],
            input=json.dumps(inputs),
            capture_output=True,
            text=True,
            check=False,
            env={**kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
