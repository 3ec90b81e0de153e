"""Waiting for a device says for which run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from modelnook import cards
from modelnook.domain.run import RunRecord
from modelnook.jobs.device import device_lease, wait_for
from modelnook.jobs.worker import _waiting
from modelnook.store import Store

QUEUED = RunRecord("bbbbbbbb", "second", "finetune", "queued", created="2026-11-24T17:01:00Z")


def test_who_waits_is_told_which_run_has_the_device(store_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    lease = device_lease(store, "cpu")
    holder = lease.take(lease.epoch())
    assert holder
    has = replace(QUEUED, id="aaaaaaaa", name="first", state="running", pid=holder.pid, host=holder.host)
    elsewhere = replace(has, id="cccccccc", name="else", pid=1, created="2026-11-24T16:00:00Z")
    moves = replace(has, id="dddddddd", name="moves", kind="pull")
    store.list_again([elsewhere, moves, has, QUEUED])
    told: list[RunRecord | None] = []
    try:
        assert wait_for(store, store.run(QUEUED.id), "cpu", lambda: bool(told), told.append) is None
    finally:
        lease.give_back(holder.epoch)
    assert [behind and behind.id for behind in told] == [has.id]
    waiting = replace(QUEUED, progress=_waiting(told[0]))
    for lang, said in (
        ("en", "waits until run first (aaaaaaaa) frees the device"),
        ("zh", "等待运行 first (aaaaaaaa)"),
    ):
        monkeypatch.setenv("MODELNOOK_LANG", lang)
        assert said in cards.text(waiting)
    assert _waiting(None)["phase"] == "waiting"


@pytest.mark.slow
def test_a_jobs_log_has_nothing_of_what_torchao_lacks() -> None:
    pytest.importorskip("torchao")
    code = "from modelnook.runtime.silence import mute_imports; mute_imports(); import torchao.quantization"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
