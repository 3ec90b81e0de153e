"""A version that was taken back: nobody finds it, nobody gets its number, its files go when nobody can be at them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.catalog.team import DAY, added, parcel, quiet, taken
from tests.standins.s3 import S3Server

from modelnook import api, cards
from modelnook.catalog.base import Query
from modelnook.catalog.search import resolve, source
from modelnook.catalog.shared import SharedSource
from modelnook.domain.errors import ConflictError, NotFoundError, UnsupportedError, UsageError


@pytest.fixture
def team(place: Path, tmp_path: Path) -> SharedSource:
    """A team whose model ``spam`` has versions 1 and 2."""
    found = added(str(place))
    for mark in "ab":
        found.publish("spam", parcel(tmp_path / mark, mark), quiet)
    return found


def aged(place: Path, days: float = 2) -> None:
    """Let everything in the place be that old."""
    for path in place.rglob("*"):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_nobody_finds_it_and_who_asks_is_told_why(team: SharedSource, place: Path) -> None:
    api.refresh_sources("team")
    rows = api.withdraw("team:spam@2", why="labels were\nswapped\x1b[2J").rows
    assert [(row[0], row[5]) for row in rows] == [(2, "labels wereswapped[2J"), (1, "")]
    assert resolve("team:spam").ref.revision == "1"
    assert [(i.id, i.revision) for i in api.search("spam", source="team").items] == [("spam", "1")]
    assert json.loads((place / "cache/index.json").read_text())["spam"]["version"] == 1
    with pytest.raises(NotFoundError, match=r"'team:spam@2' means version 2, which .* withdrew on .*: labels were"):
        taken("team:spam@2")
    with pytest.raises(NotFoundError, match="Take another version: 1"):
        api.info("team:spam@2")
    assert "swapped" in cards.text(api.withdraw("team:spam@2")), "what was said first stands"


def test_its_number_is_never_used_again(team: SharedSource, tmp_path: Path) -> None:
    api.withdraw("team:spam@2")
    assert str(team.publish("spam", parcel(tmp_path / "b", "b"), quiet)) == "team:spam@3", "the same files once more"
    assert team.versions("spam") == [1, 3]


def test_a_model_without_versions_is_none(team: SharedSource, tmp_path: Path) -> None:
    for number in (1, 2):
        api.withdraw(f"team:spam@{number}", why="a leak")
    assert team.search(Query()) == []
    assert (team.names(), team.has("spam")) == ([], False)
    with pytest.raises(NotFoundError, match=r"All versions of 'team:spam' were withdrawn, .*: a leak"):
        api.info("team:spam")
    team.publish("spam", parcel(tmp_path / "c", "c"), quiet)
    assert resolve("team:spam").ref.revision == "3"


def test_an_alias_says_so_and_goes_back_past_it(team: SharedSource, tmp_path: Path) -> None:
    for number in (1, 2):
        api.alias(f"team:spam@{number}", "prod")
    api.withdraw("team:spam@prod", why="wrong labels")
    assert team.versions("spam") == [1]
    with pytest.raises(NotFoundError, match="'team:spam@prod' means version 2"):
        taken("team:spam@prod")
    assert api.alias("team:spam", "prod", back=True).rows[0][1] == 1
    assert resolve("team:spam@prod").ref.revision == "1"
    team.publish("spam", parcel(tmp_path / "c", "c", alias=("prod",)), quiet)
    assert api.alias("team:spam", "prod", back=True).rows[0][1] == 1, "not to the one that was withdrawn"


def test_its_files_go_with_the_collector_but_not_under_a_readers_hands(team: SharedSource, place: Path) -> None:
    weights = set(team.place.walk("blobs"))
    aged(place)
    api.withdraw("team:spam@2")
    assert team.gc() == (0, 0), "somebody may have begun to read it a minute ago"
    aged(place)
    count, freed = team.gc()
    left = set(team.place.walk("blobs"))
    assert (count, freed > 0) == (len(weights - left), True)
    assert count >= 2, "its manifest and configuration; what version 1 has as well stays"
    assert json.loads((taken("team:spam@1") / "config.json").read_text())["mark"] == "a"


def test_it_comes_back_while_its_files_are_sure_to_stay(team: SharedSource, place: Path) -> None:
    api.withdraw("team:spam@2")
    rows = api.withdraw("team:spam@2", back=True).rows
    assert [row[4] for row in rows] == ["", ""]
    assert json.loads((taken("team:spam") / "config.json").read_text())["mark"] == "b"
    api.withdraw("team:spam@2")
    aged(place, 0.8)
    with pytest.raises(ConflictError, match="too long ago"):
        api.withdraw("team:spam@2", back=True)


def test_what_was_brought_stays_with_who_has_it(team: SharedSource) -> None:
    folder = taken("team:spam@2")
    api.withdraw("team:spam@2")
    assert taken("team:spam@2") == folder, "a run's record must stay true"


def test_a_damaged_version_can_be_taken_back(team: SharedSource, place: Path) -> None:
    (place / "models/_/spam/v/000002.json").write_text('{"half":')
    assert api.withdraw("team:spam@2").rows[0][:3] == (2, "", "")
    assert resolve("team:spam").ref.revision == "1"
    aged(place)
    assert team.gc()[0] >= 2, "nothing hinders the collector any more"


@pytest.mark.parametrize("said", [b"", b"[]", b'{"author": {"a": 1}, "why": "x\\u001b[31m"}', b"\xff"])
def test_what_a_stranger_said_of_it_is_text(said: bytes, team: SharedSource, place: Path) -> None:
    api.withdraw("team:spam@2")
    (place / "models/_/spam/withdrawn/000002.json").write_bytes(said)
    with pytest.raises(NotFoundError) as caught:
        taken("team:spam@2")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("ref", ["spam", "team:spam", "local:spam@1", "./spam"])
def test_a_source_and_a_version_must_be_named(ref: str, team: SharedSource) -> None:
    with pytest.raises(UsageError, match="which published version to take back"):
        api.withdraw(ref)
    assert team.versions("spam") == [1, 2]


def test_what_is_not_there_or_cannot_be(team: SharedSource) -> None:
    for ref, said in (("team:spam@7", "no version or alias '7'"), ("team:spum@1", "Did you mean 'team:spam'")):
        with pytest.raises(NotFoundError, match=said):
            api.withdraw(ref)
    with pytest.raises(UsageError, match="can't be the id"):
        api.withdraw("team:../x@1")
    with pytest.raises(UnsupportedError, match="keeps every commit"):
        api.withdraw("hub:anna/spam@v1")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SharedSource]:
    with S3Server() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        api.add_source("team", "s3://team/models", kind="folder")
        found = source("team")
        assert isinstance(found, SharedSource)
        for mark in "ab":
            found.publish("spam", parcel(tmp_path / mark, mark), quiet)
        yield found


@pytest.mark.slow
def test_in_a_bucket_it_is_the_same(bucket: SharedSource) -> None:
    api.refresh_sources("team")
    assert api.withdraw("team:spam@2", why="a leak").rows[0][5] == "a leak"
    assert resolve("team:spam").ref.revision == "1"
    assert bucket.gc() == (0, 0)
    assert api.withdraw("team:spam@1").rows[1][4]
    api.offline("on")
    assert api.search("spam", source="team").items == ()
