"""Tuning beside ``Trainer.hyperparameter_search``: the same sampler, space, trials, rows and epochs.

    python benchmarks/tune.py                     trec, 1,000 rows, MiniLM, 8 trials of 2 epochs, 3 seeds
    python benchmarks/tune.py --seeds 1           one seed alone (six minutes on one thread)
    python benchmarks/tune.py --seeds 1 --side ours --keep FOLDER     in two pieces: ours, and what theirs needs …
    python benchmarks/tune.py --seeds 1 --side theirs --keep FOLDER   … theirs, and the comparison
    python benchmarks/tune.py --seeds 3 --pruner asha --side both     the same pruner on both sides, all in one go
    python benchmarks/tune.py --json

Both search ``learning_rate`` and ``weight_decay`` with Optuna's TPE (same seed and start-up trials) for ``--trials``
trials of ``--epochs`` epochs; the first one of ours is the default configuration, and what the best gains over it is
measured on held-out rows: that is in its time. Theirs is given the same training and validation rows. Both times are
those of whole processes, imports included; on a machine that does other work as well, ``cpu_s`` (of all threads and
processes) says more than the wall's, with ``--threads 1``. ``overhead`` is what lies between the end of a trial's
training loop and the beginning of the next one's (the median of them): loading, tokenising, saving, the study. With
``--pruner asha`` both sides hold the same rungs, after 1, 2, 4, … epochs: ours reports by epoch, the Trainer by step,
so that its first rung is an epoch's steps. A line a seed says on stderr how far it is. Targets: a third of the wall
time at most, the best within 0.5 points, overhead under 0.3 s.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from finetune import load
from sets import minilm

SPACE = {"learning_rate": (5e-5, 1e-3), "weight_decay": (0.0, 0.1)}
BATCH, LENGTH = 16, 128


def ours(args: argparse.Namespace, rows: list[tuple[str, str]], seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures, and the rows that theirs must train and validate on."""
    import pandas as pd

    import modelnook as mn

    frame = pd.DataFrame(rows, columns=["text", "label"])
    space = {"learning_rate": (*SPACE["learning_rate"], "log"), "weight_decay": SPACE["weight_decay"]}
    began, used = time.perf_counter(), cpu()
    run = mn.tune(
        str(minilm()), frame, trials=args.trials, space=space, pruner=args.pruner, epochs=args.epochs, seed=seed,
        again=True, batch_size=BATCH, max_length=LENGTH, method="full", name=f"tuned{seed}-{args.pruner}", track="none",
        task="text-classification",
    )  # fmt: skip
    wall = time.perf_counter() - began
    told = run.report["trials"]
    figures = {
        "wall_s": wall,
        "cpu_s": cpu(settle=3.0) - used,
        "best": run.best["value"],
        "overhead_s": middle(between(run)),
        "trained_s": sum(row.get("trained_seconds") or row["seconds"] for row in told),
        "states": Counter(row["state"] for row in told if row["number"] != "default"),
    }
    split = run.folder.split()
    parts = {name: [list(rows[i]) for i in split[name]] for name in ("train", "validation")}
    return figures, parts


def cpu(settle: float = 0.0) -> float:
    """CPU seconds of the children that have ended, after some seconds in which the last one does."""
    from modelnook.jobs.process import reap

    time.sleep(settle)
    reap()
    found = os.times()
    return found.children_user + found.children_system


