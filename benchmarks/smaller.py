"""What trimming, layer dropping and teaching make of a fine-tuned MiniLM, alone and before int8: bytes, speed, quality.

    python benchmarks/smaller.py --keep FOLDER --data clinc150 --chains trim,int8:onnx     one chain of one set, kept
    python benchmarks/smaller.py --keep FOLDER --data                                      all that was kept
    python benchmarks/smaller.py --rows 300 --data cr                                      a trial that all of it runs
    python benchmarks/smaller.py --json

Each chain of steps is what ``modelnook shrink --steps`` takes; it runs as a job of its own, in a store that is thrown
away, or stays in the folder that keeps the figures, so that a set is fine-tuned once. Size and speed are those of the
chain's own report; quality, in the set's metric (macro F1 where classes are of unlike size), and the drop with its
paired 95% interval are of the set's test rows, which no step saw. Targets: int8 after trimming at most 16% of the
fp32 bytes; the interval of its drop within a point. A set that fails is told at the end and leaves the others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

from kept import measured, parts, unlike
from machine import line
from sets import SETS, Rows, base, load

TARGET = 0.16
MOST_DROP = 0.01
CHAINS = (
    "int8:onnx",
    "trim,int8:onnx",
    "trim:fewest,int8:onnx",
    "prune:4",
    "distil:layers:3",
    "distil:layers:3,trim,int8:onnx",
)


def one_set(rows: Rows, said: argparse.Namespace) -> list[dict[str, Any]]:
    """Fine-tune, then every chain on the test rows; a part for each chain."""
    import modelnook as mn

    def table(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
        return [{"text": text, "label": label} for text, label in pairs]

    def trained() -> str:
        # In a store that is kept the same again is the model that is there.
        return mn.finetune(str(base(rows)), table(rows.train), name=rows.name, track="none", **said.tuning).model

    def chained(chain: str) -> dict[str, Any]:
        model, began = trained(), time.perf_counter()
        # Without data: a chain that teaches must not see the test rows, and is measured on them afterwards.
        run = mn.shrink(model, steps=chain, max_drop=1.0, name=f"{rows.name}-small", track="none", again=True)
        took = time.perf_counter() - began
        report = run.report
        quality = compared(rows, *(Path(mn.info(ref).path or "") for ref in (model, run.model)))
        return {
            "data": rows.name,
            "rows": len(rows.test),
            "steps": chain,
            "bytes_ratio": report["after"]["bytes"] / report["before"]["bytes"],
            "p50_ratio": report["after"]["p50_ms"] / report["before"]["p50_ms"],
            "times": report["after"]["rows_per_s"] / report["before"]["rows_per_s"],
            "tokens": report["after"].get("tokens"),
            "layers": report["after"].get("layers"),
            "validation_drop": report["drop"],
            **quality,
            "seconds": took,
        }

    options = {"rows": said.rows}
    names = {chain: f"smaller-{rows.name}-{chain.replace(',', '+').replace(':', '.')}" for chain in said.chains}
    return [measured(said.keep, names[chain], options, partial(chained, chain)) for chain in said.chains]


def compared(rows: Rows, before: Path, after: Path) -> dict[str, Any]:
    """Quality of two models on the test rows, and the drop with its paired 95% interval."""
    import numpy as np

    from modelnook.measure.score import paired_drop
    from modelnook.runtime import runtime
    from modelnook.tasks.text_classification import TextClassification

    spec, names, guesses = TextClassification(), [], []
    for path in (before, after):
        model = runtime(path)
        names = names or list(model.labels)
        said = [names.index(model.labels[at]) for at in model.outputs(rows.texts).argmax(axis=1)]
        # Only the labels matter for the metric: each answer as a row with a one.
        guesses.append(np.eye(len(names))[said])
    truth = np.array([names.index(label) for label in rows.labels])
    drop, interval = paired_drop(spec, rows.metric, truth, *guesses, names)
    quality = [spec.score(truth, guess, names)[rows.metric] for guess in guesses]
    return {"metric": rows.metric, "quality": quality, "drop": drop, "drop_interval": interval}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=sorted(SETS))
    parser.add_argument("--chains", nargs="+", default=list(CHAINS))
    parser.add_argument("--keep", type=Path, help="a folder for the models and each chain's figures")
    parser.add_argument("--rows", type=int, help="so many rows of three labels alone: a trial")
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    said.tuning = {"epochs": 1} if said.rows else {}
    with tempfile.TemporaryDirectory() as home:
        os.environ["MODELNOOK_HOME"] = str(said.keep.resolve() / "home") if said.keep else home
        found, broken = [], {}
        for name in said.data:
            try:
                found += one_set(load(name, said.rows), said)
            except (Exception, SystemExit) as error:
                traceback.print_exc()
                broken[name] = f"{type(error).__name__}: {error}"
        if said.keep:
            found = parts(said.keep, "smaller-")
    if said.json:
        json.dump({"benchmark": "smaller", "chains": found, "broken": broken}, sys.stdout)
    else:
        show(found)
    if broken:
        raise SystemExit(f"failed: {', '.join(f'{name} ({error})' for name, error in broken.items())}")


def show(found: list[dict[str, Any]]) -> None:
    """A table a set."""
    for number, row in enumerate(found):
        if not number or row["data"] != found[number - 1]["data"]:
            heads = (
                f"{'bytes':>6} {'p50':>6} {'rows/s':>7} {'tokens':>7} {'layers':>6} "
                f"{'test ' + row['metric']:>15} {'drop':>6} {'95%':>15} {'took':>6}"
            )
            print(f"\n{row['data']}: {row['rows']} test rows; {line(row['machine'])}\n{'steps':34} {heads}")
        (low, high), (before, after) = row["drop_interval"], row["quality"]
        between = f"{100 * low:.2f} to {100 * high:.2f}"
        print(
            f"{row['steps']:34} {row['bytes_ratio']:6.1%} {row['p50_ratio']:6.0%} {row['times']:6.1f}x "
            f"{row['tokens'] or '':>7} {row['layers'] or '':>6} {before:6.4f} → {after:6.4f} "
            f"{100 * row['drop']:6.2f} {between:>15} {row['seconds']:5.0f}s{_missed(row)}"
        )
    print(
        f"\n* above {TARGET:.0%} of the bytes after trimming and int8; ! the drop may exceed {100 * MOST_DROP:g} points"
    )
    if unlike(found):
        print(f"measured on unlike machines: {', '.join(unlike(found))}")


def _missed(row: dict[str, Any]) -> str:
    large = "trim" in row["steps"] and "int8" in row["steps"] and row["bytes_ratio"] > TARGET
    return (" *" if large else "") + (" !" if row["drop_interval"][1] > MOST_DROP + 1e-9 else "")


if __name__ == "__main__":
    main()
