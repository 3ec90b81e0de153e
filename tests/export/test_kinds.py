"""Programs of models whose rows aren't whole texts: they answer as the model does, windows and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.export.conftest import Export, Outside
from tests.standins.kinds import KINDS, rows_of

from modelnook.domain.errors import UnsupportedError
from modelnook.export import EXPORTERS
from modelnook.runtime import runtime
from modelnook.testing.media import tiny_image_model, tiny_image_rows
from modelnook.testing.models import tiny_model

pytestmark = pytest.mark.slow
# One with a program of two outputs, and one without texts, show that OpenVINO does them as well.
WAYS = [*(("onnx", task) for task in KINDS), ("openvino", "image-classification"), ("openvino", "question-answering")]


@pytest.mark.parametrize(("to", "task"), WAYS)
def test_a_program_answers_as_the_model(to: str, task: str, written: Export, place: Path) -> None:
    if EXPORTERS[to].missing:
        pytest.skip(f"needs what {to} is written with")
    source, rows = KINDS[task](place / "source"), rows_of(task)
    report = written(source, place / "out", to, rows, task)
    assert report["equal"] == 1.0
    assert report["max_difference"] <= report["tolerance"]
    program = runtime(place / "out", task=task, threads=1)
    assert program.name == to
    original = runtime(source, task=task, device="cpu", threads=1)
    before, after = (model.predict(rows) for model in (original, program))
    assert [list(row) for row in before] == [list(row) for row in after]
    assert program.labels == original.labels
    assert len(program.outputs([])) == 0


def test_an_image_model_runs_on_onnx_runtime_alone(written: Export, outside: Outside, place: Path) -> None:
    if EXPORTERS["onnx"].missing:
        pytest.skip("needs onnx")
    source = tiny_image_model(place / "source", ["cat", "dog"], kind="resnet")
    files = tiny_image_rows(6)["image"]
    written(source, place / "out", "onnx", files, "image-classification")
    names = [place / f"{at}.png" for at in range(len(files))]
    for name, file in zip(names, files, strict=True):
        name.write_bytes(file)
    found = np.array(outside("image", place / "out", list(map(str, names))))
    assert np.abs(found - runtime(source, device="cpu", threads=1).outputs(files)).max() < 1e-3


def test_a_masked_language_model_is_no_program(written: Export, place: Path) -> None:
    source = tiny_model(place / "source")
    with pytest.raises(UnsupportedError, match="own parts"):
        written(source, place / "out", "onnx", ["a [MASK]"], "fill-mask")
