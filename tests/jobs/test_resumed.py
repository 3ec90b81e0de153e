"""A run that ended after its last training step goes on with what was left: its scores and the model's place."""

from __future__ import annotations

from typing import Any

import pytest

import modelnook as mn
from modelnook.domain.errors import ConflictError, ModelnookError
from modelnook.domain.model import ModelInfo
from modelnook.jobs.steps import finetune as step
from modelnook.store import Store
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


def test_a_name_that_another_task_took_meanwhile_loses_no_model(
    tiny: str, rows: list[dict[str, Any]], here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = step._scores

    def take() -> None:
        (folder := Store().home / "made").mkdir(parents=True)
        Store().models.add("spam", folder, ModelInfo("", "spam", "local", task="token-classification"))

    def taken(*given: Any) -> Any:
        take()
        return scored(*given)

    def killed(*_: Any) -> None:
        raise RuntimeError("the machine went down")

    monkeypatch.setattr(step, "_scores", killed)
    with pytest.raises(ModelnookError):
        mn.finetune(tiny, rows, name="spam", epochs=1, method="full", track="none")
    run = mn.runs(limit=1)[0]
    take()
    with pytest.raises(ConflictError, match=r"token-classification by now.*rename spam"):
        mn.resume(run.id)
    assert run.state == "failed", "nothing was started"
    mn.rename("spam", "tags")
    monkeypatch.setattr(step, "_scores", taken)
    again = mn.resume(run.id)
    assert (again.state, again.model) == ("finished", "local:spam-2@1")
    assert any("'spam-2'" in said for said in again.record.warnings)
