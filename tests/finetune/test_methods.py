"""Every method keeps the suite's promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelnook.finetune import METHODS
from modelnook.testing.methods import MethodSuite
from modelnook.testing.models import tiny_model, tiny_rows
from modelnook.testing.trained import trained_model


class TestFull(MethodSuite):
    name = "full"


@pytest.mark.slow
class TestLora(MethodSuite):
    name = "lora"


@pytest.mark.slow
class TestDora(MethodSuite):
    name = "dora"


@pytest.mark.slow
class TestRsLora(MethodSuite):
    name = "rslora"
    learning_rate = 1e-3


@pytest.mark.slow
class TestQLora(MethodSuite):
    """On the CPU, whose kernels bitsandbytes has: slower than float32, and the same numbers."""

    name = "qlora"


@pytest.mark.slow
class TestFewShot(MethodSuite):
    name = "few-shot"
    epochs = 2.0


@pytest.mark.slow
class TestHead(MethodSuite):
    """On a body that has learnt to tell the rows apart, under other names: the head is new."""

    name = "head"
    learning_rate = 2e-2

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return trained_model(tmp_path / "base")

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return tiny_rows(96, ("alpha", "beta"))


@pytest.mark.slow
class TestLastK(MethodSuite):
    name = "last-k"


def test_rows_stand_in_order() -> None:
    assert list(METHODS) == sorted(METHODS)


def test_contrast_is_low_where_classes_lie_apart() -> None:
    import torch

    from modelnook.finetune.few_shot import contrast

    labels = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    mixed = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert contrast(apart, labels, 0.3) < 0.1 < 1 < contrast(mixed, labels, 0.3)
    alone = torch.tensor([0, 0, 1])
    assert torch.isfinite(contrast(apart[:3], alone, 0.3))


def test_frozen_layers_read_as_many_rows_at_a_time_as_memory_holds(tmp_path: Path) -> None:
    import torch

    from modelnook.finetune.frozen import LastK
    from modelnook.tasks.text_classification_heavy import TextClassificationTask

    task = TextClassificationTask(("ham", "spam"))
    model, tokenizer = task.load(str(tiny_model(tmp_path / "m")))
    rows = task.encode(tokenizer, tiny_rows(40), 16)
    method, seen = LastK(layers=1), list[int]()
    method.prepare(model, task)
    method.tokens = 48
    model.register_forward_pre_hook(
        lambda module, given, named: seen.append(named["input_ids"].numel()), with_kwargs=True
    )
    framed = method.frame(model, task, tokenizer, rows, None, torch.device("cpu"), lambda event: None)
    assert len(framed.train["hidden"]) == 40
    assert max(seen) <= 48
