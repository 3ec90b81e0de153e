"""What trimming, layer dropping and teaching make of a fine-tuned MiniLM, alone and before int8: bytes, speed, quality.

``python benchmarks/smaller.py [--data NAME|PATH ...] [--chains CHAIN ...] [--json]``

Each chain of steps is what ``modelnook shrink --steps`` takes; it runs as a job of its own, in a store that is thrown
away. Size and speed are those of the chain's own report, accuracy is of the set's test rows, which no step saw. Target:
int8 after trimming at most 16% of the fp32 bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from typing import Any

from machine import machine
from sets import Rows, load, minilm

TARGET = 0.16
CHAINS = (
    "int8:onnx",
    "trim,int8:onnx",
    "trim:8000,int8:onnx",
    "prune:4",
    "distil:layers:3",
    "distil:layers:3,trim,int8:onnx",
)


def one_set(rows: Rows, chains: list[str]) -> dict[str, Any]:
    """Fine-tune, then every chain on the test rows."""
    import modelnook as mn

    def table(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
        return [{"text": text, "label": label} for text, label in pairs]

    began = time.perf_counter()
    mn.finetune(str(minilm()), table(rows.train), name=rows.name, track="none")
    trained = time.perf_counter() - began
    found = []
    for chain in chains:
        began = time.perf_counter()
        # Without data: a chain that teaches must not see the test rows, and is measured on them afterwards.
        run = mn.shrink(rows.name, steps=chain, max_drop=1.0, name=f"{rows.name}-small", track="none", again=True)
        took = time.perf_counter() - began
        report = run.report
        beside = mn.compare(rows.name, run.model, data=table(rows.test)).to_frame().to_dict("records")
        found.append(
            {
                "steps": chain,
                "bytes_ratio": report["after"]["bytes"] / report["before"]["bytes"],
                "p50_ratio": report["after"]["p50_ms"] / report["before"]["p50_ms"],
                "times": report["after"]["rows_per_s"] / report["before"]["rows_per_s"],
                "tokens": report["after"].get("tokens"),
                "layers": report["after"].get("layers"),
                "validation_drop": report["drop"],
                "accuracy": [row["accuracy"] for row in beside],
                "seconds": took,
            }
        )
    return {"data": rows.name, "rows": len(rows.test), "finetune_s": trained, "chains": found}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["clinc150", "bbc-news"])
    parser.add_argument("--chains", nargs="+", default=list(CHAINS))
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["MODELNOOK_HOME"] = home
        found = {"machine": machine(), "sets": [one_set(load(name), said.chains) for name in said.data]}
    if said.json:
        json.dump(found, sys.stdout)
        return
    for one in found["sets"]:
        print(f"\n{one['data']}: {one['rows']} test rows, fine-tuned in {one['finetune_s']:.0f} s")
        heads = f"{'bytes':>6} {'p50':>6} {'rows/s':>7} {'tokens':>7} {'layers':>6} {'test accuracy':>15} {'took':>6}"
        print(f"{'steps':34} {heads}")
        for row in one["chains"]:
            mark = " *" if "trim" in row["steps"] and "int8" in row["steps"] and row["bytes_ratio"] > TARGET else ""
            print(
                f"{row['steps']:34} {row['bytes_ratio']:6.1%} {row['p50_ratio']:6.0%} {row['times']:6.1f}x "
                f"{row['tokens'] or '':>7} {row['layers'] or '':>6} "
                f"{row['accuracy'][0]:6.4f} → {row['accuracy'][1]:6.4f} {row['seconds']:5.0f}s{mark}"
            )
    print("\n* above the target")


if __name__ == "__main__":
    main()
