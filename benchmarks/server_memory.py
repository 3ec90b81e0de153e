"""What the server extension adds to a Jupyter server's memory: its own process and every child, counted together.

``python benchmarks/server_memory.py [--json] [--pairs N]``; ``--data`` is taken and not used.
A pair is a server without and one with the extension, each asked the same number of times; the difference of their
proportional set sizes (PSS) after a search and a runs call, with the Runs view closed. Target: under 60 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psutil
from machine import line, machine
from store import fill, table

from modelnook.domain.model import ModelInfo

TOKEN = "benchmark"
RUNS, MODELS = 1_000, 300
MB = 1_000_000


class Server:
    """A Jupyter server of its own; ``with`` starts and ends it."""

    def __init__(self, home: Path, extension: bool) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        port = self.url.rpartition(":")[2]
        self._command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}"]
        self._command += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.port_retries=0"]
        self._command += [f"--ServerApp.jpserver_extensions={ {'modelnook': extension} }"]
        self._environ = {**os.environ, "MODELNOOK_HOME": str(home), "MODELNOOK_OFFLINE": "1"}
        self._environ["JUPYTER_CONFIG_DIR"] = str(home.parent / "config")
        self._environ["JUPYTER_RUNTIME_DIR"] = str(home.parent / "runtime")
        self._home = home

    def __enter__(self) -> Server:
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            self._command, env=self._environ, cwd=self._home, stdin=quiet, stdout=quiet, stderr=quiet
        )
        for _ in range(600):
            try:
                self.get("api/status")
                return self
            except (URLError, OSError):
                time.sleep(0.1)
        self.__exit__()
        raise SystemExit("the Jupyter server didn't start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def get(self, path: str) -> Any:
        """A route of the server itself."""
        return self._ask(Request(f"{self.url}/{path}"))

    def call(self, method: str, **params: Any) -> Any:
        """A method of the extension."""
        return self._ask(Request(f"{self.url}/modelnook/api/{method}", json.dumps(params).encode(), method="POST"))

    def _ask(self, request: Request) -> Any:
        request.add_header("Authorization", f"token {TOKEN}")
        try:
            with urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise SystemExit(f"{request.full_url}: {error.code} {error.read().decode()}") from error

    def memory(self) -> int:
        """Bytes of this server and its children, shared pages divided among their users (RSS where PSS isn't told)."""
        root = psutil.Process(self._process.pid)
        return sum(_bytes(process) for process in (root, *root.children(recursive=True)))


def _bytes(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.Error:
        return 0


class Peak:
    """The highest memory while a block runs."""

    def __init__(self, server: Server) -> None:
        self._server, self._done, self.bytes = server, threading.Event(), 0
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.wait(0.03):
            self.bytes = max(self.bytes, self._server.memory())

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def pair(home: Path) -> dict[str, float]:
    """One server without, one with; the same questions in number."""
    with Server(home, extension=False) as plain:
        for _ in range(6):
            plain.get("api/status")
        time.sleep(1.0)
        without = plain.memory()
    with Server(home, extension=True) as ours:
        for _ in range(2):
            ours.get("api/status")
        time.sleep(0.5)
        loaded = ours.memory()
        with Peak(ours) as peak:
            found = ours.call("search", query="tiny")
            listed = ours.call("runs", limit=100)
            ours.call("history", run=listed["items"][0]["id"])
            ours.call("events", topics=["runs", "models"], cursor=None, wait=0)
        time.sleep(1.0)
        after = ours.memory()
    assert found["items"]
    assert len(listed["items"]) == 100
    return {
        "without_mb": without / MB,
        "loaded_mb": loaded / MB,
        "after_mb": after / MB,
        "added_mb": (after - without) / MB,
        "peak_added_mb": (peak.bytes - without) / MB,
    }


def measure(pairs: int) -> dict[str, Any]:
    """All figures, and the medians."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        store = fill(home, RUNS)
        known = [ModelInfo(f"pip:tiny-{n}", f"tiny-{n}", "pip", name=f"tiny-{n}") for n in range(MODELS)]
        store.index.put_models("pip", known, env="elsewhere")
        rows = [pair(home) for _ in range(pairs)]
    median = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    said = {"machine": machine(), "runs": RUNS, "models": MODELS}
    return {**said, "pairs": rows, "median": median, "met": median["added_mb"] < 60}


def main(arguments: list[str]) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--data", help="not used")
    parser.add_argument("--pairs", type=int, default=5)
    said = parser.parse_args(arguments)
    found = measure(said.pairs)
    if said.json:
        print(json.dumps(found))
    else:
        print(line(found["machine"]), end="\n\n")
        print(table(found["pairs"]), f"median added: {found['median']['added_mb']:.1f} MB", sep="\n\n")
        print(f"{'yes' if found['met'] else 'NO '}  the extension adds under 60 MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