def between(run: Any) -> list[float]:
    """Seconds from one trial's end in the study to the next one's, less its training: of those that ran through."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(run.folder.path / "study.log")))
    trials = optuna.load_study(study_name="modelnook", storage=storage).trials
    trained = {row["number"]: row.get("trained_seconds") for row in run.report["trials"]}
    return [
        (trial.datetime_complete - before.datetime_complete).total_seconds() - trained[trial.number]
        for before, trial in pairwise(trials)
        if trial.state.name == "COMPLETE"
    ]


def middle(seconds: list[float]) -> float | None:
    """The median; None of nothing."""
    return statistics.median(seconds) if seconds else None


def theirs(args: argparse.Namespace) -> dict[str, Any]:
    """Trainer.hyperparameter_search in this process."""
    import numpy as np
    import optuna
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )  # fmt: skip

    torch.set_num_threads(args.threads)
    parts = json.loads(Path(args.parts).read_text())
    labels = sorted({label for _, label in parts["train"]})
    tokenizer = AutoTokenizer.from_pretrained(minilm())

    def encode(pairs: list[list[str]]) -> list[dict[str, Any]]:
        found = tokenizer([text for text, _ in pairs], truncation=True, max_length=LENGTH)
        return [
            {"input_ids": ids, "attention_mask": mask, "labels": labels.index(label)}
            for ids, mask, (_, label) in zip(found["input_ids"], found["attention_mask"], pairs, strict=True)
        ]

    marks: dict[str, list[float]] = {"began": [], "ended": []}

    class Timed(TrainerCallback):
        def on_train_begin(self, *more: Any, **also: Any) -> None:
            marks["began"].append(time.perf_counter())

        def on_train_end(self, *more: Any, **also: Any) -> None:
            marks["ended"].append(time.perf_counter())

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model_init=lambda: AutoModelForSequenceClassification.from_pretrained(minilm(), num_labels=len(labels)),
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=args.epochs,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=64,
                warmup_steps=0.1,
                eval_strategy="epoch",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=args.seed,
            ),
            train_dataset=encode(parts["train"]),
            eval_dataset=encode(parts["validation"]),
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[Timed()],
            compute_metrics=lambda p: {"accuracy": float((np.argmax(p.predictions, 1) == p.label_ids).mean())},
        )
        pruner = optuna.pruners.NopPruner()
        if args.pruner == "asha":
            # The Trainer reports the step that it is at: the rungs of ours, which are epochs, in steps.
            epoch = math.ceil(len(parts["train"]) / BATCH)
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=epoch, reduction_factor=2)
        # The one that it makes by itself, held here: its trials' states are read from it.
        storage = optuna.storages.InMemoryStorage()
        best = trainer.hyperparameter_search(
            hp_space=lambda trial: {
                "learning_rate": trial.suggest_float("learning_rate", *SPACE["learning_rate"], log=True),
                "weight_decay": trial.suggest_float("weight_decay", *SPACE["weight_decay"]),
            },
            compute_objective=lambda metrics: metrics["eval_accuracy"],
            direction="maximize",
            backend="optuna",
            n_trials=args.trials,
            sampler=optuna.samplers.TPESampler(seed=args.seed, multivariate=True, n_startup_trials=4),
            pruner=pruner,
            storage=storage,
            study_name="theirs",
        )
    wall = time.perf_counter() - began
    # The training of a pruned trial ends as well: the Trainer says so before it raises.
    gaps = [start - end for start, end in zip(marks["began"][1:], marks["ended"][:-1], strict=True)]
    states = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
    tried = optuna.load_study(study_name="theirs", storage=storage).trials
    return {
        "wall_s": wall,
        "best": best.objective,
        "overhead_s": middle(gaps),
        "states": Counter(states[trial.state.name] for trial in tried),
    }


def apart(args: argparse.Namespace, parts: dict[str, Any], seed: int) -> dict[str, Any]:
    """Theirs in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(parts, file)
        file.flush()
        command = [sys.executable, __file__, "--parts", file.name, "--seed", str(seed)]
        for option in ("trials", "epochs", "pruner", "threads"):
            command += [f"--{option}", str(getattr(args, option))]
        environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
        began, used = time.perf_counter(), cpu()
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
        wall = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    # Ours pays for the start of its process and its imports too.
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "wall_s": wall, "cpu_s": cpu() - used}


