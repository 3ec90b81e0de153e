"""The store: what is written appears whole, what is derived is made anew, what is newer is left alone."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import modelnook as mn
from modelnook import api, cards, records
from modelnook.api.runs import run_for
from modelnook.domain.errors import ConflictError, NotFoundError, StoreError, UsageError
from modelnook.domain.model import ModelInfo
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.run import Run
from modelnook.run_list import RunList
from modelnook.store import Store
from modelnook.store.files import disk_errors, put_if_absent, replaced, write_json
from modelnook.store.lease import Lease
from modelnook.store.runs import RunFolder, new_id, now


def record(**fields: object) -> RunRecord:
    base = RunRecord(new_id(), "topics", "finetune", "queued", created=now())
    return replace(base, **fields)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def created(store: Store, **fields: object) -> RunFolder:
    return store.create_run(Recipe("finetune", "pip:x@1"), record(**fields), {"train": [0, 1], "validation": [2]})


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def hold(lease: Lease, pid: int, epoch: int = 1) -> None:
    """A lease held by another process of this machine."""
    from dataclasses import asdict

    from modelnook.store.lease import _start, me

    holder = replace(me(), pid=pid, start=_start(pid) or 0.0, epoch=epoch)
    put_if_absent(lease.path / f"{epoch:06d}.json", json.dumps(asdict(holder)).encode())


def test_a_name_that_nobody_chose_makes_way_for_another_tasks_model(store: Store, tmp_path: Path) -> None:
    assert store.free_name("minilm-ft", "fill-mask") == "minilm-ft"
    for task in ("fill-mask", "fill-mask", "text-classification"):
        made = tmp_path / "made"
        made.mkdir()
        store.models.add(store.free_name("minilm-ft", task), made, ModelInfo("x", "x", "local", task=task))
    assert [info.ref for info in store.models.every()] == [
        "local:minilm-ft@2",
        "local:minilm-ft@1",
        "local:minilm-ft-2@1",
    ]
    assert store.free_name("minilm-ft", "text-classification") == "minilm-ft-2", "the same again"


def test_a_run_that_goes_on_has_its_models_name_already(store: Store) -> None:
    run = created(store, state="running", name="spam", task="text-classification")
    hold(run.lease, os.getpid())
    assert store.free_name("spam", "text-classification") == "spam", "of the same task a revision"
    assert store.free_name("spam", "text-regression") == "spam-2"
    with pytest.raises(ConflictError, match=rf"{run.id} .*--name"):
        store.check_name("spam", "text-regression")
    with sleeper() as gone:
        hold(run.lease, gone.pid, epoch=2)
        gone.kill()
    store.check_name("spam", "text-regression")
    looks = created(store, state="running", name="spam", kind="evaluate", task="text-classification")
    hold(looks.lease, os.getpid())
    store.check_name("spam", "text-regression")


def test_a_run_appears_whole_and_private(store: Store) -> None:
    run = created(store)
    assert run.recipe() == Recipe("finetune", "pip:x@1")
    assert run.split() == {"train": [0, 1], "validation": [2]}
    assert (run.path / "state.json").stat().st_mode & 0o077 == 0
    assert run.path.stat().st_mode & 0o077 == 0
    assert [r.id for r in store.runs()] == [run.id]


def test_a_run_that_was_asked_to_stop_reads_stopping_everywhere(store: Store) -> None:
    run = created(store, state="running", progress={"phase": "training", "step": 3, "total": 9})
    child = sleeper()
    hold(run.lease, child.pid)
    assert not store.runs()[0].stopping
    Run(store, run.id).stop()
    assert Run(store, run.id).record.shown_state == store.runs()[0].shown_state == "stopping"
    assert cards.text(Run(store, run.id)).splitlines()[-1] == "Stopping after this step; the model is kept."
    assert "stopping" in cards.text(RunList(tuple(store.runs()), store))
    unbegun = replace(Run(store, run.id).record, progress=None)
    assert cards.text(unbegun).splitlines()[-1] == "Stopping after this step.", "there is no model yet"
    child.kill()
    child.wait()
    assert Run(store, run.id).record.shown_state == "crashed"


def test_the_list_tells_what_can_be_resumed_as_the_run_itself_does(store: Store) -> None:
    for state in ("stopped", "failed", "crashed", "finished"):
        created(store, id=f"{state[:4]}1111", name=state, state=state)
    resumable = {r.name: r.resumable for r in store.runs()}
    assert resumable == {"stopped": True, "failed": True, "crashed": True, "finished": False}
    assert resumable == {name: Run(store, f"{name[:4]}1111").record.resumable for name in resumable}


def test_find_by_id_prefix_name_and_near_miss(store: Store) -> None:
    old = created(store, id="aaaa1111", name="spam", created="2026-01-01T00:00:00Z")
    new = created(store, id="aabb2222", name="spam", created="2026-01-02T00:00:00Z")
    assert store.find("aaaa").id == old.id
    assert store.find("spam").id == new.id
    assert store.find("last").id == new.id
    with pytest.raises(UsageError, match="several"):
        store.find("aa")
    with pytest.raises(NotFoundError) as caught:
        store.find("spma")
    assert "spam" in caught.value.hint


def test_a_name_means_the_run_that_the_verb_can_use(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation bears the name of the model that it looks at; who stops or resumes a name means the training."""
    monkeypatch.setenv("MODELNOOK_HOME", str(store.home))
    child = sleeper()
    times = (f"2026-01-01T00:00:{at:02}Z" for at in range(60))
    old, run = (created(store, state=state, created=next(times)) for state in ("stopped", "running"))
    hold(run.lease, child.pid)
    looks = [created(store, kind="evaluate", state="finished", created=next(times)) for _ in range(25)]
    waiting = created(store, kind="evaluate", state="queued", created=next(times))
    assert store.find("topics").id == waiting.id, "what is shown is the newest run of the name"
    assert mn.stop("topics").id == run.id
    assert (run.stop_requested(), waiting.stop_requested()) == (True, False)
    child.kill()
    child.wait()
    assert mn.stop("topics").id == waiting.id, "nothing else of the name is live"
    assert run_for("topics", lambda r: r.resumable).id == run.id, "the newest that can go on"
    store.delete_run(run)
    assert run_for("topics", lambda r: r.resumable).id == old.id
    with pytest.raises(ConflictError, match=looks[0].id):
        mn.resume(looks[0].id, background=True)
    asked = []
    monkeypatch.setattr(Run, "code", lambda self: asked.append(self.id))
    monkeypatch.setattr(Run, "label_issues_table", lambda self: asked.append(self.id))
    records.code("topics")
    records.issues("topics")
    assert asked == [old.id] * 2
    store.delete_run(old)
    assert run_for("topics", lambda r: r.resumable).id == waiting.id, "that it can't is said of the newest"


