"""What tuning says where there is nothing to gain: studies over a space without effect, each on a split of its own.

    python benchmarks/nothing.py                      trec, 600 rows, MiniLM's last two layers, 20 studies of 5 trials
    python benchmarks/nothing.py --first 10 --studies 10      the second half of them
    python benchmarks/nothing.py --json

The knobs are a batch of 15, 16 or 17 rows and a rate that is the planned one give or take a twentieth: trials differ,
in the order of their batches most of all, and none is better by more than chance. Every study picks the best of them
on its validation rows, as ever, and tells the gain on held-out rows. Target: "gained nothing" in 19 of 20.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time

from finetune import load
from sets import minilm

SPACE = "batch_size=15|16|17 learning_rate=0.95x..1.05x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", default="trec", help="a set's name, or a jsonl of text and label")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first study")
    parser.add_argument("--studies", type=int, default=20)
    args = parser.parse_args()
    studies = []
    with tempfile.TemporaryDirectory() as home:
        os.environ["MODELNOOK_HOME"] = home
        import pandas as pd

        import modelnook as mn

        rows = list(dict(load(args.data)[0]).items())[: args.rows]
        frame = pd.DataFrame(rows, columns=["text", "label"])
        for seed in range(args.first, args.first + args.studies):
            began = time.perf_counter()
            run = mn.tune(
                str(minilm()), frame, trials=args.trials, space=SPACE, method="last-k", epochs=args.epochs, seed=seed,
                pruner="none", name=f"nothing{seed}", track="none", task="text-classification",
            )  # fmt: skip
            gain = run.report["gain"]
            values = [row["value"] for row in run.report["trials"]]
            wall = time.perf_counter() - began
            studies.append({"seed": seed, **gain, "seconds": wall, "trials": len(values), "values": sorted(values)})
            print(json.dumps(studies[-1]), file=sys.stderr, flush=True)
    nothing = sum(not study["gained"] for study in studies)
    if args.json:
        print(json.dumps({"studies": studies, "nothing": nothing}))
        return
    points = [100 * study["points"] for study in studies]
    print(f'"gained nothing" in {nothing} of {len(studies)} (target: 19 of 20)')
    print(f"gains told: {min(points):+.1f} to {max(points):+.1f} points, mean {sum(points) / len(points):+.2f}")


if __name__ == "__main__":
    main()
