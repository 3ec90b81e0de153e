"""The same on Google's and Azure's storage: the real gcsfs and adlfs, servers on loopback that others wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest
from tests.catalog.team import added, at_once, parcel, taken
from tests.standins.clouds import AZURITE, azurite, fake_gcs

from modelnook import api
from modelnook.catalog.base import Query
from modelnook.catalog.shared import SharedSource
from modelnook.domain.errors import NotFoundError, OfflineError
from modelnook.domain.event import Progress

KINDS = [
    "gs",
    pytest.param(
        "abfs", marks=pytest.mark.skipif(not AZURITE.exists(), reason="needs azurite: make .venv-azurite/.made")
    ),
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, str]]]:
    with ExitStack() as stack:
        environ = stack.enter_context(fake_gcs() if request.param == "gs" else azurite())
        yield request.param, environ


@pytest.fixture
def scheme(server: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in server[1].items():
        monkeypatch.setenv(name, value)
    return server[0]


@pytest.fixture
def team(scheme: str, request: pytest.FixtureRequest) -> SharedSource:
    place = request.node.name.partition("[")[0]
    return added(f"{scheme}://team/{place}")


def test_a_model_goes_there_and_comes_back_whole(team: SharedSource, tmp_path: Path) -> None:
    events: list[Progress] = []
    made = [
        str(team.publish("nlp/spam", parcel(tmp_path / mark, mark, alias=("prod",), padding=size), events.append))
        for mark, size in (("a", 0), ("b", 9_000_000), ("b", 9_000_000))
    ]
    assert made == ["team:nlp/spam@1", "team:nlp/spam@2", "team:nlp/spam@2"]
    assert {e.phase for e in events} == {"uploading"}
    assert [(i.id, i.revision) for i in team.search(Query("spam"))] == [("nlp/spam", "2")]
    weights = (taken("team:nlp/spam@prod") / "model.safetensors").read_bytes()
    assert sha256(weights).digest() == sha256((tmp_path / "b" / "model.safetensors").read_bytes()).digest()
    assert json.loads((taken("team:nlp/spam@1") / "config.json").read_text())["mark"] == "a"
    assert api.alias("team:nlp/spam", "prod", back=True).rows[0][1] == 1
    assert not team.place.put_new("models/nlp/spam/v/000002.json", b"a second writer")
    assert team.gc() == (0, 0)
    api.withdraw("team:nlp/spam@2")
    assert team.versions("nlp/spam") == [1]
    api.offline("on")
    assert taken("team:nlp/spam@1").is_dir()
    with pytest.raises(OfflineError):
        taken("team:nlp/spam@7")


def test_publishing_at_once_makes_a_version_each(team: SharedSource, tmp_path: Path) -> None:
    assert at_once(team, tmp_path, 2) == {"mark0", "mark1"}


def test_a_bucket_that_is_not_there(scheme: str) -> None:
    with pytest.raises(NotFoundError, match="Make the folder or bucket first"):
        api.add_source("team", f"{scheme}://nobody/models", kind="folder")
