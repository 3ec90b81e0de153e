"""A notebook that only imports modelnook: a person's mistake is a sentence and a next step there too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from jupyter_client.manager import start_new_kernel

    folder = tmp_path_factory.mktemp("kernel")
    more = {"MODELNOOK_HOME": str(folder / "home"), "MODELNOOK_OFFLINE": "1", "PYTHONPATH": str(ROOT / "python")}
    environment = {**os.environ, **more, "MODELNOOK_LANG": "en"}
    manager, client = start_new_kernel(startup_timeout=300, kernel_name="python3", cwd=str(folder), env=environment)
    ran(client, "import modelnook as mn, os")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def ran(client: Any, code: str) -> list[str]:
    """The lines of the error that a cell ends with, as its output keeps them; none where it is well."""
    found: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if message["msg_type"] == "error":
            found.extend(message["content"]["traceback"])

    reply = client.execute_interactive(code, timeout=120, output_hook=hook)["content"]
    assert (reply["status"] == "error") == bool(found)
    return found


@pytest.mark.parametrize(
    ("code", "said", "then"),
    [
        ("mn.stop('nosuchrun')", "nosuchrun", "runs"),
        ("mn.search(3)", "takes text, not 3", 'query="minilm"'),
        ("def mine():\n    return mn.info('nosuchmodel')\nmine()", "nosuchmodel", "%model"),
    ],
)
def test_a_mistake_is_a_sentence_and_a_next_step(kernel: Any, code: str, said: str, then: str) -> None:
    lines = ran(kernel, code)
    assert len(lines) == 2
    assert said in lines[0]
    assert then in lines[1]


def test_all_of_it_is_there_where_it_is_asked_for(kernel: Any) -> None:
    lines = ran(kernel, "os.environ['MODELNOOK_DEBUG'] = '1'\nmn.search(3)")
    assert ran(kernel, "del os.environ['MODELNOOK_DEBUG']") == []
    told = "\n".join(lines)
    assert "Traceback" in told
    assert "door.py" in told
    assert "takes text" in told


def test_errors_of_others_are_as_they_were(kernel: Any) -> None:
    assert "Traceback" in "\n".join(ran(kernel, "1 / 0"))
    told = "\n".join(ran(kernel, "try:\n    mn.search(3)\nexcept mn.ModelnookError:\n    1 / 0"))
    assert "takes text" in told
    assert "ZeroDivisionError" in told


def test_plain_python_has_its_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "MODELNOOK_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "python")}
    code = "import modelnook as mn; mn.search(3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "UsageError: 'query' of 'search' takes text" in done.stderr
