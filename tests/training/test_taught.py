"""What a student learns from a teacher: the loss by hand, rows without labels, and each kind of head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from modelnook.domain.errors import DataError
from modelnook.finetune.distil import Distil
from modelnook.tasks import TASKS
from modelnook.testing.models import tiny_model
from modelnook.training.taught import Taught

TEXTS = ["a dog", "the cat is here", "we will meet today", "rain"]
COLUMNS: dict[str, dict[str, Any]] = {
    "text-classification": {"text": TEXTS, "label": ["a", "b", "a", "c"]},
    "multi-label-classification": {"text": TEXTS, "label": [["a"], ["b", "c"], [], ["a"]]},
    "text-regression": {"text": TEXTS, "label": [1.0, 2.0, 4.0, 3.0]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("taught") / "base")


def setup(folder: Path, name: str, known: list[bool], share: float) -> tuple[Any, Any, dict[str, Any], Any]:
    """``(taught task, model, a batch, the teacher's outputs)``."""
    spec = TASKS.load(name, light=True)()
    torch.manual_seed(0)
    task = TASKS.load(name)(spec.labels(COLUMNS[name]))
    task.learnt = spec.learn(COLUMNS[name])
    model, tokenizer = task.load(str(folder))
    model.eval()
    rows = task.encode(tokenizer, COLUMNS[name], 16)
    shape = (4,) if name == "text-regression" else (4, 3)
    said = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    method = Distil(said, task.labels, known, 3.0, share)
    framed = method.frame(model, task, tokenizer, rows, None, torch.device("cpu"), lambda event: None)
    assert isinstance(framed.task, Taught)
    return framed.task, model, framed.task.collate(tokenizer, framed.train), said


def logits_of(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    names = ("input_ids", "attention_mask")
    return model(**{n: batch[n] for n in names if n in batch}).logits.float()  # type: ignore[no-any-return]


def test_the_loss_is_that_of_hinton(folder: Path) -> None:
    task, model, batch, said = setup(folder, "text-classification", [True] * 4, 0.6)
    logits = logits_of(model, batch)
    teacher = F.softmax(torch.tensor(said) / 3, dim=-1)
    cross = (teacher * (teacher.log() - F.log_softmax(logits / 3, dim=-1))).sum(dim=-1).mean() * 9
    expected = 0.6 * cross + 0.4 * F.cross_entropy(logits, batch["labels"])
    torch.testing.assert_close(task.loss(model, batch), expected)


def test_labels_that_are_none_count_for_nothing(folder: Path) -> None:
    task, model, batch, _ = setup(folder, "text-classification", [True, False, False, True], 0.6)
    found = task.loss(model, batch)
    other = {**batch, "labels": torch.tensor([batch["labels"][0], 2, 1, batch["labels"][3]])}
    torch.testing.assert_close(task.loss(model, other), found)
    logits = logits_of(model, batch)
    hard = F.cross_entropy(logits[[0, 3]], batch["labels"][[0, 3]], reduction="sum") / 4
    soft = (found - 0.4 * hard) / 0.6
    batch["known"] = torch.zeros(4, dtype=torch.bool)
    torch.testing.assert_close(task.loss(model, batch), 0.6 * soft)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn(name: str, folder: Path) -> None:
    task, model, batch, _ = setup(folder, name, [True] * 4, 1.0)
    batch["teacher"] = logits_of(model, batch).detach()
    task.loss(model, batch).backward()
    most = max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None)
    assert most < 1e-5


@pytest.mark.parametrize("name", COLUMNS)
def test_learning_brings_it_nearer(name: str, folder: Path) -> None:
    task, model, batch, _ = setup(folder, name, [True, True, False, False], 1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    teacher = batch["teacher"]
    floor = float(task.soft(teacher, teacher, task.temperature))
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = task.loss(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()) - floor)
    assert losses[-1] < 0.3 * losses[0]


def test_the_teachers_columns_come_in_the_students_order(folder: Path) -> None:
    task = TASKS.load("text-classification")(["a", "b", "c"])
    model, tokenizer = task.load(str(folder))
    rows = task.encode(tokenizer, COLUMNS["text-classification"], 16)
    said = np.tile(np.array([0, 1, 2], dtype=np.float32), (4, 1))
    options: Any = (model, task, tokenizer, rows, None, torch.device("cpu"), lambda event: None)
    framed = Distil(said, ["c", "a", "b"], [True] * 4, 2.0, 0.5).frame(*options)
    assert framed.train["teacher"][0].tolist() == [1, 2, 0]
    with pytest.raises(DataError, match="doesn't know"):
        Distil(said, ["x", "a", "b"], [True] * 4, 2.0, 0.5).frame(*options)


def test_numbers_are_taught_as_standard_scores(folder: Path) -> None:
    _, _, batch, said = setup(folder, "text-regression", [True] * 4, 0.5)
    spec = TASKS.load("text-regression", light=True)()
    learnt = spec.learn(COLUMNS["text-regression"])
    np.testing.assert_allclose(batch["teacher"][:, 0].numpy(), (said - learnt["mean"]) / learnt["std"], rtol=1e-5)
