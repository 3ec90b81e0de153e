"""How many requests a served model answers, beside the web application that a tutorial has one write.

``python benchmarks/serve.py [--data clinc150|cr|PATH] [--seconds 6] [--clients 1,8,32] [--rounds 3] [--json]``

Each server is a process of its own and answers one text a request; so many clients ask at once from one process, each
as soon as its last answer came. The peer is Flask, threaded, around transformers' ``pipeline`` on the same fp32 model:
what ``pipeline`` answers, as JSON. ``ours, in a process`` is ``predict`` on one text after another without a server,
which shows what the way over HTTP costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from machine import line, machine
from sets import fine_tuned, load

import modelnook as mn
from modelnook.quantize import QUANTIZERS
from modelnook.runtime import runtime
from modelnook.settings import current

FLASK = """
import sys, torch
from flask import Flask, jsonify, request
from transformers import pipeline
torch.set_num_threads(int(sys.argv[3]))
classify = pipeline("text-classification", model=sys.argv[1], device="cpu")
app = Flask(__name__)
@app.post("/predict")
def predict():
    return jsonify(classify(request.json["inputs"]))
import logging; logging.getLogger("werkzeug").setLevel(logging.ERROR)
app.run(port=int(sys.argv[2]), threaded=True)
"""

Figures = dict[str, float]


@contextmanager
def flask(model: Path) -> Iterator[tuple[int, str]]:
    """The peer's port; it needs no token."""
    from modelnook.jobs.process import free_port

    port = free_port()
    command = [sys.executable, "-c", FLASK, str(model), str(port), str(current().threads)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port, ""
    finally:
        child.kill()
        child.wait()


@contextmanager
def ours(model: Path) -> Iterator[tuple[int, str]]:
    """Our server's port and token."""
    with mn.serve(str(model), port=0) as server:
        yield server.port, server.token


def asked(port: int, token: str, texts: Sequence[str], clients: int, seconds: float) -> Figures:
    """``requests_per_s, p50_ms, p95_ms`` of so many clients at once."""
    took: list[list[float]] = [[] for _ in range(clients)]
    end = time.perf_counter() + seconds
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def ask(client: int) -> None:
        connection = HTTPConnection("127.0.0.1", port)
        turn = client
        while time.perf_counter() < end:
            began = time.perf_counter()
            connection.request("POST", "/predict", json.dumps({"inputs": [texts[turn % len(texts)]]}), headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            took[client].append(time.perf_counter() - began)
            turn += clients
        connection.close()

    began = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _figures([t for one in took for t in one], time.perf_counter() - began)


def _figures(every: list[float], spent: float) -> Figures:
    ordered = sorted(every)
    return {
        "requests_per_s": len(every) / spent,
        "p50_ms": 1e3 * statistics.median(ordered),
        "p95_ms": 1e3 * ordered[int(0.95 * (len(ordered) - 1))],
    }


def alone(model: Path, texts: Sequence[str], seconds: float) -> Figures:
    """``predict`` on one text after another, in this process."""
    loaded = runtime(model, task="text-classification")
    end, every, turn = time.perf_counter() + seconds, [], 0
    began = time.perf_counter()
    while time.perf_counter() < end:
        start = time.perf_counter()
        loaded.predict([texts[turn % len(texts)]])
        every.append(time.perf_counter() - start)
        turn += 1
    loaded.close()
    return _figures(every, time.perf_counter() - began)


def _there(port: int) -> None:
    """Wait until a server listens."""
    for _ in range(600):
        try:
            HTTPConnection("127.0.0.1", port, timeout=1).connect()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server didn't begin to listen")


def measure(data: str, seconds: float, clients: Sequence[int], rounds: int) -> dict[str, Any]:
    """Every server with every number of clients, in turns; medians over the rounds."""
    rows = load(data)
    found: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as work:
        model, small = fine_tuned(rows), Path(work) / "int8"
        options = {"task": "text-classification", "calibration": rows.texts[:64], "emit": lambda event: None}
        QUANTIZERS.load("onnx")().quantize(model, small, "int8", per_channel=True, **options)
        servers = {"Flask, pipeline": (flask, model), "ours": (ours, model), "ours, int8": (ours, small)}
        for _ in range(rounds):
            for name, (start, path) in servers.items():
                with start(path) as (port, token):
                    _there(port)
                    asked(port, token, rows.texts, 2, 2.0)
                    for count in clients:
                        said = asked(port, token, rows.texts, count, seconds)
                        found.setdefault(f"{name}; {count}", []).append(said)
            for name, path in (("ours, in a process; 1", model), ("ours, int8, in a process; 1", small)):
                found.setdefault(name, []).append(alone(path, rows.texts, seconds))
    table = {
        name: {key: statistics.median(said[key] for said in every) for key in every[0]} for name, every in found.items()
    }
    return {"benchmark": "serve", "data": data, "machine": machine(), "table": table}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--data", default="clinc150")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.environ.setdefault("MODELNOOK_HOME", tempfile.mkdtemp(prefix="serve-"))
    found = measure(args.data, args.seconds, [int(n) for n in args.clients.split(",")], args.rounds)
    if args.json:
        print(json.dumps(found))
        return
    print(line(found["machine"]))
    print(f"{'server; clients':34}{'requests/s':>12}{'p50 ms':>10}{'p95 ms':>10}")
    for name, said in found["table"].items():
        print(f"{name:34}{said['requests_per_s']:12.0f}{said['p50_ms']:10.1f}{said['p95_ms']:10.1f}")


if __name__ == "__main__":
    main()
