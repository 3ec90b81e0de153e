"""Dense layers after the pooling: vectors by hand, what is refused, and every way that makes a folder of another."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.conftest import needed

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.model import ModelRef
from modelnook.domain.recipe import Recipe
from modelnook.export import EXPORTERS
from modelnook.finetune.engine import fit
from modelnook.quantize import QUANTIZERS
from modelnook.runtime import runtime
from modelnook.shrink.layers import student
from modelnook.shrink.trim import trim
from modelnook.store import Store
from modelnook.store.contents import content
from modelnook.tasks.dense import ACTIVATIONS, dense_of
from modelnook.testing.models import tiny_sentence_encoder

TASK = "sentence-similarity"
TEXTS = ["the dog", "a cat in the sun", "it is a good day for lunch"]
LAYERS = ((24, "Tanh"), (8, "Identity"))
PAIRS = {"anchor": TEXTS * 6, "positive": TEXTS[::-1] * 6}


def quiet(event: Any) -> None:
    """What engines tell isn't asked for here."""


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return tiny_sentence_encoder(tmp_path / "encoder", dense=LAYERS)


def vectors(folder: Path) -> NDArray[np.float32]:
    loaded = runtime(folder, task=TASK, device="cpu", threads=1)
    return np.stack([row["vector"] for row in loaded.predict(TEXTS)])


