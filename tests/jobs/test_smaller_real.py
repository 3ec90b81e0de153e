"""Real weights: MiniLM on news headlines, trimmed to the last bit, pruned, taught and in int8."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed

import modelnook as mn
from modelnook.data.snapshot import load_snapshot
from modelnook.runtime import runtime
from modelnook.store import Store
from modelnook.store.files import folder_bytes

RUN: dict[str, Any] = {"track": "none", "on": "kernel"}
pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def trained(
    bbc: list[dict[str, str]], minilm: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, Any]]]:
    """A store that holds the run and its model, and rows that it hasn't seen."""
    home = tmp_path_factory.mktemp("news") / "home"
    rows = [bbc[i] for i in np.random.default_rng(0).permutation(len(bbc))[:450]]
    short = [{"text": row["text"][:120], "label": row["label"]} for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELNOOK_HOME", str(home))
        patch.setenv("MODELNOOK_THREADS", "1")
        mn.finetune(str(minilm), short[:330], name="news", epochs=2, max_length=32, learning_rate=2e-4, **RUN)
    return home, short[330:]


@pytest.fixture
def news(trained: tuple[Path, list[dict[str, Any]]], store_home: Path) -> list[dict[str, Any]]:
    """A model ``news``, and rows that it hasn't seen."""
    shutil.copytree(trained[0], store_home, dirs_exist_ok=True)
    return trained[1]


def folder(name: str) -> Path:
    return Store().models.folder(name)


def test_minilm_is_a_sixth_of_its_bytes_or_half_of_its_layers(news: list[dict[str, Any]], here: None) -> None:
    needed("onnxruntime")
    recipe = mn.runs(kind="finetune")[0].folder.recipe()
    assert recipe is not None
    assert recipe.data is not None
    texts = list(load_snapshot(recipe.data, Store().home)["text"])
    trimmed = mn.trim("news", max_drop=0.1)
    before, after = (runtime(folder(name), device="cpu", threads=1) for name in ("news", "news-trim"))
    assert np.array_equal(before.outputs(texts), after.outputs(texts)), "the rows whose tokens stayed"
    held = [row["text"] for row in news]
    agree = before.outputs(held).argmax(axis=1) == after.outputs(held).argmax(axis=1)
    assert agree.mean() >= 0.9, "rows of tomorrow"
    assert trimmed.report["after"]["tokens"] < 0.3 * trimmed.report["before"]["tokens"]
    mn.quantize("news-trim", backend="onnx", max_drop=0.1, name="news-int8")
    assert folder_bytes(folder("news-int8")) <= 0.16 * folder_bytes(folder("news"))
    pruned = mn.prune("news", layers=3, data=news, max_drop=0.1)
    assert pruned.report["after"]["layers"] == 3
    assert pruned.metrics["accuracy"] >= pruned.report["before"]["metrics"]["accuracy"] - 0.1


def test_a_half_as_deep_student_of_minilm_is_trimmed_and_int8_in_one_line(
    news: list[dict[str, Any]], here: None
) -> None:
    needed("onnxruntime")
    run = mn.shrink("news", steps="distil:layers:3,trim,int8:onnx", data=news, max_drop=0.1, name="tiny")
    assert [step["step"] for step in run.report["steps"]] == ["distil:layers:3", "trim", "int8:onnx"]
    assert folder_bytes(folder("tiny")) <= 0.12 * folder_bytes(folder("news"))
    assert run.metrics["accuracy"] >= run.report["before"]["metrics"]["accuracy"] - 0.1
    texts = [row["text"] for row in news]
    answers = mn.predict("tiny", texts)["label"]
    assert sum(row["label"] == told for row, told in zip(news, answers, strict=True)) >= 0.85 * len(news)
