"""The commands that anybody tries first: what is missing is said before anything is installed, a taken port is none."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASH, MAKE = shutil.which("bash"), shutil.which("make")


def checked(folder: Path, *words: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """tools/prerequisites.sh where these programs, as shell scripts, are all that there is."""
    folder.mkdir(exist_ok=True)
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    command = [BASH or "bash", str(ROOT / "tools" / "prerequisites.sh"), *words]
    return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


pytest_bash = pytest.mark.skipif(BASH is None, reason="needs bash")
OLD_NODE = 'case "$1" in --version) echo v18.20.0;; *) exit 1;; esac'


@pytest_bash
def test_what_is_missing_is_said_first(tmp_path: Path) -> None:
    bare = checked(tmp_path / "none")
    assert (bare.returncode, bare.stdout) == (1, "")
    assert "needs Python 3.11 or newer, and none was found" in bare.stderr
    assert "make demo PYTHON=" in bare.stderr
    old = checked(tmp_path / "old", python3="exit 1", python="exit 1")
    assert (old.returncode, old.stderr) == (1, bare.stderr)
    no_node = checked(tmp_path / "python", python3="exit 0")
    assert no_node.returncode == 1
    assert "Node.js 20 or newer, and none was found" in no_node.stderr
    old_node = checked(tmp_path / "node", python3="exit 0", node=OLD_NODE)
    assert old_node.returncode == 1
    assert "needs Node.js 20.19 or newer; this is v18.20.0" in old_node.stderr
    both = checked(tmp_path / "both", python3="exit 0", node="exit 0")
    assert (both.returncode, both.stdout, both.stderr) == (0, "", "")


@pytest_bash
def test_the_first_python_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    found = checked(tmp_path, "python", **{"python3": "exit 1", "python3.12": "exit 0", "python3.11": "exit 0"})
    assert (found.returncode, found.stdout) == (0, "python3.12\n")


def answers(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=10):
        return True
    return False


@pytest.mark.slow
@pytest.mark.skipif(MAKE is None, reason="needs make")
def test_make_lab_takes_another_port_where_its_own_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = subprocess.run(
        [MAKE or "make", "-n", "lab", f"VENV={sys.prefix}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    [command] = [line for line in told.stdout.splitlines() if "/jupyter lab" in line]
    runtime = tmp_path / "runtime"
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    with socket.socket() as taken:
        with suppress(OSError):
            # Where somebody else has it, it is taken as well.
            taken.bind(("127.0.0.1", 8888))
            taken.listen()
        with (tmp_path / "log").open("wb") as log:
            words = [*shlex.split(command), "--no-browser", "--ServerApp.ip=127.0.0.1"]
            lab = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            end = time.monotonic() + 60
            while not (held := list(runtime.glob("jpserver-*.json"))):
                assert lab.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.1)
            port = json.loads(held[0].read_text())["port"]
            assert 8888 < port < 8888 + 100
            # It writes its file before it listens.
            while not answers(port):
                assert lab.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.1)
        finally:
            os.killpg(lab.pid, signal.SIGKILL)
            lab.wait()
