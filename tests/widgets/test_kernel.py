"""In real kernels, this environment's and one with Colab's versions: a waiting cell's outputs, calls answered in it."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import absent

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

COLAB = ROOT / ".venv-colab"

SETUP = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "python")!r}]
%load_ext modelnook
from modelnook import api
from tests.live.conftest import FakeRun
"""


@pytest.fixture(params=["python3", "colab"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from jupyter_client.manager import start_new_kernel

    if request.param == "colab":
        if not (COLAB / "share/jupyter/kernels/colab").exists():
            absent("needs the environment with Colab's versions: make .venv-colab/.made")
        monkeypatch.setenv("JUPYTER_PATH", str(COLAB / "share/jupyter"))
    manager, client = start_new_kernel(kernel_name=request.param)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def outputs(client: Any, code: str, timeout: float = 60) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The reply and the outputs of a cell."""
    found: list[dict[str, Any]] = []
    reply = client.execute_interactive(code, timeout=timeout, output_hook=found.append)
    kinds = ("display_data", "update_display_data", "execute_result", "error", "stream")
    return reply["content"], [m for m in found if m["msg_type"] in kinds]


@pytest.mark.parametrize("kernel", ["colab"], indirect=True)
def test_the_floors_are_what_colab_has(kernel: Any) -> None:
    """The extension loads, and the versions that it loads beside are those of constraints-colab.txt."""
    names = ("ipython", "ipykernel", "ipywidgets", "traitlets")
    reply, found = outputs(
        kernel, SETUP + f"from importlib.metadata import version\nprint(*(version(n) for n in {names}))"
    )
    assert reply["status"] == "ok", reply
    said = dict(line.split("==") for line in (ROOT / "constraints-colab.txt").read_text().split() if "==" in line)
    assert found[-1]["content"]["text"].split() == [said[name] for name in names]


def test_a_waiting_cell_ends_as_a_static_card(kernel: Any) -> None:
    outputs(kernel, SETUP + "api.quantize = lambda ref, background: FakeRun('queued', 'running', 'finished')")
    reply, found = outputs(kernel, "%model quantize topics -o made")
    assert reply["status"] == "ok"
    # The card stands once: not as the cell's result again. The widget takes its place, which the card takes again.
    assert [m["msg_type"] for m in found] == ["display_data", "update_display_data", "update_display_data"]
    assert len({m["content"]["transient"]["display_id"] for m in found}) == 1
    assert "application/vnd.jupyter.widget-view+json" not in found[0]["content"]["data"]
    assert "application/vnd.jupyter.widget-view+json" in found[1]["content"]["data"]
    last = found[-1]["content"]["data"]
    assert set(last) == {"text/plain", "text/html"}
    assert "topics · fine-tuning · finished" in last["text/plain"]
    _, found = outputs(kernel, "made")
    assert [m["msg_type"] for m in found] == ["execute_result"]
    # Imported, the widget is there at once.
    _, found = outputs(kernel, "r = %model quantize topics\ndisplay(r)")
    assert [m["msg_type"] for m in found] == ["display_data", "update_display_data", "display_data"]


def test_a_mistake_stops_run_all(kernel: Any) -> None:
    outputs(kernel, SETUP)
    reply, found = outputs(kernel, "%model finetun x")
    assert (reply["status"], reply["ename"]) == ("error", "UsageError")
    assert [m["msg_type"] for m in found] == ["error"]
    assert len(found[0]["content"]["traceback"]) == 2


WAITING = """
import time
from modelnook.widgets.screen import WidgetScreen
run, screen = FakeRun("running", "finished"), WidgetScreen()
screen.open(run)
print(screen.view.model_id, flush=True)
end = time.monotonic() + 20
while not screen.view.live and time.monotonic() < end:
    time.sleep(0.1)
    screen.update(run)
time.sleep(3)
print("ended", screen.view.live)
"""


def test_a_call_is_answered_while_the_cell_waits(kernel: Any) -> None:
    info = kernel.kernel_info(reply=True, timeout=20)
    if "kernel subshells" not in info["content"].get("supported_features", []):
        pytest.skip("this kernel has no subshells: the view then lives on what is pushed")
    outputs(kernel, SETUP)
    kernel.execute(WAITING)
    model = _stream(kernel).strip()
    request = kernel.session.msg("create_subshell_request", {})
    kernel.control_channel.send(request)
    subshell = _reply(kernel, request["header"]["msg_id"])["subshell_id"]

    data = {"method": "custom", "content": {"id": "1", "method": "runs", "params": {}}}
    call = kernel.session.msg("comm_msg", {"comm_id": model, "data": data})
    call["header"]["subshell_id"] = subshell
    kernel.shell_channel.send(call)
    answered = ended = 0.0
    while not ended:
        message = kernel.get_iopub_msg(timeout=30)
        content = message["content"]
        if message["msg_type"] == "comm_msg" and content["data"].get("content", {}).get("id") == "1":
            assert "items" in content["data"]["content"]["result"]
            answered = time.monotonic()
        if message["msg_type"] == "stream" and content["text"].startswith("ended"):
            assert content["text"].strip() == "ended True"
            ended = time.monotonic()
    assert answered
    assert ended - answered > 0.5


def _stream(client: Any) -> str:
    while True:
        message = client.get_iopub_msg(timeout=30)
        if message["msg_type"] == "stream":
            return str(message["content"]["text"])


def _reply(client: Any, to: str) -> dict[str, Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            message = client.get_control_msg(timeout=1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") == to:
            content: dict[str, Any] = message["content"]
            return content
    raise TimeoutError(to)


def test_tab_in_a_kernel(kernel: Any) -> None:
    outputs(kernel, SETUP)
    line = "%model finetune --meth"
    found = kernel.complete(line, len(line), reply=True, timeout=30)["content"]
    assert [line[: found["cursor_start"]] + m for m in found["matches"]] == ["%model finetune --method"]
