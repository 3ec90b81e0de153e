"""How many processes try at the same time follows from what memory holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from modelnook.jobs import parallel
from modelnook.jobs.parallel import Parallel
from modelnook.measure.memory import need


@pytest.mark.parametrize(("room", "started"), [(0.5, 0), (1.3, 1), (10.0, 3)])
def test_no_more_than_memory_holds(monkeypatch: pytest.MonkeyPatch, room: float, started: int) -> None:
    begun: list[int] = []
    said: list[Any] = []
    context: Any = SimpleNamespace(
        recipe=SimpleNamespace(knobs={"parallel": 4}, method="full"),
        base=lambda: SimpleNamespace(parameters=22_000_000),
        emit=said.append,
        stop=lambda: False,
        store=None,
        run=None,
    )
    monkeypatch.setattr(parallel, "free", lambda: int(room * need(22_000_000).full))
    monkeypatch.setattr(
        "modelnook.jobs.process.start_trials",
        lambda store, run, place, until: begun.append(place) or SimpleNamespace(poll=lambda: 0, returncode=0),
    )
    with Parallel(context, None) as them:
        them.wait()
    assert begun == list(range(1, started + 1))
    assert [event.code for event in said] == ([] if started == 3 else ["tune.less_parallel"])
