"""Every quantization backend keeps the suite's promises."""

from __future__ import annotations

import pytest

from modelnook.quantize import QUANTIZERS
from modelnook.testing.quantizers import QuantizerSuite

pytestmark = pytest.mark.slow


class TestOnnx(QuantizerSuite):
    name = "onnx"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        pytest.importorskip("onnxruntime")


class TestTorchAo(QuantizerSuite):
    name = "torchao"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        pytest.importorskip("torchao")


def test_rows_stand_in_order() -> None:
    assert list(QUANTIZERS) == sorted(QUANTIZERS)
