"""Layers: which ones go, that what is written is what was measured, and stacks that can't be taken apart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modelnook.domain.errors import StoreError, UnsupportedError, UsageError
from modelnook.runtime import runtime
from modelnook.runtime.folder import config
from modelnook.runtime.transformers import load_trained
from modelnook.shrink.layers import Stack, student
from modelnook.shrink.prune import Pruner
from modelnook.testing.media import tiny_image_model, tiny_image_rows
from modelnook.testing.models import tiny_model, tiny_rows, tiny_translator

ROWS = tiny_rows(40)
TASK = "text-classification"


def deep(folder: Path, idle: tuple[int, ...] = (), layers: int = 4) -> Path:
    """A random classifier in which some layers give back what they are given."""
    tiny_model(folder, ("ham", "spam"), layers=layers)
    _, model, tokenizer = load_trained(folder, TASK)
    for at in idle:
        layer = model.bert.encoder.layer[at]
        for part in (layer.attention.output, layer.output):
            torch.nn.init.zeros_(part.dense.weight)
            torch.nn.init.zeros_(part.dense.bias)
    # As sure of its answers as a trained one.
    model.classifier.weight.data.mul_(50)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pruner(source: Path, columns: Any = ROWS, task: str = TASK) -> Pruner:
    return Pruner(source, task, columns, emit=lambda event: None)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_layers_that_do_nothing_go_first(labelled: bool, tmp_path: Path) -> None:
    source = deep(tmp_path / "source", idle=(1, 2))
    said = runtime(source).predict(ROWS["text"])
    columns = {"text": ROWS["text"], **({"label": [one["label"] for one in said]} if labelled else {})}
    found = pruner(source, columns)
    assert {found.drop().layer, found.drop().layer} == {1, 2}  # type: ignore[union-attr]
    assert found.places(2) == [0, 3]
    found.write(2, tmp_path / "small")
    before, after = (
        runtime(path, device="cpu", threads=1).outputs(ROWS["text"]) for path in (source, tmp_path / "small")
    )
    # A layer that does nothing still normalises twice what is normal already.
    np.testing.assert_allclose(after, before, atol=1e-4)
    np.testing.assert_array_equal(after, found.outputs(2))
    assert config(tmp_path / "small")["num_hidden_layers"] == 2


@pytest.mark.parametrize("labelled", [True, False])
def test_layers_are_compared_on_as_many_rows_at_a_time_as_memory_holds(
    labelled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ROWS if labelled else {"text": ROWS["text"]}
    whole = pruner(deep(tmp_path / "source", layers=2), columns)
    monkeypatch.setattr(sys.modules["modelnook.shrink.prune"], "room", lambda path: lambda: 30)
    parts, seen = pruner(tmp_path / "source", columns), list[int]()
    parts.model.register_forward_pre_hook(
        lambda module, given, named: seen.append(named["input_ids"].numel()), with_kwargs=True
    )
    first, second = whole.drop(), parts.drop()
    assert first is not None
    assert second is not None
    assert second.layer == first.layer
    assert second.loss == pytest.approx(first.loss, rel=1e-3, abs=1e-6)
    assert 0 < max(seen) <= 30


def test_the_last_layer_stays(tmp_path: Path) -> None:
    found = pruner(deep(tmp_path / "source", layers=2))
    assert found.drop() is not None
    assert found.drop() is None


def test_a_full_disk_is_said(small_disk: Path, tmp_path: Path) -> None:
    found = pruner(deep(tmp_path / "source"))
    assert found.drop()
    for write in (
        lambda: found.write(1, small_disk / "out"),
        lambda: student(tmp_path / "source", small_disk / "out", task=TASK, layers=2, step="distil"),
    ):
        with pytest.raises(StoreError, match="couldn't be written"):
            write()
        assert not list(small_disk.iterdir())


def test_a_student_has_every_second_layer(tmp_path: Path) -> None:
    source = deep(tmp_path / "source", layers=5)
    assert student(source, tmp_path / "small", task=TASK, layers=3, step="distil") == (5, 3)
    (_, whole, _), (_, small, _) = (load_trained(path, TASK) for path in (source, tmp_path / "small"))
    for new, old in enumerate((0, 2, 4)):
        pair = (model.bert.encoder.layer[at].output.dense.weight for model, at in ((small, new), (whole, old)))
        assert torch.equal(*pair)
    for wrong in (0, 5, 9):
        with pytest.raises(UsageError, match="no smaller model"):
            student(source, tmp_path / "other", task=TASK, layers=wrong, step="distil")
    assert not (tmp_path / "other").exists()


def test_images_have_layers_too(tmp_path: Path) -> None:
    rows = tiny_image_rows(16)
    source = tiny_image_model(tmp_path / "source", ("cat", "dog"))
    found = pruner(source, rows, "image-classification")
    assert found.drop() is not None
    found.write(found.count - 1, tmp_path / "small")
    assert runtime(tmp_path / "small", task="image-classification").outputs(rows["image"]).shape == (16, 2)


def test_what_is_said_of_each_layer_goes_with_it(tmp_path: Path) -> None:
    from transformers import ModernBertConfig, ModernBertForSequenceClassification

    from modelnook.testing.models import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    said = ModernBertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, pad_token_id=0, bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3,
        local_attention=4, global_attn_every_n_layers=3, id2label={0: "ham", 1: "spam"}, label2id={"ham": 0, "spam": 1},
    )  # fmt: skip
    torch.manual_seed(0)
    ModernBertForSequenceClassification(said).save_pretrained(tmp_path / "source")
    tokenizer.save_pretrained(tmp_path / "source")
    found = pruner(tmp_path / "source")
    assert not found.stack.fits([1, 2, 3]), "the first layer has no norm of its own"
    assert found.drop().layer > 0  # type: ignore[union-attr]
    found.write(3, tmp_path / "small")
    again = runtime(tmp_path / "small", threads=1).outputs(ROWS["text"])
    np.testing.assert_allclose(again, found.outputs(3), atol=1e-5)
    assert len(config(tmp_path / "small")["layer_types"]) == 3


@pytest.mark.parametrize("task", [TASK, "text-generation"])
def test_a_decoders_layers_find_their_new_places_in_its_cache(task: str, tmp_path: Path) -> None:
    from modelnook.testing.models import tiny_writer

    source = tiny_writer(tmp_path / "source", layers=4)
    columns: Any = {"text": ROWS["text"]}
    if task == TASK:
        from transformers import LlamaForSequenceClassification

        names = {"id2label": {0: "ham", 1: "spam"}, "label2id": {"ham": 0, "spam": 1}}
        LlamaForSequenceClassification.from_pretrained(source, **names).save_pretrained(source)
        columns = ROWS
    found = pruner(source, columns, task)
    assert [found.drop() is not None for _ in range(2)] == [True, True]
    found.write(2, tmp_path / "small")
    rows = runtime(source, task=task).spec().as_rows({"text": ROWS["text"]})
    again = runtime(tmp_path / "small", task=task, threads=1).outputs(rows)
    np.testing.assert_allclose(again, found.outputs(2), rtol=1e-4, atol=1e-5)
    assert student(source, tmp_path / "half", task=task, layers=2, step="distil") == (4, 2)


def test_two_stacks_are_none(tmp_path: Path) -> None:
    from transformers import AlbertConfig, AlbertForSequenceClassification, AutoModelForSeq2SeqLM

    tiny_translator(tmp_path / "bart")
    with pytest.raises(UnsupportedError, match="no one stack"):
        Stack(AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "bart"))
    shared = AlbertConfig(vocab_size=50, embedding_size=16, hidden_size=32, num_attention_heads=4, intermediate_size=64)
    with pytest.raises(UnsupportedError, match="no one stack"):
        Stack(AlbertForSequenceClassification(shared))
