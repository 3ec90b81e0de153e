"""Families other than BERT, small and random: traced, quantized, and true to the original's texts and outputs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.errors import UnsupportedError
from modelnook.measure.outputs import write_rows
from modelnook.measure.probe import Probe, probe_args, read_probe
from modelnook.quantize import QUANTIZERS
from modelnook.quantize.compress import compress
from modelnook.runtime import runtime
from modelnook.testing.models import tiny_rows, tiny_tokenizer

pytestmark = pytest.mark.slow
TASK = "text-classification"
TEXTS = tiny_rows(32)["text"]
HEADS = {"num_attention_heads": 4, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}
NAMES = {
    "roberta": {**HEADS, "max_position_embeddings": 66},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "deberta-v2": {**HEADS, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 16},
    "modernbert": {**HEADS, "global_attn_every_n_layers": 2, "local_attention": 16},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "qwen2": {**HEADS, "num_key_value_heads": 2},
}
# Sparse attention: one takes the chosen blocks by the length that it was traced with, the other's sizes are computed.
SPARSE = {
    "big_bird": {**HEADS, "block_size": 4, "num_random_blocks": 1},
    "longformer": {**HEADS, "attention_window": [8, 8], "max_position_embeddings": 130},
}


def made(kind: str, folder: Path) -> Path:
    import torch
    import transformers

    from modelnook.runtime.silence import silence

    tokenizer = tiny_tokenizer()
    ends = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": tokenizer.pad_token_id}
    config = transformers.AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        num_labels=3,
        **{"max_position_embeddings": 64, **ends, **(NAMES | SPARSE)[kind]},
    )
    with silence(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        # Random heads answer all but alike: spread them, so that a difference is seen.
        for name, weight in model.named_parameters():
            if name.startswith(("classifier", "score")) and weight.ndim == 2:
                weight.data.mul_(20)
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", NAMES)
def test_onnx_does_it(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    source, target = made(kind, tmp_path / "source"), tmp_path / "int8"
    options: dict[str, Any] = {"task": TASK, "calibration": [], "emit": lambda event: None, "per_channel": True}
    QUANTIZERS.load("onnx")().quantize(source, target, "int8", **options)
    before = runtime(source, device="cpu", threads=1).outputs(TEXTS)
    after = runtime(target, threads=1).outputs(TEXTS)
    assert np.abs(before - after).max() < 0.25 * before.std()


def smaller(source: Path, target: Path, backend: str) -> None:
    def apart(path: Path, rows: list[Any]) -> Probe:
        write_rows(target.with_suffix(".json"), rows)
        out = target.with_suffix(".probe")
        shutil.rmtree(out, ignore_errors=True)
        arguments = probe_args(path, target.with_suffix(".json"), out, task=TASK, seconds=0.05)
        return read_probe(out, subprocess.call([sys.executable, "-m", *arguments], stderr=subprocess.DEVNULL))

    rows = {"text": TEXTS}
    compress(
        source,
        target,
        scheme="int8",
        backend=backend,
        task_name=TASK,
        rows=rows,
        max_drop=1.0,
        probe=apart,
        emit=lambda event: None,
    )


@pytest.mark.parametrize(("backend", "operation"), [("onnx", "GatherElements"), ("openvino", "Reshape")])
def test_a_program_that_does_not_run_names_the_backend_and_the_next(
    backend: str, operation: str, tmp_path: Path
) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(backend, backend))
    with pytest.raises(UnsupportedError) as caught:
        smaller(made("big_bird", tmp_path / "source"), tmp_path / "out", backend)
    said = caught.value.message
    assert said.startswith(f"{backend} can't make 'int8' of this model: BigBirdForSequenceClassification ")
    assert f": {operation}: " in said
    assert caught.value.hint == 'Try backend="torchao".'
    assert not [part for part in ("ONNXRuntimeError", "src/", "/tmp", str(tmp_path)) if part in said]
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_call_that_goes_by_values_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(UnsupportedError) as caught:
        smaller(made("longformer", tmp_path / "source"), tmp_path / "out", "onnx")
    assert caught.value.message == (
        "onnx can't make 'int8' of this model: LongformerForSequenceClassification can't be converted:"
        " torch.einsum goes by values that are known only as it runs."
    )
    assert caught.value.hint == 'Try backend="torchao".'


@pytest.mark.parametrize(
    ("text", "expected"),
    [("flags\t: fpu avx2 avx512f\n", True), ("flags\t: avx2 avx_vnni\n", False), ("Features\t: asimddp\n", False)],
)
def test_processors_whose_int8_sums_overflow_get_seven_bits(tmp_path: Path, text: str, expected: bool) -> None:
    pytest.importorskip("onnxruntime")
    from modelnook.quantize.onnx import saturates

    (tmp_path / "cpuinfo").write_text(text)
    assert saturates(tmp_path / "cpuinfo") is expected
    assert saturates(tmp_path / "nothing") is False


def test_a_model_without_linear_layers_is_said(tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    source = made("gpt2", tmp_path / "source")
    with pytest.raises(UnsupportedError, match="no layer to quantize"):
        QUANTIZERS.load("torchao")().quantize(
            source, tmp_path / "out", "int8", task=TASK, calibration=[], emit=lambda event: None
        )
    assert not (tmp_path / "out").exists()


def test_what_fails_for_another_reason_is_told_in_its_own_words() -> None:
    from modelnook.convert.trace import tracing
    from modelnook.quantize import NEXT
    from modelnook.quantize.trace import UNTRACEABLE

    with pytest.raises(UnsupportedError) as caught, tracing("BertForX", UNTRACEABLE, path="x", next=NEXT["int8"]):
        raise RuntimeError("The rows need different lengths.\nMore.")
    assert caught.value.message == "BertForX can't be converted: The rows need different lengths."
    assert "torchao" in caught.value.hint
    # A module's name is none of an operation.
    with pytest.raises(UnsupportedError) as caught, tracing("BertForX", UNTRACEABLE, path="x", next=NEXT["int8"]):
        raise AttributeError("module 'transformers.models.bert' has no attribute 'x'")
    assert "can't be converted: module 'transformers.models.bert' has" in caught.value.message


def test_an_operation_that_cannot_be_traced_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    import torch

    from modelnook.convert.onnx import program
    from modelnook.convert.trace import Traced
    from modelnook.quantize import NEXT
    from modelnook.quantize.trace import UNTRACEABLE
    from modelnook.testing.models import tiny_model

    traced = Traced(tiny_model(tmp_path / "source", ("ham", "spam")), TASK, [])

    class Odd(torch.nn.Module):
        def forward(self, states: torch.Tensor) -> torch.Tensor:
            square = states[:, :2, :2]
            return states[:, 0] + torch.linalg.eigvals(square).real.sum(dim=-1, keepdim=True)

    traced.model.bert.pooler = Odd()
    with pytest.raises(UnsupportedError, match="linalg_eig"):
        program(traced, UNTRACEABLE, path=tmp_path, next=NEXT["int8"])
