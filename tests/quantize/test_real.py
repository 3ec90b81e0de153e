"""Real weights, real texts: what int8 gives is the same promise that the walk makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed

from modelnook.measure.probe import Probe, measure
from modelnook.quantize import QUANTIZERS, ways
from modelnook.quantize.compress import compress
from modelnook.runtime import runtime
from modelnook.store.files import folder_bytes
from modelnook.testing.runtimes import all_elsewhere, outputs_elsewhere

pytestmark = [pytest.mark.real, pytest.mark.slow]
TASK = "text-classification"
SIZES = {
    ("onnx", "int8"): 0.27,
    ("openvino", "int8"): 0.27,
    ("openvino", "int4"): 0.27,
    # Half of MiniLM's weights are embeddings, which stay in floats in PyTorch.
    ("torchao", "int8"): 0.66,
    ("quanto", "int8"): 0.66,
    ("quanto", "int4"): 0.62,
    ("bitsandbytes", "int8"): 0.66,
    ("bitsandbytes", "int4"): 0.62,
}
"""Backend and scheme -> how much of the bytes may be left."""


@pytest.fixture(scope="module")
def int8(trained_on_headlines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as int8 on ONNX Runtime, one scale a channel."""
    needed("onnxruntime")
    out = tmp_path_factory.mktemp("int8") / "model"
    options = {"task": TASK, "calibration": [], "emit": lambda event: None}
    QUANTIZERS.load("onnx")().quantize(trained_on_headlines, out, "int8", per_channel=True, **options)
    return out


def test_int8_is_a_quarter_of_the_bytes(trained_on_headlines: Path, int8: Path) -> None:
    assert folder_bytes(int8) <= 0.27 * folder_bytes(trained_on_headlines)
    assert not list(int8.glob("*.data"))


def test_int8_answers_as_the_original(trained_on_headlines: Path, int8: Path, headlines: Any) -> None:
    texts = headlines[1]["text"][:200]
    before, after = (runtime(path, device="cpu").outputs(texts) for path in (trained_on_headlines, int8))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() >= 0.97


@pytest.fixture(scope="module")
def smaller(
    trained_on_headlines: Path, headlines: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    """The same by every backend that a CPU runs, as it does it at first."""
    room = tmp_path_factory.mktemp("smaller")
    options: dict[str, Any] = {"task": TASK, "calibration": headlines[0]["text"][:64], "emit": lambda event: None}
    made = {}
    for backend, scheme in SIZES:
        for module in QUANTIZERS[backend].missing:
            needed(module)
        made[backend, scheme] = room / f"{backend}-{scheme}"
        QUANTIZERS.load(backend)().quantize(trained_on_headlines, made[backend, scheme], scheme, **options)
    return made


def test_every_backend_of_a_cpu_answers_as_the_original(
    trained_on_headlines: Path, headlines: Any, smaller: dict[tuple[str, str], Path]
) -> None:
    texts = headlines[1]["text"][:80]
    expected = runtime(trained_on_headlines, device="cpu").outputs(texts).argmax(axis=1)
    size = folder_bytes(trained_on_headlines)
    for way, folder in smaller.items():
        assert folder_bytes(folder) <= SIZES[way] * size, way
        same = (runtime(folder, device="cpu").outputs(texts).argmax(axis=1) == expected).mean()
        assert same >= (0.96 if way[1] == "int8" else 0.93), way


def test_every_backend_answers_the_same_to_the_last_bit_in_a_new_process(
    headlines: Any, smaller: dict[tuple[str, str], Path]
) -> None:
    """On several threads and in batches as `predict` makes them."""
    texts = headlines[1]["text"][:16]
    elsewhere = all_elsewhere(list(smaller.values()), texts, threads=2, batch_size="auto")
    for (way, folder), found in zip(smaller.items(), elsewhere, strict=True):
        assert runtime(folder, device="cpu", threads=2).outputs(texts, batch_size="auto").tobytes() == found, way


def test_int8_needs_no_torch_and_is_the_same_to_the_last_bit(int8: Path, headlines: Any) -> None:
    texts = headlines[1]["text"][:64]
    elsewhere, modules = outputs_elsewhere(int8, texts)
    assert not {"torch", "transformers", "onnx"} & modules
    assert elsewhere == runtime(int8, device="cpu", threads=1).outputs(texts, batch_size=8).tobytes()


def test_int8_predicts_the_label_names(int8: Path, headlines: Any) -> None:
    found = runtime(int8).predict(headlines[1]["text"][:100])
    right = [row["label"] == label for row, label in zip(found, headlines[1]["label"], strict=False)]
    assert sum(right) >= 80


def test_threads_do_not_change_the_answer(int8: Path, headlines: Any) -> None:
    texts = headlines[1]["text"][:200]
    one, two = (runtime(int8, threads=threads).outputs(texts, batch_size=16) for threads in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_the_layers_fold_into_one_line(trained_on_headlines: Path) -> None:
    assert "6 x BertLayer" in runtime(trained_on_headlines, device="cpu").layers()


def test_auto_measures_all_that_is_here_and_picks(trained_on_headlines: Path, headlines: Any, tmp_path: Path) -> None:
    needed("onnxruntime")

    def probe(path: Path, rows: list[str]) -> Probe:
        return measure(path, rows, seconds=0.1)

    result = compress(
        trained_on_headlines,
        tmp_path / "out",
        scheme="auto",
        task_name=TASK,
        rows={role: values[:80] for role, values in headlines[1].items()},
        max_drop=0.02,
        probe=probe,
        emit=lambda event: None,
    )
    before, after = result.report["before"], result.report["after"]
    assert after["bytes"] < 0.7 * before["bytes"]
    assert after["metrics"]["accuracy"] >= before["metrics"]["accuracy"] - 0.02
    tried = {attempt["backend"] for attempt in result.report["attempts"]}
    others = {name.split()[0] for name in (*result.report["failed"], *result.report["spared"])}
    assert tried | others == {name for name, _ in ways("auto", "auto", TASK)}
    assert {"onnx", "openvino"} <= tried
    json.dumps(result.report, allow_nan=False)


def test_a_layer_whose_weights_have_outliers_is_refused_or_stays_within_the_drop(
    trained_on_headlines: Path, headlines: Any, tmp_path: Path
) -> None:
    """Function-preserving outliers in every attention of MiniLM: one scale a tensor can't hold them."""
    import shutil

    from modelnook.domain.errors import RefusedError

    needed("onnxruntime")
    from safetensors.torch import load_file, save_file

    hard = tmp_path / "hard"
    shutil.copytree(trained_on_headlines, hard)
    weights = load_file(hard / "model.safetensors")
    for layer in range(6):
        name = f"bert.encoder.layer.{layer}.attention"
        for part in ("weight", "bias"):
            weights[f"{name}.self.value.{part}"][::16] *= 1e4
        weights[f"{name}.output.dense.weight"][:, ::16] /= 1e4
    save_file(weights, hard / "model.safetensors", metadata={"format": "pt"})

    def probe(path: Path, rows: list[str]) -> Probe:
        return measure(path, rows, seconds=0.1)

    options: dict[str, Any] = {"scheme": "int8", "backend": "onnx", "task_name": TASK, "max_drop": 0.01}
    columns = {role: values[:80] for role, values in headlines[1].items()}
    rows = {"rows": columns, "probe": probe, "emit": lambda event: None}
    try:
        report = compress(hard, tmp_path / "out", **options, **rows).report
    except RefusedError:
        assert not (tmp_path / "out").exists()
    else:
        assert report["drop"] <= 0.01
        assert report["attempts"][0]["drop"] > 0.01
