"""A run's log is read in pieces while it is written: no letter of it is cut in two."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.store import Store
from modelnook.store.runs import RunFolder, new_id, now

SAID = "第 1 轮：loss 0.5 é 🙂\n" * 20


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    record = replace(RunRecord(new_id(), "topics", "finetune", "queued"), created=now())
    return Store(tmp_path / "store").create_run(Recipe("finetune", "pip:x@1"), record, {})


@pytest.mark.parametrize("limit", [4, 5, 7, 64])
def test_pieces_are_cut_between_letters(run: RunFolder, limit: int) -> None:
    run.log.write_bytes(SAID.encode())
    text, at = "", 0
    while piece := run.read_log(at, limit):
        if piece[1] == at:
            break
        text, at = text + piece[0], piece[1]
    assert text == SAID
    assert at == len(SAID.encode())


@pytest.mark.parametrize("back", range(1, 40))
def test_the_end_begins_with_a_whole_letter(run: RunFolder, back: int) -> None:
    run.log.write_bytes(SAID.encode())
    text, _ = run.read_log(-back)
    assert "\ufffd" not in text
    assert SAID.endswith(text)
    assert len(SAID.encode()) == run.read_log(-back)[1]


def test_half_a_letter_waits_for_its_other_half(run: RunFolder) -> None:
    whole = "轮".encode()
    run.log.write_bytes(b"a" + whole[:2])
    assert run.read_log() == ("a", 1)
    assert run.read_log(1) == ("", 1)
    with run.log.open("ab") as file:
        file.write(whole[2:])
    assert run.read_log(1) == ("轮", 4)


def test_what_is_no_text_is_shown_as_such(run: RunFolder) -> None:
    run.log.write_bytes(b"a\xffb\x80c")
    assert run.read_log() == ("a\ufffdb\ufffdc", 5)
    # More of them than a letter has.
    run.log.write_bytes(b"\x80" * 10)
    assert run.read_log(-9) == ("\ufffd" * 6, 10)


def test_once_its_writer_is_gone_the_rest_is_told(run: RunFolder) -> None:
    run.log.write_bytes(b"a" + "轮".encode()[:2])
    assert run.lease.take(0) is not None
    assert run.read_log() == ("a", 1), "this process holds it"
    run.lease.give_back(1)
    assert run.read_log() == ("a\ufffd", 3)
    assert os.path.getsize(run.log) == 3
