"""How quick ``predict`` is on the int8 model, beside the fp32 model in PyTorch on the same texts.

``python benchmarks/predict.py [--data clinc150|cr|bbc-news|PATH] [--model FOLDER] [--rounds 5] [--json]``

The peers are the fine-tuned model in PyTorch with batches as they come, each padded to its longest text (what a
plain loop over a DataLoader does), and the same sorted by length. Each runs in a process of its own, warm; they
take turns. Targets: the int8 model at 3x the rows/s of batches as they come, with at most 27% of the bytes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from contenders import Contender, race
from machine import line, machine
from sets import fine_tuned, load

from modelnook.quantize import QUANTIZERS
from modelnook.store.files import folder_bytes

TARGETS = {"rows_per_s": 3.0, "bytes": 0.27}


def measure(data: str, model: Path | None, rounds: int) -> dict[str, Any]:
    """The figures of every contender, and the int8 model's against the first."""
    rows = load(data)
    source = model or fine_tuned(rows)
    with tempfile.TemporaryDirectory() as work:
        small = Path(work) / "int8"
        options = {"task": "text-classification", "calibration": rows.texts[:64], "emit": lambda event: None}
        QUANTIZERS.load("onnx")().quantize(source, small, "int8", per_channel=True, **options)
        contenders = [
            Contender("PyTorch fp32, batches as they come", source, sort=False),
            Contender("PyTorch fp32, sorted by length", source),
            Contender("ONNX Runtime int8, batch 32", small),
            Contender("ONNX Runtime int8, batch auto", small, batch_size="auto"),
        ]
        found = race(contenders, rows.texts, rounds=rounds)
        sizes = {c.name: folder_bytes(c.path) for c in contenders}
    table = []
    for contender in contenders:
        said = found[contender.name]
        right = sum(a == b for a, b in zip(said.pop("guess"), rows.labels, strict=True))
        table.append(
            {"name": contender.name, "accuracy": right / len(rows.labels), **said, "bytes": sizes[contender.name]}
        )
    first, last = table[0], table[-1]
    ratios = {
        "rows_per_s": last["rows_per_s"] / first["rows_per_s"],
        "rows_per_s_at_32": table[2]["rows_per_s"] / first["rows_per_s"],
        "rows_per_s_over_sorted": last["rows_per_s"] / table[1]["rows_per_s"],
        "bytes": last["bytes"] / first["bytes"],
        "p50_ms": last["p50_ms"] / first["p50_ms"],
    }
    return {
        "benchmark": "predict",
        "data": rows.name,
        "rows": len(rows.texts),
        "machine": machine(),
        "contenders": table,
        "ratios": ratios,
        "targets": TARGETS,
        "met": ratios["rows_per_s"] >= TARGETS["rows_per_s"] and ratios["bytes"] <= TARGETS["bytes"],
    }


def show(found: dict[str, Any]) -> None:
    """The table."""
    print(f"{found['data']}, {found['rows']} texts; {line(found['machine'])}")
    print(f"{'':<36}{'accuracy':>9}{'rows/s':>9}{'p50 ms':>8}{'p95 ms':>8}{'load s':>8}{'MB':>7}")
    for row in found["contenders"]:
        print(
            f"{row['name']:<36}{row['accuracy']:>9.4f}{row['rows_per_s']:>9.0f}{row['p50_ms']:>8.2f}{row['p95_ms']:>8.2f}"
            f"{row['load_s']:>8.2f}{row['bytes'] / 1e6:>7.1f}"
        )
    ratios = found["ratios"]
    print(
        f"int8 against batches as they come: {ratios['rows_per_s']:.2f}x rows/s (target {TARGETS['rows_per_s']:g}x), "
        f"{100 * ratios['bytes']:.1f}% of the bytes (target {100 * TARGETS['bytes']:g}%), "
        f"{100 * ratios['p50_ms']:.0f}% of p50; against sorted {ratios['rows_per_s_over_sorted']:.2f}x"
    )


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="clinc150", help="clinc150, cr, bbc-news, or a csv or jsonl file")
    parser.add_argument("--model", type=Path, help="a fine-tuned folder; else MiniLM is fine-tuned on the set first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    found = measure(said.data, said.model, said.rounds)
    print(json.dumps(found)) if said.json else show(found)


if __name__ == "__main__":
    main()
