"""Run the numbered notebooks without a person, keep what they showed, print the results.

python examples/run.py [NAME …] [--twice]
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    cards: dict[str, str] = {}
    for book in books:
        for _ in range(2 if options.twice else 1):
            if not run(book, out / book.name):
                return 1
        cards |= shown(out / book.name)
    results(cards, {book.name for book in books})
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
        # A run is known by the notebook that began it: others may work in the same home.
        with client.setup_kernel(env={**os.environ, "JPY_SESSION_NAME": book.name}), progress(book.name):
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
def progress(book: str) -> Iterator[None]:
    """A line every few seconds on what the notebook trains or measures meanwhile."""
    done = threading.Event()
    thread = threading.Thread(target=_tell, args=(done, book), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tell(done: threading.Event, book: str) -> None:
    from modelnook.cards.run import progress_line

    while not done.wait(EVERY_S):
        for record in begun("running", {book}).items[:1]:
            print(f"            {record.name} · {progress_line(record)}", flush=True)


def begun(state: str | None, books: set[str]) -> Any:
    """The runs that these notebooks began, newest first."""
    import modelnook

    every = modelnook.runs(state=state)
    items = tuple(record for record in every.items if record.notebook in books)
    return type(every)(items, every.store, len(items))


def shown(book: Path) -> dict[str, str]:
    """Verb -> the card below the last cell that used it: the walk's own, also where a run of before was taken."""
    found = {}
    for cell in nbformat.read(book, as_version=4).cells:
        words = cell.source.split()
        if cell.cell_type == "code" and words[:1] == ["%model"] and words[1:2] and words[1] in SHOWN:
            texts = [output.data["text/plain"] for output in cell.outputs if "text/plain" in output.get("data", {})]
            found |= {words[1]: texts[-1]} if texts else {}
    return found


def results(cards: dict[str, str], books: set[str]) -> None:
    """What came out, as the notebook's cards say it: scores beside baselines, before and after, side by side."""
    from modelnook.cards.typed import typed

    for verb in SHOWN:
        if verb in cards:
            print(f"\n{typed(cards[verb])}")
    runs = begun(None, books)
    runs = type(runs)(runs.items[:8], runs.store, runs.total)
    print(f"\n{runs}")


if __name__ == "__main__":
    sys.exit(main())
