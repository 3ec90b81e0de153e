"""What forked workers measure is measured in forks as well: an import of PyTorch for each model that is timed would be
most of what a test of `quantize` takes. Fresh workers start fresh processes, and so do those of notebooks."""

import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MODULES = ("modelnook.measure.probe", "modelnook.measure.race", "modelnook.runtime.transformers")


def begin(path: Path) -> None:
    """Fork the process that forks them: it listens at ``path`` and ends with its parent."""
    parent = os.getpid()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(8)
    if os.fork():
        listener.close()
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in MODULES:
        importlib.import_module(name)
    while os.getppid() == parent:
        if not select.select([listener], [], [], 1.0)[0]:
            continue
        connection = listener.accept()[0]
        if not os.fork():
            listener.close()
            _measure(connection)
        connection.close()
    os._exit(0)


def _measure(connection: socket.socket) -> None:
    """Do what is ordered and end; the pid goes out at the start, the exit code at the end."""
    from modelnook.jobs import warm
    from modelnook.jobs.followed import follow

    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        order = json.loads(connection.makefile("rb").readline())
        connection.sendall(b"%d\n" % os.getpid())
        warm.output(Path(order["log"]))
        os.environ.clear()
        os.environ.update(order["environ"])
        os.chdir(order["environ"]["MODELNOOK_HOME"])
        threading.Thread(target=follow, args=order["worker"], daemon=True).start()
        module, *said = order["arguments"]
        sys.modules["sitecustomize"].shorten(said)
        code = importlib.import_module(module).main(said)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(b"%d\n" % code)
    os._exit(code)


def caller(path: Path, real: Callable[..., int]) -> Callable[..., int]:
    """What does as ``modelnook.jobs.process.call`` in a forked worker."""
    from modelnook.jobs import process
    from modelnook.measure import LATE, MINUTES, STOPPED

    def call(
        arguments: Sequence[str],
        store: Any,
        log: Path,
        *,
        stop: Callable[[], bool] = lambda: False,
        timeout: float = 60.0 * MINUTES,
    ) -> int:
        if arguments[0] not in MODULES:
            return real(arguments, store, log, stop=stop, timeout=timeout)
        deadline = time.monotonic() + timeout
        order = {"arguments": arguments, "environ": process.environment(store), "log": str(log)}
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(path))
            answers = connection.makefile("rb")
            connection.sendall(json.dumps({**order, "worker": process._worker()}).encode() + b"\n")
            pid = int(answers.readline())
            while not select.select([connection], [], [], 0.05)[0]:
                late = time.monotonic() > deadline
                if late or stop():
                    os.kill(pid, signal.SIGTERM)
                    return LATE if late else STOPPED
            return int(answers.readline() or -signal.SIGKILL)

    return call
