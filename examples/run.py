"""Run the numbered notebooks without a person, keep what they showed, print a table of the results.

python examples/run.py [NAME …] [--twice]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parent


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
    client = NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(HERE)}})
    began = time.monotonic()
    print(f"\n{book.name}")
    try:
        with client.setup_kernel():
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


def results() -> None:
    """The newest runs, as `modelnook runs` prints them."""
    import modelnook
    from modelnook.cards import text

    print()
    print(text(modelnook.runs(limit=8)))


if __name__ == "__main__":
    sys.exit(main())
