"""Models on GitHub and Gitee in the one list: the sites' own search, asked with a token alone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.standins.git import GitStandIn, can_serve

import modelnook as mn
from modelnook.catalog import git_search
from modelnook.catalog.base import Query, Source
from modelnook.catalog.git_search import FORGES, Forge
from modelnook.domain.errors import OfflineError, UnsupportedError

from .remote import FILES, added

pytestmark = pytest.mark.skipif(not can_serve(), reason="needs git and git-http-backend")
pytest.importorskip("dulwich")

TOKEN = "canary_that_must_not_be_seen"
ASKED = "GET /_api/"


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitStandIn]:
    """A site with two models and a program, beside a hub that doesn't answer."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(git_search, "_ANSWERS", {})
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    with GitStandIn(tmp_path / "forge") as server:
        server.token = TOKEN
        server.add_repo("alice/spam-tiny", FILES, lfs={"model.safetensors"})
        server.add_repo("bob/spam-packed", {"spam-q8_0.gguf": b"GGUF"})
        server.add_repo("carol/spam-program", {"README.md": b"# spam", "spam.py": b"print()"})
        monkeypatch.setitem(FORGES, server.url, Forge(f"{server.url}/_api", {"likes": "stars"}))
        yield server


@pytest.fixture
def source(forge: GitStandIn) -> Source:
    return added("forge", forge.url, "git", token_env="FORGE_TOKEN")


@pytest.mark.parametrize("bare", [False, True])
def test_what_holds_weights_is_in_the_list(forge: GitStandIn, source: Source, bare: bool) -> None:
    forge.bare_list = bare
    found = mn.search("spam")
    assert {row.ref for row in found} == {"forge:alice/spam-tiny", "forge:bob/spam-packed"}
    assert not [note for note in found.notes if "forge" in note]
    row = next(row for row in found if row.id == "alice/spam-tiny")
    assert (row.license, row.formats, row.likes) == ("mit", ("safetensors", "pickle"), len("alice"))
    assert (row.summary, row.page) == ("What alice/spam-tiny is for", f"{forge.url}/alice/spam-tiny")
    assert [risk.code for risk in row.risks] == ["pickle"]
    assert mn.info(row.ref).parameters == 44, "what was found is there"


def test_filters_hold_and_the_site_sorts(forge: GitStandIn, source: Source) -> None:
    assert [row.id for row in mn.search("spam", format="gguf", license="permissive")] == ["bob/spam-packed"]
    assert not mn.search("spam", task="fill-mask").items, "what a row doesn't say passes no filter"
    assert [r.values("sort") for r in forge.seen(f"{ASKED}search")] == [[]]
    assert [row.id for row in mn.search("spam", sort="likes")] == ["alice/spam-tiny", "bob/spam-packed"]
    assert forge.seen(f"{ASKED}search")[-1].values("sort") == ["stars"]


def test_what_was_asked_just_now_is_remembered(forge: GitStandIn, source: Source) -> None:
    source.search(Query("spam"))
    before = len(forge.requests)
    assert len(source.search(Query("Spam "))) == 2
    assert len(forge.requests) == before


def test_offline_what_was_seen_is_found_and_nobody_asked(
    forge: GitStandIn, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    mn.search("spam")
    git_search._ANSWERS.clear()
    before = len(forge.requests)
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    found = mn.search("spam")
    assert {row.id for row in found} == {"alice/spam-tiny", "bob/spam-packed"}
    assert [note for note in found.notes if "forge" in note]
    assert source.search(Query("spam")) == []
    assert len(forge.requests) == before


def test_without_a_token_nobody_is_asked(forge: GitStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORGE_TOKEN")
    assert not added("forge", forge.url, "git", token_env="FORGE_TOKEN").search(Query("spam"))
    assert not added("forge", forge.url, "git").search(Query("spam"))
    assert not mn.search("spam").items
    assert not forge.requests


def test_without_words_or_at_another_site_nobody_is_asked(
    forge: GitStandIn, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source.search(Query("  ")) == []
    monkeypatch.delitem(FORGES, forge.url)
    assert source.search(Query("spam")) == []
    assert not forge.requests


REFUSALS = {
    401: "doesn't know your token",
    403: "asks for fewer questions",
    429: "asks for fewer questions",
    503: "HTTP 503",
    200: "doesn't answer as such a place does",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_what_the_site_refuses_is_said_and_the_search_goes_on(forge: GitStandIn, source: Source, status: int) -> None:
    forge.fail(f"{ASKED}search", status, headers={"Retry-After": "33"}, body="[7" if status == 200 else "{}")
    found = mn.search("spam")
    assert not found.items
    [note] = [note for note in found.notes if "forge" in note]
    assert TOKEN not in note
    assert REFUSALS[status] in note


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_a_limit_says_when_it_ends(forge: GitStandIn, source: Source, header: str) -> None:
    at = 50 if header == "Retry-After" else int(time.time()) + 50
    forge.fail(f"{ASKED}search", 403, headers={header: str(at)})
    with pytest.raises(OfflineError) as caught:
        source.search(Query("spam"))
    assert re.search(r"in (4\d|50) s", caught.value.hint)


@pytest.mark.parametrize("body", ['{"items": 7}', "7", "null"])
def test_an_answer_that_is_no_list(forge: GitStandIn, source: Source, body: str) -> None:
    forge.fail(f"{ASKED}search", 200, body=body)
    with pytest.raises(UnsupportedError):
        source.search(Query("spam"))


@pytest.mark.parametrize(
    "row", ['{"full_name": "../../x"}', '{"full_name": 5}', "7", '{"full_name": "a/b", "topics": 7}']
)
def test_rows_of_other_forms_are_left_out(forge: GitStandIn, source: Source, row: str) -> None:
    forge.fail(f"{ASKED}search", 200, body=f'{{"items": [{row}]}}')
    assert source.search(Query("spam")) == []


def test_what_was_asked_long_ago_is_asked_again_and_not_kept(
    forge: GitStandIn, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.search(Query("tiny"))
    monkeypatch.setattr(git_search, "_KEPT", 0.0)
    for _ in range(2):
        source.search(Query("spam"))
    assert len(forge.seen(f"{ASKED}search")) == 3
    assert [words for _, words, _ in git_search._ANSWERS] == ["spam"]


@pytest.mark.slow
def test_a_repository_that_does_not_answer_is_left_out(
    forge: GitStandIn, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_search, "_DEADLINE", 1.5)
    forge.slow("alice/spam-tiny/git/trees", 5.0)
    assert [row.id for row in source.search(Query("spam"))] == ["bob/spam-packed"]
    forge.heal()
    found = source.search(Query("spam"))
    assert {row.id for row in found} == {"alice/spam-tiny", "bob/spam-packed"}, "what was cut short isn't kept"
