"""Waiting for a device says for which run."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from modelnook import cards
from modelnook.domain.recipe import Recipe
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


def test_a_run_waits_for_older_ones_of_its_own_device_alone(store_home: Path) -> None:
    store = Store()
    older = replace(QUEUED, id="aaaaaaaa", name="older", created="2026-11-24T17:00:00Z", device="cpu")
    card = replace(older, id="cccccccc", name="card", created="2026-11-24T16:00:00Z", device="cuda")
    busy = replace(card, id="dddddddd", name="busy", created="2026-11-24T15:00:00Z", state="running")
    store.list_again([older, card, busy])
    mine = store.create_run(Recipe("finetune", "pip:x@1"), QUEUED, {"train": [0]})
    for record in (older, card, busy):
        lease = store.run(record.id).lease
        assert lease.take(lease.epoch())
    told: list[RunRecord | None] = []
    assert wait_for(store, mine, "cpu", lambda: bool(told), told.append) is None
    assert [behind and behind.name for behind in told] == ["older"], "nobody has the device: the next one is named"
    store.list_again([replace(older, state="finished")])
    end = time.monotonic() + 5
    holder = wait_for(store, mine, "cpu", lambda: time.monotonic() > end)
    assert holder, "what waits for the card doesn't hold up what needs none"
    device_lease(store, "cpu").give_back(holder.epoch)


@pytest.mark.slow
def test_a_jobs_log_has_nothing_of_what_torchao_lacks() -> None:
    pytest.importorskip("torchao")
    code = "from modelnook.runtime.silence import mute_imports; mute_imports(); import torchao.quantization"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
