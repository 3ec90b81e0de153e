"""A team's shared folder: nothing half is seen, nothing is lost, whatever else happens at the same time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.catalog.team import DAY, added, at_once, killed, parcel, python, quiet, taken

import modelnook as mn
from modelnook import api, cards
from modelnook.api.rows import noted
from modelnook.catalog import shared_cache
from modelnook.catalog.base import Query
from modelnook.catalog.folder import describe
from modelnook.catalog.search import resolve
from modelnook.catalog.shared import SharedSource
from modelnook.catalog.shared_layout import blob
from modelnook.domain.errors import (
    ConflictError,
    ModelnookError,
    NotFoundError,
    OfflineError,
    RefusedError,
    StoreError,
    UsageError,
)
from modelnook.domain.event import Progress
from modelnook.domain.model import ModelRef
from modelnook.store import Store
from modelnook.testing.sources import SourceSuite


@pytest.fixture
def team(place: Path) -> SharedSource:
    return added(str(place))


class TestFolder(SourceSuite):
    kind = "folder"

    @pytest.fixture
    def source(self, team: SharedSource, tmp_path: Path) -> SharedSource:
        team.publish("spam", parcel(tmp_path / "m"), quiet)
        return team

    @pytest.fixture
    def ref(self) -> ModelRef:
        return ModelRef("team", "spam")


class TestMemory(SourceSuite):
    """Any address of fsspec's."""

    kind = "folder"

    @pytest.fixture
    def source(self, tmp_path: Path) -> SharedSource:
        api.add_source("team", f"memory://{tmp_path.name}", kind="folder")
        found = SharedSource("team")
        found.publish("nlp/spam", parcel(tmp_path / "m"), quiet)
        return found

    @pytest.fixture
    def ref(self) -> ModelRef:
        return ModelRef("team", "nlp/spam")


def test_a_version_is_a_number_and_an_alias_moves(team: SharedSource, tmp_path: Path) -> None:
    made = [str(team.publish("spam", parcel(tmp_path / m, m, alias=("prod",)), quiet)) for m in "abb"]
    assert made == ["team:spam@1", "team:spam@2", "team:spam@2"], "the same files make no second version"
    assert resolve("team:spam@prod").ref == ModelRef("team", "spam", "2"), "a record must stay true"
    assert resolve("spam").ref == ModelRef("team", "spam", "2")
    assert "prod" in api.info("team:spam").summary
    assert json.loads((taken("team:spam@1") / "config.json").read_text())["mark"] == "a"


@pytest.mark.slow
def test_a_name_that_two_sources_have_is_noted(team: SharedSource, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m", "theirs"), quiet)
    mine = tmp_path / "mine"
    parcel(mine, "mine")
    Store().models.add("spam", mine, describe(mine, ref="", id="spam", source="local"))
    assert resolve("spam").ref == ModelRef("local", "spam", "1")
    note = "Found in local; also in team: write team:spam for that one."
    assert api.info("spam").summary.endswith(note)
    assert noted("spam") == note  # what evaluate, quantize, compare and the like say first
    assert "Found in" not in api.info("team:spam").summary
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(20)]
    run = api.finetune("spam", rows, name="other", track="none", background=True)
    assert (run.base, run.note) == ("local:spam@1", note)
    while not (holder := run.folder.lease.live()):
        time.sleep(0.02)
    os.kill(holder.pid, signal.SIGKILL)


def test_an_alias_has_a_history_and_goes_back(team: SharedSource, tmp_path: Path) -> None:
    for mark in "abc":
        team.publish("spam", parcel(tmp_path / mark, mark, alias=("prod",)), quiet)
    assert api.alias("team:spam", "prod").rows[0][1] == 3
    assert api.alias("team:spam", "prod", back=True).rows[0][1] == 2
    assert api.alias("team:spam", "prod", back=True).rows[0][1] == 1
    with pytest.raises(NotFoundError, match="meant no other version"):
        api.alias("team:spam", "prod", back=True)
    assert [row[1] for row in api.alias("team:spam@3", "prod").rows] == [3, 1, 2, 3, 2, 1]
    assert [(row[0], row[1]) for row in api.alias("team:spam@1", "best").rows] == [("best", 1)]
    assert [(row[0], row[1]) for row in api.alias("team:spam").rows] == [("best", 1), ("prod", 3)]
    with pytest.raises(UsageError, match="can't be an alias"):
        api.alias("team:spam@1", "../x")


