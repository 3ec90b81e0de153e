"""What a run's record keeps of the events that it takes."""

from __future__ import annotations

from modelnook.domain.event import Warned
from modelnook.domain.run import RunRecord
from modelnook.jobs.recorder import _with


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
