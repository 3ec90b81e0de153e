"""A real JupyterLab on an ephemeral port, Debian's chromium, a store and a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

OUT = Path(__file__).parent / "out"
TOKEN = "e2etoken"


@dataclass
class Lab:
    """A running server: its address, the folder that it shows, the store."""

    url: str
    root: Path
    home: Path
    process: subprocess.Popen[bytes]

    def notebook(self, name: str, *cells: str) -> str:
        """Write a notebook; the address that opens it."""
        book = new_notebook(
            cells=[new_code_cell(c) for c in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(book, self.root / name)
        return f"{self.url}lab/tree/{name}?token={TOKEN}&reset"


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """The browser's context fixtures need a browser: without one every test says so."""
    browser = os.environ.get("MODELNOOK_CHROMIUM") or shutil.which("chromium")
    if browser is None and os.environ.get("MODELNOOK_REQUIRE_REAL") != "1":
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs chromium (MODELNOOK_CHROMIUM)"))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's chromium, as root."""
    path = os.environ.get("MODELNOOK_CHROMIUM") or shutil.which("chromium")
    quiet = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync"]
    return {**browser_type_launch_args, "executable_path": path, "args": [*quiet, "--disable-component-update"]}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """A window of a laptop."""
    return {**browser_context_args, "viewport": {"width": 1280, "height": 860}}


def start(folder: Path, *, settings: dict[str, dict[str, Any]] | None = None, lang: str = "en_US.UTF-8") -> Lab:
    """A JupyterLab whose every folder is below ``folder``."""
    names = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "MODELNOOK_HOME": "modelnook",
        "HOME": "home",
        "IPYTHONDIR": "ipython",
        "WANDB_DIR": "wandb",
        "WANDB_CONFIG_DIR": "wandb-config",
        "WANDB_CACHE_DIR": "wandb-cache",
        "WANDB_DATA_DIR": "wandb-data",
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "WANDB_", "MODELNOOK_", "JUPYTER"))}
    environment = {**kept, **{name: str(folder / part) for name, part in names.items()}}
    environment |= {"MODELNOOK_OFFLINE": "1", "MODELNOOK_THREADS": "1", "LANG": lang, "LC_ALL": ""}
    for part in (*names.values(), "root"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    for plugin, values in {"apputils-extension/notification": news, **(settings or {})}.items():
        file = folder / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--LabApp.expose_app_in_browser=True"]
    command += ["--ServerApp.port=0", f"--ServerApp.root_dir={folder / 'root'}", f"--IdentityProvider.token={TOKEN}"]
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    return Lab(_ready(folder, process), folder / "root", folder / "modelnook", process)


def _ready(folder: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        for file in (folder / "runtime").glob("jpserver-*.json"):
            try:
                url = str(json.loads(file.read_text())["url"])
                urllib.request.urlopen(f"{url}api/status?token={TOKEN}", timeout=5).read()
                return url
            except (OSError, ValueError):
                continue
        time.sleep(0.2)
    raise AssertionError((folder / "server.log").read_text()[-4000:])


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab in English, light."""
    running = start(tmp_path_factory.mktemp("lab"))
    yield running
    running.process.terminate()
    running.process.wait(30)


@pytest.fixture(scope="session")
def dark_chinese_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab in Chinese, dark."""
    settings = {
        "apputils-extension/themes": {"theme": "JupyterLab Dark"},
        "translation-extension/plugin": {"locale": "zh_CN"},
    }
    running = start(tmp_path_factory.mktemp("lab-zh"), settings=settings)
    yield running
    running.process.terminate()
    running.process.wait(30)


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots go, to be looked at."""
    OUT.mkdir(exist_ok=True)
    return OUT
