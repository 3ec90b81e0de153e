"""Few labels of each class: our methods against SetFit, on test rows; each in a process of its own.

    python benchmarks/few_shot.py                                     trec and bbc, 8, 16 and 64 a class, 3 seeds
    python benchmarks/few_shot.py --setfit .venv-setfit/bin/python    … beside SetFit
    python benchmarks/few_shot.py --sets clinc150 --a-class 8 --json

The same rows for all. Ours is ``finetune`` as a person calls it (a share of the rows is kept to validate, epochs and
rate are its own), by ``few-shot``, ``full`` and ``head``. SetFit runs in an environment of its own as its pages show
it, with the 20 pairs a row of its paper (Tunstall et al. 2022, arXiv:2209.11055)::

    python -m venv .venv-setfit && .venv-setfit/bin/pip install torch==2.13.0 setfit==1.2.0 "transformers<5"

``wall s`` is from rows in memory to a trained model. TF-IDF with logistic regression stands beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from finetune import load, mean_of, minilm
from machine import line, machine

OURS = ("few-shot", "full", "head", "tfidf")
Rows = list[dict[str, str]]

SETFIT = """
import json, sys, time
import numpy, random, torch
said = json.load(sys.stdin)
torch.set_num_threads(said["threads"])
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
began = time.perf_counter()
model = SetFitModel.from_pretrained(said["model"])
model.model_body.max_seq_length = said["length"]
arguments = TrainingArguments(
    output_dir=said["room"], num_iterations=20, num_epochs=1, seed=said["seed"], report_to="none",
    show_progress_bar=False,
)
Trainer(model=model, args=arguments, train_dataset=Dataset.from_list(said["train"])).train()
wall = time.perf_counter() - began
found = [str(label) for label in model.predict([row["text"] for row in said["test"]])]
right = sum(a == row["label"] for a, row in zip(found, said["test"], strict=True))
print(json.dumps({"wall_s": wall, "accuracy": right / len(found)}))
"""


def parts(args: argparse.Namespace, name: str, a_class: int, seed: int) -> tuple[Rows, Rows]:
    """``(a_class rows of each label, test rows)`` of a seed."""
    train, test = load(name)
    rng = random.Random(seed)
    rng.shuffle(train)
    rng.shuffle(test)
    seen: dict[str, int] = {}
    few = []
    for text, label in train:
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= a_class:
            few.append({"text": text, "label": label})
    return few, [{"text": text, "label": label} for text, label in test[: args.test_rows]]


def one(args: argparse.Namespace) -> dict[str, Any]:
    """One of ours, in this process and a store that is thrown away."""
    import modelnook as mn
    from modelnook.runtime import runtime

    few, test = parts(args, args.set, args.a_class_one, args.seed)
    began = time.perf_counter()
    base = None if args.peer == "tfidf" else str(minilm())
    knobs = {} if args.peer == "tfidf" else {"max_length": args.length}
    run = mn.finetune(
        base, few, name="few", method=args.peer, seed=args.seed, track="none", on="kernel", **knobs
    )  # fmt: skip
    wall = time.perf_counter() - began
    model = runtime(Path(mn.info(run.model).path or ""))
    found = model.predict([row["text"] for row in test])
    right = sum(a["label"] == b["label"] for a, b in zip(found, test, strict=True))
    return {"wall_s": wall, "accuracy": right / len(test), "rows": len(few)}


def apart(args: argparse.Namespace, name: str, a_class: int, seed: int, peer: str) -> dict[str, Any]:
    """One peer in a fresh process."""
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(args.threads)}
    environ["MODELNOOK_THREADS"] = str(args.threads)
    with tempfile.TemporaryDirectory() as room:
        if peer == "setfit":
            few, test = parts(args, name, a_class, seed)
            said = {"train": few, "test": test, "model": str(minilm()), "length": args.length, "seed": seed}
            given = json.dumps({**said, "room": room, "threads": args.threads})
            environ.pop("PYTHONPATH", None)
            command = [args.setfit, "-c", SETFIT]
        else:
            given = ""
            command = [sys.executable, __file__, "--one", "--set", name, "--seed", str(seed), "--peer", peer]
            command += ["--a-class-one", str(a_class), "--length", str(args.length)]
            command += ["--test-rows", str(args.test_rows)]
            environ["MODELNOOK_HOME"] = room
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        raise SystemExit(f"{peer} on {name} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"set": name, "a_class": a_class, "seed": seed, "peer": peer, **found}


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line for each set, number of rows and peer: means over the seeds, and few-shot less this with 95% interval."""
    found = []
    for name, a_class, peer in dict.fromkeys((r["set"], r["a_class"], r["peer"]) for r in runs):
        here = [r for r in runs if (r["set"], r["a_class"]) == (name, a_class)]
        mine = {r["seed"]: r for r in here if r["peer"] == peer}
        ours = {r["seed"]: r["accuracy"] for r in here if r["peer"] == "few-shot"}
        gaps = [100 * (ours[seed] - r["accuracy"]) for seed, r in mine.items() if seed in ours]
        found.append(
            {
                "set": name,
                "a_class": a_class,
                "peer": peer,
                "accuracy": statistics.mean(r["accuracy"] for r in mine.values()),
                "wall_s": statistics.median(r["wall_s"] for r in mine.values()),
                "few_shot_less_this_in_points": mean_of(gaps) if gaps and peer != "few-shot" else None,
                "seeds": len(mine),
            }
        )
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--sets", default="trec,bbc")
    parser.add_argument("--data", help="a jsonl of text and label in place of the sets")
    parser.add_argument("--a-class", default="8,16,64")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(OURS))
    parser.add_argument("--setfit", help="the Python of an environment that has SetFit")
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--test-rows", type=int, default=500)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    for hidden in ("--set", "--peer"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    for hidden in ("--seed", "--a-class-one"):
        parser.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args)))
        return
    peers = [*args.peers.split(","), *(["setfit"] if args.setfit else [])]
    runs = []
    for name in [args.data] if args.data else args.sets.split(","):
        for a_class in map(int, args.a_class.split(",")):
            for seed in range(args.seeds):
                for peer in peers:
                    runs.append(apart(args, name, a_class, seed, peer))
                    print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
    table = summary(runs)
    if args.json:
        print(json.dumps({"machine": machine(), "runs": runs, "table": table}))
        return
    print(line(machine()))
    print(f"{'set':10} {'a class':>7} {'peer':10} {'accuracy':>9} {'wall s':>8}  few-shot less this, points [95%]")
    for row in table:
        gap = row["few_shot_less_this_in_points"] or {}
        said = f"{gap['mean']:+.1f}" if gap else ""
        said += f" [{gap['low']:+.1f}, {gap['high']:+.1f}]" if "low" in gap else ""
        print(
            f"{row['set']:10} {row['a_class']:7} {row['peer']:10} {row['accuracy']:9.3f} {row['wall_s']:8.1f}  {said}"
        )


if __name__ == "__main__":
    main()
