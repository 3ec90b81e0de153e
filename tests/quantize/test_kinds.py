"""int8 programs of models whose rows aren't whole texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.standins.kinds import KINDS, rows_of

from modelnook.domain.errors import UnsupportedError
from modelnook.quantize import QUANTIZERS, needs_gpu
from modelnook.runtime import runtime
from modelnook.tasks import TASKS
from modelnook.testing.models import tiny_writer

pytestmark = pytest.mark.slow
WAYS = [*(("onnx", task) for task in KINDS), ("openvino", "image-classification"), ("openvino", "question-answering")]


@pytest.mark.parametrize(("backend", "task"), WAYS)
def test_what_is_made_answers_as_the_model(backend: str, task: str, tmp_path: Path) -> None:
    if QUANTIZERS[backend].missing:
        pytest.skip(f"needs {QUANTIZERS[backend].missing}")
    source, rows = KINDS[task](tmp_path / "source"), rows_of(task)
    spec = TASKS.load(task, light=True)()
    quantizer = QUANTIZERS.load(backend)()
    options: dict[str, Any] = {"task": task, "calibration": rows, "emit": lambda event: None}
    before = runtime(source, task=task, device="cpu", threads=1).outputs(rows)
    # Ranges fixed on rows and layers left in floats meet the inputs of each task in one way: once is enough.
    attempts = quantizer.attempts("int8")[: None if task == "question-answering" else 1]
    for number, attempt in enumerate(attempts):
        target = tmp_path / str(number)
        quantizer.quantize(source, target, "int8", **options, **attempt)
        small = runtime(target, task=task, threads=1)
        assert small.name == backend
        assert spec.agree(before, small.outputs(rows)).mean() >= 0.75


def test_a_model_that_writes_is_refused(tmp_path: Path) -> None:
    source = tiny_writer(tmp_path / "source")
    for name in ("onnx", "openvino"):
        if QUANTIZERS[name].missing:
            continue
        quantizer = QUANTIZERS.load(name)()
        for scheme in quantizer.schemes:
            with pytest.raises(UnsupportedError, match="word by word") as caught:
                quantizer.quantize(
                    source, tmp_path / "out", scheme, task="text-generation", calibration=[], emit=lambda event: None
                )
            # What is named makes the scheme, and needs no GPU for it.
            other = caught.value.values["next"]
            assert scheme in QUANTIZERS[other].schemes
            assert not needs_gpu(other, scheme)
