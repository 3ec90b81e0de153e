"""Run the numbered notebooks without a person, keep what they showed, print the results.

python examples/run.py [NAME …] [--twice]
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parent
EVERY_S = 5.0
SHOWN = ("finetune", "evaluate", "quantize", "compare")
QUIET = ["--IPKernelApp.log_level=40"]
"""Where there is no keyring the kernel warns on every start that it talks over TCP; here nobody else listens."""


def main() -> int:
    """Run each notebook from top to bottom; 1 where a cell failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="notebooks, by the beginning of their names; all by default")
    parser.add_argument("--twice", action="store_true", help="run each a second time, as Run All would")
    options = parser.parse_args()
    books = [
        b for b in sorted(HERE.glob("[0-9]*.ipynb")) if not options.names or b.name.startswith(tuple(options.names))
    ]
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    for book in books:
        for _ in range(2 if options.twice else 1):
            if not run(book, out / book.name):
                return 1
    results()
    print("\nThe executed notebooks are in examples/out. See the same in JupyterLab, with the sidebar: make lab")
    return 0


def run(book: Path, target: Path) -> bool:
    """Execute one notebook cell by cell, with a line for each."""
    notebook = nbformat.read(book, as_version=4)
    where = {"metadata": {"path": str(HERE)}}
    client = NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=where, extra_arguments=QUIET)
    began = time.monotonic()
    print(f"\n{book.name}")
    try:
        with client.setup_kernel(), progress():
            for at, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    start = time.monotonic()
                    client.execute_cell(cell, at)
                    first = cell.source.strip().splitlines()[0]
                    print(f"  {time.monotonic() - start:6.1f} s  {first[:100]}", flush=True)
    except CellExecutionError as error:
        print(f"  failed: {error}", file=sys.stderr)
        return False
    finally:
        nbformat.write(notebook, target)
    print(f"  {time.monotonic() - began:6.1f} s  in all")
    return True


@contextmanager
def progress() -> Iterator[None]:
    """A line every few seconds on what trains or is measured meanwhile."""
    done = threading.Event()
    thread = threading.Thread(target=_tell, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tell(done: threading.Event) -> None:
    import modelnook
    from modelnook.cards.run import progress_line

    while not done.wait(EVERY_S):
        for run in modelnook.runs(state="running", limit=1):
            print(f"            {run.name} · {progress_line(run.record)}", flush=True)


def results() -> None:
    """What came out, as the notebook's cards say it: scores beside baselines, before and after, side by side."""
    import modelnook
    from modelnook.api import comparison, evaluation

    views = {"evaluate": evaluation, "compare": comparison}
    for kind in SHOWN:
        for run in modelnook.runs(kind=kind, state="finished", limit=1):
            print(f"\n{views.get(kind, lambda made: made)(run)}")
    print(f"\n{modelnook.runs(limit=8)}")


if __name__ == "__main__":
    sys.exit(main())
