"""Every exporter keeps the suite's promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelnook.testing.exporters import ExporterSuite
from modelnook.testing.models import tiny_rows, tiny_sentencepiece, tiny_writer

pytestmark = pytest.mark.slow


class TestGguf(ExporterSuite):
    name = "gguf"
    task = "text-generation"

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


class TestOpenVino(ExporterSuite):
    name = "openvino"


class TestSafetensors(ExporterSuite):
    name = "safetensors"
