"""Every method keeps the suite's promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelnook.finetune import METHODS
from modelnook.testing.methods import MethodSuite
from modelnook.testing.models import tiny_model, tiny_rows, tiny_sentence_encoder
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


@pytest.mark.slow
class TestFewShotOfASentenceEncoder(TestFewShot):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_sentence_encoder(tmp_path / "base")


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_few_labels_read_a_sentence_encoder_as_the_mean_of_its_tokens(tmp_path: Path, kind: str) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    from modelnook.finetune.few_shot import FewShot, _classifier
    from modelnook.tasks.text_classification_heavy import TextClassificationTask

    task = TextClassificationTask(("ham", "spam"))
    model, tokenizer = task.load(str(tiny_sentence_encoder(tmp_path / "m", kind)))
    batch = task.collate(tokenizer, task.encode(tokenizer, {"text": ["the dog", "free money now now now"]}, 16))
    mask = batch["attention_mask"].unsqueeze(-1)
    assert not mask.bool().all(), "one is padded"
    model.eval()
    with torch.inference_mode():
        states = model.base_model(**batch).last_hidden_state
    mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
    expected = torch.tanh(0.5 * torch.nn.functional.layer_norm(mean, mean.shape[-1:]))

    model = FewShot().prepare(model, task).eval()
    assert model.config.num_hidden_layers == 3
    assert all(parameter.requires_grad for parameter in model.parameters())
    read: list[torch.Tensor] = []
    _classifier(model).register_forward_pre_hook(lambda module, given: read.append(given[0]))
    with torch.inference_mode():
        logits = model(**batch).logits
    near = torch.nn.functional.cosine_similarity(read[0], expected)
    assert near.min() > 0.99
    assert (read[0] - expected).abs().max() < 0.1

    FewShot().save(model, tokenizer, tmp_path / "made")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "made").eval()
    with torch.inference_mode():
        assert torch.equal(again(**batch).logits, logits)
    # What was trained so is no sentence encoder any more: it gets no second one.
    second, _ = task.load(str(tmp_path / "made"))
    assert FewShot().prepare(second, task).config.num_hidden_layers == 3


@pytest.mark.slow
class TestHeadOfASentenceEncoder(TestHead):
    """The mean of random vectors tells the rows apart already."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_sentence_encoder(tmp_path / "base")


@pytest.mark.slow
class TestLastKOfASentenceEncoder(TestLastK):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_sentence_encoder(tmp_path / "base")


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


@pytest.mark.parametrize("kind", ["one layer", "one layer, passed twice", "no stack"])
def test_a_head_on_a_body_without_a_stack_reads_what_the_body_gives(tmp_path: Path, kind: str) -> None:
    import torch
    from transformers import AlbertConfig, AlbertModel

    from modelnook.finetune.frozen import Head
    from modelnook.tasks.text_classification_heavy import TextClassificationTask

    folder = tiny_model(tmp_path / "m", layers=1)
    if "twice" in kind:
        sizes = {"hidden_size": 32, "embedding_size": 16, "num_attention_heads": 4, "intermediate_size": 64}
        AlbertModel(AlbertConfig(vocab_size=200, num_hidden_layers=2, pad_token_id=0, **sizes)).save_pretrained(folder)
    task = TextClassificationTask(("ham", "spam"))
    model, tokenizer = task.load(str(folder))
    if kind == "no stack":
        model.base_model.encoder.layer = torch.nn.Sequential(*model.base_model.encoder.layer)
    rows = task.encode(tokenizer, tiny_rows(8), 16)
    model.eval()

    def outputs(task: Any, rows: dict[str, list[Any]]) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = task.outputs(model, task.collate(tokenizer, rows))
        return found

    expected = outputs(task, rows)
    method = Head()
    method.prepare(model, task)
    trained = {name.rpartition(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"classifier", "albert.pooler" if "twice" in kind else "bert.pooler.dense"}
    framed = method.frame(model, task, tokenizer, rows, None, torch.device("cpu"), lambda event: None)
    assert ("hidden" in framed.train) is (kind != "no stack")
    torch.testing.assert_close(outputs(framed.task, framed.train), expected, rtol=1e-3, atol=1e-4)
