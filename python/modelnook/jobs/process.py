"""Every child process that modelnook starts: the workers of jobs, and the probes that measure in a clean process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from modelnook.domain.errors import StoreError, UnsupportedError
from modelnook.jobs import warm
from modelnook.measure import LATE, MINUTES, STOPPED
from modelnook.settings import current
from modelnook.store import Store
from modelnook.store.files import PRIVATE_FILE, disk_errors
from modelnook.store.lease import me
from modelnook.store.runs import RunFolder

__all__ = [
    "call",
    "end",
    "free_port",
    "share_of_tokenizers",
    "start",
    "start_rank",
    "start_server",
    "start_trackers",
    "start_trials",
]

DEFAULTS = {
    "GOMP_SPINCOUNT": "10000",
    "LRU_CACHE_CAPACITY": "16",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}
"""What a child's environment says where this one doesn't. Threads that spin long while they wait starve whatever else
runs on the machine, and are starved by it. oneDNN makes a kernel for every shape of a product, so for every length of a
batch; PyTorch keeps a thousand of them, with their room to work in, and oneDNN a thousand again: with LoRA on texts of
80 lengths 600 MB of 1,800, and no quicker. 64 in oneDNN's cost 7% of the speed (clinc150). A
process that has asked CUDA whether there is a card, as libraries do while they are imported, can't be forked for a job
on it; NVML can be asked."""

# Kept so that ended children are reaped; a zombie would look like a worker that never goes.
_children: list[subprocess.Popen[bytes]] = []


def reap() -> None:
    """Collect children that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


def environment(store: Store) -> dict[str, str]:
    """What a child sees: this environment and the store it belongs to."""
    return _environment(store.home)


def _environment(home: Path) -> dict[str, str]:
    ours = {"MODELNOOK_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    # Texts are tokenised on as many threads as train.
    return {**DEFAULTS, "RAYON_NUM_THREADS": str(current().threads), **os.environ, **ours}


def share_of_tokenizers(threads: int) -> None:
    """Let this process, and those that it starts, tokenise on so many threads at most; a lower number that was set
    stays. It counts from the first text on: the tokenizers' threads are started once.
    """
    said = os.environ.get("RAYON_NUM_THREADS", "")
    os.environ["RAYON_NUM_THREADS"] = str(min(threads, int(said)) if said.isdigit() and int(said) else threads)


def start(store: Store, run: RunFolder, python: str, *, seen: int = 0) -> int:
    """Start a run's worker in a session of its own, so that it outlives this process; gives its pid.

    Args:
        python: the interpreter that the run recorded.
        seen: the lease's epoch that the caller saw dead; a worker that finds a higher one ends.

    Raises:
        UnsupportedError: the interpreter is gone.
        StoreError: no room for the log.
    """
    reap()
    environ, python = environment(store), python or sys.executable
    forked = warm.ask(warm.place(store.home, python, environ), run.id, seen, environ, run.log)
    if forked:
        return forked
    # -P: a file beside the notebook that is called like a package must not be imported in its place.
    command = [python, "-P", "-m", "modelnook.jobs.worker", run.id, str(seen)]
    with disk_errors(run.path):
        log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environ,
            cwd=store.home,
            start_new_session=True,
            close_fds=True,
        )
    except FileNotFoundError as error:
        raise UnsupportedError("jobs.no_python", python=command[0]) from error
    except OSError as error:
        raise StoreError("jobs.no_process", error=error.strerror or error) from error
    finally:
        os.close(log)
    _children.append(child)
    return child.pid


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_rank(store: Store, run: RunFolder, rank: int, count: int, port: int) -> subprocess.Popen[bytes]:
    """Start a process that takes part in the training of this worker's run; its output goes to the run's log.

    Raises:
        StoreError: it can't be started.
    """
    return _start_beside(store, run, "modelnook.jobs.rank", *map(str, (rank, count, port)))


def start_trials(store: Store, run: RunFolder, place: int, epoch: int, until: float | None) -> subprocess.Popen[bytes]:
    """Start a process that tries beside this worker of a tuning run.

    Args:
        epoch: of the worker's lease.
        until: the budget's end (``time.time``).

    Raises:
        StoreError: it can't be started.
    """
    end = "" if until is None else str(until)
    return _start_beside(store, run, "modelnook.jobs.trials", str(place), str(epoch), end)


def start_trackers() -> subprocess.Popen[bytes]:
    """Start the process for trackers, see :mod:`modelnook.jobs.apart`; what it prints goes where this one's goes.

    Raises:
        OSError: it can't be started.
    """
    command = [sys.executable, "-P", "-m", "modelnook.jobs.apart"]
    environ = _environment(current().home)
    # Windows alone has the flag; elsewhere the process itself gives way.
    idle = getattr(subprocess, "IDLE_PRIORITY_CLASS", 0)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, creationflags=idle)


def start_server(log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the process of a server, see :mod:`modelnook.serve.process`; an interrupt of this one isn't its own.

    Raises:
        StoreError: it can't be started.
    """
    command, home = [sys.executable, "-P", "-m", "modelnook.serve.process"], current().home
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=log, env=_environment(home), start_new_session=True
        )
    except OSError as error:
        raise StoreError("jobs.no_process", error=error.strerror or error) from error


def _start_beside(store: Store, run: RunFolder, module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return _spawn([sys.executable, "-P", "-m", module, run.id, *arguments, *_worker()], store, run.log)


def _worker() -> tuple[str, str]:
    """This process, for those that are to go with it: its pid and when it began."""
    worker = me()
    return str(worker.pid), str(worker.start)


def _spawn(command: list[str], store: Store, log: Path) -> subprocess.Popen[bytes]:
    with disk_errors(log):
        out = log.open("ab")
    with out:
        try:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(store), cwd=store.home
            )
        except OSError as error:
            raise StoreError("jobs.no_process", error=error.strerror or error) from error


def call(
    arguments: Sequence[str],
    store: Store,
    log: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
    timeout: float = 60.0 * MINUTES,
) -> int:
    """Run ``python -m ARGUMENTS`` to its end with output to ``log``; it ends with this process, also where that is
    killed.

    Args:
        timeout: seconds that it may take.

    Returns:
        its exit code; :data:`~modelnook.measure.STOPPED` where ``stop`` ended it, ``LATE`` where the time did.

    Raises:
        StoreError: it can't be started, or the disk is full.
    """
    followed = [sys.executable, "-P", "-m", "modelnook.jobs.followed", *_worker()]
    child = _spawn([*followed, *arguments], store, log)
    deadline = time.monotonic() + timeout
    try:
        while child.poll() is None:
            late = time.monotonic() > deadline
            if late or stop():
                end(child)
                return LATE if late else STOPPED
            time.sleep(0.05)
    except BaseException:
        end(child)
        raise
    return child.returncode


def end(child: subprocess.Popen[bytes], *, at_once: bool = False) -> None:
    """Ask a child to end, then make it; ``at_once`` doesn't ask."""
    if at_once:
        child.kill()
    else:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
