"""Models that race side by side: each in a process of its own, loaded and warm, taken in turn, round after round."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Contender", "race"]

_WORKER = """
import json, sys, time
from pathlib import Path
texts = json.loads(Path(sys.argv[2]).read_text())
said = json.loads(sys.argv[1])
from modelnook.runtime import runtime
began = time.perf_counter()
model = runtime(Path(said["path"]), device="cpu")
model.outputs(texts[:1], batch_size=1)
load = time.perf_counter() - began
options = {"batch_size": said["batch_size"], "sort": said["sort"]}
outputs = model.outputs(texts, **options)
single = texts[:: max(1, len(texts) // 200)][:200]
print(json.dumps({"load_s": load, "guess": [model.labels[i] for i in outputs.argmax(axis=1)]}), flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    if line.strip() == "rows":
        model.outputs(texts, **options)
        print(json.dumps(len(texts) / (time.perf_counter() - began)), flush=True)
    else:
        took = []
        for text in single:
            began = time.perf_counter()
            model.outputs([text], batch_size=1)
            took.append(1e3 * (time.perf_counter() - began))
        print(json.dumps(took), flush=True)
"""


@dataclass(frozen=True)
class Contender:
    """A model folder and how its batches are made.

    ``command`` is a program that stands for it, with ``TEXTS`` where the file of texts belongs.
    """

    name: str
    path: Path
    sort: bool = True
    batch_size: int | str = 32
    command: tuple[str, ...] = ()


def race(contenders: list[Contender], texts: list[str], *, rounds: int = 5) -> dict[str, dict[str, Any]]:
    """Name -> ``{rows_per_s, p50_ms, p95_ms, load_s, guess}``; medians over the rounds, ``guess`` a label each text."""
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "texts.json"
        file.write_text(json.dumps(texts))
        workers = {c.name: _start(c, file) for c in contenders}
        try:
            found = {name: json.loads(_line(worker)) for name, worker in workers.items()}
            rates: dict[str, list[float]] = {name: [] for name in workers}
            single: dict[str, list[list[float]]] = {name: [] for name in workers}
            for _ in range(rounds):
                for name, worker in workers.items():
                    rates[name].append(json.loads(_ask(worker, "rows")))
                    single[name].append(sorted(json.loads(_ask(worker, "single"))))
        finally:
            for worker in workers.values():
                worker.kill()
                worker.wait()
    for name, said in found.items():
        said["rows_per_s"] = statistics.median(rates[name])
        said["p50_ms"] = statistics.median(took[len(took) // 2] for took in single[name])
        said["p95_ms"] = statistics.median(took[int(0.95 * len(took))] for took in single[name])
    return found


def _start(contender: Contender, texts: Path) -> subprocess.Popen[str]:
    said = {"path": str(contender.path), "sort": contender.sort, "batch_size": contender.batch_size}
    command = [sys.executable, "-c", _WORKER, json.dumps(said), "TEXTS"]
    command = [str(texts) if word == "TEXTS" else word for word in contender.command or command]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(worker: subprocess.Popen[str], what: str) -> str:
    assert worker.stdin is not None
    worker.stdin.write(f"{what}\n")
    worker.stdin.flush()
    return _line(worker)


def _line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise SystemExit("a contender ended before its time; its error stands above")
    return line
