"""Every runtime keeps the suite's promises."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.installed import Installed

from modelnook.quantize import QUANTIZERS
from modelnook.runtime import RUNTIMES, runtime
from modelnook.tasks.text_classification import TextClassification
from modelnook.testing.models import tiny_model, tiny_rows
from modelnook.testing.runtimes import RuntimeSuite


class Quantized(Installed, RuntimeSuite):
    """A folder that a quantizer made."""

    quantizer: str

    @classmethod
    def make(cls, trained: Path, folder: Path) -> Path:
        made = QUANTIZERS.load(cls.quantizer)()
        made.quantize(trained, folder, "int8", task="text-classification", calibration=[], emit=lambda event: None)
        return folder


class TestTransformers(RuntimeSuite):
    name = "transformers"


@pytest.mark.slow
class TestOnnx(Quantized):
    name = "onnx"
    # One scale for the activations of a whole batch.
    tolerance = 0.5
    imports_torch = False
    package = "onnxruntime"
    quantizer = "onnx"


@pytest.mark.slow
class TestTorchAo(Quantized):
    name = "transformers"
    tolerance = 0.05
    package = "torchao"
    quantizer = "torchao"


class TestSklearn(Installed, RuntimeSuite):
    name = "sklearn"
    tolerance = 0.0
    imports_torch = False
    package = "sklearn"

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


@pytest.mark.slow
class TestOpenVino(Quantized):
    name = "openvino"
    # Activations have fixed ranges: only sums of other lengths differ.
    tolerance = 0.05
    imports_torch = False
    package = "nncf"
    quantizer = "openvino"

    def test_texts_of_many_lengths_meet_few_widths(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: set[int] = set()
        run = model._run

        def noted(feeds: Any) -> Any:
            seen.update(feed["input_ids"].shape[1] for feed in feeds)
            return run(feeds)

        monkeypatch.setattr(model, "_run", noted)
        texts = ["ham " * n for n in range(1, 30)]
        one_by_one = [model.outputs([text], batch_size=1)[0] for text in texts]
        assert len(seen) <= 8
        assert all(width % 8 == 0 for width in seen)
        assert [max(one) for one in model.outputs(texts)] == pytest.approx([max(o) for o in one_by_one], abs=0.05)

    def test_a_width_is_never_more_than_the_model_reads(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(model, "max_length", 20)
        assert [model._width(n) for n in (0, 1, 8, 9, 17, 20)] == [1, 8, 8, 16, 20, 20]

    def test_a_text_by_itself_is_not_padded_with_a_token_that_nobody_named(self, folder: Path, tmp_path: Path) -> None:
        copy = shutil.copytree(folder, tmp_path / "copy")
        said = json.loads((copy / "config.json").read_text())
        assert said.pop("pad_token_id") is not None
        (copy / "config.json").write_text(json.dumps(said))
        model = runtime(copy, name=self.name, device="cpu", threads=1)
        assert [model._width(n) for n in (1, 9)] == [1, 9]
        model.close()

    def test_nothing_is_told_to_its_makers(self) -> None:
        code = (
            "import sys; from modelnook.runtime import RUNTIMES; RUNTIMES.load('openvino'); import openvino, threading;"
            "print(sys.modules['openvino_telemetry'], [m for m in sys.modules if m.startswith('openvino_telemetry.')],"
            "openvino.tools.ovc.telemetry.__class__.__module__)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["None", "[]", "openvino.tools.ovc.telemetry_stub"]


@pytest.mark.slow
class TestQuanto(Quantized):
    name = "transformers"
    package = "optimum.quanto"
    quantizer = "quanto"


def test_rows_stand_in_order() -> None:
    assert list(RUNTIMES) == sorted(RUNTIMES)


def test_what_memory_does_not_hold_at_once_is_answered_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from modelnook.runtime.transformers import TransformersRuntime

    model = TransformersRuntime(tiny_model(tmp_path / "m", ["ham", "spam"]), device="cpu", threads=1)
    texts = tiny_rows(40)["text"]
    whole, seen = model.outputs(texts), list[int]()
    model._model.register_forward_pre_hook(
        lambda module, given, named: seen.append(named["input_ids"].numel()), with_kwargs=True
    )
    monkeypatch.setattr(model, "_room", lambda: 30)
    np.testing.assert_allclose(model.outputs(texts), whole, rtol=1e-3, atol=1e-5)
    assert max(seen) <= 30


def test_batches_that_run_one_a_core_share_what_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from modelnook.runtime.program import ProgramRuntime

    class Seen(ProgramRuntime):
        name, formats, program = "seen", (), "model.onnx"

        def _run(self, feeds: Any) -> Any:
            self.sizes = [feed["input_ids"].size for feed in feeds]
            yield from ([np.zeros((len(feed["input_ids"]), 2), np.float32)] for feed in feeds)

        def close(self) -> None:
            """Nothing is held."""

    monkeypatch.setattr("modelnook.runtime.batches.read_at_once", lambda shape, free: 64)
    path, texts, largest = tiny_model(tmp_path / "m"), tiny_rows(40)["text"], {}
    for threads in (1, 4):
        model = Seen(path, task=None, threads=threads)
        model.task, model._inputs = None, {"input_ids": np.dtype(np.int64)}
        model.outputs(texts, batch_size=32)
        largest[threads] = max(model.sizes)
    assert largest[4] <= 16 < largest[1] <= 64