def test_an_alias_that_is_set_again_has_one_entry(team: SharedSource, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "a", alias=("prod",)), quiet)
    assert len(api.alias("team:spam@1", "prod").rows) == 1
    with pytest.raises(NotFoundError) as caught:
        api.alias("team:spam", "prod", back=True)
    assert "alias team:spam prod" in caught.value.hint


@pytest.mark.slow
def test_many_publish_at_once_and_each_gets_a_version(team: SharedSource, tmp_path: Path) -> None:
    """Real processes; whoever reads meanwhile sees whole models only."""
    seen = set()

    def read() -> None:
        for info in team.search(Query("spam")):
            folder = team.fetch(ModelRef("team", "spam", info.revision), quiet)
            seen.add(json.loads((folder / "config.json").read_text())["mark"])

    assert at_once(team, tmp_path, 4, meanwhile=read) == {f"mark{i}" for i in range(4)} >= seen
    assert len(api.alias("team:spam", "best").rows) == 4


def test_a_killed_publication_leaves_nothing_to_see(team: SharedSource, place: Path, tmp_path: Path) -> None:
    team.publish("other", parcel(tmp_path / "other", "other"), quiet)
    before = set(team.place.walk("blobs"))
    killed("publish", tmp_path / "m", 200, "('spam', parcel(Path(sys.argv[2]), 'killed'))")
    left = set(team.place.walk("blobs")) - before
    assert left, "it was killed in the middle"
    assert team.search(Query("spam")) == []
    with pytest.raises(NotFoundError):
        team.info(ModelRef("team", "spam"))
    assert team.gc() == (0, 0), "what is young may belong to somebody at work"
    for path in team.place.walk("blobs"):
        os.utime(place / path, (time.time() - 2 * DAY,) * 2)
    (place / "blobs" / "sha256" / ".x.1234.tmp").write_bytes(b"half")
    os.utime(place / "blobs" / "sha256" / ".x.1234.tmp", (time.time() - 2 * DAY,) * 2)
    assert "contents that no version in team needs" in api.gc_sources()
    assert set(team.place.walk("blobs")) == before, "what a version needs stays"
    assert not list(place.rglob("*.tmp"))
    assert (team.fetch(ModelRef("team", "other"), quiet) / "model.safetensors").exists()


def test_old_contents_are_young_again_for_who_needs_them(team: SharedSource, place: Path, tmp_path: Path) -> None:
    killed("publish", tmp_path / "m", 200, "('spam', parcel(Path(sys.argv[2]), 'killed'))")
    for path in team.place.walk("blobs"):
        os.utime(place / path, (time.time() - 2 * DAY,) * 2)
    # A collector that runs between the contents and the pointer.
    took = []
    team.publish("spam", parcel(tmp_path / "m", "killed"), lambda event: took.append(team.gc()))
    assert (team.fetch(ModelRef("team", "spam"), quiet) / "model.safetensors").exists()
    assert took


