"""Server: the handle of a model that is served. Its process ends with this one; those of this one are listed here."""

from __future__ import annotations

import atexit
import contextlib
import json
import secrets
import subprocess
import tempfile
import threading
from dataclasses import asdict
from typing import IO, Any

import psutil

from modelnook.domain.errors import ModelnookError, UnsupportedError
from modelnook.domain.shown import Shown
from modelnook.jobs.process import end, start_server
from modelnook.messages import t
from modelnook.settings import current
from modelnook.store.lease import me
from modelnook.store.servers import Servers

__all__ = ["Server", "begin", "end_servers", "serving"]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that a server listens on, but nobody can ask."""

_starting = threading.RLock()
"""Held while a model loads, which may take minutes; ``_lock`` only while the table is looked at."""
_ENDING = 5.0
"""Seconds that a server of another process is waited for."""

_lock = threading.RLock()
_servers: dict[str, Server] = {}
"""By what was asked for: the same again is the same server, another port or runtime a second one."""


class Server(Shown):
    """A model that answers at an address, until it is stopped or this process ends.

    >>> with mn.serve("spam") as server:
    ...     server.ref, server.task, server.running
    ('local:spam@1', 'text-classification', True)
    """

    def __init__(self, about: dict[str, Any], token: str, child: subprocess.Popen[bytes], note: str = "") -> None:
        self.ref: str = about["ref"]
        self.task: str = about["task"]
        self.host: str = about["host"]
        self.port: int = about["port"]
        self.labels: list[str] = about["labels"]
        self.note = note
        """What there is to say of where it listens."""
        self._about, self._token, self._child = about, token, child

    @property
    def url(self) -> str:
        """Where it listens, ``http://127.0.0.1:8000``."""
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def token(self) -> str:
        """What a request must bring: ``Authorization: Bearer TOKEN``."""
        return self._token

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return self._child.poll() is None

    def stop(self) -> None:
        """End it; what it is answering now is left unanswered.

        >>> server = mn.serve("spam")
        >>> server.stop()
        >>> server.running
        False
        """
        with _lock:
            for key in [key for key, server in _servers.items() if server is self]:
                del _servers[key]
        with contextlib.suppress(OSError):
            self._child.stdin.close()  # type: ignore[union-attr]
        if self.running:
            end(self._child)

    def wait(self) -> None:
        """Wait until it ends; an interrupt stops it.

        Raises:
            UnsupportedError: it ended by itself (``serve.died``).
        """
        try:
            code = self._child.wait()
        except KeyboardInterrupt:
            self.stop()
            return
        if code:
            raise UnsupportedError("serve.died", ref=self.ref, code=code)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Server({self.ref!r}, url={self.url!r}, running={self.running})"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without the token."""
        said = ("task", "runtime", "device", "labels")
        known = {name: self._about[name] for name in said}
        return {"ref": self.ref, "url": self.url, "pid": self.pid, "running": self.running, **known}


def begin(asked: dict[str, Any], token: str = "") -> Server:
    """Start a server, or give the one that this process began of the same.

    Args:
        asked: ``ref, name, path, content, task, runtime, device, host, port``; ``content`` tells the model from another
            one under its reference.
        token: what requests must bring; without one it is drawn.

    Raises:
        ModelnookError: what the model's process said as it failed to load or to listen.
        UnsupportedError: it ended without a word (``serve.failed``).
    """
    key = json.dumps({**asked, "token": token}, sort_keys=True)
    with _starting:
        with _lock:
            there = _servers.get(key)
        if there is not None and there.running:
            there.note = t("serve.already")
            return there
        made = _started(asked, token or secrets.token_urlsafe(32))
        with _lock:
            _servers[key] = made
        return made


def _started(asked: dict[str, Any], token: str) -> Server:
    told = {**asked, "token": token, "home": str(current().home), "holder": asdict(me())}
    # It is gone with the last who has it open: nothing is left behind.
    with tempfile.TemporaryFile() as log:
        child = start_server(log)
        try:
            about = _told(child, log, told)
        except BaseException:
            end(child, at_once=True)
            raise
    port = asked["port"]
    note = t("serve.other_port", asked=port, port=about["port"]) if port not in (0, about["port"]) else ""
    return Server(about, token, child, note)


def _told(child: subprocess.Popen[bytes], log: IO[bytes], asked: dict[str, Any]) -> dict[str, Any]:
    """What the process says once it listens."""
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(json.dumps(asked).encode() + b"\n")
        child.stdin.flush()
    with child.stdout as said:
        line = said.readline()
    if not line:
        log.seek(0)
        last = (log.read().decode(errors="replace").strip().splitlines() or ["-"])[-1]
        raise UnsupportedError("serve.failed", ref=asked["ref"], error=last)
    about: dict[str, Any] = json.loads(line)
    if "error" in about:
        raise ModelnookError.told(about["error"])
    return about


def serving(ref: str | None = None) -> list[Server]:
    """The servers of this process, those of one reference where it is given."""
    with _lock:
        return [server for server in _servers.values() if server.running and ref in (None, server.ref)]


def end_servers(ref: str | None = None) -> list[str]:
    """Stop this process's servers, or all that this person has of one model; their references."""
    found = serving(ref)
    for server in found:
        server.stop()
    others = [said for said in Servers(current().home).live() if said["ref"] == ref] if ref else []
    for said in others:
        with contextlib.suppress(psutil.Error):
            # Who began it waits for it in a terminal, or finds it ended.
            process = psutil.Process(said["pid"])
            process.terminate()
            process.wait(_ENDING)
    return [server.ref for server in found] + [said["ref"] for said in others]


atexit.register(end_servers)
