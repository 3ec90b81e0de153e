"""What a run's record keeps of the events that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelnook.domain.errors import StoreError
from modelnook.domain.event import Warned
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs.recorder import Recorder, _with
from modelnook.store import Store
from modelnook.store.runs import now


def kept(record: RunRecord, *warned: Warned) -> RunRecord:
    from dataclasses import replace

    for one in warned:
        record = replace(record, **_with(record, one))
    return record


def test_the_gravest_warning_stands_first() -> None:
    plain = RunRecord("k3v9x2ab", "topics", "finetune", "running")
    said = [Warned(code, code) for code in ("train.truncated", "task.imbalanced", "data.conflict", "data.leak")]
    record = kept(plain, *said, Warned("data.copies", "data.copies"))
    assert record.warnings == ("data.leak", "data.conflict", "task.imbalanced", "data.copies", "train.truncated")
    assert [source["code"] for source in record.sources] == list(record.warnings)


def test_of_an_older_record_the_order_stays() -> None:
    old = RunRecord("k3v9x2ab", "topics", "finetune", "running", warnings=("as it was",))
    assert kept(old, Warned("data.leak", "leak")).warnings == ("as it was", "leak")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full_at_the_start_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = RunRecord("r1234567", "topics", "finetune", "queued", created=now())
    run = store.create_run(Recipe("finetune", "pip:x@1"), record)
    holder = run.lease.take(0)
    assert holder is not None
    (run.path / ".reserve").symlink_to("/dev/full")
    with pytest.raises(StoreError, match="no room"):
        Recorder(store, run, holder, record).begin()