@pytest.mark.parametrize("method", [None, "tfidf"])
def test_rerunning_a_name_trains_again(store: Store, monkeypatch: pytest.MonkeyPatch, method: str | None) -> None:
    monkeypatch.setenv("MODELNOOK_HOME", str(store.home))
    training = created(store, state="finished", created="2026-01-01T00:00:00Z")
    created(store, kind="evaluate", state="finished", created="2026-01-02T00:00:00Z")
    seen = []
    monkeypatch.setattr("modelnook.api.bases.otherwise", lambda recipe, method, run: seen.append(run) or recipe)
    monkeypatch.setattr("modelnook.jobs.submit.submit", lambda store, recipe, **_: Run(store, recipe.verb))
    assert api.rerun("topics", method=method, background=True).id == "finetune"
    assert seen == ([training.id] if method else [])


def test_a_dead_worker_reads_crashed_and_a_stopped_one_runs(store: Store) -> None:
    run = created(store, state="running")
    child = sleeper()
    hold(run.lease, child.pid)
    os.kill(child.pid, signal.SIGSTOP)
    seen = run.seen()
    assert seen is not None
    assert seen.state == "running"
    child.kill()
    child.wait()
    seen = run.seen()
    assert seen is not None
    assert (seen.state, seen.resumable) == ("crashed", True)
    assert store.runs(state="crashed")[0].id == run.id


