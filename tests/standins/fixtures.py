"""Fixtures over the stand-ins; `from tests.standins.fixtures import *` in a conftest brings them in."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.standins.guard import network_guard
from tests.standins.guard.forked_workers import hub_folders
from tests.standins.hub import HubStandIn
from tests.standins.wandb import WandbStandIn

__all__ = ["hub_server", "isolated_home", "no_network", "untracked", "wandb_server"]

CLEARED = ("HF_", "WANDB_", "MODELNOOK_", "HUGGING_FACE_", "TRANSFORMERS_", "HUGGINGFACE_")


@pytest.fixture
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home below tmp_path for the person, the hub's cache, W&B and modelnook; no setting leaks in."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(CLEARED):
            monkeypatch.delenv(name)
    folders = {
        "HOME": home,
        "USERPROFILE": home,
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "HF_HOME": home / "hf",
        "WANDB_DIR": home / "wandb",
        "WANDB_CONFIG_DIR": home / "wandb-config",
        "WANDB_CACHE_DIR": home / "wandb-cache",
        "WANDB_DATA_DIR": home / "wandb-data",
        "NETRC": home / ".netrc",
        "MODELNOOK_HOME": home / "modelnook",
    }
    for name, folder in folders.items():
        monkeypatch.setenv(name, str(folder))
        if name.startswith("WANDB"):
            folder.mkdir(parents=True)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("MODELNOOK_LANG", "en")
    # Tests run beside each other: two that both take all cores slow each other many times over.
    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    # No process of a test outlives it; those of tests/jobs/test_warm.py do so on purpose.
    monkeypatch.setenv("MODELNOOK_WARM", "0")
    _move_hub_client(home, monkeypatch)
    yield home
    if "wandb" in sys.modules:
        _end_wandb(sys.modules["wandb"])


def _end_wandb(wandb: Any) -> None:
    """Forget the environment of wandb's first use, and end its service process.

    Ended first: torn down properly it would wait for a server that the test has stopped.
    """
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "wandb-core" in child.name():
                child.kill()
    with contextlib.suppress(Exception, SystemExit):
        wandb.teardown()


def _move_hub_client(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point an already imported huggingface_hub to the home: it reads its environment once, on import."""
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is None:
        return
    for name, folder in hub_folders(home / "hf").items():
        monkeypatch.setattr(constants, name, str(folder), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)


@pytest.fixture
def hub_server() -> Iterator[HubStandIn]:
    """An empty hub on loopback."""
    with HubStandIn() as hub:
        yield hub


@pytest.fixture
def wandb_server() -> Iterator[WandbStandIn]:
    """An empty W&B server on loopback."""
    with WandbStandIn() as server:
        yield server


@pytest.fixture
def untracked(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs aren't logged: W&B's client, which starts anew for each at the lowest priority, takes longer than a small
    training. Those of tracking, of jobs that ask for ``logged`` and of the first example are logged as a person's are.
    """
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fail on any connection or name look-up beyond loopback, in this process and in the Python processes it starts.

    It guards the socket layer and notes every try, since a library may well swallow the error. Yields the notes.
    """
    tried: list[str] = []
    for owner, name, replacement in network_guard.guards(tried.append):
        monkeypatch.setattr(owner, name, replacement)
    noted = tmp_path / "network.log"
    monkeypatch.setenv(network_guard.LOG, str(noted))
    path = [str(Path(network_guard.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    yield tried
    tried += noted.read_text().splitlines() if noted.exists() else []
    if tried:
        pytest.fail(f"tried to leave this machine: {', '.join(tried)}")
