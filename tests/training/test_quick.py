"""What makes the loop quick changes nothing but the time: each trick against plain torch."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from modelnook.tasks.text_classification_heavy import TextClassificationTask
from modelnook.testing.models import tiny_model, tiny_rows
from modelnook.training.attention import attend, fast_attention
from modelnook.training.base import TrainConfig
from modelnook.training.dropout import FastDropout, fast_dropout, keep
from modelnook.training.memory import keep_memory
from modelnook.training.optimizer import Optimizer, decay_left, rate
from modelnook.training.vocabulary import Vocabulary


@pytest.fixture
def ready(tmp_path: Path) -> tuple[Any, Any, dict[str, list[Any]], Any]:
    """``(task, model, rows, tokenizer)``; no dropout."""
    task = TextClassificationTask(("ham", "spam"))
    torch.manual_seed(0)
    model, tokenizer = task.load(str(tiny_model(tmp_path / "m")))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return task, model, task.encode(tokenizer, tiny_rows(24), 16), tokenizer


def steps(task: Any, model: Any, tokenizer: Any, rows: Any, config: TrainConfig, plain: bool) -> list[float]:
    """A few steps by hand with torch's own AdamW and clipping, or by our optimizer; gives the losses."""
    total, losses = 6, []
    ours = Optimizer(
        model,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup=config.warmup,
        clip=config.clip,
        total=total,
    )
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=1.0)
    for step in range(total):
        part = {name: values[4 * step : 4 * step + 4] for name, values in rows.items()}
        loss = task.loss(model, task.collate(tokenizer, part))
        loss.backward()
        losses.append(loss.item())
        if not plain:
            ours.update(step)
            continue
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        for group in theirs.param_groups:
            group["lr"] = config.learning_rate * rate(step, total, config.warmup)
        theirs.step()
        theirs.zero_grad()
    return losses


@pytest.mark.parametrize("clip", [0.1, 100.0])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_cut_table_and_the_fused_clip_give_the_weights_of_plain_adamw(
    ready: tuple[Any, Any, Any, Any], clip: float, decay: float
) -> None:
    task, model, rows, tokenizer = ready
    config = TrainConfig(learning_rate=1e-2, weight_decay=decay, clip=clip, warmup=0.2)
    other = copy.deepcopy(model)
    expected = steps(task, other, tokenizer, rows, config, plain=True)
    vocabulary = Vocabulary(model, rows)
    assert model.get_input_embeddings().num_embeddings < other.get_input_embeddings().num_embeddings / 2
    found = steps(task, model, tokenizer, vocabulary.renumber(rows), config, plain=False)
    vocabulary.restore(decay_left(config, 6, 6))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=2e-4, msg=lambda text, name=name: f"{name}: {text}")
    assert model.get_input_embeddings().num_embeddings == other.get_input_embeddings().num_embeddings


def test_a_table_that_is_shared_or_not_trained_or_mostly_used_stays_whole(ready: tuple[Any, Any, Any, Any]) -> None:
    _, model, rows, _ = ready
    table = model.get_input_embeddings()
    every = {"input_ids": [list(range(table.num_embeddings))]}
    assert Vocabulary(model, every).renumber(every) is every
    model.get_input_embeddings().weight.requires_grad_(False)
    assert Vocabulary(model, rows).renumber(rows) is rows
    model.get_input_embeddings().weight.requires_grad_(True)
    model.twin = nn.Linear(32, table.num_embeddings, bias=False)
    model.twin.weight = table.weight
    assert Vocabulary(model, rows).renumber(rows) is rows


def test_ids_that_the_model_looks_for_keep_their_numbers(ready: tuple[Any, Any, Any, Any]) -> None:
    _, model, rows, tokenizer = ready
    model.config.eos_token_id = tokenizer.sep_token_id
    cut = Vocabulary(model, rows)
    new = cut.renumber({"input_ids": [[tokenizer.pad_token_id, tokenizer.sep_token_id]]})
    assert new["input_ids"] == [[tokenizer.pad_token_id, tokenizer.sep_token_id]]
    cut.restore()
    model.config.eos_token_id = model.get_input_embeddings().num_embeddings - 1
    assert Vocabulary(model, rows).renumber(rows) is rows


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(p: float) -> None:
    torch.manual_seed(0)
    mask, scale = keep(torch.Size((1000, 1001)), p, torch.float32)
    kept = mask.mean().item()
    assert kept == pytest.approx(1 - p, abs=5 * math.sqrt(p * (1 - p) / mask.numel()) + 1e-5)
    assert kept * scale == pytest.approx(1.0, abs=0.02)
    # Neighbours come from the same draw: they must not know of each other.
    flat = mask.flatten()
    for lag in (1, 2, 3, 4):
        assert abs(torch.corrcoef(torch.stack([flat[:-lag], flat[lag:]]))[0, 1].item()) < 5e-3


def test_dropout_passes_gradients_where_it_passed_values() -> None:
    layer = FastDropout(0.5).train()
    x = torch.ones(64, 33, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(layer.eval()(x), x)


def test_layers_are_themselves_again_afterwards() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3))
    with fast_dropout(model):
        assert type(model[1]) is FastDropout
    assert type(model[1]) is nn.Dropout


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_torchs(masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    first = [torch.randn(3, 7, 4, 8).transpose(1, 2).requires_grad_() for _ in range(3)]
    second = [x.detach().clone().requires_grad_() for x in first]
    mask = (torch.arange(7) < torch.tensor([7, 5, 2])[:, None])[:, None, None, :] if masked else None
    # The mask drops nothing: what is left is attention itself.
    monkeypatch.setattr("modelnook.training.attention.keep", lambda shape, p, dtype: (torch.ones(shape), 1.0))
    module = nn.Module().train()
    module.is_causal = False
    ours, _ = attend(module, *first, mask, dropout=0.1, scaling=0.3)
    theirs = F.scaled_dot_product_attention(*second, attn_mask=mask, scale=0.3).transpose(1, 2)
    torch.testing.assert_close(ours, theirs)
    grad = torch.randn_like(ours)
    ours.backward(grad)
    theirs.backward(grad)
    for one, two in zip(first, second, strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_attention_with_dropout_has_the_gradient_of_what_it_computed() -> None:
    module = nn.Module().train()
    module.is_causal = False
    inputs = [torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]

    def run(*qkv: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return attend(module, *qkv, None, dropout=0.4)[0]

    assert torch.autograd.gradcheck(run, inputs)


def test_a_model_is_told_and_untold(ready: tuple[Any, Any, Any, Any]) -> None:
    task, model, rows, tokenizer = ready
    model.config.attention_probs_dropout_prob = 0.2
    for module in model.modules():
        if hasattr(module, "attention_head_size"):
            module.dropout.p = 0.2
    batch = task.collate(tokenizer, rows)
    expected = task.outputs(model.eval(), batch)
    with fast_attention(model):
        assert model.config._attn_implementation == "modelnook_cpu"
        torch.testing.assert_close(task.outputs(model.eval(), batch), expected)
        task.loss(model.train(), batch).backward()
    assert model.config._attn_implementation == "sdpa"
    assert "modelnook" not in model.config.to_json_string()


def test_memory_is_kept_and_given_back() -> None:
    with keep_memory():
        for _ in range(3):
            torch.ones(1 << 20).sum()
