"""What modelnook adds to the start of a notebook: ``import modelnook`` and ``%load_ext modelnook`` over a bare IPython.

``python benchmarks/start.py [--json]``; ``--data`` is taken and not used. Each figure is the median of paired runs, a
fresh process each, in turn. Target: under 60 ms added, and nothing heavy imported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

from machine import line, machine

REPEATS = 15
LIMIT_MS = 60
HEAVY = "torch transformers datasets wandb optuna pandas huggingface_hub ipywidgets anywidget numpy".split()

PROGRAM = """
import sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
held = set(sys.modules)
start = time.perf_counter()
{statement}
took = (time.perf_counter() - start) * 1000
new = set(sys.modules) - held
print(took, len(new), sum(m.startswith("modelnook") for m in new), *(m for m in {heavy!r} if m in new))
"""

STATEMENTS = {
    "nothing": "pass",
    "import modelnook": "import modelnook",
    "%load_ext modelnook": "shell.run_line_magic('load_ext', 'modelnook')",
    "first %model": "shell.run_line_magic('load_ext', 'modelnook'); shell.run_line_magic('model', '')",
    "first %model runs": "shell.run_line_magic('load_ext', 'modelnook'); shell.run_line_magic('model', 'runs')",
}


def once(statement: str) -> tuple[float, int, int, list[str]]:
    """Milliseconds, modules, our modules, heavy modules of one fresh process."""
    program = PROGRAM.format(statement=statement, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ms, modules, ours, *heavy = done.stdout.splitlines()[-1].split()
    return float(ms), int(modules), int(ours), heavy


def measure(repeats: int) -> dict[str, Any]:
    """Every statement, in turn, ``repeats`` times; the first turn fills the caches and is not counted."""
    seen: dict[str, list[tuple[float, int, int, list[str]]]] = {name: [] for name in STATEMENTS}
    for turn in range(repeats + 1):
        for name, statement in STATEMENTS.items():
            found = once(statement)
            if turn:
                seen[name].append(found)
    rows = []
    for name, runs in seen.items():
        times = sorted(run[0] for run in runs)
        row = {"statement": name, "ms": statistics.median(times), "fastest_ms": times[0], "slowest_ms": times[-1]}
        rows.append({**row, "modules": runs[0][1], "ours": runs[0][2], "heavy": runs[0][3]})
    load = next(row for row in rows if row["statement"] == "%load_ext modelnook")
    met = {f"%load_ext under {LIMIT_MS} ms": load["ms"] < LIMIT_MS, "nothing heavy": not any(r["heavy"] for r in rows)}
    return {"rows": rows, "met": met, "repeats": repeats, "machine": machine()}


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| after a bare IPython | median ms | fastest | slowest | modules | ours |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        figures = (f"{r[n]:.1f}" for n in ("ms", "fastest_ms", "slowest_ms"))
        lines.append(f"| `{r['statement']}` | {' | '.join(figures)} | {r['modules']} | {r['ours']} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--data", help="not used")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    said = parser.parse_args(arguments)
    found = measure(said.repeats)
    if said.json:
        print(json.dumps(found))
    else:
        print(line(found["machine"]), end="\n\n")
        print(table(found["rows"]), end="\n\n")
        for what, met in found["met"].items():
            print(f"{'yes' if met else 'NO '}  {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
