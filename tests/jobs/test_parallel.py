"""How many processes try at the same time follows from what memory holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelnook.domain.errors import ConflictError
from modelnook.jobs import parallel
from modelnook.jobs.parallel import Parallel
from modelnook.jobs.recorder import Recorder
from modelnook.jobs.steps.context import Context
from modelnook.jobs.trials import Beside
from modelnook.measure.memory import need
from modelnook.store.runs import RunFolder


@pytest.mark.parametrize(("room", "started"), [(0.5, 0), (1.3, 1), (10.0, 3)])
def test_no_more_than_memory_holds(monkeypatch: pytest.MonkeyPatch, room: float, started: int) -> None:
    begun: list[int] = []
    said: list[Any] = []
    context: Any = SimpleNamespace(
        recipe=SimpleNamespace(knobs={"parallel": 4}, method="full", models=("small", "large")),
        base=lambda: SimpleNamespace(parameters=10_000_000),
        emit=said.append,
        stop=lambda: False,
        store=None,
        run=None,
        recorder=SimpleNamespace(holder=SimpleNamespace(epoch=1)),
        hold=lambda: None,
    )
    sizes = {"small": None, "large": 22_000_000}
    monkeypatch.setattr(parallel, "info", lambda ref: (SimpleNamespace(parameters=sizes[ref]), ""))
    monkeypatch.setattr(parallel, "free", lambda: int(room * need(22_000_000).full))
    monkeypatch.setattr(
        "modelnook.jobs.process.start_trials",
        lambda store, run, place, epoch, until: begun.append(place) or SimpleNamespace(poll=lambda: 0, returncode=0),
    )
    with Parallel(context, None) as them:
        assert them.count == started + 1
        them.wait()
    assert begun == list(range(1, started + 1))
    assert [event.code for event in said] == ([] if started == 3 else ["tune.less_parallel"])


def test_who_lost_the_run_ends_and_ends_its_children(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert run.lease.take(0)
    beside = Beside(run, cast(Any, None), 1)
    context = Context(cast(Any, None), run, cast(Any, None), cast(Recorder, beside), True)
    context.hold()
    assert not beside.stop()
    them = Parallel(context, None)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    them.children.append(child)
    assert run.lease.take(1)
    assert beside.stop()
    with pytest.raises(ConflictError, match="taken over"):
        them.wait()
    them.__exit__(None, None, None)
    assert child.poll() is not None
