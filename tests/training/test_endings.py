"""How a training ends: by which figures the best weights are known, and what is left to do after the last step."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.test_loop import CONFIG, Setup, after, same

from modelnook.domain.event import MetricLogged
from modelnook.training import loop


def test_where_the_metric_cannot_be_computed_the_loss_decides(setup: Setup) -> None:
    one = [i for i, label in enumerate(setup.checks["labels"]) if label == 1]
    setup.checks = {name: [values[i] for i in one] for name, values in setup.checks.items()}
    result = setup.train(replace(CONFIG, epochs=6, patience=3, metric="auc"))
    losses = setup.logged("eval_loss")
    assert losses[result.best_step or 0] == min(losses.values())
    assert len(losses) == 6, "it was getting better to the end"
    assert setup.warned() == ["train.metric_undefined"]


@pytest.mark.parametrize("known", [True, False])
def test_a_metric_that_once_can_be_computed_beats_none(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    values = iter([(0.5, 0.9), (float("nan"), 0.1), (0.6, 0.9)] if known else [(float("nan"), 0.1), (0.2, 0.9)])
    monkeypatch.setattr(
        type(setup.task.spec()), "score", lambda *_: dict(zip(("auc", "loss"), next(values), strict=True))
    )
    result = setup.train(replace(CONFIG, epochs=3 if known else 2, metric="auc"))
    assert result.metrics["auc"] == (0.6 if known else 0.2)


@pytest.mark.parametrize(
    "more", [{}, {"learning_rate": 3e-2, "epochs": 5}, {"learning_rate": 1e-9, "epochs": 30, "patience": 2}]
)
def test_what_was_killed_after_its_last_step_is_scored_and_not_trained(
    folder: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    config = replace(CONFIG, checkpoint_every_s=60, metric="accuracy", **more)
    first, second, third = (Setup(folder) for _ in range(3))
    expected = first.train(config, checkpoints=tmp_path)
    for again in (second, third):
        result = again.train(config, checkpoints=tmp_path)
        assert not [event for event in again.events if isinstance(event, MetricLogged)]
        assert (result.reason, result.steps, result.best_step) == (expected.reason, expected.steps, expected.best_step)
        assert result.metrics == expected.metrics
        np.testing.assert_array_equal(result.eval_outputs, expected.eval_outputs)
        assert same(first.weights(), again.weights())


def test_without_validation_rows_too(folder: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, checkpoint_every_s=60)
    first, second = Setup(folder), Setup(folder)
    expected = first.train(config, checkpoints=tmp_path, checks=False)
    assert second.train(config, checkpoints=tmp_path, checks=False).metrics == expected.metrics
    assert not [event for event in second.events if isinstance(event, MetricLogged)]
    assert same(first.weights(), second.weights())


def test_a_budget_counts_what_was_trained_before(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, max_seconds=2000)
    first = Setup(folder)
    clock = time.perf_counter
    with monkeypatch.context() as patched:
        patched.setattr(loop.time, "perf_counter", lambda: clock() + 1500 * bool(first.logged("loss")))
        assert first.train(config, after(4), checkpoints=tmp_path).reason == "stopped"
    second = Setup(folder)
    with monkeypatch.context() as patched:
        patched.setattr(loop.time, "perf_counter", lambda: clock() + 600 * bool(second.logged("loss")))
        result = second.train(config, checkpoints=tmp_path)
    assert (result.reason, result.steps) == ("budget", 5)
    assert Setup(folder).train(replace(config, max_seconds=None), checkpoints=tmp_path).reason == "finished"
