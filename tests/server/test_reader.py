"""The W&B reader: alive while somebody looks at the runs and W&B is online, once a store, gone with its server."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from tests.server.conftest import children
from tests.standins.fixtures import wandb_server  # noqa: F401
from tests.standins.wandb import KEY

from modelnook.server.children import Children
from modelnook.server.opened import OpenedStore
from modelnook.server.reader import Reader

_READING = ("wandb-core", "modelnook.tracking.reader")

_MODULE = """
import os, sys
from pathlib import Path
with Path(os.environ["MODELNOOK_HOME"], "pids").open("a") as file:
    print(os.getpid(), file=file)
sys.stdin.read()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A helper that notes its pid and lives until its standard input ends."""
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "fake_reader.py").write_text(_MODULE)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "fake_reader"


@pytest.fixture
def online(monkeypatch):
    """As a person who said that W&B is online."""
    monkeypatch.setenv("MODELNOOK_OFFLINE", "0")
    monkeypatch.setenv("WANDB_MODE", "online")


def _reader(module: str, idle: float = 60.0) -> Reader:
    reader = Reader(OpenedStore(), Children(), logging.getLogger("test"), idle=idle, module=module)
    reader.check_every = 0.05
    return reader


async def _until(happens, seconds: float = 30.0) -> None:
    ends = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)


def _pids(home: Path) -> list[int]:
    try:
        return [int(line) for line in (home / "pids").read_text().split()]
    except FileNotFoundError:
        return []


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
async def test_it_lives_while_the_runs_are_looked_at(online, module, home):
    reader = _reader(module, idle=0.8)
    reader.watched({"models"})
    await asyncio.sleep(0.2)
    assert not reader.running
    # Looked at until it has begun, which takes longer than the rest that it is given here where the machine is busy.
    await _until(lambda: reader.watched({"runs", "models"}) or _pids(home))
    (pid,) = _pids(home)
    assert reader.running
    await _until(lambda: not _lives(pid))
    assert not reader.running
    await _until(lambda: reader.watched({"runs"}) or len(_pids(home)) == 2)
    await reader.close()
    assert not any(map(_lives, _pids(home)))


async def test_offline_it_is_never_started(module, home):
    reader = _reader(module)
    reader.watched({"runs"})
    await asyncio.sleep(0.4)
    assert not reader.running
    await reader.close()
    assert _pids(home) == []


async def test_going_offline_ends_it(online, module, home, monkeypatch):
    reader = _reader(module)
    reader.watched({"runs"})
    await _until(lambda: _pids(home))
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    await _until(lambda: not reader.running)
    await reader.close()


async def test_two_servers_have_one_and_the_second_takes_over(online, module, home):
    first, second = _reader(module), _reader(module)
    first.watched({"runs"})
    await _until(lambda: _pids(home))
    # A lease's holder is a process, so the second server is one too.
    script = textwrap.dedent("""
        import asyncio, logging, sys
        from modelnook.server.children import Children
        from modelnook.server.opened import OpenedStore
        from modelnook.server.reader import Reader

        async def main():
            reader = Reader(OpenedStore(), Children(), logging.getLogger("x"), idle=60, module="fake_reader")
            reader.check_every = 0.05
            reader.watched({"runs"})
            print("up", flush=True)
            while not reader.running:
                await asyncio.sleep(0.02)
            print("running", flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
    """)
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "up\n"
        await asyncio.sleep(0.5)
        assert len(_pids(home)) == 1
        await first.close()
        assert await asyncio.to_thread(other.stdout.readline) == "running\n"
        await _until(lambda: len(_pids(home)) == 2)
        # Killed without a word, it takes its reader along.
        os.kill(other.pid, signal.SIGKILL)
        await _until(lambda: not _lives(_pids(home)[1]))
    finally:
        other.kill()
        other.wait()
        await second.close()


async def test_one_that_fails_is_not_started_again_at_once(online, home, module, tmp_path):
    (tmp_path / "path" / "fake_reader.py").write_text(_MODULE.replace("sys.stdin.read()", "sys.exit(1)"))
    reader = _reader(module)
    reader.watched({"runs"})
    await _until(lambda: _pids(home))
    await asyncio.sleep(0.6)
    assert len(_pids(home)) == 1
    await reader.close()


async def test_a_lost_index_is_read_into_anew(online, module, home):
    reader = _reader(module)
    reader.watched({"runs"})
    await _until(lambda: _pids(home))
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (home / name).unlink(missing_ok=True)
    await _until(lambda: len(_pids(home)) == 2)
    assert not _lives(_pids(home)[0])
    await reader.close()


async def test_a_home_that_cannot_be_used_is_no_trouble(online, module, home, monkeypatch, caplog):
    home.parent.joinpath("file").write_text("no folder")
    monkeypatch.setenv("MODELNOOK_HOME", str(home.parent / "file" / "below"))
    reader = _reader(module)
    reader.watched({"runs"})
    await _until(lambda: "could not be started" in caplog.text)
    await reader.close()


@pytest.mark.slow
async def test_a_colleagues_run_is_listed(online, home, call, jp_serverapp, wandb_server, monkeypatch, tmp_path):  # noqa: F811
    for name, value in {
        "WANDB_BASE_URL": wandb_server.url,
        "WANDB_API_KEY": KEY,
        "WANDB_DIR": str(tmp_path),
        "WANDB_CONFIG_DIR": str(tmp_path / "config"),
        "WANDB_CACHE_DIR": str(tmp_path / "cache"),
        "WANDB_PROJECT": "modelnook",
        "WANDB_ERROR_REPORTING": "false",
    }.items():
        monkeypatch.setenv(name, value)
    wandb_server.add_run("wand1234", display_name="from-a-colleague")
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    said = await call("events", topics=["runs"], cursor=start["cursor"], wait=25)
    assert said["changes"] == [{"topic": "runs", "id": "wand1234"}]
    (run,) = (await call("runs"))["items"]
    assert (run["id"], run["origin"]) == ("wand1234", "wandb")
    (app,) = jp_serverapp.extension_manager.extension_apps["modelnook"]
    assert children(*_READING)
    await app.stop_extension()
    await _until(lambda: not children(*_READING))


async def test_looking_at_the_runs_through_the_server_starts_it(call, jp_serverapp, online, module, home, monkeypatch):
    (app,) = jp_serverapp.extension_manager.extension_apps["modelnook"]
    monkeypatch.setattr(app.reader, "_module", module)
    await call("runs")
    await asyncio.sleep(0.3)
    assert _pids(home) == []
    await call("events", topics=["runs"])
    await _until(lambda: _pids(home))
    await app.stop_extension()
    assert not any(map(_lives, _pids(home)))