def test_this_machines_clock_is_not_asked(team: SharedSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed("publish", tmp_path / "m", 200, "('spam', parcel(Path(sys.argv[2]), 'killed'))")
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert team.gc() == (0, 0)


def test_nothing_is_collected_where_a_version_cannot_be_read(team: SharedSource, place: Path, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m"), quiet)
    (place / "models/_/spam/v/000002.json").write_text('{"half":')
    for path in team.place.walk("blobs"):
        os.utime(place / path, (time.time() - 2 * DAY,) * 2)
    with pytest.raises(RefusedError, match="nothing was removed"):
        team.gc()
    said = api.gc_sources()
    assert said.startswith("team was left as it is: 'team:spam@2' can't be read")
    assert said.endswith("withdraw team:spam@2")
    assert [i.ref for i in team.search(Query())] == []
    assert (team.fetch(ModelRef("team", "spam", "1"), quiet) / "config.json").exists()


def test_a_killed_download_goes_on_where_it_was(
    team: SharedSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_cache, "_TELL_EVERY", 0)
    team.publish("spam", parcel(tmp_path / "m", padding=20_000_000), quiet)
    killed("fetch", tmp_path, 8_000_000, "(ModelRef('team', 'spam'),)")
    assert not list(team.cache.path.glob("models/*/*/*")), "it was killed in the middle"
    [left] = team.held()
    assert (str(left.ref), left.part, left.bytes >= 4_000_000) == ("team:spam", True, True)
    events: list[Progress] = []
    folder = team.fetch(ModelRef("team", "spam"), events.append)
    assert sha256((folder / "model.safetensors").read_bytes()).digest() == (
        sha256((tmp_path / "m" / "model.safetensors").read_bytes()).digest()
    )
    assert not [e.step for e in events if 1000 < e.step < 8_000_000], "what was here isn't brought again"
    assert [held.part for held in team.held()] == [False]
    assert not list(team.cache.path.glob("parts/*.incomplete"))


@pytest.mark.slow
def test_parts_of_a_download_are_told_and_go_with_the_model(team: SharedSource, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m", padding=9_000_000), quiet)
    team.publish("other", parcel(tmp_path / "other", "other"), quiet)
    killed("fetch", tmp_path, 4_000_000, "(ModelRef('team', 'spam'),)")
    taken("team:other")
    assert {str(held.ref): held.part for held in team.held()} == {"team:spam": True, "team:other@1": False}
    assert ("team:spam", True) in {(row[0], row[6]) for row in mn.cache().rows}
    assert "freed" in api.rm_cached("team:spam")
    assert [str(held.ref) for held in team.held()] == ["team:other@1"]
    assert not list(team.cache.path.glob("parts/*.incomplete"))


def test_a_wrong_content_is_not_kept(team: SharedSource, place: Path, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m"), quiet)
    weights = place / blob(sha256((tmp_path / "m" / "model.safetensors").read_bytes()).hexdigest())
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + b"x")
    with pytest.raises(StoreError, match=r"'model.safetensors' of 'team:spam@1' isn't what its checksum says"):
        taken("team:spam")
    weights.unlink()
    with pytest.raises(StoreError, match="is gone"):
        taken("team:spam")
    weights.write_bytes(good)
    assert (taken("team:spam") / "model.safetensors").read_bytes() == good


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/evil", "a/../../evil", "C:evil", "a\\evil", "evil\x1b[2J", "a//b", "", "CONFIG.JSON"]
)
def test_a_manifest_that_leaves_its_folder_is_refused(
    name: str, team: SharedSource, place: Path, tmp_path: Path
) -> None:
    team.publish("spam", parcel(tmp_path / "m"), quiet)
    pointer = place / "models/_/spam/v/000001.json"
    said = json.loads(pointer.read_text())
    manifest = json.loads((place / blob(said["manifest"][7:])).read_text())
    manifest["layers"][-1]["annotations"]["org.cncf.model.filepath"] = name
    data = json.dumps(manifest).encode()
    (place / blob(sha256(data).hexdigest())).write_bytes(data)
    pointer.write_text(json.dumps({**said, "version": 1, "manifest": f"sha256:{sha256(data).hexdigest()}"}))
    with pytest.raises(RefusedError, match="would lie outside") as caught:
        taken("team:spam")
    assert "\x1b" not in str(caught.value)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("id", ["../spam", "a/../b", "sp\x1bam", "a/b/c", ".hidden", "a..b", "x\ny", "a\\b"])
def test_an_id_stays_in_its_place(id: str, team: SharedSource, tmp_path: Path) -> None:
    for call in (
        lambda: team.info(ModelRef("team", id)),
        lambda: team.fetch(ModelRef("team", id), quiet),
        lambda: team.fetch(ModelRef("team", id, "1"), quiet),
        lambda: team.publish(id, parcel(tmp_path / "m"), quiet),
        lambda: team.here(ModelRef("team", id)),
        lambda: team.discard(ModelRef("team", id)),
    ):
        with pytest.raises(UsageError, match="can't be the id of a model") as caught:
            call()
        assert "\x1b" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_is_removed_lies_in_the_cache(team: SharedSource, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m"), quiet)
    assert api.info("team:spam").path is None
    folder = taken("team:spam")
    team.discard(ModelRef("team", "spam", "../.."))
    assert team.here(ModelRef("team", "spam", "../..")) is None
    assert team.here(ModelRef("team", "spam")) == folder
    assert api.info("team:spam").path == str(folder)
    assert str(folder) in cards.html(api.info("team:spam"))
    team.discard(ModelRef("team", "spam"))
    assert team.here(ModelRef("team", "spam")) is None
    assert team.versions("spam") == [1]


def test_info_says_types_and_lineage_before_anything_is_taken(team: SharedSource, tmp_path: Path) -> None:
    made = parcel(tmp_path / "m")
    info = replace(made.info, base_model="hub:a/base", relation="quantized")
    team.publish("spam", replace(made, info=info), quiet)
    said = api.info("team:spam")
    assert (said.dtypes, said.relation, said.path) == ({"F32": 44}, "quantized", None)
    assert "44 (F32)" in cards.text(said)


def test_an_entry_that_a_stranger_wrote_is_read_as_such(team: SharedSource, place: Path, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m"), quiet)
    pointer = place / "models/_/spam/v/000001.json"
    said = json.loads(pointer.read_text())
    said["info"] |= {
        "task": {"a": 1},
        "license": ["x"],
        "labels": [1, "a\x1b[31m"],
        "parameters": "many",
        "path": "/etc",
    }
    said["info"] |= {
        "risks": ["no"],
        "metrics": {"accuracy": "high", "f1": 10**400},
        "downloads": 10**30,
        "name": "<script>",
        "tags": 3,
        "dtypes": {"F32\x1b[31m": 4, "I8": -1, "F16": "7", "U8": 10**400, "BF16": True},
        "relation": ["merge"],
    }
    said["author"] = "anna\x1b]0;title\x07"
    pointer.write_text(json.dumps(said))
    (place / "cache/index.json").unlink()
    info = api.info("team:spam")
    assert (info.task, info.license, info.labels, info.parameters, info.path) == (None, None, ("a[31m",), None, None)
    assert (info.dtypes, info.relation) == ({"F32[31m": 4}, None)
    assert "\x1b" not in info.summary
    assert api.search("spam", source="team").items


def test_the_listing_is_never_the_truth(team: SharedSource, place: Path, tmp_path: Path) -> None:
    for mark in "ab":
        team.publish("spam", parcel(tmp_path / mark, mark), quiet)
    listing = place / "cache" / "index.json"
    held = json.loads(listing.read_text())
    for lie in (
        b"",
        b"[",
        b"{}",
        b'{"ghost": {"version": 1}}',
        json.dumps({"spam": {**held["spam"], "version": 9}}).encode(),
    ):
        listing.write_bytes(lie)
        assert [(i.id, i.revision) for i in team.search(Query())] == [("spam", "2")]
    listing.unlink()
    assert api.refresh_sources("team").rows == (("team", 1, ""),)
    assert json.loads(listing.read_text()) == held


def test_a_name_that_differs_in_case_alone_is_refused(team: SharedSource, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m"), quiet)
    with pytest.raises(ConflictError, match="same name as 'Spam' on some disks"):
        team.publish("Spam", parcel(tmp_path / "m"), quiet)


def test_what_is_made_may_be_used_by_the_others(place: Path, tmp_path: Path) -> None:
    place.chmod(0o2775)
    before = os.umask(0o077)
    try:
        api.add_source("team", str(place), kind="folder")
        team = SharedSource("team")
        team.publish("spam", parcel(tmp_path / "m"), quiet)
    finally:
        os.umask(before)
    for path in place.rglob("*"):
        wanted = 0o2775 if path.is_dir() else 0o664
        assert path.stat().st_mode & 0o7777 == wanted, path


MOUNTED = """
import sys
from modelnook.domain.errors import ModelnookError
from pathlib import Path
from modelnook import api
from modelnook.catalog.search import source
from tests.catalog.team import parcel, taken
try:
    exec(sys.argv[1])
    print("done")
except ModelnookError as error:
    print(error.code, error)
"""


def mounted(mount: str, code: str) -> str:
    """What ``code`` ends with in a process that sees another mount."""
    if shutil.which("unshare") is None or os.system("unshare -rm true 2>/dev/null"):
        pytest.skip("needs user namespaces")
    wrap = ("unshare", "-rm", "sh", "-ec", f'{mount}; exec "$@"', "sh")
    out, err = python(MOUNTED, code, wrap=wrap).communicate()
    assert out, err
    return out


@pytest.mark.slow
def test_a_read_only_mount_is_read(team: SharedSource, place: Path, tmp_path: Path) -> None:
    team.publish("spam", parcel(tmp_path / "m"), quiet)
    mount = f"mount --bind {place} {place}; mount -o remount,bind,ro {place}"
    made = f"source('team').publish('spam', parcel(Path({str(tmp_path / 'n')!r}), 'n'), print)"
    assert "mounted read-only" in mounted(mount, made)
    assert mounted(mount, "taken('team:spam'); api.search('spam'); api.refresh_sources('team')") == "done\n"
    assert mounted(mount, f"api.add_source('again', {str(place)!r}, kind='folder')") == "done\n"
    other = tmp_path / "empty"
    other.mkdir()
    mount = f"mount --bind {other} {other}; mount -o remount,bind,ro {other}"
    assert "shared.read_only" in mounted(mount, f"api.add_source('none', {str(other)!r}, kind='folder')")


def test_a_full_disk_says_so_and_loses_nothing(team: SharedSource, place: Path, tmp_path: Path) -> None:
    small = f"mount -t tmpfs -o size=3m none {place}"
    made = f"source('team').publish('spam', parcel(Path({str(tmp_path / 'n')!r}), 'n', padding=8_000_000), lambda e: 0)"
    assert "shared.full" in mounted(small, made)
    team.publish("spam", parcel(tmp_path / "m", padding=8_000_000), quiet)
    home = os.environ["MODELNOOK_HOME"]
    assert "disk_full" in mounted(
        f"cp {home}/settings.json /tmp/s-$$; mount -t tmpfs -o size=3m none {home}; mv /tmp/s-$$ {home}/settings.json",
        "taken('team:spam')",
    )
    assert (taken("team:spam") / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no folder and no address"),
        ("/not/there", "isn't mounted"),
        ("s3://anna:pass@bucket/x", "would be kept in the settings"),
        ("abfs://c@account/x?sig=abc", "would be kept in the settings"),
        ("nosuch://bucket", "can open"),
        ("simplecache::s3://bucket", "no folder and no address"),
    ],
)
def test_an_address_that_will_not_do_is_not_added(url: str, said: str) -> None:
    with pytest.raises(ModelnookError, match=said):
        api.add_source("team", url, kind="folder")
    assert "team" not in [row[0] for row in api.sources().rows]


@pytest.mark.parametrize("url", ["s3://bucket/models", "/mnt/models", "./models", "~/models"])
def test_a_folder_that_is_added_as_a_hub_is_told_as_that(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        api.add_source("team", url)
    assert f"sources add team {url} --kind folder" in caught.value.hint
    with pytest.raises(UsageError, match="not the address of a source"):
        api.add_source("team", "htps://hub.example.org")


def test_offline_a_bucket_is_not_asked(tmp_path: Path) -> None:
    api.offline("on")
    with pytest.raises(OfflineError, match="modelnook is offline"):
        api.add_source("team", "s3://team/models", kind="folder")


def test_a_path_is_kept_whole(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.parent)
    api.add_source("team", "mnt", kind="folder")
    assert str(place) in {row[2] for row in api.sources().rows}


def test_pickles_and_programs_stay_where_they_are(team: SharedSource, tmp_path: Path) -> None:
    made = parcel(tmp_path / "m")
    extra = {"model.bin": b"\x80\x04", "modeling.py": b"print(1)", "x/y.PKL": b"\x80"}
    team.publish("spam", replace(made, files={**made.files, **extra}), quiet)
    names = {p.name for p in team.fetch(ModelRef("team", "spam"), quiet).rglob("*")}
    assert names == {"config.json", "model.safetensors", "1_Pooling"}
