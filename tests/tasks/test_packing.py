"""Several rows in one sequence: each is learnt as by itself, by models that can tell them apart and by no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import modelnook as mn
from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.domain.event import MetricLogged
from modelnook.finetune.full import Full
from modelnook.tasks.heads import Base
from modelnook.tasks.language_modelling_heavy import reads_apart
from modelnook.tasks.padding_heavy import IGNORE, bins
from modelnook.tasks.text_generation_heavy import TextGenerationTask
from modelnook.testing.models import tiny_prompts, tiny_tokenizer, tiny_writer
from modelnook.training.base import TrainConfig, TrainResult
from modelnook.training.batches import train_batches
from modelnook.training.checkpoint import Checkpoints
from modelnook.training.evaluation import take
from modelnook.training.loop import train

ROWS = tiny_prompts(40)


def _gpt2(folder: Path) -> Path:
    """Learned positions in the place of rotations, and dropout inside attention."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "[SEP]"
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _mamba(folder: Path) -> Path:
    from transformers import MambaConfig, MambaForCausalLM

    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "[SEP]"
    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, state_size=4))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _loaded(folder: Path) -> tuple[TextGenerationTask, Any, Any, dict[str, list[Any]]]:
    task = TextGenerationTask()
    task.learnt = {"form": "prompt"}
    model, tokenizer = task.load(str(folder))
    return task, model, tokenizer, task.encode(tokenizer, ROWS, 32)


def _losses(model: Any, batch: dict[str, Any]) -> list[float]:
    """Of each learnt token, in no order."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with torch.inference_mode():
        logits = model(**inputs, use_cache=False).logits.float()
    found = F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORE, reduction="none")
    return sorted(found[batch["labels"].flatten() != IGNORE].tolist())


@pytest.mark.parametrize("made", [tiny_writer, _gpt2])
def test_each_token_is_predicted_as_in_its_row_alone(tmp_path: Path, made: Any) -> None:
    task, model, tokenizer, rows = _loaded(made(tmp_path / "m"))
    model.eval()
    assert task.can_pack(model)
    batch = task.pack(tokenizer, rows, 32)
    assert len(batch["input_ids"]) < len(ROWS["prompt"]) / 2, "several rows in a sequence"
    assert batch["input_ids"].shape[1] <= 32
    alone = [_losses(model, task.collate(tokenizer, take(rows, [i]))) for i in range(len(ROWS["prompt"]))]
    expected = sorted(loss for row in alone for loss in row)
    assert _losses(model, batch) == pytest.approx(expected, rel=1e-4)
    gradients = []
    for given in (task.collate(tokenizer, rows), batch):
        model.zero_grad()
        loss = task.loss(model, given)
        loss.backward()
        gradients.append([loss.detach(), *(p.grad.clone() for p in model.parameters())])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_rows_fill_sequences() -> None:
    assert bins([5, 5, 5], 4) == [[0], [1], [2]], "what is too long stands alone"
    found = bins([3, 7, 2, 8, 1, 1], 8)
    assert sorted(row for members in found for row in members) == list(range(6))
    assert len(found) == 3


@pytest.mark.parametrize(("made", "can"), [(tiny_writer, True), (_gpt2, True), (_mamba, False)])
def test_which_models_can_is_found_by_trying_and_told_before(tmp_path: Path, made: Any, can: bool) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(made(tmp_path / "m"))
    assert reads_apart(model) is can
    assert Base("x", model.config.model_type).packs is can


@pytest.mark.parametrize(
    ("kind", "can"),
    [("qwen2", True), ("gemma2", True), ("bloom", False), ("jamba", False), ("lfm2", False), ("of-tomorrow", None)],
)
def test_a_kind_is_known_by_its_source(kind: str, can: bool | None) -> None:
    assert Base("x", kind).packs is can


class Setup:
    """A fresh writer and its rows, the same each time."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(1)
        self.task, self.model, self.tokenizer, self.rows = _loaded(folder)
        self.method = Full()
        self.method.prepare(self.model, self.task)
        self.events: list[Any] = []

    def train(self, config: TrainConfig, checkpoints: Path | None = None, at: int = 99) -> TrainResult:
        steps = iter(range(1, 99))
        kept = Checkpoints(checkpoints, emit=self.events.append) if checkpoints else None
        return train(
            self.model, self.task, self.tokenizer, self.rows, None, config, self.method, self.events.append,
            lambda: next(steps) >= at, kept,
        )  # fmt: skip

    def weights(self) -> list[torch.Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]


CONFIG = TrainConfig(
    epochs=2, batch_size=8, learning_rate=3e-3, threads=1, checkpoint_every_s=0, precision="fp32", max_length=32,
    packing=True,
)  # fmt: skip


@pytest.mark.slow
def test_it_goes_on_to_the_same_weights_and_in_smaller_parts(tmp_path: Path) -> None:
    folder = tiny_writer(tmp_path / "m")
    whole, first, second = Setup(folder), Setup(folder), Setup(folder)
    with torch.no_grad():
        rows = take(whole.rows, train_batches([1] * 40, 8, seed=0, epoch=0)[0])
        apart = whole.task.loss(whole.model.train(), whole.task.collate(whole.tokenizer, rows))
    expected = whole.train(CONFIG)
    logged = next(event for event in whole.events if isinstance(event, MetricLogged))
    assert logged.values["loss"] == pytest.approx(float(apart), rel=1e-4), "the loss of the rows by themselves"
    assert first.train(CONFIG, tmp_path / "kept", at=4).steps == 4
    second.train(CONFIG, tmp_path / "kept")
    for one, other in zip(whole.weights(), second.weights(), strict=True):
        assert torch.equal(one, other)
    small = Setup(folder)
    body = small.model.model.forward

    def short_of_memory(input_ids: torch.Tensor, **more: Any) -> Any:
        if input_ids.numel() > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return body(input_ids=input_ids, **more)

    small.model.model.forward = short_of_memory
    result = small.train(CONFIG)
    assert result.micro_batch < 8
    assert result.metrics["loss"] == pytest.approx(expected.metrics["loss"], rel=1e-3)
    for one, other in zip(whole.weights(), small.weights(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)
    assert Setup(folder).train(replace(CONFIG, packing=False)).steps == expected.steps


@pytest.mark.slow
def test_it_is_in_the_plan_and_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook import cards

    writer, mamba = str(tiny_writer(tmp_path / "m")), str(_mamba(tmp_path / "mamba"))
    table = [dict(zip(ROWS, cells, strict=True)) for cells in zip(*ROWS.values(), strict=True)]
    plan = mn.finetune(writer, table, packing=True, dry_run=True)
    assert (plan.packing, plan.knobs()["packing"]) == (True, True)
    assert "several rows in a sequence" in cards.text(plan)
    plain = mn.finetune(writer, table, dry_run=True)
    assert not plain.packing
    assert "packing" not in plain.knobs()
    assert "several rows" not in cards.text(plain)
    with pytest.raises(UsageError, match="'text-classification' can't") as caught:
        mn.finetune(writer, [{"text": f"a {i}", "label": i % 2} for i in range(12)], packing=True)
    assert caught.value.hint
    for language, said in (("en", "can't tell the rows of one sequence apart"), ("zh", "无法区分同一序列中的不同行")):
        monkeypatch.setenv("MODELNOOK_LANG", language)
        for dry_run in (True, False):
            with pytest.raises(UnsupportedError, match=said) as refused:
                mn.finetune(mamba, table, packing=True, dry_run=dry_run)
            assert "MambaForCausalLM" in refused.value.message
            assert "gpt2" in refused.value.hint
    assert not len(mn.runs())
