"""Every format is loaded by its own tools, without modelnook, and answers as the model does."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed
from tests.export.conftest import Export, Outside

from modelnook.catalog.papers import front_matter
from modelnook.domain.errors import UnsupportedError
from modelnook.export import EXPORTERS
from modelnook.export.engine import _parity
from modelnook.runtime import runtime
from modelnook.runtime.silence import silence
from modelnook.tasks.table import TableClassification
from modelnook.testing.models import tiny_model, tiny_translator, tiny_writer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("to", ["onnx", "openvino", "safetensors"])
def test_a_classifier_answers_the_same_elsewhere(
    to: str, trained: Path, texts: list[str], written: Export, outside: Outside, place: Path
) -> None:
    if to not in EXPORTERS or EXPORTERS[to].missing:
        pytest.skip(f"needs what {to} is written with")
    target = place / "out"
    report = written(trained, target, to, texts)
    expected = runtime(trained, device="cpu", threads=1).outputs(texts, batch_size=1)
    assert np.abs(np.array(outside(to, target, texts)) - expected).max() <= 1e-3
    assert report["equal"] == 1.0
    assert report["rows"] == len(texts)
    assert report["max_difference"] <= report["tolerance"]
    assert report["bytes"] <= sum(file.stat().st_size for file in target.iterdir())
    assert (target / EXPORTERS.load(to).weights).is_file()
    assert sorted(file.name for file in place.iterdir()) == ["out"]


def test_a_program_that_was_traced_and_does_not_run_is_said(trained: Path, texts: list[str], tmp_path: Path) -> None:
    onnx = needed("onnx")
    exporter = EXPORTERS.load("onnx")()
    task = "text-classification"
    exporter.write(trained, tmp_path, task=task, rows=texts, name="spam", emit=lambda event: None)
    graph = onnx.load(str(tmp_path / "model.onnx"))
    table = max(graph.graph.initializer, key=lambda tensor: tensor.dims[0] if len(tensor.dims) == 2 else 0)
    row = onnx.numpy_helper.to_array(table)[:1]
    table.CopyFrom(onnx.numpy_helper.from_array(np.array(row), table.name))
    onnx.save(graph, str(tmp_path / "model.onnx"))
    for file in tmp_path.glob("model.onnx.data"):
        file.unlink()
    with pytest.raises(UnsupportedError, match="which can't run it") as caught:
        _parity(trained, tmp_path, task, texts, "onnx")
    assert "safetensors" in caught.value.hint


@pytest.mark.real
@pytest.mark.parametrize("to", ["onnx", "openvino", "safetensors"])
def test_a_fine_tuned_minilm_answers_the_same_elsewhere(
    to: str, trained_on_headlines: Path, headlines: Any, written: Export, outside: Outside, place: Path
) -> None:
    for module in EXPORTERS[to].missing:
        needed(module)
    texts = headlines[1]["text"][:60]
    report = written(trained_on_headlines, place / "out", to, texts)
    assert report["equal"] == 1.0
    assert report["max_difference"] <= report["tolerance"]
    found = np.array(outside(to, place / "out", texts))
    expected = runtime(trained_on_headlines, device="cpu", threads=1).outputs(texts, batch_size=1)
    assert np.abs(found - expected).max() <= report["tolerance"]
    told = json.loads((place / "out" / "config.json").read_text(encoding="utf-8"))["id2label"]
    labels = [told[str(at)] for at in found.argmax(axis=1)]
    assert sum(a == b for a, b in zip(labels, headlines[1]["label"], strict=False)) >= 50, "it was trained"


def test_its_card_says_licence_lineage_and_how_like_the_original_it_is(
    trained: Path, texts: list[str], written: Export, place: Path
) -> None:
    written(trained, place / "out", "safetensors", texts)
    head = front_matter(place / "out" / "README.md")
    assert head["license"] == "apache-2.0"
    assert head["base_model"] == "pip:tiny@1"
    assert head["pipeline_tag"] == "text-classification"
    card = (place / "out" / "README.md").read_text(encoding="utf-8")
    assert "local:spam@2 ← pip:tiny@1" in card
    assert "100.0% of 24 rows" in card
    assert "ham, spam" in card
    for file in (place / "out").glob("*.json"):
        assert str(place) not in file.read_text(encoding="utf-8")
        assert str(trained.parent) not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("to", ["onnx", "openvino", "safetensors"])
@pytest.mark.parametrize(
    ("task", "learnt"),
    [
        ("text-regression", {"mean": 30.0, "std": 7.0}),
        ("table", {"features": {"age": [20.0, 40.0], "home": None, "名": None}}),
    ],
)
def test_its_card_shows_code_that_answers_as_the_model_does(
    to: str, task: str, learnt: dict[str, Any], trained: Path, texts: list[str], written: Export, place: Path
) -> None:
    if EXPORTERS[to].missing:
        pytest.skip(f"needs what {to} is written with")
    table = task == "table"
    source = shutil.copytree(trained, place / "source")
    said = json.loads((source / "config.json").read_text(encoding="utf-8"))
    if not table:
        from safetensors.torch import load_file, save_file

        said |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "problem_type": "regression"}
        weights = load_file(source / "model.safetensors")
        weights |= {name: weights[name][:1].clone() for name in ("classifier.weight", "classifier.bias")}
        save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    (source / "config.json").write_text(
        json.dumps({**said, "modelnook_task": task, "modelnook_learnt": learnt}), encoding="utf-8"
    )
    row: Any = {"age": 40.0, "home": None, "名": None} if table else "a text"
    written(source, place / "out", to, [row] if table else texts, task)
    card = (place / "out" / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0].replace("FOLDER", str(place / "out"))
    found: dict[str, Any] = {}
    with silence():
        exec(code, found)
    model = runtime(source, task=task, device="cpu", threads=1)
    if table:
        assert np.abs(np.ravel(found["outputs"]) - np.ravel(model.outputs([row]))).max() <= 0.05
        assert [found["row"]] == TableClassification().worded([row], learnt)
    else:
        assert found["value"] == pytest.approx(model.predict([row])[0]["value"], abs=0.05 * learnt["std"])
        assert abs(found["value"] / learnt["mean"]) > 0.1, "no standard score"


def test_its_card_names_the_class_that_hears_speech() -> None:
    exporter = EXPORTERS.load("safetensors")()
    task = "automatic-speech-recognition"
    assert "AutoModelForCTC" in exporter.example(task, {"architectures": ["Wav2Vec2ForCTC"]})
    assert "AutoModelForSpeechSeq2Seq" in exporter.example(task, {"architectures": ["WhisperForConditionalGeneration"]})


def test_a_model_that_writes_is_no_program(written: Export, place: Path) -> None:
    source = tiny_writer(place / "writer")
    with pytest.raises(UnsupportedError, match="word by word"):
        written(source, place / "out", "onnx", [{"text": "we"}], "text-generation")
    translator = tiny_translator(place / "translator")
    with pytest.raises(UnsupportedError, match="word by word"):
        written(translator, place / "out", "onnx", ["we"], "text2text-generation")
    assert not (place / "out").exists()


def test_an_operation_that_cannot_be_traced_is_named(
    trained: Path, texts: list[str], written: Export, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers.models.bert.modeling_bert import BertPooler

    def odd(self: Any, states: torch.Tensor) -> torch.Tensor:
        return states[:, 0] + torch.linalg.eigvals(states[:, :2, :2]).real.sum(dim=-1, keepdim=True)

    monkeypatch.setattr(BertPooler, "forward", odd)
    with pytest.raises(UnsupportedError, match="linalg_eig"):
        written(trained, place / "out", "onnx", texts)
    assert not list(place.iterdir())


def test_a_quantized_model_stays_what_it_is(trained: Path, texts: list[str], written: Export, place: Path) -> None:
    from modelnook.quantize import QUANTIZERS

    small = place / "int8"
    QUANTIZERS.load("onnx")().quantize(
        trained, small, "int8", task="text-classification", calibration=texts, emit=lambda event: None
    )
    report = written(small, place / "out", "onnx", texts)
    assert report["max_difference"] == 0
    assert (place / "out" / "model.onnx").read_bytes() == (small / "model.onnx").read_bytes()
    with pytest.raises(
        UnsupportedError, match=r"'local:spam@2' is quantized \(onnx-int8\), which safetensors"
    ) as caught:
        written(small, place / "floats", "safetensors", texts)
    assert caught.value.hint.endswith("made from: pip:tiny@1")


def test_what_torchao_quantized_is_copied_and_is_no_program(
    trained: Path, texts: list[str], written: Export, place: Path
) -> None:
    pytest.importorskip("torchao")
    from modelnook.quantize import QUANTIZERS

    small = place / "int8"
    QUANTIZERS.load("torchao")().quantize(
        trained, small, "int8", task="text-classification", calibration=texts, emit=lambda event: None
    )
    assert written(small, place / "out", "safetensors", texts)["max_difference"] == 0
    with pytest.raises(UnsupportedError, match=r"quantized \(torchao\), which onnx can't hold"):
        written(small, place / "onnx", "onnx", texts)


def test_a_program_that_was_traced_with_single_texts_tells_the_texts_of_a_pair_apart(
    trained: Path, texts: list[str], written: Export, place: Path
) -> None:
    source = shutil.copytree(trained, place / "source")
    config = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    names = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
    (source / "tokenizer_config.json").write_text(json.dumps({**config, **names}), encoding="utf-8")
    written(source, place / "out", "onnx", texts)
    pairs = [{"text": text, "text_pair": other} for text, other in pairwise(texts)]
    expected = runtime(source, device="cpu", threads=1).outputs(pairs)
    assert np.abs(runtime(place / "out", device="cpu", threads=1).outputs(pairs) - expected).max() < 1e-4


def test_an_adapter_is_merged(texts: list[str], written: Export, outside: Outside, place: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    base = tiny_model(place / "base", ["ham", "spam"])
    with silence(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        whole = AutoModelForSequenceClassification.from_pretrained(base)
        config = LoraConfig(
            task_type="SEQ_CLS", r=4, target_modules=["query", "value"], init_lora_weights=False,
            modules_to_save=["classifier"],
        )  # fmt: skip
        model = get_peft_model(whole, config).eval()
        model.save_pretrained(place / "adapter")
    loaded = runtime(place / "adapter", device="cpu", threads=1)
    assert loaded.task == "text-classification"
    from transformers import AutoTokenizer

    batch = AutoTokenizer.from_pretrained(base)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = model(**batch).logits.numpy()
    assert np.abs(loaded.outputs(texts) - expected).max() < 1e-5
    written(place / "adapter", place / "out", "safetensors", texts)
    assert np.abs(np.array(outside("safetensors", place / "out", texts)) - expected).max() < 1e-5
    said = json.loads((place / "out" / "config.json").read_text(encoding="utf-8"))
    assert said["architectures"] == ["BertForSequenceClassification"]


@pytest.mark.real
def test_minilm_keeps_what_sentence_transformers_reads(minilm: Path, written: Export, place: Path) -> None:
    texts = ["a man plays guitar", "someone strums an instrument"]
    report = written(minilm, place / "out", "safetensors", texts, "sentence-similarity")
    assert report["equal"] == 1.0
    names = ("modules.json", "1_Pooling/config.json", "sentence_bert_config.json")
    assert all((place / "out" / name).read_bytes() == (minilm / name).read_bytes() for name in names)
    program = written(minilm, place / "onnx", "onnx", texts, "sentence-similarity")
    assert program["max_difference"] < 1e-4
    import onnxruntime

    session = onnxruntime.InferenceSession(place / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].name == "vector"


def test_an_encoder_of_ours_is_written_for_sentence_transformers(written: Export, place: Path) -> None:
    source = tiny_model(place / "source")
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    said = {"modelnook_task": "sentence-similarity", "modelnook_learnt": {"pooling": "cls"}}
    (source / "config.json").write_text(json.dumps({**config, **said}), encoding="utf-8")
    written(source, place / "out", "safetensors", ["a dog", "a cat"], "sentence-similarity")
    pooling = json.loads((place / "out" / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    assert pooling == {
        "word_embedding_dimension": 32,
        "pooling_mode_cls_token": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_tokens": False,
        "pooling_mode_lasttoken": False,
    }
    kinds = [part["type"].rpartition(".")[2] for part in json.loads((place / "out" / "modules.json").read_text())]
    assert kinds == ["Transformer", "Pooling", "Normalize"]
