"""Every exporter keeps the suite's promises."""

from __future__ import annotations

import pytest

from modelnook.export import EXPORTERS
from modelnook.testing.exporters import ExporterSuite

pytestmark = pytest.mark.slow


class TestOnnx(ExporterSuite):
    name = "onnx"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        if EXPORTERS["onnx"].missing:
            pytest.skip("needs onnx")


class TestSafetensors(ExporterSuite):
    name = "safetensors"
