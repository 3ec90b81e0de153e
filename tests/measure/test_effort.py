"""What a training will take, by arithmetic: the shape of a real folder, and what changes it in which direction."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import signature
from pathlib import Path

import pytest
import torch

from modelnook.catalog.folder import tensors_of
from modelnook.measure import effort
from modelnook.measure.effort import LORA, Batch, Shape, bytes_of, pace, shape_of, work_of
from modelnook.runtime import folder
from modelnook.testing.models import tiny_model, tiny_translator, tiny_writer

SMALL = Shape(22_700_000, 11_720_000, 30_522, 6, 384, 1536, 12, 6 * (4 * 768 + 2 * 1920))
BATCH = Batch(2000, 16, 20.0, 64, 400, 3000)


def test_a_folder_tells_the_shape(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m", hidden=32, layers=3)
    found = shape_of(tensors_of(path), folder.config(path))
    words = json.loads((path / "config.json").read_text())["vocab_size"]
    assert (found.layers, found.width, found.inner, found.heads) == (3, 32, 64, 4)
    assert (found.vocabulary, found.tables) == (words, words * 32)
    assert found.linear == 3 * (4 * (32 + 32) + 2 * (32 + 64)) + 64, "and a pooler"


def test_both_halves_of_a_translator_are_layers(tmp_path: Path) -> None:
    path = tiny_translator(tmp_path / "m")
    assert shape_of(tensors_of(path), folder.config(path)).layers == 4


def test_layers_that_share_their_weights_are_held_once_and_gone_through_each(tmp_path: Path) -> None:
    """The reference is the same model as a stack: what is counted of both is what PyTorch counts."""
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AlbertConfig, AlbertModel

    sizes = {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024, "num_hidden_layers": 6}
    shapes, operations = {}, {}
    for groups in (1, 2, 6):
        config = AlbertConfig(vocab_size=200, embedding_size=16, num_hidden_groups=groups, **sizes)
        # PyTorch counts no operations of its fused attention on a CPU.
        model = AlbertModel._from_config(config, add_pooling_layer=False, attn_implementation="eager")
        model.save_pretrained(tmp_path / str(groups))
        shapes[groups] = shape_of(tensors_of(tmp_path / str(groups)), folder.config(tmp_path / str(groups)))
        assert shapes[groups].parameters == sum(p.numel() for p in model.parameters())
        with FlopCounterMode(display=False) as counted, torch.inference_mode():
            model.eval()(input_ids=torch.ones(4, 20, dtype=torch.long))
        operations[groups] = counted.get_total_flops()
    assert len(set(operations.values())) == 1
    told = {groups: work_of("full", shape, replace(BATCH, held_out=0), 1) for groups, shape in shapes.items()}
    once = 3 * 2000 * 20
    assert told[1].operations / once == pytest.approx(operations[1] / 80, rel=0.1)
    assert {work.operations for work in told.values()} == {told[6].operations}
    assert told[1].beside < told[6].beside, "fewer weights are updated"
    # One layer's weights, halves, gradients, buffers, moments and checkpoint against six of them; all activations.
    fewer = shapes[6].parameters - shapes[1].parameters
    a_weight = (4 + 2 + 4 + 2 + 8 + 8) if effort.native_bf16() else (4 + 4 + 8 + 8)
    less = bytes_of("full", shapes[6], BATCH) - bytes_of("full", shapes[1], BATCH)
    assert less == pytest.approx(a_weight * fewer, rel=0.02)


def test_a_config_that_says_nothing_is_taken_for_an_encoder() -> None:
    found = shape_of([("a", "F32", (11_000_000, 2))], {})
    assert 4 <= found.layers <= 8
    assert 256 <= found.width <= 512


@pytest.mark.real
def test_minilm_is_known_by_its_folder(minilm: Path) -> None:
    found = shape_of(tensors_of(minilm), folder.config(minilm))
    assert (found.layers, found.width, found.inner, found.heads, found.vocabulary) == (6, 384, 1536, 12, 30522)
    assert found.parameters == pytest.approx(22.7e6, rel=0.01)
    assert found.tables == 30522 * 384


def test_memory_grows_with_what_is_trained_and_what_passes_through() -> None:
    long = replace(BATCH, size=64, longest=512, mean=400.0)
    big = replace(SMALL, parameters=400_000_000, layers=24, width=1024, inner=4096)
    needs = {method: bytes_of(method, big, BATCH) for method in ("head", "last-k", "lora", "full")}
    assert list(needs.values()) == sorted(needs.values())
    assert bytes_of("full", SMALL, long) > bytes_of("full", SMALL, BATCH)
    assert bytes_of("last-k", SMALL, long) > bytes_of("last-k", SMALL, replace(long, rows=200)), (
        "what is kept of each row"
    )
    assert bytes_of("lora", big, BATCH, knobs={"rank": 256}) > needs["lora"]
    assert bytes_of("last-k", big, BATCH, knobs={"layers": 12}) > needs["last-k"]
    assert bytes_of("full", replace(SMALL, tables=0), replace(BATCH, output_share=1.0)) > bytes_of("full", SMALL, BATCH)


def test_frozen_layers_are_run_once() -> None:
    def took(method: str, epochs: float = 5, batch: Batch = BATCH) -> float:
        return work_of(method, SMALL, batch, epochs).seconds(1e11)

    assert took("head") < took("last-k") < took("full")
    assert took("head", 40) < 2 * took("head", 5)
    assert took("full", 10) == pytest.approx(2 * took("full", 5), rel=0.01)
    assert took("full", batch=replace(BATCH, mean=200.0)) > 5 * took("full")
    assert work_of("few-shot", SMALL, BATCH, 1, pairs=20).steps == 20 * 125
    assert all(took(method) < took("full") * 1.5 for method in LORA)


def test_what_trains_has_the_numbers_that_are_counted_with() -> None:
    """They are named a second time for the plan, which imports no PyTorch."""
    from modelnook.tasks.language_modelling_heavy import MOST
    from modelnook.training.evaluation import TOKENS, outputs_of
    from modelnook.training.vocabulary import WORTH_IT

    assert TOKENS == effort.EVALUATION
    assert signature(outputs_of).parameters["batch_size"].default == effort.EVALUATED
    assert MOST == effort.PIECE
    assert effort.WORTH_IT == WORTH_IT


def test_the_pace_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1e8 < pace() < 1e15
    assert pace() == pace()


def test_a_writer_scores_every_word(tmp_path: Path) -> None:
    path = tiny_writer(tmp_path / "m")
    shape = shape_of(tensors_of(path), folder.config(path))
    assert (
        work_of("full", shape, replace(BATCH, output_share=1.0), 1).operations
        > work_of("full", shape, BATCH, 1).operations
    )


def test_a_layer_over_the_vocabulary_is_held_in_pieces() -> None:
    writer = replace(SMALL, vocabulary=50_000)
    # The table is the output layer's as well, and multiplied as that.
    copy = 2 * writer.tables if effort.native_bf16() else 0

    def over(size: int) -> int:
        """What writing takes beside the layers, with so many rows at once."""
        batch = replace(BATCH, size=size, longest=512, held_out=0)
        return bytes_of("lora", writer, replace(batch, output_share=1.0)) - bytes_of("lora", writer, batch) - copy

    assert over(1) == pytest.approx(512 * 50_000 * 12, rel=0.01)
    assert over(8) == over(64) == pytest.approx(effort.PIECE * 12, rel=0.01)
    some = replace(BATCH, size=4, longest=500, held_out=0)
    beside = bytes_of("lora", writer, replace(some, output_share=0.15)) - bytes_of("lora", writer, some)
    assert beside - copy == pytest.approx(300 * 50_000 * 12, rel=0.01), "the hidden words of a masked model"


def test_rows_that_are_packed_pay_for_attention_in_a_sequence_as_long_as_it_may_be() -> None:
    short = replace(BATCH, size=16, longest=128)
    assert replace(short, packed=1024).sequences == (2, 1024)
    assert replace(short, packed=4096).sequences == (1, 2048), "no longer than its rows"
    assert replace(short, size=4, packed=1024).sequences == (1, 512)
    packed, apart = (bytes_of("full", SMALL, batch) for batch in (replace(short, packed=1024), short))
    wide = 2 if effort.native_bf16() else 4
    assert packed - apart == pytest.approx(6 * wide / 2 * 12 * 6 * (2 * 1024**2 - 16 * 128**2), rel=0.01)


def test_a_baseline_of_many_classes_takes_no_more_than_that_of_some() -> None:
    few, many = (bytes_of("head", SMALL, replace(BATCH, rows=50_000, classes=n)) for n in (50, 2000))
    none = bytes_of("head", SMALL, replace(BATCH, rows=50_000))
    assert few > none + 400e6
    assert many == pytest.approx(few, rel=0.02)
