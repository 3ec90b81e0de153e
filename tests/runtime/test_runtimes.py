"""Every runtime keeps the suite's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelnook.quantize import QUANTIZERS
from modelnook.runtime import RUNTIMES
from modelnook.tasks.text_classification import TextClassification
from modelnook.testing.models import tiny_rows
from modelnook.testing.runtimes import RuntimeSuite


def quantized(name: str, trained: Path, folder: Path) -> Path:
    quantizer = QUANTIZERS.load(name)()
    quantizer.quantize(trained, folder, "int8", task="text-classification", calibration=[], emit=lambda event: None)
    return folder


class TestTransformers(RuntimeSuite):
    name = "transformers"


@pytest.mark.slow
class TestOnnx(RuntimeSuite):
    name = "onnx"
    # One scale for the activations of a whole batch.
    tolerance = 0.5
    imports_torch = False

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        pytest.importorskip("onnxruntime")

    @classmethod
    def make(cls, trained: Path, folder: Path) -> Path:
        return quantized("onnx", trained, folder)


@pytest.mark.slow
class TestTorchAo(RuntimeSuite):
    name = "transformers"
    tolerance = 0.05

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        pytest.importorskip("torchao")

    @classmethod
    def make(cls, trained: Path, folder: Path) -> Path:
        return quantized("torchao", trained, folder)


class TestSklearn(RuntimeSuite):
    name = "sklearn"
    tolerance = 0.0
    imports_torch = False

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        pytest.importorskip("sklearn")

    @classmethod
    def make(cls, trained: Path, folder: Path) -> Path:
        from modelnook.classic.base import write
        from modelnook.classic.tfidf import Tfidf

        spec, rows = TextClassification(), tiny_rows(256)
        model = Tfidf.learn(spec, rows, ["ham", "spam"])
        assert model is not None
        folder.mkdir()
        write(model, folder, task=spec.name, labels=["ham", "spam"])
        return folder


def test_rows_stand_in_order() -> None:
    assert list(RUNTIMES) == sorted(RUNTIMES)
