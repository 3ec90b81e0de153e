"""A notebook that only imports modelnook: who waits sees how far it is, values are cards, a mistake is a sentence."""

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


def ran(client: Any, code: str, sent: list[dict[str, Any]] | None = None) -> list[str]:
    """The lines of the error that a cell ends with, as its output keeps them; none where it is well."""
    found: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if sent is not None:
            sent.append({"kind": message["msg_type"], **message["content"]})
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


ROWS = "from modelnook.testing.models import tiny_rows; rows = tiny_rows(40)"


def test_a_run_is_seen_while_it_is_waited_for_and_its_value_is_a_card(kernel: Any) -> None:
    sent: list[dict[str, Any]] = []
    assert not ran(kernel, f"{ROWS}\nmn.finetune(data=rows, method='tfidf', name='words', track='none')", sent)
    shown = [m["data"]["text/plain"] for m in sent if m["kind"] in ("display_data", "update_display_data")]
    assert "words" in shown[0]
    assert "queued" in shown[0]
    # The value is the cell's own to show; assigned to a name, it would be in the way.
    assert shown[-1] == ""
    (value,) = (m["data"] for m in sent if m["kind"] == "execute_result")
    assert "local:words@1" in value["text/plain"]
    assert value["text/html"].startswith("<div")


SLOW = """
from modelnook.runtime.sklearn import SklearnRuntime as Runtime
from modelnook.tasks.answered import answered
import time
def slow(self, rows, **options):
    for _ in rows:
        time.sleep(0.1)
        answered(1)
    return [{"label": "ham", "score": 1.0, "scores": {"ham": 1.0}}] * len(rows)
Runtime.predict = slow
"""


def test_many_answers_have_a_bar_and_few_have_none(kernel: Any) -> None:
    ran(kernel, SLOW)
    for count, bars in ((3, 0), (40, 1)):
        sent: list[dict[str, Any]] = []
        ran(kernel, f"answers = mn.predict('words', rows['text'][:{count}])", sent)
        shown = [m["data"]["text/plain"] for m in sent if m["kind"] == "display_data"]
        assert len(shown) == bars
        assert all("/40" in text for text in shown)
        opened, closed = ([m for m in sent if m["kind"] == f"comm_{end}"] for end in ("open", "close"))
        assert bool(opened) == bool(bars), "what needs no bar sends none"
        widgets = [m for m in opened if m["data"]["state"]["_model_name"] in ("HBoxModel", "HTMLModel")]
        assert {m["comm_id"] for m in widgets} <= {m["comm_id"] for m in closed}
        assert not [m for m in sent if m["kind"] == "error"]


def test_a_bar_of_fewer_answers_than_expected_goes_away(kernel: Any) -> None:
    sent: list[dict[str, Any]] = []
    code = """
from modelnook.live.answers import counted
from modelnook.tasks.answered import expected
with counted():
    expected(100)
    for _ in range(20):
        time.sleep(0.1)
        answered(1)
"""
    assert not ran(kernel, code, sent)
    opened, closed = ({m["comm_id"] for m in sent if m["kind"] == f"comm_{end}"} for end in ("open", "close"))
    boxes = {
        m["comm_id"] for m in sent if m["kind"] == "comm_open" and m["data"]["state"]["_model_name"] == "HBoxModel"
    }
    assert boxes
    assert boxes <= opened & closed
    assert "danger" not in str([m for m in sent if m["kind"] == "comm_msg"])
