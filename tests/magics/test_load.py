"""Promise 5: loading the extension imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "torch transformers datasets wandb optuna pandas huggingface_hub ipywidgets anywidget numpy sklearn pyarrow "
    "sqlite3 modelnook.api modelnook.store modelnook.widgets"
).split()
MOST_OF_OURS = 12

CODE = f"""
import sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
heavy = {HEAVY!r}
before = set(sys.modules)
start = time.perf_counter()
shell.run_line_magic("load_ext", "modelnook")
took = time.perf_counter() - start
new = set(sys.modules) - before
print(*[m for m in heavy if m in new])
print(len([m for m in new if m.startswith("modelnook")]), len(new), round(took * 1000))
"""


def test_loading_is_light() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    heavy, counts = done.stdout.split("\n")[:2]
    ours, _, _ = map(int, counts.split())
    assert heavy == ""
    # The time itself is measured in benchmarks/start.py, on a quiet machine; here what costs it is counted.
    assert ours <= MOST_OF_OURS, f"load_ext imports {ours} of our modules"