def by_hand(folder: Path) -> NDArray[np.float32]:
    """The mean of the tokens, two products, a tanh between them; of length one."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    one, two = (load_file(folder / place / "model.safetensors") for place in ("2_Dense", "3_Dense"))
    found = []
    with torch.inference_mode():
        for text in TEXTS:
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
            inner = torch.tanh(one["linear.weight"] @ mean + one["linear.bias"])
            outer = (two["linear.weight"] @ inner).numpy()
            found.append(outer / np.linalg.norm(outer))
    return np.stack(found)


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    assert one.shape == other.shape
    return (one * other).sum(axis=1)


def train(base: Path, out: Path, method: str = "full", task: str = TASK, rows: Any = PAIRS) -> Path:
    knobs = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 6, "precision": "fp32"}
    recipe = Recipe("finetune", "local:base", task=task, method=method, threads=1, knobs=knobs)
    return fit(recipe, base, rows, None, out, None, quiet).path


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_vectors_go_through_both_layers(encoder: Path) -> None:
    found = vectors(encoder)
    assert found.shape == (3, 8)
    np.testing.assert_allclose(found, by_hand(encoder), atol=1e-5)


def order(folder: Path, *kinds: str) -> None:
    said = [
        {"idx": i, "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("kinds", "named"),
    [
        (("Transformer", "Pooling", "Normalize", "Dense"), r"Pooling \+ Normalize \+ Dense"),
        (("Transformer", "Dense", "Pooling"), r"Dense \+ Pooling"),
        (("Transformer", "Pooling", "Dense", "LayerNorm"), "LayerNorm"),
        (("Asym", "Pooling", "Dense"), "Asym"),
    ],
)
def test_layers_in_another_place_and_other_modules_are_refused(
    encoder: Path, kinds: tuple[str, ...], named: str
) -> None:
    order(encoder, *kinds)
    with pytest.raises(UnsupportedError, match=named) as caught:
        vectors(encoder)
    assert caught.value.code == "task.odd_vectors"


@pytest.mark.parametrize(
    ("said", "code", "named"),
    [
        ({"activation_function": "os.system"}, "task.dense_activation", "os.system"),
        ({"activation_function": "my_torch.nn.Tanh"}, "task.dense_activation", "my_torch"),
        ({"activation_function": "torch.nn.modules.activation.PReLU"}, "task.dense_activation", "PReLU"),
        ({"use_residual": True}, "task.odd_dense", "use_residual = True"),
        ({"module_input_name": "token_embeddings"}, "task.odd_dense", "token_embeddings"),
        ({"in_features": 25}, "task.odd_dense", "25, 2_Dense: 24"),
        ({"out_features": 9}, "task.odd_dense", "9"),
        ({"out_features": "8"}, "task.odd_dense", "'8'"),
        ({"bias": True}, "task.odd_dense", "bias"),
    ],
)
def test_what_a_layer_says_and_is_not_known_is_refused(
    encoder: Path, said: dict[str, Any], code: str, named: str
) -> None:
    change(encoder / "3_Dense" / "config.json", **said)
    with pytest.raises(UnsupportedError, match=named) as caught:
        vectors(encoder)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_layer_for_vectors_of_another_width_is_refused(encoder: Path) -> None:
    order(encoder, "Transformer", "Pooling", "Dense")
    (encoder / "3_Dense").rename(encoder / "2_Dense_before")
    (encoder / "2_Dense").rename(encoder / "old")
    (encoder / "2_Dense_before").rename(encoder / "2_Dense")
    with pytest.raises(UnsupportedError, match="in_features = 24, hidden_size = 32"):
        vectors(encoder)


def test_a_scaled_mean_is_another_input_of_a_layer(encoder: Path) -> None:
    (encoder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean_sqrt_len_tokens"}')
    with pytest.raises(UnsupportedError, match=r"mean_sqrt_len_tokens \+ Dense"):
        vectors(encoder)


def test_nothing_outside_of_the_folder_is_read(encoder: Path) -> None:
    modules = json.loads((encoder / "modules.json").read_text())
    modules[2]["path"] = "../encoder/2_Dense"
    (encoder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(UnsupportedError, match=r"\.\./encoder"):
        vectors(encoder)


def test_pickled_and_missing_weights_of_a_layer_are_refused(encoder: Path) -> None:
    weights = encoder / "3_Dense" / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(UnsupportedError, match="pickle"):
        vectors(encoder)
    weights.with_name("pytorch_model.bin").unlink()
    with pytest.raises(UnsupportedError, match=r"3_Dense/model\.safetensors") as caught:
        vectors(encoder)
    assert caught.value.code == "task.no_dense"


def test_every_known_activation_is_one_of_torch(encoder: Path) -> None:
    from torch import nn

    for name in ACTIVATIONS:
        change(encoder / "2_Dense" / "config.json", activation_function=f"torch.nn.modules.activation.{name}")
        assert dense_of(encoder)[0].activation == name
        assert not list(getattr(nn, name)().parameters())


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_training_teaches_the_layers_too(encoder: Path, tmp_path: Path, method: str) -> None:
    from safetensors.torch import load_file

    made = train(encoder, tmp_path / "made", method)
    for place in ("2_Dense", "3_Dense"):
        one, two = (load_file(folder / place / "model.safetensors") for folder in (encoder, made))
        assert one.keys() == two.keys()
        assert not np.allclose(one["linear.weight"], two["linear.weight"], atol=1e-4)
    assert not any("dense_layers" in name for name in load_file(made / "model.safetensors"))
    np.testing.assert_allclose(vectors(made), by_hand(made), atol=1e-5)
    again = train(made, tmp_path / "again", method)
    np.testing.assert_allclose(vectors(again), by_hand(again), atol=1e-5)


def test_layers_that_a_folder_has_lost_are_missed(encoder: Path, tmp_path: Path) -> None:
    made = train(encoder, tmp_path / "made")
    (made / "modules.json").unlink()
    with pytest.raises(UnsupportedError, match="has 0 of the 2 Dense layers"):
        vectors(made)


def test_another_training_of_the_body_keeps_the_layers(encoder: Path, tmp_path: Path) -> None:
    made = train(encoder, tmp_path / "words", task="fill-mask", rows={"text": TEXTS * 6})
    assert [layer.outputs for layer in dense_of(made)] == [24, 8]
    again = train(made, tmp_path / "again")
    np.testing.assert_allclose(vectors(again), by_hand(again), atol=1e-5)


def test_a_classifier_is_made_of_the_body(encoder: Path, tmp_path: Path) -> None:
    rows = {"text": TEXTS * 6, "label": ["dog", "cat", "day"] * 6}
    made = train(encoder, tmp_path / "made", "head", "text-classification", rows)
    said = json.loads((made / "config.json").read_text())
    assert (said["num_hidden_layers"], "modelnook_learnt" in said, dense_of(made)) == (3, False, [])


def test_an_adapter_is_read_through_the_layers_of_its_base(encoder: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    # New adapters change nothing.
    adapted = get_peft_model(AutoModel.from_pretrained(encoder), LoraConfig(target_modules=["query"]))
    adapted.save_pretrained(tmp_path / "adapter")
    change(tmp_path / "adapter" / "adapter_config.json", task_type="FEATURE_EXTRACTION")
    np.testing.assert_allclose(vectors(tmp_path / "adapter"), by_hand(encoder), atol=1e-5)
    (tmp_path / "out").mkdir()
    EXPORTERS.load("safetensors")().write(
        tmp_path / "adapter", tmp_path / "out", task=TASK, rows=TEXTS, name="e", emit=quiet
    )
    np.testing.assert_allclose(vectors(tmp_path / "out"), by_hand(encoder), atol=1e-5)


def test_a_folder_whose_layer_was_replaced_is_another_model(encoder: Path) -> None:
    ref = ModelRef.parse(str(encoder))
    before = content(Store(), ref)
    weights = encoder / "3_Dense" / "model.safetensors"
    os.utime(weights, ns=(1, weights.stat().st_mtime_ns + 10**9))
    assert content(Store(), ref) != before


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino", "safetensors"])
def test_an_export_gives_the_same_vectors(encoder: Path, tmp_path: Path, to: str) -> None:
    for module in EXPORTERS[to].missing:
        needed(module)
    (tmp_path / to).mkdir()
    exporter = EXPORTERS.load(to)()
    exporter.write(encoder, tmp_path / to, task=TASK, rows=TEXTS, name="e", emit=quiet)
    np.testing.assert_allclose(vectors(tmp_path / to), by_hand(encoder), atol=exporter.tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cls", "lasttoken"])
@pytest.mark.parametrize("to", ["onnx", "openvino", "safetensors"])
def test_another_pooling_is_exported_for_any_number_of_texts(tmp_path: Path, to: str, how: str) -> None:
    for module in EXPORTERS[to].missing:
        needed(module)
    plain = tiny_sentence_encoder(tmp_path / "plain")
    mean = vectors(plain)
    (plain / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": how}))
    (tmp_path / to).mkdir()
    exporter = EXPORTERS.load(to)()
    exporter.write(plain, tmp_path / to, task=TASK, rows=TEXTS, name="e", emit=quiet)
    np.testing.assert_allclose(vectors(tmp_path / to), vectors(plain), atol=exporter.tolerance)
    assert cosines(mean, vectors(plain)).max() < 0.99


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["quanto", "torchao"])
@pytest.mark.parametrize("adapted", [False, True])
def test_a_quantized_encoder_without_layers_keeps_its_pooling(tmp_path: Path, backend: str, adapted: bool) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    for module in QUANTIZERS[backend].missing:
        needed(module)
    source = plain = tiny_sentence_encoder(tmp_path / "plain")
    (plain / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    if adapted:
        source = tmp_path / "adapter"
        get_peft_model(AutoModel.from_pretrained(plain), LoraConfig(target_modules=["query"])).save_pretrained(source)
        change(source / "adapter_config.json", task_type="FEATURE_EXTRACTION")
    target = tmp_path / "small"
    target.mkdir()
    QUANTIZERS.load(backend)().quantize(source, target, "int8", task=TASK, calibration=TEXTS, emit=quiet)
    assert cosines(vectors(target), vectors(plain)).min() > 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "scheme", "least"),
    [
        ("bitsandbytes", "int8", 0.98),
        ("onnx", "int8", 0.9),
        ("openvino", "int8", 0.9),
        ("quanto", "int8", 0.98),
        ("torchao", "int8", 0.98),
    ],
)
def test_a_quantized_encoder_gives_nearly_the_same_vectors(
    encoder: Path, tmp_path: Path, backend: str, scheme: str, least: float
) -> None:
    for module in QUANTIZERS[backend].missing:
        needed(module)
    target = tmp_path / "small"
    QUANTIZERS.load(backend)().quantize(encoder, target, scheme, task=TASK, calibration=TEXTS, emit=quiet)
    assert cosines(vectors(target), by_hand(encoder)).min() > least
    if backend == "torchao":
        (tmp_path / "out").mkdir()
        EXPORTERS.load("safetensors")().write(target, tmp_path / "out", task=TASK, rows=TEXTS, name="e", emit=quiet)
        np.testing.assert_allclose(vectors(tmp_path / "out"), vectors(target), atol=1e-6)


def test_a_smaller_encoder_keeps_its_layers(encoder: Path, tmp_path: Path) -> None:
    rows = [{"text": TEXTS, "text_pair": TEXTS}]
    trim(encoder, tmp_path / "few", task=TASK, rows=rows, emit=quiet)
    np.testing.assert_allclose(vectors(tmp_path / "few"), by_hand(encoder), atol=1e-5)
    student(encoder, tmp_path / "flat", task=TASK, layers=1, step="prune")
    np.testing.assert_allclose(vectors(tmp_path / "flat"), by_hand(tmp_path / "flat"), atol=1e-5)


def test_a_careful_attempt_spends_no_place_on_layers_that_stay_floats(encoder: Path) -> None:
    pytest.importorskip("torchao")
    from modelnook.quantize.pytorch import kept
    from modelnook.runtime.transformers import load_trained
    from modelnook.tasks.dense_heavy import DENSE

    task, model, processor = load_trained(encoder, TASK)
    whole = kept(task, model, processor, encoder, TEXTS, 1.0)
    assert whole
    assert not [name for name in whole if name.startswith(DENSE)]
    assert len(kept(task, model, processor, encoder, TEXTS, 0.5)) == round(len(whole) / 2)
