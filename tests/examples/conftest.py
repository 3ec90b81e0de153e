"""A notebook of the examples, run as a person would run it, in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from tests.conftest import needed

from modelnook.jobs import warm
from modelnook.settings import home

EXAMPLES = Path(__file__).parents[2] / "examples"
Notebook = Callable[[str, Callable[[list[Any]], list[Any]]], Callable[[], dict[str, str]]]


@pytest.fixture
def notebook(minilm: Path, bbc: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``notebook(name, changed)`` gives what runs all of its cells, ``changed`` by that function, and returns the text
    of each one's output by its last line.
    """
    needed("onnxruntime")
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    # As a person's: the first job leaves a process from which the others are forked.
    monkeypatch.setenv("MODELNOOK_WARM", "10")
    with ExitStack() as kernels:
        kernels.callback(lambda: warm.end(home()))

        def start(name: str, changed: Callable[[list[Any]], list[Any]]) -> Callable[[], dict[str, str]]:
            book = nbformat.read(EXAMPLES / name, as_version=4)
            book.cells = changed([cell for cell in book.cells if cell.cell_type == "code"])
            client = NotebookClient(
                book, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}},
                extra_arguments=["--IPKernelApp.log_level=40"],
            )  # fmt: skip

            def run_all() -> dict[str, str]:
                said = {}
                for number, cell in enumerate(book.cells):
                    client.execute_cell(cell, number)
                    lines = cell.source.strip().splitlines()
                    ours = lines[-1].startswith("%model") or lines[0].startswith("%%model")
                    said[lines[-1]] = "\n".join(text(output, ours=ours) for output in cell.outputs)
                return said

            kernels.enter_context(client.setup_kernel())
            return run_all

        yield start


def text(output: Any, ours: bool) -> str:
    """What an output says where nothing is drawn; one of ours has HTML beside it and no live view left."""
    if output.output_type == "stream":
        return str(output.text)
    if ours:
        assert set(output.data) == {"text/plain", "text/html"}
    return str(output.data["text/plain"])
