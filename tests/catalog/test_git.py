"""The source ``git`` over dulwich, against the real ``git http-backend`` with Git LFS beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.standins.git import GitStandIn, can_serve

import modelnook as mn
from modelnook.catalog import remote
from modelnook.catalog.base import Query, Source
from modelnook.domain.errors import (
    ModelnookError,
    NotFoundError,
    OfflineError,
    RefusedError,
    StoreError,
    UnsupportedError,
    UsageError,
)
from modelnook.domain.event import Event, Progress
from modelnook.domain.model import ModelRef
from modelnook.testing.sources import SourceSuite

from .remote import (
    FILES,
    JUDGED,
    LARGE,
    NEEDED,
    ODD,
    ODD_ANSWERS,
    WEIGHTS,
    added,
    evaluations_are_told,
    files,
    fills_up,
    gguf,
    limit_is_waited_out,
    odd_answers_are_told,
    odd_papers_are_read,
    packed_is_read_by_its_header,
    quiet,
    reached_by_the_verbs,
)

pytestmark = pytest.mark.skipif(not can_serve(), reason="needs git and git-http-backend")
pytest.importorskip("dulwich")

TINY = ModelRef("forge", "alice/tiny")
BIG = ModelRef("forge", "alice/large")
TOKEN = "canary_that_must_not_be_seen"


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitStandIn]:
    monkeypatch.setattr(remote, "_KNOWN", {})
    with GitStandIn(tmp_path / "forge") as server:
        server.add_repo("alice/tiny", FILES, lfs={"model.safetensors"}, tag="v1")
        yield server


@pytest.fixture
def source(forge: GitStandIn) -> Source:
    return added("forge", forge.url, "git")


def test_info_without_a_byte_of_weights_that_git_can_leave_out(forge: GitStandIn, source: Source) -> None:
    commit = forge.add_repo("bob/plain", {**FILES, "model.safetensors": LARGE})
    info = source.info(TINY)
    assert (info.task, info.license, info.language) == ("text-classification", "mit", ("zh",))
    assert (info.base_model, info.parameters, info.labels) == ("b/base", 44, ("a", "b"))
    assert (info.dtypes, info.page) == ({"F32": 44}, f"{forge.url}/alice/tiny")
    assert info.bytes == sum(len(FILES[name]) for name in NEEDED)
    assert {r.code for r in info.risks} == {"pickle"}
    plain = source.info(ModelRef("forge", "bob/plain"))
    assert (plain.revision, plain.parameters, plain.bytes) == (commit, None, None)
    assert "safetensors" in plain.formats


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="needs git-lfs")
def test_the_forge_speaks_to_git_lfs_itself(forge: GitStandIn, tmp_path: Path) -> None:
    """What stands in for a forge is held by the client that others wrote."""
    said = {"filter.lfs.smudge": "git-lfs smudge -- %f", "filter.lfs.clean": "git-lfs clean -- %f"}
    filters = [word for name, value in said.items() for word in ("-c", f"{name}={value}")]
    clone = ["git", *filters, "-c", "filter.lfs.required=true", "clone", "-q", f"{forge.url}/alice/tiny.git"]
    done = subprocess.run([*clone, str(tmp_path / "clone")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clone" / "model.safetensors").read_bytes() == WEIGHTS


def test_the_cards_own_evaluations_are_told(forge: GitStandIn, source: Source) -> None:
    forge.add_repo("eve/judged", {**FILES, "README.md": JUDGED})
    evaluations_are_told(source, ModelRef("forge", "eve/judged"))


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_a_place_that_answers_something_else(forge: GitStandIn, source: Source, answer: str) -> None:
    odd_answers_are_told(forge, source, TINY, answer)


def test_odd_papers_and_packed_weights(forge: GitStandIn, source: Source) -> None:
    forge.add_repo("eve/odd", ODD, lfs={"model.safetensors"})
    odd_papers_are_read(source, ModelRef("forge", "eve/odd"))
    forge.add_repo("eve/packed", {"model-q8.gguf": gguf(60_000, padding=100_000)}, lfs={"model-q8.gguf"})
    packed_is_read_by_its_header(source, ModelRef("forge", "eve/packed"))


def test_branches_tags_and_commits(forge: GitStandIn, source: Source) -> None:
    first = source.info(TINY).revision
    second = forge.add_repo("alice/tiny", {"vocab.txt": b"c"})
    assert source.info(TINY).revision == source.info(TINY.at("main")).revision == second
    assert source.info(TINY.at("v1")).revision == first, "an annotated tag is the commit that it points to"
    old = source.fetch(TINY.at(first), quiet)
    assert (old / "vocab.txt").read_bytes() == FILES["vocab.txt"]
    assert (source.fetch(TINY, quiet) / "vocab.txt").read_bytes() == b"c"
    for revision in ("nope", "0" * 40, "1" * 40):
        with pytest.raises(NotFoundError) as caught:
            source.fetch(TINY.at(revision), quiet)
        assert caught.value.code == "hub.no_revision"


@pytest.mark.parametrize("filters", [True, False])
@pytest.mark.slow
def test_weights_in_git_itself_are_brought_too(forge: GitStandIn, source: Source, filters: bool) -> None:
    forge.add_repo("bob/plain", {**FILES, "model.safetensors": LARGE}, filters=filters)
    folder = source.fetch(ModelRef("forge", "bob/plain"), quiet)
    assert files(folder) == NEEDED
    assert (folder / "model.safetensors").read_bytes() == LARGE


def test_what_was_brought_is_whole_and_told(forge: GitStandIn, source: Source) -> None:
    told: list[Event] = []
    folder = source.fetch(TINY, told.append)
    assert files(folder) == NEEDED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    total = sum(len(FILES[name]) for name in NEEDED)
    assert isinstance(told[-1], Progress)
    assert (told[-1].phase, told[-1].step, told[-1].total) == ("downloading", total, total)
    assert source.names() == ["alice/tiny"]
    before = len(forge.requests)
    assert source.fetch(TINY.at(folder.name), quiet) == folder
    assert len(forge.requests) == before


@pytest.mark.slow
def test_a_killed_pull_goes_on_where_it_was(forge: GitStandIn, source: Source) -> None:
    forge.add_repo("alice/large", {**FILES, "model.safetensors": LARGE}, lfs={"model.safetensors"})
    forge.throttle.sleep = 0.05
    script = "import modelnook; modelnook.pull('forge:alice/large')"
    asking = subprocess.Popen([sys.executable, "-c", script], env=dict(os.environ))
    end = time.monotonic() + 60
    parts = source.cache.path  # type: ignore[attr-defined]
    while not _begun(parts):
        assert time.monotonic() < end
        time.sleep(0.03)
    asking.kill()
    asking.wait()
    [run] = mn.runs(kind="pull")
    os.kill(run.record.pid or 0, signal.SIGKILL)
    while run.state != "crashed":
        time.sleep(0.03)
    assert source.here(BIG) is None
    assert [held.part for held in source.held()] == [True]
    forge.throttle.sleep = 0
    folder = mn.pull("forge:alice/large")
    assert isinstance(folder, Path)
    assert (folder / "model.safetensors").read_bytes() == LARGE
    assert files(folder) == NEEDED
    got = [r.headers.get("range", "") for r in forge.seen("GET /_lfs/")]
    assert int(got[-1].removeprefix("bytes=").rstrip("-") or 0) >= 5_000_000


def _begun(parts: Path) -> bool:
    try:
        return any(part.stat().st_size > 8_000_000 for part in parts.rglob("*.incomplete"))
    except FileNotFoundError:
        # git renames and removes folders of its own meanwhile.
        return False


@pytest.mark.slow
def test_a_cut_connection_goes_on(forge: GitStandIn, source: Source) -> None:
    forge.add_repo("alice/large", {**FILES, "model.safetensors": LARGE}, lfs={"model.safetensors"})
    forge.throttle.cut_after, forge.throttle.cuts = 12 << 20, 1
    assert (source.fetch(BIG, quiet) / "model.safetensors").read_bytes() == LARGE


def test_damaged_and_lost_objects(forge: GitStandIn, source: Source) -> None:
    [oid] = forge.objects
    forge.objects[oid] = bytes(len(WEIGHTS))
    with pytest.raises(StoreError, match="checksum"):
        source.fetch(TINY, quiet)
    assert source.here(TINY) is None
    forge.lost.add(oid)
    with pytest.raises(NotFoundError):
        source.fetch(TINY, quiet)
    forge.lost.clear()
    forge.objects[oid] = WEIGHTS
    assert (source.fetch(TINY, quiet) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_token_is_asked_for_and_goes_nowhere_else(forge: GitStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    forge.token = TOKEN
    with pytest.raises(NotFoundError, match="private"):
        added("forge", forge.url, "git").fetch(TINY, quiet)
    known = added("forge", forge.url, "git", token_env="FORGE_TOKEN")
    monkeypatch.setenv("FORGE_TOKEN", "another")
    with pytest.raises(UsageError, match="doesn't know your token") as caught:
        known.fetch(TINY, quiet)
    assert "FORGE_TOKEN" in caught.value.hint
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    assert files(known.fetch(TINY, quiet)) == NEEDED
    assert all("authorization" not in r.headers for r in forge.seen("/_lfs/"))


@pytest.mark.slow
def test_a_limit_is_waited_out_and_said(forge: GitStandIn, source: Source) -> None:
    limit_is_waited_out(forge, source, TINY, "info/refs")
    forge.fail("objects/batch", 429, headers={"Retry-After": "7"})
    with pytest.raises(OfflineError, match="asks for fewer questions") as caught:
        source.info(ModelRef("forge", "alice/tiny", "v1"))
    assert "7 s" in caught.value.hint


REFUSALS = {403: "hub.not_let_in", 404: "hub.no_model", 429: "hub.rate_limit", 503: "hub.unreachable"}


@pytest.mark.parametrize("status", REFUSALS)
def test_refusals_are_sentences(forge: GitStandIn, source: Source, status: int) -> None:
    forge.fail("info/refs", status)
    with pytest.raises(ModelnookError) as caught:
        source.info(TINY)
    assert caught.value.code == REFUSALS[status]
    assert caught.value.hint


@pytest.mark.parametrize("id", ["../etc/passwd", "alice/..", "alice/tiny\x00", "alice", "a/b/../c", "alice/.git"])
def test_a_name_that_is_none_is_refused_before_anything_is_asked(forge: GitStandIn, source: Source, id: str) -> None:
    for ask in (source.info, lambda ref: source.fetch(ref, quiet)):
        with pytest.raises(UsageError) as caught:
            ask(ModelRef("forge", id))
        assert caught.value.code == "hub.bad_id"
    assert not forge.requests


def test_pickles_need_leave_and_there_is_no_list(forge: GitStandIn, source: Source) -> None:
    forge.add_repo("old/model", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with pytest.raises(RefusedError, match="only as a pickle"):
        source.fetch(ModelRef("forge", "old/model"), quiet)
    with pytest.raises(UnsupportedError, match="no list of models"):
        source.listing(10)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_leaves_nothing_half_visible(forge: GitStandIn, source: Source) -> None:
    fills_up(source, TINY, "model.safetensors.incomplete")


def test_the_verbs_reach_it(forge: GitStandIn, source: Source) -> None:
    reached_by_the_verbs(source, "forge:alice/tiny", listed=False)
    assert [row.id for row in mn.search("tiny", source="forge")] == ["alice/tiny"]


def test_what_was_pulled_is_in_the_list(forge: GitStandIn, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    look = partial(mn.search, "tiny", license="permissive", language="zh", sort="downloads")
    assert not look(source="forge").items
    source.fetch(TINY, quiet)
    before = len(forge.requests)
    [row] = look(source="forge")
    assert (row.ref, row.parameters, row.task, bool(row.path)) == ("forge:alice/tiny", 44, "text-classification", True)
    assert not look(source="forge", task="fill-mask").items
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    found = look()
    assert [m.ref for m in found if m.source == "forge"] == ["forge:alice/tiny"]
    assert not [note for note in found.notes if "forge" in note], "there is nothing more to ask for"
    assert len(forge.requests) == before
    source.discard(TINY)
    assert not look(source="forge").items


def test_offline_no_socket_is_opened(forge: GitStandIn, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = source.fetch(TINY, quiet)
    remote._KNOWN.clear()
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    before = len(forge.requests)
    assert source.fetch(TINY, quiet) == folder
    info = source.info(TINY)
    assert (info.revision, info.parameters, info.path) == (folder.name, 44, str(folder))
    for ask in (source.info, lambda ref: source.fetch(ref, quiet)):
        with pytest.raises(OfflineError) as caught:
            ask(ModelRef("forge", "bob/other"))
        assert caught.value.code == "catalog.offline_ref"
    assert [row.id for row in source.search(Query("tiny"))] == ["alice/tiny"]
    assert len(forge.requests) == before


def test_out_of_reach_uses_what_is_here(forge: GitStandIn, source: Source) -> None:
    folder = source.fetch(TINY, quiet)
    remote._KNOWN.clear()
    forge.stop()
    assert source.fetch(TINY, quiet) == folder
    assert source.info(TINY).revision == folder.name
    with pytest.raises(OfflineError) as caught:
        source.info(ModelRef("forge", "bob/other"))
    assert caught.value.code == "hub.unreachable"


class TestGit(SourceSuite):
    kind = "git"
    listed = False

    @pytest.fixture
    def source(self, forge: GitStandIn) -> Source:
        return added("forge", forge.url, "git")

    @pytest.fixture
    def ref(self) -> ModelRef:
        return TINY
