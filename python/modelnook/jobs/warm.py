"""A process that keeps the imports of the last jobs and forks a worker for the next: it starts in a blink.

The first worker that has imported PyTorch forks off a copy of itself that waits at a socket in the store; later workers
are forked from that copy, so that imports are paid once and each job's memory is given back when its process ends.
What it has imported is out of the garbage collector's sight: half a million objects, which each full collection of
a worker would look at, and copy.
The copy holds no rows and no weights; it ends after ten idle minutes (``MODELNOOK_WARM``), when its store is gone, and
when another takes its place.

A worker is only forked where it sees what a fresh one would: same interpreter, environment and code (see :func:`key`).
Linux alone: forking is unsafe beside macOS's frameworks, and Windows has none.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modelnook.jobs import card
from modelnook.settings import current

__all__ = ["ask", "become", "end", "output", "pid", "place", "teach"]

FIRST = ("torch", "transformers", "modelnook.training.loop", "modelnook.finetune.engine", "modelnook.jobs.steps")
"""What every training job imports before anything else."""

KEPT = frozenset(
    ("accelerate", "modelnook", "numpy", "onnxruntime", "optuna", "pandas", "peft", "pyarrow", "safetensors", "scipy",
     "sklearn", "tokenizers", "torch", "transformers")
)  # fmt: skip
"""Packages whose modules are taken over from a worker that ends: their import starts no threads and opens nothing."""

TABLES = {"transformers.conversion_mapping": "get_checkpoint_conversion_mapping"}
"""Module -> a function of it that makes a table at its first call, which takes a tenth of a second (a thousand regular
expressions for names of weights): what is made before the fork isn't made by each worker."""

