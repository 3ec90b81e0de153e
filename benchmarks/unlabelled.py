"""Rows without a label: few labelled rows, the rest of a set with its labels hidden, and the training without them.

    python benchmarks/unlabelled.py                          trec, 3 seeds
    python benchmarks/unlabelled.py --sets trec,bbc,tnews --json
    python benchmarks/unlabelled.py --data mine.jsonl        rows of {"text": …, "label": …}

``--a-class`` rows of each label train, ``--held-out`` rows validate, ``--most`` others are offered without their
labels, and accuracy is that of test rows that nothing of it has seen. ``tnews`` (FewCLUE, Chinese) has its own parts:
its 20,000 rows never had labels here. MiniLM, English, gets the characters of the rows that are trained on or offered
(``sets.py: minilm_chinese``): with vectors that are learnt in the training alone it is far below a model that has read
Chinese, and what the rows add to it is its own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import line, machine
from sets import minilm, minilm_chinese

DATA = Path(os.environ.get("MODELNOOK_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
SETS = ("trec", "bbc", "tnews")

Rows = list[dict[str, str]]


def load(name: str) -> tuple[Rows, Rows]:
    """``(rows to train on, test rows)``."""
    if name == "trec":
        return _trec("train_5500.label"), _trec("TREC_10.label")
    file = DATA / "bbc-news" / "bbc-news.jsonl.gz" if name == "bbc" else Path(name)
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        rows = [{"text": str(r["text"]), "label": str(r["label"])} for r in map(json.loads, lines)]
    rows = list({row["text"]: row for row in rows}.values())
    random.Random(0).shuffle(rows)
    test = len(rows) // 5
    return rows[test:], rows[:test]


def _trec(name: str) -> Rows:
    lines = (DATA / "trec" / name).read_text(encoding="latin-1").splitlines()
    return [{"text": line.partition(" ")[2], "label": line.partition(":")[0]} for line in lines if line]


def _tnews(name: str) -> Rows:
    lines = (DATA / "fewclue-tnews" / name).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [{"text": r["sentence"], **({"label": r["label_desc"]} if "label_desc" in r else {})} for r in rows]


def parts(args: argparse.Namespace, name: str, seed: int) -> tuple[Rows, Rows, Rows, Rows]:
    """``(labelled, validation, unlabelled, test)`` of a seed."""
    rng = random.Random(seed)
    if name == "tnews":
        train, held, test = (_tnews(f"{n}.json") for n in ("train_few_all", "dev_few_all", "test_public"))
        rest = _tnews("unlabeled.json")
        rng.shuffle(rest)
        # It stands label after label.
        rng.shuffle(test)
        return train, held, rest[: args.most], test[: args.test_rows]
    rows, test = load(name)
    rng.shuffle(rows)
    rng.shuffle(test)
    seen: dict[str, int] = {}
    train, rest = [], []
    for row in rows:
        seen[row["label"]] = seen.get(row["label"], 0) + 1
        (train if seen[row["label"]] <= args.a_class else rest).append(row)
    held, rest = rest[: args.held_out], rest[args.held_out :]
    return train, held, [{"text": r["text"]} for r in rest[: args.most]], test[: args.test_rows]


def _base(name: str, folder: Path, rows: Rows) -> Path:
    """MiniLM, with the characters of the rows where they are Chinese."""
    return minilm_chinese(folder, [row["text"] for row in rows]) if name == "tnews" else minilm()


def one(args: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    """The two trainings of a seed: with the rows without labels, and without."""
    import modelnook as mn

    train, held, rest, test = parts(args, name, seed)
    model = args.model or str(_base(name, Path(os.environ["MODELNOOK_HOME"]) / f"base-{name}-{seed}", train + rest))
    found: dict[str, Any] = {"set": name, "seed": seed, "labelled": len(train), "offered": len(rest)}
    for kind, more in (("plain", None), ("with", rest)):
        run = mn.finetune(
            model,
            train,
            eval_data=held,
            unlabelled=more,
            method=args.method,
            size=args.size,
            seed=seed,
            name=f"{name}-{kind}",
            track="none",
        )
        found[kind] = mn.evaluate(str(run.model), test).metrics["accuracy"]
        if more is not None:
            told = run.report["unlabelled"]
            found |= {
                n: told[n] for n in ("taken", "teacher", "agree", "threshold", "precision", "precision_rows", "kept")
            }
        found["tfidf"] = run.baselines["tfidf"]["accuracy"]
    return found


def show(results: dict[str, Any]) -> None:
    print(line(results["machine"]))
    head = ("set", "labelled", "offered", "taken", "right", "plain", "with", "gain, points", "kept")
    print("{:8}{:>10}{:>9}{:>8}{:>8}{:>8}{:>8}{:>14}{:>7}".format(*head))
    for name, row in results["sets"].items():
        right = "" if row["precision"] is None else f"{row['precision']:.3f}"
        gain = f"{100 * row['gain']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
        print(
            f"{name:8}{row['labelled']:10}{row['offered']:9}{row['taken']:8}{right:>8}"
            f"{row['plain']:8.3f}{row['with']:8.3f}  {gain}  {row['kept']} of {row['seeds']}"
        )

    for name, why in results["refused"].items():
        print(f"{name:8}{why}")


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the seeds; the gain's lowest and highest."""
    known = [r["precision"] for r in runs if r["precision"] is not None]
    gains = [r["with"] - r["plain"] for r in runs]
    middle = {n: statistics.median(r[n] for r in runs) for n in ("labelled", "offered", "taken", "plain", "with")}
    return {
        **middle,
        "precision": statistics.median(known) if known else None,
        "gain": statistics.median(gains),
        "low": min(gains),
        "high": max(gains),
        "kept": sum(r["kept"] for r in runs),
        "seeds": len(runs),
    }


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--data", help="a jsonl of text and label in place of the sets")
    parser.add_argument("--sets", default="trec", help=", ".join(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", help="a base model in place of MiniLM")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--size", default="quick")
    parser.add_argument("--a-class", type=int, default=8)
    parser.add_argument("--held-out", type=int, default=150)
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--test-rows", type=int, default=500)
    return parser.parse_args()


def main() -> None:
    args = options()
    from modelnook.domain.errors import DataError

    results: dict[str, Any] = {"machine": machine(), "options": vars(args), "sets": {}, "refused": {}, "runs": []}
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"MODELNOOK_HOME": home, "WANDB_MODE": "disabled"}
        for name in [args.data] if args.data else args.sets.split(","):
            runs = []
            try:
                for seed in range(args.seeds):
                    runs.append(one(args, name, seed))
                    print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
            except DataError as error:
                # A base that can't read the texts is refused before it is trained: that is the figure.
                results["refused"][name] = error.message
                continue
            results["sets"][name] = summary(runs)
            results["runs"] += runs
    if args.json:
        print(json.dumps(results))
    else:
        show(results)


if __name__ == "__main__":
    main()
