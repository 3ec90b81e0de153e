"""A run's record: what is read again, and in which language."""

from __future__ import annotations

from typing import Any

import pytest

from modelnook.domain.event import Warned, event_from_dict, event_to_dict
from modelnook.domain.run import RunRecord

WARNED = Warned.of("train.truncated", percent=74, max_length=128)


def record(**fields: Any) -> dict[str, Any]:
    return RunRecord("k3v9x2ab", "topics", "finetune", "finished", **fields).to_dict()


def test_a_warning_is_told_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = record(warnings=(WARNED.message,), sources=(WARNED.source(),))
    assert RunRecord.from_dict(stored).warnings == (WARNED.message,)
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    assert "74% 的" in RunRecord.from_dict(stored).warnings[0]
    assert event_from_dict(event_to_dict(WARNED)) == WARNED


@pytest.mark.parametrize(
    "sources",
    [
        [],
        [{"code": "train.truncated"}],
        [{"code": "train.truncated", "values": {"percent": 74}}],
        [{"code": "train.truncated", "values": {"percent": 74, "max_length": 128, "lang": "zh"}}],
        [{"code": "../x.y", "values": {}}],
        [{"code": "train.gone", "values": {}}],
        [None],
    ],
)
def test_what_nobody_can_tell_anew_stays_as_it_was_written(sources: list[Any]) -> None:
    assert RunRecord.from_dict({**record(warnings=("as it was",)), "sources": sources}).warnings == ("as it was",)
