"""Real weights, real texts: what int8 gives is the same promise that the walk makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed

from modelnook.domain.recipe import Recipe
from modelnook.measure.probe import Probe, measure
from modelnook.quantize import QUANTIZERS, ways
from modelnook.quantize.compress import compress
from modelnook.runtime import runtime
from modelnook.store.files import folder_bytes
from modelnook.testing.runtimes import outputs_elsewhere

pytestmark = [pytest.mark.real, pytest.mark.slow]
TASK = "text-classification"


@pytest.fixture(scope="module")
def news(bbc: list[dict[str, str]]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Headlines with their first words, for training and for measuring."""
    rows = [bbc[i] for i in np.random.default_rng(0).permutation(len(bbc))[:1000]]
    columns = {"text": [row["text"][:200] for row in rows], "label": [row["label"] for row in rows]}
    return tuple({name: values[part] for name, values in columns.items()} for part in (slice(600), slice(600, None)))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def trained(minilm: Path, news: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MiniLM, fine-tuned."""
    from modelnook.finetune.engine import fit

    room = tmp_path_factory.mktemp("real")
    recipe = Recipe(
        "finetune", str(minilm), task=TASK, method="full", knobs={"epochs": 2, "max_length": 64, "learning_rate": 1e-4}
    )
    fit(recipe, minilm, news[0], None, room / "model", room / "checkpoints", lambda event: None)
    return room / "model"


@pytest.fixture(scope="module")
def int8(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as int8 on ONNX Runtime, one scale a channel."""
    needed("onnxruntime")
    out = tmp_path_factory.mktemp("int8") / "model"
    options = {"task": TASK, "calibration": [], "emit": lambda event: None}
    QUANTIZERS.load("onnx")().quantize(trained, out, "int8", per_channel=True, **options)
    return out


def test_int8_is_a_quarter_of_the_bytes(trained: Path, int8: Path) -> None:
    assert folder_bytes(int8) <= 0.27 * folder_bytes(trained)
    assert not list(int8.glob("*.data"))


def test_int8_answers_as_the_original(trained: Path, int8: Path, news: Any) -> None:
    texts = news[1]["text"]
    before, after = (runtime(path, device="cpu").outputs(texts) for path in (trained, int8))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() >= 0.97


def test_int8_needs_no_torch_and_is_the_same_to_the_last_bit(int8: Path, news: Any) -> None:
    texts = news[1]["text"][:64]
    elsewhere, modules = outputs_elsewhere(int8, texts)
    assert not {"torch", "transformers", "onnx"} & modules
    assert elsewhere == runtime(int8, device="cpu", threads=1).outputs(texts, batch_size=8).tobytes()


def test_int8_predicts_the_label_names(int8: Path, news: Any) -> None:
    found = runtime(int8).predict(news[1]["text"][:100])
    right = [row["label"] == label for row, label in zip(found, news[1]["label"], strict=False)]
    assert sum(right) >= 80


def test_threads_do_not_change_the_answer(int8: Path, news: Any) -> None:
    texts = news[1]["text"][:200]
    one, two = (runtime(int8, threads=threads).outputs(texts, batch_size=16) for threads in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_the_layers_fold_into_one_line(trained: Path) -> None:
    assert "6 x BertLayer" in runtime(trained, device="cpu").layers()


def test_auto_measures_and_picks(trained: Path, news: Any, tmp_path: Path) -> None:
    needed("onnxruntime")

    def probe(path: Path, rows: list[str]) -> Probe:
        return measure(path, rows, seconds=0.5)

    result = compress(
        trained,
        tmp_path / "out",
        scheme="int8",
        task_name=TASK,
        rows={role: values[:200] for role, values in news[1].items()},
        max_drop=0.02,
        probe=probe,
        emit=lambda event: None,
    )
    before, after = result.report["before"], result.report["after"]
    assert after["bytes"] < 0.7 * before["bytes"]
    assert after["metrics"]["accuracy"] >= before["metrics"]["accuracy"] - 0.02
    tried = {attempt["backend"] for attempt in result.report["attempts"]}
    others = {name.split()[0] for name in (*result.report["failed"], *result.report["spared"])}
    assert tried | others == {name for name, _ in ways("auto", "int8")}
    assert {"onnx"} <= tried
    json.dumps(result.report, allow_nan=False)


def test_a_layer_whose_weights_have_outliers_is_refused_or_stays_within_the_drop(
    trained: Path, news: Any, tmp_path: Path
) -> None:
    """Function-preserving outliers in every attention of MiniLM: one scale a tensor can't hold them."""
    import shutil

    from modelnook.domain.errors import RefusedError

    needed("onnxruntime")
    from safetensors.torch import load_file, save_file

    hard = tmp_path / "hard"
    shutil.copytree(trained, hard)
    weights = load_file(hard / "model.safetensors")
    for layer in range(6):
        name = f"bert.encoder.layer.{layer}.attention"
        for part in ("weight", "bias"):
            weights[f"{name}.self.value.{part}"][::16] *= 1e4
        weights[f"{name}.output.dense.weight"][:, ::16] /= 1e4
    save_file(weights, hard / "model.safetensors", metadata={"format": "pt"})

    def probe(path: Path, rows: list[str]) -> Probe:
        return measure(path, rows, seconds=0.2)

    options: dict[str, Any] = {"scheme": "int8", "backend": "onnx", "task_name": TASK, "max_drop": 0.01}
    columns = {role: values[:200] for role, values in news[1].items()}
    rows = {"rows": columns, "probe": probe, "emit": lambda event: None}
    try:
        report = compress(hard, tmp_path / "out", **options, **rows).report
    except RefusedError:
        assert not (tmp_path / "out").exists()
    else:
        assert report["drop"] <= 0.01
        assert report["attempts"][0]["drop"] > 0.01
