"""Workers of tests are forked from one process: an import of PyTorch for each would be a third of the suite's time.

Only where a fresh one would see the same: a test that sets what a library reads when it is imported gets fresh ones,
and so does one that is marked ``fresh``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from modelnook.jobs import warm
from modelnook.jobs.process import DEFAULTS

__all__ = ["forked_workers", "forks"]

LATE = ("MODELNOOK_", "WANDB_")
"""Variables that are read when they are needed; wandb isn't imported by the process that forks."""

SAME = frozenset((*DEFAULTS, "PYTEST_CURRENT_TEST", "PYTHONUNBUFFERED", "RAYON_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR"))
"""What every child gets, what pytest changes as it goes, and what an import of PyTorch sets, here as in a child."""

START_S = 120.0


class Forks:
    """The process that forks, started with the first worker."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="modelnook-forks-"))
        self.path = self.folder / "socket"
        self.child: subprocess.Popen[bytes] | None = None

    def ready(self, environ: Mapping[str, str]) -> Path | None:
        """The socket; None where the process didn't start."""
        if self.child is None:
            environ = {**environ, "MODELNOOK_HOME": str(self.folder), "MODELNOOK_WARM": "90"}
            command = [sys.executable, "-P", "-m", "forked_workers", str(self.path)]
            with (self.folder / "log").open("wb") as log:
                self.child = subprocess.Popen(
                    command, env=environ, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        end = time.monotonic() + START_S
        while not self.path.exists() and self.child.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        return self.path if self.path.exists() else None

    def end(self) -> None:
        """End it."""
        if self.child:
            self.child.kill()
            self.child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """One a session."""
    made = Forks()
    yield made
    made.end()


@pytest.fixture
def forked_workers(
    forks: Forks, request: pytest.FixtureRequest, no_network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have this test's workers forked; asked for after the environment of a test is set up."""
    if sys.platform != "linux" or request.node.get_closest_marker("fresh"):
        return
    place, before = warm.place, dict(os.environ)

    def instead(home: Path, python: str, environ: Mapping[str, str]) -> Path | None:
        changed = {n for n in {*environ, *before} if environ.get(n) != before.get(n) and n not in SAME}
        if python != sys.executable or any(not name.startswith(LATE) for name in changed):
            return place(home, python, environ)
        if environ.get("MODELNOOK_WARM") != "0":
            return place(home, python, environ)
        return forks.ready(environ)

    monkeypatch.setattr(warm, "place", instead)