def side(args: argparse.Namespace, rows: list[tuple[str, str]], seed: int, name: str, keep: Path) -> dict[str, Any]:
    """One side's figures, measured now or in an earlier piece; ours leaves the rows that theirs needs."""
    figures, parts = keep / f"{name}-{seed}.json", keep / f"parts-{seed}.json"
    if args.side in (name, "both"):
        if name == "ours":
            found, divided = ours(args, rows, seed)
            parts.write_text(json.dumps(divided), encoding="utf-8")
        else:
            found = apart(args, json.loads(parts.read_text(encoding="utf-8")), seed)
        figures.write_text(json.dumps(found), encoding="utf-8")
    known: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", default="trec", help="a set's name, or a jsonl of text and label")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pruner", default="none", choices=("none", "asha"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--side", default="both", choices=("both", "ours", "theirs"))
    parser.add_argument("--keep", type=Path, help="a folder for the figures of a side, where they are measured apart")
    for hidden in ("--parts", "--seed"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.parts:
        args.seed = int(args.seed)
        print(json.dumps(theirs(args)))
        return
    rows = list(dict(load(args.data)[0]).items())[: args.rows]
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"MODELNOOK_HOME": home, "MODELNOOK_WARM": "0", "MODELNOOK_THREADS": str(args.threads)}
        keep = args.keep or Path(home)
        for seed in range(args.seeds):
            for name, found in runs.items():
                if args.side != "ours" or name == "ours":
                    found.append(side(args, rows, seed, name, keep))
            said = ";   ".join(f"{name} {line(found[-1])}" for name, found in runs.items() if found)
            print(f"seed {seed} ({args.pruner}): {said}", file=sys.stderr, flush=True)
    if args.side != "ours":
        told(args, len(rows), runs)


def line(run: dict[str, Any]) -> str:
    """What one side reached with one seed."""
    gap = run["overhead_s"]
    between_s = "" if gap is None else f", overhead {gap:.2f} s"
    states = ", ".join(f"{number} {state}" for state, number in sorted(run["states"].items()))
    return f"{run['wall_s']:.1f} s ({run['cpu_s']:.1f} of CPU), best {run['best']:.4f}, {states}{between_s}"


def told(args: argparse.Namespace, rows: int, runs: dict[str, list[dict[str, Any]]]) -> None:
    """Print what both sides came to."""
    pairs = list(zip(runs["ours"], runs["theirs"], strict=True))
    shares = {key: [ours[key] / theirs[key] for ours, theirs in pairs] for key in ("wall_s", "cpu_s")}
    share, cpu_share = (statistics.median(found) for found in shares.values())
    gaps = [100 * (ours["best"] - theirs["best"]) for ours, theirs in pairs]
    gap = statistics.mean(gaps)
    if args.json:
        options = {"rows": rows, "trials": args.trials, "epochs": args.epochs, "pruner": args.pruner}
        found = {"shares": shares["wall_s"], "share": share, "cpu_share": cpu_share, "gaps": gaps, "gap": gap}
        print(json.dumps({**options, "runs": runs, **found}))
        return
    print(f"{rows} rows, {args.trials} trials of {args.epochs} epochs, pruner {args.pruner}, {args.threads} threads")
    for seed, (ours, theirs) in enumerate(pairs):
        print(f"seed {seed}  ours    {line(ours)}")
        print(f"        theirs  {line(theirs)}")
        print(f"        {shares['wall_s'][seed]:.2f} of the time, best {gaps[seed]:+.2f} points from theirs")
    for name, found in runs.items():
        overhead = middle([run["overhead_s"] for run in found if run["overhead_s"] is not None])
        wall = statistics.median(run["wall_s"] for run in found)
        best = statistics.mean(run["best"] for run in found)
        between_s = "" if overhead is None else f"   overhead {overhead:.2f} s (median of the seeds, target 0.3)"
        print(f"{name:7} {wall:8.1f} s (median)   best {best:.4f} (mean){between_s}")
    print(f"ours takes {share:.2f} of the time (median of the seeds, target 0.33), {cpu_share:.2f} of the CPU seconds")
    print(f"its best is {gap:+.2f} points from theirs (mean of the seeds, target within 0.5)")


if __name__ == "__main__":
    main()
