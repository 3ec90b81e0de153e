"""A team's folder on a disk without hard links (FAT, some SMB and FUSE mounts): as safe as one that has them."""

from __future__ import annotations

import errno
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.catalog.team import DAY, added, parcel, python, quiet

from modelnook import api
from modelnook.catalog.base import Query
from modelnook.catalog.shared import SharedSource
from modelnook.catalog.shared_place import FolderPlace
from modelnook.domain.errors import ConflictError
from modelnook.domain.model import ModelRef


def refused(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.EPERM, "no links on this disk")


@pytest.fixture
def team(place: Path, monkeypatch: pytest.MonkeyPatch) -> SharedSource:
    monkeypatch.setattr(os, "link", refused)
    return added(str(place))


KILLED = """
import errno, os, signal, sys
from pathlib import Path
from modelnook.catalog.search import source
from tests.catalog.team import parcel
from tests.catalog.test_shared_links import refused
replace = os.replace
def killed(temp, target):
    if str(target).endswith("/v/000002.json"):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(temp, target)
os.link, os.replace = refused, killed
source("team").publish("spam", parcel(Path(sys.argv[1]), "killed"), lambda event: None)
"""
"""Publishes version 2 and is killed as its pointer is put."""


@pytest.mark.slow
def test_killed_as_it_puts_the_pointer_it_leaves_nothing_to_see(
    team: SharedSource, place: Path, tmp_path: Path
) -> None:
    team.publish("spam", parcel(tmp_path / "a", "a"), quiet)
    child = python(KILLED, str(tmp_path / "killed"))
    said = child.communicate()
    assert child.returncode == -signal.SIGKILL, said
    assert team.versions("spam") == [1]
    assert [(i.id, i.revision) for i in team.search(Query("spam"))] == [("spam", "1")]
    assert str(team.publish("spam", parcel(tmp_path / "b", "b"), quiet)) == "team:spam@3"
    assert [i.revision for i in team.search(Query("spam"))] == ["3"]
    assert (team.fetch(ModelRef("team", "spam"), quiet) / "model.safetensors").exists()
    assert team.gc() == (0, 0), "the other may still be at work"
    for path in place.rglob(".*.tmp"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    assert team.gc()[0] >= 1
    assert not list(place.rglob("*.tmp"))
    assert team.place.put_new("models/_/spam/v/000002.json", b"free again")


def test_of_many_writers_one_wins_and_nobody_reads_half(team: SharedSource, place: Path) -> None:
    """Whoever sees the file sees all of it; whoever lost finds that there is one, or that somebody is at it."""
    there = FolderPlace(str(place), "team")
    (place / "models").mkdir()
    halves = []

    def write(job: tuple[int, int]) -> bool:
        content = str(job[1]).encode() * 50_000
        won = there.put_new(f"models/{job[0]}", content)
        held = there.read(f"models/{job[0]}")
        if held is not None and len(held) != 50_000:
            halves.append(job)
        return won

    with ThreadPoolExecutor(4) as pool:
        for number in range(50):
            assert sum(pool.map(write, [(number, writer) for writer in range(4)])) == 1
    assert halves == []
    assert not list(place.rglob("models/.*"))


def test_a_withdrawal_that_was_killed_is_not_taken_for_one(team: SharedSource, place: Path, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "a"), quiet)
    folder = place / "models" / "_" / "spam" / "withdrawn"
    folder.mkdir()
    (folder / ".000001.json.claim.tmp").touch()
    with pytest.raises(ConflictError, match="Somebody is just withdrawing 'team:spam@1'"):
        api.withdraw("team:spam@1")
    (folder / ".000001.json.claim.tmp").unlink()
    api.withdraw("team:spam@1")
    assert team.versions("spam") == []
