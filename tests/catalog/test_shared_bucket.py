"""The same in a bucket: moto's S3 server on loopback, the real s3fs client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.catalog.remote import killed_in_mid_file
from tests.catalog.team import added, at_once, killed, parcel, quiet, taken
from tests.standins.s3 import S3Server

import modelnook as mn
from modelnook import api
from modelnook.catalog.base import Query
from modelnook.catalog.search import source
from modelnook.catalog.shared import SharedSource
from modelnook.domain.errors import NotFoundError, OfflineError, StoreError, UnsupportedError
from modelnook.domain.model import ModelRef
from modelnook.testing.sources import SourceSuite

# A server of S3 for each.
pytestmark = pytest.mark.slow


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def team(s3: S3Server) -> SharedSource:
    return added("s3://team/models")


class TestBucket(SourceSuite):
    kind = "folder"

    @pytest.fixture
    def source(self, team: SharedSource, tmp_path: Path) -> SharedSource:
        team.publish("nlp/spam", parcel(tmp_path / "m"), quiet)
        return team

    @pytest.fixture
    def ref(self) -> ModelRef:
        return ModelRef("team", "nlp/spam")


def test_a_bucket_that_ignores_conditional_writes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server(conditional=False) as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UnsupportedError, match="two people who publish at once could lose a version"):
            api.add_source("team", "s3://team/models", kind="folder")
        assert "team" not in [row[0] for row in api.sources().rows]


def test_a_bucket_that_is_not_there(s3: S3Server) -> None:
    with pytest.raises(NotFoundError, match="Make the folder or bucket first"):
        api.add_source("team", "s3://nobody/models", kind="folder")


@pytest.mark.slow
def test_a_clock_that_is_off_is_told_as_that(team: SharedSource, s3: S3Server, tmp_path: Path) -> None:
    s3.late = True
    for ask in (lambda: team.versions("spam"), lambda: team.publish("spam", parcel(tmp_path / "m"), quiet)):
        with pytest.raises(StoreError, match="clock is minutes off"):
            ask()
    s3.late = False
    assert team.versions("spam") == []


def test_two_publish_at_once_and_each_gets_a_version(team: SharedSource, tmp_path: Path) -> None:
    assert at_once(team, tmp_path, 3) == {"mark0", "mark1", "mark2"}


def test_a_lost_answer_makes_no_second_version(team: SharedSource, s3: S3Server, tmp_path: Path) -> None:
    lost: list[str] = []

    def lose(method: str, path: str) -> bool:
        if method == "PUT" and "/v/" in path and not lost:
            lost.append(path)
            return True
        return False

    s3.lost = lose
    made = team.publish("spam", parcel(tmp_path / "m"), quiet)
    assert lost
    assert (made.revision, team.versions("spam")) == ("1", [1])


def test_without_its_server_what_is_here_is_used(team: SharedSource, s3: S3Server, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m"), quiet)
    here = taken("team:spam")
    api.offline("on")
    assert taken("team:spam") == here
    assert source("team").names() == ["spam"]
    with pytest.raises(OfflineError):
        taken("team:spam@7")


def test_a_large_file_comes_whole(team: SharedSource, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m", padding=9_000_000), quiet)
    folder = team.fetch(ModelRef("team", "spam"), quiet)
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "m" / "model.safetensors").read_bytes()
    assert team.gc() == (0, 0)
    assert team.search(Query("spam"))[0].parameters


def test_a_killed_pull_goes_on_where_it_was(team: SharedSource, s3: S3Server, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m", padding=24_000_000), quiet)
    s3.sleep = 0.2
    run = killed_in_mid_file(team, "team:spam", "parts")
    assert [(str(held.ref), held.part) for held in team.held()] == [("team:spam", True)]
    s3.sleep = 0.0
    s3.parts.clear()
    folder = mn.pull("team:spam")
    assert isinstance(folder, Path)
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "m" / "model.safetensors").read_bytes()
    starts = [int(said.removeprefix("bytes=").partition("-")[0]) for path, said in s3.parts if "/blobs/" in path]
    assert starts
    assert min(starts) >= 4_000_000
    assert [r.id for r in mn.runs(kind="pull")] == [run.id]


@pytest.mark.slow
def test_parts_of_a_killed_upload_are_collected(team: SharedSource, s3: S3Server, tmp_path: Path) -> None:
    def uploads() -> list[dict[str, object]]:
        found: list[dict[str, object]] = team.place.fs.list_multipart_uploads("team")  # type: ignore[attr-defined]
        return found

    team.publish("other", parcel(tmp_path / "other", "other"), quiet)
    killed("publish", tmp_path / "m", 8_000_000, "('spam', parcel(Path(sys.argv[2]), 'killed', padding=40_000_000))")
    [left] = uploads()
    assert str(left["Key"]).startswith("models/blobs/sha256/")
    assert team.search(Query("spam")) == []
    s3.begun = datetime.now(UTC)
    assert team.gc() == (0, 0), "whoever began it may still be at work"
    s3.begun = None
    count, freed = team.gc()
    assert (count, freed >= 8_000_000) == (1, True)
    assert uploads() == []
    assert (team.fetch(ModelRef("team", "other"), quiet) / "model.safetensors").exists()
