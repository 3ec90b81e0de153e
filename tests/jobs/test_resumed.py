"""A run that ended after its last training step goes on with what was left: its scores and the model's place."""

from __future__ import annotations

from typing import Any

import pytest

import modelnook as mn
from modelnook.domain.errors import ModelnookError
from modelnook.jobs.steps import finetune as step
from modelnook.training import loop

pytestmark = pytest.mark.slow


def test_what_was_killed_while_it_was_scored_is_not_trained_again(
    tiny: str, rows: list[dict[str, Any]], here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    knobs: dict[str, Any] = {"epochs": 4, "method": "full", "track": "none"}
    whole = mn.finetune(tiny, rows, name="whole", **knobs)

    def killed(*_: Any) -> None:
        raise RuntimeError("the machine went down")

    with monkeypatch.context() as patched:
        patched.setattr(step, "_scores", killed)
        with pytest.raises(ModelnookError):
            mn.finetune(tiny, rows, name="killed", **knobs)
    run = mn.runs(limit=1)[0]
    curve = list(run.series.read("loss"))
    monkeypatch.setattr(loop._Loop, "_train_step", killed)
    again = mn.resume(run.id)
    assert (again.state, again.metrics) == ("finished", whole.metrics)
    assert list(again.series.read("loss")) == curve
    assert not again.folder.checkpoints.exists()