def test_a_worker_that_begins_between_two_looks_is_at_work(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = created(store, state="queued")
    live = run.lease.live
    looks: list[object] = []

    def look() -> object:
        found = live()
        if not looks:
            looks.append(run.lease.take(0))
        return found

    monkeypatch.setattr(run.lease, "live", look)
    seen = run.seen()
    assert seen is not None
    assert looks
    assert seen.state == "queued"


def test_a_reused_pid_is_not_the_worker(store: Store) -> None:
    run = created(store, state="running")
    hold(run.lease, os.getpid())
    data = json.loads((run.lease.path / "000001.json").read_text())
    write_json(run.lease.path / "000001.json", {**data, "start": data["start"] - 1})
    seen = run.seen()
    assert seen is not None
    assert seen.state == "crashed"


def test_a_holder_of_another_machine_lives_by_its_heartbeat(store: Store) -> None:
    run = created(store, state="running")
    far = {"host": "elsewhere", "boot": "x", "pid": 1, "start": 1.0, "epoch": 1}
    put_if_absent(run.lease.path / "000001.json", json.dumps(far).encode())
    run.lease.beat()
    assert run.lease.live() is not None
    os.utime(run.lease.path / "heartbeat", (time.time() - 500,) * 2)
    assert run.lease.live() is None


def test_a_lease_of_a_newer_version_is_read(store: Store) -> None:
    run = created(store, state="running")
    hold(run.lease, os.getpid())
    file = run.lease.path / "000001.json"
    write_json(file, {**json.loads(file.read_text()), "of_later": "x"})
    holder = run.lease.live()
    assert holder is not None
    assert holder.pid == os.getpid()
    assert [found.state for found in store.runs()] == ["running"]


def test_who_lost_the_lease_writes_nothing(store: Store) -> None:
    run = created(store)
    first = run.lease.take(0)
    assert first is not None
    run.write(record(id=run.id, state="running"), epoch=first.epoch)
    assert run.lease.take(first.epoch) is not None
    with pytest.raises(ConflictError, match="taken over"):
        run.write(record(id=run.id, state="finished"), epoch=first.epoch)
    written = run.record()
    assert written is not None
    assert written.state == "running"


def _claim(path: str, barrier: object, won: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    try:
        RunFolder(Path(path)).claim_resume()
        won.put(1)  # type: ignore[attr-defined]
    except ConflictError:
        won.put(0)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_of_two_resumes_at_once_one_wins(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    for _ in range(10):
        run = created(store, state="stopped")
        barrier, won = context.Barrier(2), context.Queue()
        racers = [context.Process(target=_claim, args=(str(run.path), barrier, won)) for _ in range(2)]
        for racer in racers:
            racer.start()
        assert sorted([won.get(timeout=30), won.get(timeout=30)]) == [0, 1]
        for racer in racers:
            racer.join()
        seen = run.seen()
        assert seen is not None
        assert seen.state == "queued"


def test_a_worker_that_has_written_its_end_is_waited_for(store: Store) -> None:
    run = created(store, state="queued")
    first = run.lease.take(0)
    assert first is not None
    run.write(record(id=run.id, state="running"), epoch=first.epoch)
    with pytest.raises(ConflictError):
        run.claim_resume()
    run.write(record(id=run.id, state="stopped"), epoch=first.epoch)
    leaving = threading.Timer(0.3, run.lease.give_back, (first.epoch,))
    leaving.start()
    assert run.claim_resume() == first.epoch
    leaving.join()


def test_a_resume_whose_worker_never_came_can_be_made_again(store: Store) -> None:
    run = created(store, state="crashed")
    run.claim_resume()
    ticket = next(run.lease.path.glob("resume-*"))
    os.utime(ticket, (time.time() - 600,) * 2)
    assert run.claim_resume() == 0


def test_a_resumed_run_is_live_before_its_worker_has_written(store: Store) -> None:
    run = created(store, state="queued")
    first = run.lease.take(0)
    assert first is not None
    run.write(record(id=run.id, state="failed"), epoch=first.epoch)
    run.lease.give_back(first.epoch)
    seen = run.claim_resume()
    states = [run.seen()]
    second = run.lease.take(seen)
    assert second is not None
    states.append(run.seen())
    run.lease.give_back(second.epoch)
    states.append(run.seen())
    assert [state and state.state for state in states] == ["queued", "queued", "failed"]


def test_the_index_is_rebuilt_when_deleted_or_damaged(store: Store) -> None:
    ids = {created(store, state="finished").id for _ in range(3)}
    (store.home / "index.sqlite").unlink()
    assert {r.id for r in Store(store.home).runs()} == ids
    for part in store.home.glob("index.sqlite-*"):
        part.unlink()
    (store.home / "index.sqlite").write_bytes(b"not a database, but long enough to be taken for one" * 50)
    assert {r.id for r in Store(store.home).runs()} == ids


def test_the_index_is_read_while_it_is_written(store: Store) -> None:
    created(store)
    with closing(sqlite3.connect(store.home / "index.sqlite")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        db.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert len(Store(store.home).index.runs()) == 1
        assert time.monotonic() - began < 5, "a writer holds nobody up who opens the store and reads"


def test_a_deleted_index_is_noticed_by_an_open_store(store: Store) -> None:
    run = created(store, state="finished")
    assert store.runs()
    for part in store.home.glob("index.sqlite*"):
        part.unlink()
    store.list_again([r for r in [run.record()] if r])
    assert [r.id for r in store.runs()] == [run.id]


def test_a_newer_store_is_not_opened(store: Store) -> None:
    write_json(store.home / "store.json", {"schema": 9, "oldest_reader": 9})
    with pytest.raises(StoreError) as caught:
        Store(store.home)
    assert "newer modelnook" in caught.value.message
    write_json(store.home / "store.json", {"schema": 9, "oldest_reader": 1})
    assert Store(store.home).runs() == []


def test_unknown_fields_of_a_newer_record_are_left_out(store: Store) -> None:
    run = created(store)
    state = json.loads((run.path / "state.json").read_text())
    write_json(run.path / "state.json", {**state, "colour": "blue"})
    assert run.record() is not None


def test_changes_are_told_once_and_from_a_cursor(store: Store) -> None:
    cursor = store.index.cursor()
    run = created(store)
    cursor, changes = store.index.changes(cursor, ["runs"])
    assert changes == [("runs", run.id)]
    assert store.index.changes(cursor, ["runs"]) == (cursor, [])
    assert store.index.changes(cursor + 1000, ["runs"])[1] == [("runs", "*")]


def test_a_killed_process_loses_no_point_and_a_torn_one_is_cut(store: Store) -> None:
    run = created(store)
    run.series.append(1, 0.5, {"loss": 2.0})
    with (run.series.path / "loss.bin").open("ab") as file:
        file.write(b"torn")
    run.series.append(2, 1.0, {"loss": 1.0})
    assert run.series.sampled()["loss"] == {"step": [1, 2], "time": [0.5, 1.0], "value": [2.0, 1.0]}
    run.series.cut(1)
    assert run.series.sampled()["loss"]["step"] == [1]


def test_downsampling_keeps_spikes_and_ends(store: Store) -> None:
    run = created(store)
    for step in range(2000):
        run.series.append(step, float(step), {"loss": 100.0 if step == 777 else 1.0})
    curve = run.series.sampled(100)["loss"]
    assert len(curve["step"]) <= 102
    assert curve["step"][0] == 0
    assert curve["step"][-1] == 1999
    assert 777 in curve["step"]


def test_what_is_asked_of_the_run_list_means_itself(store: Store) -> None:
    """``runs delete _`` must not delete the only run."""
    for id, name in (("aaaaaaaa", "topics-v2"), ("bbbbbbbb", "topics_v2"), ("cccccccc", "100%\\")):
        store.index.put_runs([record(id=id, name=name, state="finished", model=f"local:{name}@1", base=f"hub:{name}")])
    for query, found in (("topics_v2", ["bbbbbbbb"]), ("%", ["cccccccc"]), ("\\", ["cccccccc"]), ("_", ["bbbbbbbb"])):
        assert [r.id for r in store.runs(query=query)] == found, query
    assert [r.id for r in store.runs(model="local:topics_v2")] == ["bbbbbbbb"]
    assert [r.id for r in store.runs(model="local:topics-v2")] == ["aaaaaaaa"]
    for text in ("_", "%", "a_", "_aaaaaaa"):
        with pytest.raises(NotFoundError):
            store.find(text)
    assert store.find("aaa").id == "aaaaaaaa"


def test_a_list_of_runs_counts_what_was_asked_for_and_knows_a_model_by_its_name(store: Store) -> None:
    created(store, id="aaaaaaaa", model="local:topics@1", state="finished")
    created(store, id="bbbbbbbb", base="local:topics@1", state="failed")
    created(store, id="cccccccc", model="local:topics2@1", state="failed")
    assert {r.id for r in store.runs(model="topics")} == {"aaaaaaaa", "bbbbbbbb"}
    index = store.index
    assert (index.count(), index.count(state="failed"), index.count(state="failed", model="topics")) == (3, 2, 1)


def test_a_filter_that_finds_no_run_is_told_as_one() -> None:
    assert "Nothing has run yet" in cards.text(mn.runs())
    created(Store())
    none = cards.text(mn.runs(kind="tune"))
    assert "Nothing has run yet" not in none
    assert "%model runs" in none


def model(store: Store, name: str, task: str = "text-classification") -> str:
    source = store.home / "made"
    source.mkdir()
    (source / "config.json").write_text("{}")
    return str(store.models.add(name, source, ModelInfo("", name, "local", task=task)))


def test_models_have_numbered_revisions_and_one_task(store: Store) -> None:
    assert model(store, "spam") == "local:spam@1"
    assert model(store, "spam") == "local:spam@2"
    assert store.models.info("spam").revision == "2"
    with pytest.raises(ConflictError, match="belongs to"):
        store.models.check("spam", "token-classification")
    with pytest.raises(NotFoundError) as caught:
        store.models.folder("spma")
    assert "spam" in caught.value.hint
    with pytest.raises(NotFoundError, match="no revision"):
        store.models.folder("spam", "7")
    store.models.rename("spam", "垃圾邮件")
    assert store.models.info("垃圾邮件", 1).ref == "local:垃圾邮件@1"
    store.models.remove("垃圾邮件", "1")
    assert store.models.revisions("垃圾邮件") == [2]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101, "c:d", "e@f"])
def test_a_name_that_would_leave_its_folder_is_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageError):
        store.models.check(name)


def test_a_full_disk_leaves_the_old_content(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "kept.json"
    write_json(target, {"old": True})
    with pytest.raises(StoreError, match="no room"), disk_errors(target):
        raise OSError(28, "No space left on device")
    assert json.loads(target.read_text()) == {"old": True}
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


@pytest.mark.skipif(os.name == "nt", reason="folders aren't opened there")
def test_a_folder_that_can_not_be_brought_to_the_disk_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network file systems."""
    fsync, refused = os.fsync, []

    def only_files(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            refused.append(handle)
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_json(tmp_path / "record.json", {"state": "finished"}, durable=True)
    assert refused
    assert json.loads((tmp_path / "record.json").read_text()) == {"state": "finished"}


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "deep" / "model"
    with replaced(target) as new:
        (new / "weights").write_text("old")
        assert not target.exists()
    with pytest.raises(FileNotFoundError), replaced(target) as new:
        (new / "part" / "weights").write_text("half")
    assert (target / "weights").read_text() == "old"
    rename = os.rename

    def failing(source: Path, name: Path) -> None:
        if source == new:
            raise OSError(28, "No space left on device")
        rename(source, name)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="No space"), replaced(target) as new:
        (new / "weights").write_text("new")
    assert (target / "weights").read_text() == "old"
    monkeypatch.setattr(os, "rename", rename)
    with replaced(target) as new:
        (new / "weights").write_text("new")
        assert (target / "weights").read_text() == "old"
    assert (target / "weights").read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["model"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_can_not_be_written_is_told(store: Store) -> None:
    run = created(store)
    (run.path / "events.jsonl").symlink_to("/dev/full")
    from modelnook.domain.event import Warned

    with pytest.raises(StoreError, match="no room"):
        run.note(Warned("x", "y"))


def test_delete_keeps_the_model(store: Store) -> None:
    ref = model(store, "spam")
    run = created(store, state="finished", model=ref)
    store.delete_run(run)
    assert store.runs() == []
    assert store.models.names() == ["spam"]
