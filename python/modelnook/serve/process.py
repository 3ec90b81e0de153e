"""``python -m modelnook.serve.process``: the process of a server, begun and ended by the one that asked for it.

It reads one JSON line, ``{ref, name, path, task, runtime, device, host, port, token, home, holder}``, loads the model,
tells in one JSON line where it listens or why not, and ends when what it reads from ends, or ``holder``: whoever began
it is gone then.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from modelnook.domain.errors import ConflictError, InternalError, ModelnookError
from modelnook.runtime import runtime
from modelnook.serve.app import application
from modelnook.serve.served import Served
from modelnook.store.lease import Holder
from modelnook.store.servers import Servers

__all__ = ["main"]

TRIED = 100
"""Ports that are tried, from the one that was asked for."""


def main() -> int:
    """Serve until told to end; the exit code."""
    asked = json.loads(sys.stdin.readline())
    # What libraries print while they load must not stand where the answer is read.
    said, sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8"), sys.stderr
    os.dup2(2, 1)
    try:
        sockets, port = _listen(asked["host"], asked["port"])
        loaded = runtime(Path(asked["path"]), task=asked["task"], name=asked["runtime"], device=asked["device"])
        served = Served(asked["name"], loaded)
    except Exception as error:
        known = error if isinstance(error, ModelnookError) else InternalError("core.internal", error=_said(error))
        _tell(said, {"error": {**known.to_dict(), "kind": type(known).__name__}})
        return 1
    # A stranger's requests would fill it.
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    asyncio.run(_serve(served, sockets, port, asked, said))
    # A thread may be in the middle of an answer that nobody waits for.
    os._exit(0)


async def _serve(served: Served, sockets: Any, port: int, asked: dict[str, Any], said: Any) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    threading.Thread(target=_until_alone, args=(loop, over), daemon=True).start()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: loop.call_soon_threadsafe(over.set))
    # Bodies are read in parts, and what is too long isn't kept: only the time that one may take is bounded here.
    limits = {"max_body_size": 1 << 40, "body_timeout": 120.0, "idle_connection_timeout": 300.0}
    server = HTTPServer(application(served, asked["token"]), **limits)
    server.add_sockets(sockets)
    about = {"ref": asked["ref"], "host": asked["host"], "port": port, **served.said}
    with Servers(Path(asked["home"])).listed(about):
        _tell(said, about)
        began = Holder.from_dict(asked["holder"])
        # Its pipe may be open in a process that it forked; it itself has only one life.
        while not over.is_set() and began.alive(None):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 1.0)
        server.stop()
        await server.close_all_connections()


def _listen(host: str, port: int) -> tuple[Any, int]:
    """Sockets on the port that was asked for, or the next one that is free.

    Raises:
        ConflictError: none of them is, or the host is no address of this machine.
    """
    for tried in range(port, port + TRIED if port else 1):
        try:
            sockets = bind_sockets(tried, host)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) != errno.EADDRINUSE or tried >= 65535:
                break
            continue
        return sockets, int(sockets[0].getsockname()[1])
    raise ConflictError("serve.port", host=host, port=port, error=reason)


def _until_alone(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    sys.stdin.read()
    loop.call_soon_threadsafe(over.set)


def _tell(said: Any, value: dict[str, Any]) -> None:
    said.write(json.dumps(value) + "\n")
    said.close()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
