"""Training from a cell of a real kernel: the card at the end, an interrupt, a restart, Run All twice, an error.

A token is in the kernel's environment, and in nothing that the kernel sends: outputs, the widget's state, errors.
"""

from __future__ import annotations

import signal
import time
from ast import literal_eval
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelnook.jobs import warm
from modelnook.store import Store

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

SETUP = f"""
import sys
sys.path.insert(0, {str(ROOT / "python")!r})
%load_ext modelnook
from pathlib import Path
from modelnook.testing.models import tiny_model, tiny_rows
base = str(Path("tiny").resolve())
train = tiny_rows(64)
"""
CANARY = "hf_canary0123456789abcdefghijklmnopqrs"
SENT: set[str] = set()
"""Kinds of messages that the kernel has sent."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import os

    from jupyter_client.manager import start_new_kernel

    folder = tmp_path_factory.mktemp("kernel")
    environment = {
        **os.environ,
        "MODELNOOK_HOME": str(folder / "home"),
        "MODELNOOK_OFFLINE": "1",
        "WANDB_MODE": "disabled",
        "WANDB_API_KEY": CANARY,
        "HF_TOKEN": CANARY,
    }
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder), env=environment)
    client.manager = manager
    said(client, SETUP + "tiny_model(Path(base))")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    warm.end(folder / "home")


def said(client: Any, code: str, timeout: float = 180) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The reply and the outputs of a cell, as a notebook would keep them."""
    found: list[dict[str, Any]] = []

    def hook(message: dict[str, Any]) -> None:
        assert CANARY not in repr(message)
        SENT.add(message["msg_type"])
        kind, content = message["msg_type"], message["content"]
        if kind == "update_display_data":
            mine = content["transient"]["display_id"]
            for held in found:
                if held.get("transient", {}).get("display_id") == mine:
                    held["data"] = content["data"]
        elif kind in ("display_data", "execute_result", "error", "stream"):
            found.append({**content, "kind": kind})

    reply = client.execute_interactive(code, timeout=timeout, output_hook=hook)["content"]
    return reply, [f for f in found if f["kind"] != "stream"]


TRAIN = "%model finetune {base} --data train --epochs 1 --name topics -o run"


def test_a_finished_run_leaves_one_static_card(kernel: Any) -> None:
    reply, found = said(kernel, TRAIN)
    assert reply["status"] == "ok", reply
    assert [f["kind"] for f in found] == ["display_data"]
    assert set(found[0]["data"]) == {"text/plain", "text/html"}
    assert "local:topics@1" in found[0]["data"]["text/plain"]
    if (ROOT / "python/modelnook/static/widget.js").exists():
        assert {"comm_open", "comm_msg"} <= SENT, "the widget's state was among it"
    _, found = said(kernel, "run.state, run.model")
    assert found[0]["data"]["text/plain"] == "('finished', 'local:topics@1')"


def test_run_all_twice_is_free(kernel: Any) -> None:
    started = time.monotonic()
    _, found = said(kernel, TRAIN)
    assert time.monotonic() - started < 10
    assert [f["kind"] for f in found] == ["execute_result"]
    assert "--again" in found[0]["data"]["text/plain"]
    _, found = said(kernel, "run.model")
    assert found[0]["data"]["text/plain"] == "'local:topics@1'"


def test_an_interrupt_stops_the_run_and_keeps_its_model(kernel: Any) -> None:
    import threading

    seen = record_of(kernel, "long")

    def interrupt() -> None:
        while not ((record := seen()) and (record.progress or {}).get("step", 0) > 3):
            time.sleep(0.05)
        kernel.manager.interrupt_kernel()

    threading.Thread(target=interrupt, daemon=True).start()
    reply, found = said(kernel, "%model finetune {base} --data train --epochs 4000 --name long -o run")
    assert reply["status"] == "ok", reply
    assert "stopped" in found[0]["data"]["text/plain"]
    assert "local:long@1" in found[0]["data"]["text/plain"]


