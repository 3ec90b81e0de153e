"""What trainings on the same rows share is computed once, and changes nothing of what each comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.event import Progress
from modelnook.domain.recipe import Recipe
from modelnook.finetune.engine import fit
from modelnook.finetune.loaded import loaded
from modelnook.finetune.shared import Shared
from modelnook.tasks import TASKS
from modelnook.tasks.text_classification_heavy import TextClassificationTask
from modelnook.testing.models import tiny_model

from .test_engine import Job


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("shared") / "base")


@pytest.mark.parametrize("method", ["full", "lora", "last-k", "head"])
def test_the_weights_are_read_once_and_each_training_is_as_alone(tmp_path: Path, method: str) -> None:
    job, shared = Job(tmp_path), Shared(models=True)
    rates = (3e-3, 1e-3)
    alone = [job.fit(method=method, knobs={"epochs": 1, "learning_rate": rate}).outputs for rate in rates]
    first = job.fit(method=method, knobs={"epochs": 1, "learning_rate": rates[0]}, shared=shared).outputs
    # What is on the disk isn't asked for any more.
    (job.base / "model.safetensors").unlink()
    second = job.fit(method=method, knobs={"epochs": 1, "learning_rate": rates[1]}, shared=shared).outputs
    for mine, own in zip((first, second), alone, strict=True):
        np.testing.assert_array_equal(mine, own)


def test_rows_are_tokenised_once(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    encode: Callable[..., Any] = TextClassificationTask.encode

    def counted(self: Any, processor: Any, columns: Any, max_length: int) -> Any:
        asked.append(max_length)
        return encode(self, processor, columns, max_length)

    monkeypatch.setattr(TextClassificationTask, "encode", counted)
    job, shared = Job(tmp_path, base), Shared(models=True)
    for rate in (1e-3, 3e-3, 1e-4):
        job.fit(knobs={"epochs": 1, "learning_rate": rate}, shared=shared)
    assert asked == [16, 16]
    # Rows that are cut elsewhere are other rows.
    job.fit(knobs={"epochs": 1, "max_length": 8}, shared=shared)
    assert asked == [16, 16, 8, 8]


@pytest.mark.parametrize(("method", "knobs"), [("head", {}), ("last-k", {"layers": 1})])
def test_what_frozen_layers_give_is_computed_once(
    tmp_path: Path, base: Path, method: str, knobs: dict[str, Any]
) -> None:
    job, shared = Job(tmp_path, base), Shared(models=True)

    def computed() -> int:
        job.events.clear()
        job.fit(method=method, knobs={"epochs": 1, **knobs}, shared=shared)
        return max(e.step for e in job.events if isinstance(e, Progress) and e.phase == "preparing")

    assert computed() == 120
    assert computed() == 0


def test_where_memory_is_short_the_weights_are_read_again(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loaded.__globals__, "free_here", lambda: 1000)
    job, shared = Job(tmp_path, base), Shared(models=True)
    alone = job.fit(knobs={"epochs": 1}).outputs
    for _ in range(2):
        np.testing.assert_array_equal(job.fit(knobs={"epochs": 1}, shared=shared).outputs, alone)


def test_a_copy_is_its_owners_to_change(base: Path) -> None:
    shared = Shared(models=True)
    task = TASKS.load("text-classification")(["ham", "spam"])
    _, first, _ = loaded(shared, task, base, 0)
    weight = first.classifier.weight
    before = weight.detach().clone()
    weight.data.zero_()
    _, second, _ = loaded(shared, task, base, 0)
    np.testing.assert_array_equal(second.classifier.weight.detach().numpy(), before.numpy())


def test_a_model_that_is_not_to_be_kept_leaves_nothing(tmp_path: Path, base: Path) -> None:
    job = Job(tmp_path, base)
    seen: list[dict[str, float]] = []
    result = job.fit(keep=lambda metrics: bool(seen.append(metrics)))
    assert seen == [result.metrics]
    assert not result.path.exists()
    assert result.outputs.shape == (40, 2)


def test_the_best_weights_in_memory_are_those_on_the_disk(tmp_path: Path, base: Path) -> None:

    job = Job(tmp_path, base)
    # A rate at which the last epoch isn't the best.
    knobs = {"epochs": 6, "learning_rate": 3e-2, "batch_size": 8, "max_length": 16, "precision": "fp32"}
    recipe = Recipe("finetune", "local:base", task="text-classification", method="full", knobs=knobs, threads=1)
    found = [
        fit(recipe, base, job.rows, job.checks, tmp_path / name, folder, lambda event: None)
        for name, folder in (("disk", tmp_path / "checkpoints"), ("memory", None))
    ]
    assert found[0].best_step == found[1].best_step
    assert found[0].best_step != found[0].steps
    weights = [(result.path / "model.safetensors").read_bytes() for result in found]
    assert weights[0] == weights[1]
