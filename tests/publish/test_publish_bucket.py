"""Publishing into a bucket, and what a colleague has of it, on line and off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.catalog.team import taken
from tests.standins.s3 import S3Server

import modelnook as mn
from modelnook import api
from modelnook.domain.errors import OfflineError
from modelnook.settings import home

Make = Callable[..., str]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.mark.slow
def test_a_colleague_finds_it_on_line_and_off(
    s3: S3Server, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.add_source("team", "s3://team/models", kind="folder")
    assert mn.publish(make(), "team:nlp/topics", alias="prod").ref == "team:nlp/topics@1"
    assert mn.search("topics", source="team").items[0].license == "apache-2.0"
    theirs = mn.runs()[0].id
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "colleague"))
    api.add_source("team", "s3://team/models", kind="folder")
    [row] = api.refresh_sources("team").rows
    assert row[:2] == ("team", 1)
    assert [(r.id, r.origin) for r in mn.runs().items] == [(theirs, "team")]
    folder = taken("team:nlp/topics@prod")
    api.offline("on")
    assert mn.search("topics", source="team").items[0].id == "nlp/topics"
    assert taken("team:nlp/topics") == folder
    with pytest.raises(OfflineError):
        mn.publish(str(folder), "team:other", license="internal")
    assert b"not-a-secret" not in b"".join(p.read_bytes() for p in home().rglob("*") if p.is_file())