def test_what_a_model_writes_is_shown_while_it_does(kernel: Any) -> None:
    said(kernel, "from modelnook.testing.models import tiny_writer; tiny_writer(Path('writer'))")
    heard: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            heard.append(message["content"]["text"])
        assert message["msg_type"] not in ("execute_result", "display_data", "error"), message["content"]

    kernel.execute_interactive("%%model run ./writer --max-new-tokens 12 -o text\ngood room", output_hook=hook)
    _, (shown,) = said(kernel, "text")
    told = shown["data"]["text/plain"]
    assert told
    assert "".join(heard).startswith(f"{told}\n")
    _, (same,) = said(kernel, "import modelnook; text == modelnook.run('./writer', 'good room', max_new_tokens=12)")
    assert same["data"]["text/plain"] == "True"


def test_evaluate_gives_its_own_card(kernel: Any) -> None:
    reply, found = said(kernel, "%model evaluate topics --data train -o judged")
    assert reply["status"] == "ok", reply
    assert [f["kind"] for f in found] == ["display_data"]
    assert "majority" in found[0]["data"]["text/plain"]
    _, found = said(kernel, "type(judged).__name__")
    assert found[0]["data"]["text/plain"] == "'Evaluation'"


def test_a_run_that_fails_says_why_and_fails_the_cell(kernel: Any) -> None:
    reply, found = said(kernel, "%model finetune {base} --data train --epochs 1 --learning-rate 1e30 --name blown")
    assert reply["status"] == "error"
    assert found[-1]["kind"] == "error"
    assert "Traceback" not in "".join(found[-1]["traceback"])
    assert len(found[-1]["traceback"]) == 2


def test_a_run_outlives_a_restart_and_the_same_cell_joins_it(kernel: Any) -> None:
    cell = "%model finetune {base} --data train --epochs 300 --name survivor -o run"
    record, now = training(kernel, cell, "survivor")
    kernel.manager.restart_kernel()
    again(kernel, record)
    assert now().pid == record.pid
    reply, found = said(kernel, cell)
    assert reply["status"] == "ok", reply
    assert "local:survivor@1" in found[0]["data"]["text/plain"]
    _, found = said(kernel, "run.id, run.state")
    assert literal_eval(found[0]["data"]["text/plain"]) == (record.id, "finished")


def test_a_run_outlives_a_kernel_that_is_killed(kernel: Any) -> None:
    record, now = training(kernel, "%model finetune {base} --data train --epochs 4000 --name orphan", "orphan")
    kernel.manager.signal_kernel(signal.SIGKILL)
    end = time.monotonic() + 30
    while kernel.manager.is_alive():
        assert time.monotonic() < end
        time.sleep(0.05)
    step = now().progress["step"]
    kernel.manager.restart_kernel(now=True)
    again(kernel, record)
    assert now().pid == record.pid
    assert now().progress["step"] > step
    said(kernel, "%model runs stop orphan")
    _, found = said(kernel, "from modelnook.api import run_of\nrun = run_of('orphan').wait(60)\nrun.state, run.model")
    assert literal_eval(found[-1]["data"]["text/plain"]) == ("stopped", "local:orphan@1")


def record_of(kernel: Any, name: str) -> Callable[[], Any]:
    """Reads the record of the run of a name, if there is one."""
    _, found = said(kernel, "from modelnook.settings import home\nstr(home())")
    store = Store(Path(literal_eval(found[0]["data"]["text/plain"])))

    def now() -> Any:
        [record] = [r for r in store.index.runs(limit=9) if r.name == name] or [None]
        return record and store.run(record.id).seen()

    return now


def training(kernel: Any, cell: str, name: str) -> tuple[Any, Callable[[], Any]]:
    """The record of a cell's run after its first steps, and how to read it again."""
    now = record_of(kernel, name)
    kernel.execute(cell)
    end = time.monotonic() + 120
    while not ((record := now()) and (record.progress or {}).get("step", 0) > 3):
        assert time.monotonic() < end
        time.sleep(0.05)
    return record, now


def again(kernel: Any, record: Any) -> None:
    """A fresh kernel lists the run as running."""
    kernel.wait_for_ready(timeout=60)
    said(kernel, SETUP)
    _, found = said(kernel, "%model runs --limit 1")
    [line] = [line for line in found[0]["data"]["text/plain"].splitlines() if record.id in line]
    assert record.name in line
    assert "running" in line
