"""Batch norm's running statistics are trained as weights are: kept with the best, and in checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modelnook.finetune import METHODS
from modelnook.tasks import TASKS
from modelnook.testing.media import tiny_image_model, tiny_image_rows
from modelnook.testing.models import tiny_model
from modelnook.training.base import TrainConfig, TrainResult
from modelnook.training.checkpoint import Checkpoints
from modelnook.training.evaluation import outputs_of
from modelnook.training.loop import train

CONFIG = TrainConfig(epochs=4, batch_size=8, learning_rate=3e-2, threads=1, checkpoint_every_s=0, precision="fp32")


class Seeing:
    """A small ResNet and encoded pictures, the same each time."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(1)
        self.task = TASKS.load("image-classification")(("a", "b"))
        self.model, self.processor = self.task.load(str(folder))
        rows, checks = tiny_image_rows(48, labels=("a", "b")), tiny_image_rows(24, labels=("a", "b"), seed=9)
        self.rows, self.checks = (self.task.encode(self.processor, part, 1) for part in (rows, checks))
        self.method = METHODS.load("full")()
        self.method.prepare(self.model, self.task)

    def train(self, kept: Path | None = None, stop: Any = lambda: False, **more: Any) -> TrainResult:
        checkpoints = Checkpoints(kept, emit=lambda event: None) if kept else None
        config = replace(CONFIG, **more)
        parts: Any = (self.model, self.task, self.processor, self.rows, self.checks, config, self.method)
        return train(*parts, lambda event: None, stop, checkpoints)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_image_model(tmp_path_factory.mktemp("seeing") / "base", kind="resnet")


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_best_weights_come_with_theirs(folder: Path, tmp_path: Path, on_disk: bool) -> None:
    seeing = Seeing(folder)
    result = seeing.train(tmp_path if on_disk else None, eval_every=2)
    assert result.best_step is not None
    assert result.best_step < result.steps, "else there is nothing to bring back"
    device = torch.device("cpu")
    now = outputs_of(seeing.model, seeing.task, seeing.processor, seeing.checks, device=device)
    np.testing.assert_allclose(now, result.eval_outputs, rtol=1e-4, atol=1e-5)


def test_a_stopped_run_goes_on_with_its_own(folder: Path, tmp_path: Path) -> None:
    whole, first, second = (Seeing(folder) for _ in range(3))
    whole.train(tmp_path / "whole")
    asked = iter(range(100))
    first.train(tmp_path / "parts", lambda: next(asked) >= 8)
    second.train(tmp_path / "parts")
    one, other = whole.model.state_dict(), second.model.state_dict()
    assert any("running_var" in name for name in one)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_those_of_a_frozen_body_change_as_well(tmp_path: Path, method: str) -> None:
    task = TASKS.load("text-classification")(("ham", "spam"))
    model, _ = task.load(str(tiny_model(tmp_path / "base")))
    model.bert.norm = torch.nn.BatchNorm1d(4)
    kind = METHODS.load(method)()
    ready = kind.prepare(model, task).train()
    state = {name: value.clone() for name, value in kind.trainable_state(ready).items()}
    model.bert.norm(torch.randn(8, 4) + 3)
    assert model.bert.norm.running_mean.abs().max() > 0
    kind.load_trainable(ready, state)
    assert model.bert.norm.running_mean.abs().max() == 0
    assert int(model.bert.norm.num_batches_tracked) == 0
    model.bert.norm(torch.randn(8, 4) + 3)
    kept = {name: value for name, value in state.items() if "running" not in name and "batches" not in name}
    kind.load_trainable(ready, kept)
    assert model.bert.norm.running_mean.abs().max() > 0, "a checkpoint of an earlier version has none"