OWN = ("JPY_", "KERNEL_", "JUPYTER", "SSH_", "TERM", "VSCODE_", "WINDOWID", "XDG_", "DBUS_", "LS_COLORS", "WANDB_")
OWN_NAMES = frozenset(("_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "INVOCATION_ID", "PYTEST_CURRENT_TEST"))
"""Variables that nothing reads while it is imported: they may differ from those of the process that forks."""

CONNECT_S = 8.0
"""Seconds to wait for an answer: it may be importing what it was told to; a fresh start takes no less."""

LOOK_S = 5.0


def possible() -> bool:
    """Whether workers are forked here at all."""
    return sys.platform == "linux" and hasattr(os, "fork") and current().warm_minutes > 0


def key(python: str, environ: Mapping[str, str]) -> str:
    """What a forked worker has in common with a fresh one: interpreter, environment, and the code on disk."""
    seen = {n: v for n, v in environ.items() if not n.startswith(OWN) and n not in OWN_NAMES}
    said = json.dumps([python, sorted(seen.items()), _code()], ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _code() -> list[int]:
    """Changes when a package is installed or removed, or a file of ours is edited."""
    ours = Path(__file__).parents[1]
    rooms = [ours, *(entry for entry in ours.iterdir() if entry.is_dir())]
    newest = max(file.stat().st_mtime_ns for room in rooms for file in room.glob("*.py"))
    installed = [Path(entry) for entry in sys.path if entry.endswith("site-packages")]
    return [newest, *(folder.stat().st_mtime_ns for folder in installed if folder.is_dir())]


def place(home: Path, python: str, environ: Mapping[str, str]) -> Path | None:
    """The socket of the process that forks workers for such callers; None where nothing is forked.

    A worker asks at its very start: what it imports may change the environment.
    """
    return home / "warm" / key(python, environ) if possible() else None


def ask(path: Path | None, run: str, seen: int, environ: Mapping[str, str], log: Path) -> int | None:
    """Have a worker forked; its pid, or None where no fitting process waits."""
    if path is None or not path.exists():
        return None
    order = {"run": run, "seen": seen, "environ": dict(environ), "log": str(log)}
    try:
        answer = _say(path, order)
    except ConnectionRefusedError:
        # Nobody listens: the process has died without tidying up.
        path.unlink(missing_ok=True)
        return None
    except (OSError, ValueError):
        # Should it hear the order yet, its worker finds the run's lease taken.
        return None
    return int(answer["pid"])


def teach(path: Path | None) -> None:
    """Tell the process that forks which modules a worker, at its end, has had to import."""
    if path is None or not path.exists():
        return
    with suppress(OSError, ValueError):
        _say(path, {"modules": sorted(_kept(sys.modules))})


def end(home: Path) -> int:
    """End the warm processes of a store; how many there were."""
    count = 0
    for path in (home / "warm").glob("*"):
        with suppress(OSError, ValueError):
            _say(path, {"end": True})
            count += 1
        path.unlink(missing_ok=True)
    return count


def pid(home: Path) -> int | None:
    """The process that waits in a store."""
    for path in (home / "warm").glob("*"):
        with suppress(OSError, ValueError):
            return int(_say(path, {})["pid"])
    return None


def bring_in(modules: Iterable[str]) -> None:
    """Import what can be; a module that can't isn't needed by the job that asked for it."""
    before = {name for name in TABLES if name in sys.modules}
    with card.closed():
        for name in modules:
            if name not in sys.modules:
                with suppress(Exception):
                    importlib.import_module(name)
    for name in TABLES.keys() - before:
        # A version of transformers without it does without.
        with suppress(KeyError, AttributeError, TypeError):
            getattr(sys.modules[name], TABLES[name])("")


def become(home: Path, path: Path | None) -> list[str] | None:
    """Fork the process that waits, where there is none yet; called by a worker before it has begun.

    Returns:
        None in the caller, which goes on as it was. In the copy it returns only at its end: ``[]``, or in one of
        the workers that were forked from it: ``[run, epoch]``.
    """
    if path is None or path.exists():
        return None
    bring_in(FIRST)
    gc.freeze()
    if not _forkable():
        return None
    end(home)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(path) as address:
            listener.bind(address)
        listener.listen(8)
    except OSError:
        # Another was faster, or the file system has no sockets.
        return None
    if os.fork():
        listener.close()
        return None
    return _Waiting(home, path, listener).serve()


class _Waiting:
    """The copy: it forks, it imports what it is told to, it ends."""

    def __init__(self, home: Path, path: Path, listener: socket.socket) -> None:
        self.home, self.path, self.listener = home, path, listener
        self.inode = path.stat().st_ino
        self.idle = 60 * current().warm_minutes

    def serve(self) -> list[str]:
        """``[]`` at its end; ``[run, epoch]`` in a worker."""
        os.setsid()
        output(self.home / "warm.log")
        # Workers that have ended are gone at once: a zombie looks alive to who waits for it.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        last = time.monotonic()
        wanted: list[str] = []
        while time.monotonic() - last < self.idle and self._mine():
            if not select.select([self.listener], [], [], 0 if wanted else LOOK_S)[0]:
                # One at a time: who asks for a worker meanwhile waits for one module, not for all.
                if wanted:
                    bring_in([wanted.pop(0)])
                    gc.freeze()
                if not _forkable():
                    break
                continue
            connection, _ = self.listener.accept()
            with connection:
                order = _heard(connection)
                if order is None:
                    continue
                last = time.monotonic()
                if "run" in order:
                    if not self._fork(connection, order):
                        return [order["run"], str(order["seen"])]
                    continue
                _answer(connection, {"pid": os.getpid()})
                wanted += [name for name in _kept(order.get("modules", ())) if name not in sys.modules]
                if order.get("end"):
                    break
        if self._mine():
            self.path.unlink(missing_ok=True)
        return []

    def _mine(self) -> bool:
        """Whether callers still reach this process: the store is there, and the socket is this one's."""
        try:
            return self.path.stat().st_ino == self.inode
        except OSError:
            return False

    def _fork(self, connection: socket.socket, order: dict[str, Any]) -> bool:
        """Whether this is the copy that goes on waiting, and not the worker."""
        child = os.fork()
        if child:
            _answer(connection, {"pid": child})
            return True
        connection.close()
        self.listener.close()
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output(Path(order["log"]))
        os.environ.clear()
        os.environ.update(order["environ"])
        return False


def output(log: Path) -> None:
    """Standard output and error go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


def _forkable() -> bool:
    """Whether Python runs one thread, and the GPU isn't open: a fork takes no other thread with it, only the locks
    that they hold, and CUDA doesn't work in it.

    The pools that OpenBLAS and jemalloc start when they are imported end and begin anew around a fork (pthread_atfork).
    """
    return threading.active_count() == 1 and not card.is_open()


def _kept(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.partition(".")[0] in KEPT]


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A socket's path in the 107 bytes that there are for one, however deep the store lies: through its open folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _say(path: Path, order: dict[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_S)
        with _short(path) as address:
            connection.connect(address)
        _answer(connection, order)
        connection.shutdown(socket.SHUT_WR)
        heard: dict[str, Any] = json.loads(_all(connection))
        return heard


def _heard(connection: socket.socket) -> dict[str, Any] | None:
    """An order of this person's, or None."""
    connection.settimeout(CONNECT_S)
    try:
        said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", said)[1] != os.getuid():
            return None
        heard: dict[str, Any] = json.loads(_all(connection))
        return heard
    except (OSError, ValueError):
        return None


def _all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def _answer(connection: socket.socket, said: dict[str, Any]) -> None:
    with suppress(OSError):
        connection.sendall(json.dumps(said).encode())
