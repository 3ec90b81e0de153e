"""torchao's int4 is made and run where its kernels are: on a GPU. Here they are written out for the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from modelnook.catalog.folder import tensors_of
from modelnook.domain.errors import UnsupportedError
from modelnook.quantize import QUANTIZERS
from modelnook.quantize.pytorch import converted
from modelnook.runtime import folder, runtime
from modelnook.testing.models import tiny_model, tiny_rows
from modelnook.testing.trained import trained_model

TEXTS = tiny_rows(64, seed=3)["text"]


def _pack(weight: Any, tiles: int) -> Any:
    """``aten::_convert_weight_to_int4pack``: two weights a byte, in an order of its own, of which here it has none."""
    rows, half = weight.shape
    return weight.contiguous().view(torch.int32).reshape(rows // 8, 2 * half // (tiles * 16), 32, tiles // 2)


def _multiply(rows: Any, packed: Any, group: int, scales: Any) -> Any:
    """``aten::_weight_int4pack_mm``: bfloat16 alone, as the card's kernel says of itself."""
    if rows.dtype != torch.bfloat16 or scales.dtype != torch.bfloat16:
        raise RuntimeError("expected A and qScaleAndZeros to be bfloat16")
    outputs, inputs = 8 * packed.shape[0], 32 * packed.shape[1] * packed.shape[3]
    pairs = packed.reshape(-1).view(torch.uint8).reshape(outputs, inputs // 2)
    values = torch.stack((pairs >> 4, pairs & 15), dim=-1).reshape(outputs, inputs)
    scale, zero = (scales[..., at].T.repeat_interleave(group, dim=1) for at in (0, 1))
    return rows @ ((values.to(torch.bfloat16) - 8) * scale + zero).T


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU of which PyTorch says what it needs, and whose two kernels run here."""
    pytest.importorskip("torchao")
    kernels = torch.library.Library("aten", "IMPL")
    kernels.impl("_convert_weight_to_int4pack", _pack, "CPU")
    kernels.impl("_weight_int4pack_mm", _multiply, "CPU")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *device: (8, 0))
    monkeypatch.setattr(folder, "CARD", "cpu")
    yield
    kernels._destroy()


@pytest.mark.slow
def test_four_bits_are_made_from_bfloat16_and_answer_as_the_original(
    card: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, quantizer = trained_model(tmp_path / "source"), QUANTIZERS.load("torchao")()
    original = runtime(source, device="cpu", threads=1)
    expected = original.outputs(TEXTS)
    made = tmp_path / "made"
    given: dict[str, Any] = {"task": "text-classification", "calibration": TEXTS, "emit": lambda event: None}
    quantizer.quantize(source, made, "int4", **given)
    # Nothing is left in floats of four bytes.
    assert {dtype for _, dtype, _ in tensors_of(made)} <= {"BF16", "I32", "I64"}
    small = runtime(made, device="cpu", threads=1)
    assert original.spec().agree(expected, small.outputs(TEXTS)).mean() >= 0.9
    monkeypatch.setattr(folder, "CARD", "cuda")
    with pytest.raises(UnsupportedError, match=r"packed for a GPU \(torchao\); on device 'cpu'"):
        runtime(made, device="cpu")


def test_what_a_library_says_of_a_weight_is_told(tmp_path: Path) -> None:
    """In place of where transformers has put it, which nobody sees."""
    pytest.importorskip("torchao")
    from torchao.quantization import Int4WeightOnlyConfig
    from transformers import BertForSequenceClassification, TorchAoConfig

    source = tiny_model(tmp_path / "source", ("ham", "spam"), layers=1)
    how = TorchAoConfig(Int4WeightOnlyConfig(group_size=32, int4_packing_format="tile_packed_to_4d"))
    with pytest.raises(UnsupportedError, match="can't be converted: Only bfloat16 is supported for Int4TilePacked"):
        converted(BertForSequenceClassification, source, how, "openvino")


def test_a_gpu_without_the_kernels_is_said(card: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *device: (7, 5))
    with pytest.raises(UnsupportedError, match=r"capability 8\.0 and higher only; this one has 7\.5") as caught:
        QUANTIZERS.load("torchao")().quantize(
            tmp_path, tmp_path / "out", "int4", task="text-classification", calibration=[], emit=lambda event: None
        )
    assert "int8" in caught.value.hint
