"""What a base can be trained for is told from its files, and is what loading and training it comes to."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.errors import ModelnookError, UnsupportedError
from modelnook.runtime.folder import config
from modelnook.tasks import TASKS
from modelnook.tasks.heads import Base, _tables, base_in, base_named
from modelnook.testing.media import (
    tiny_audio_model,
    tiny_audio_rows,
    tiny_image_model,
    tiny_image_rows,
    tiny_whisper,
)
from modelnook.testing.models import (
    tiny_asked,
    tiny_model,
    tiny_pairs,
    tiny_prompts,
    tiny_rows,
    tiny_tagged,
    tiny_translator,
    tiny_writer,
)

TEXTS = tiny_rows(16)["text"]
ROWS: dict[str, dict[str, list[Any]]] = {
    "audio-classification": tiny_audio_rows(8),
    "automatic-speech-recognition": {"audio": tiny_audio_rows(8)["audio"], "text": ["ab", "ba"] * 4},
    "fill-mask": {"text": TEXTS},
    "image-classification": tiny_image_rows(8),
    "multi-label-classification": {"text": TEXTS, "label": [["a"], ["a", "b"]] * 8},
    "question-answering": tiny_asked(16),
    "sentence-similarity": {"text": TEXTS, "text_pair": TEXTS[::-1], "label": [0.0, 0.5] * 8},
    "table": {"feature:a": list(range(16)), "feature:b": ["x", "y"] * 8, "label": ["no", "yes"] * 8},
    "text-classification": tiny_rows(16),
    "text-generation": tiny_prompts(16),
    "text-regression": {"text": TEXTS, "label": [1.0, 2.0] * 8},
    "text2text-generation": tiny_pairs(16),
    "token-classification": tiny_tagged(16),
}
TALKS = {"messages": [[{"role": "user", "content": "a dog"}, {"role": "assistant", "content": "a cat"}]] * 16}


def _made(family: str, folder: Path) -> Path:
    if family in ("bart", "t5"):
        return tiny_translator(folder, kind=family)
    if family == "vit":
        return tiny_image_model(folder)
    if family == "wav2vec2":
        return tiny_audio_model(folder)
    if family == "whisper":
        return tiny_whisper(folder)
    if family in ("llama", "chat"):
        return tiny_writer(folder, chat=family == "chat")
    return tiny_model(folder)


def _trains(task: str, columns: dict[str, list[Any]], folder: Path) -> bool:
    """Whether a model is loaded and its loss is a number."""
    spec = TASKS.load(task, light=True)()
    heavy = TASKS.load(task)(spec.labels(columns))
    heavy.learnt = spec.learn(columns)
    try:
        model, processor = heavy.load(str(folder))
        loss = heavy.loss(model, heavy.collate(processor, heavy.encode(processor, columns, 32)))
    except ModelnookError:
        return False
    return math.isfinite(loss.item())


def _refused(task: str, columns: dict[str, list[Any]], base: Base) -> UnsupportedError | None:
    try:
        TASKS.load(task, light=True)().check_base(base, columns)
    except UnsupportedError as error:
        return error
    return None


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "llama", "chat", "bart", "t5", "vit", "wav2vec2", "whisper"])
def test_what_is_told_is_what_loading_comes_to(family: str, tmp_path: Path) -> None:
    folder = _made(family, tmp_path / "base")
    base = base_in(family, folder, config(folder))
    # But for conversations a chat template changes nothing.
    asked = [*(ROWS.items() if family != "chat" else ()), ("text-generation", TALKS)]
    told = [_refused(task, columns, base) is None for task, columns in asked]
    assert told == [_trains(task, columns, folder) for task, columns in asked]
    assert any(told)


def test_the_tables_are_those_of_transformers() -> None:
    from transformers.models.auto import modeling_auto

    tables = _tables()
    wanted = {auto for task in TASKS for auto in TASKS.load(task, light=True).autos}
    assert len(wanted) > 8
    for auto in wanted:
        names = getattr(modeling_auto, auto)._model_mapping._model_mapping
        assert tables[auto] == {kind: (n,) if isinstance(n, str) else tuple(n) for kind, n in names.items()}


@pytest.mark.parametrize(
    ("task", "architecture", "can"),
    [
        ("token-classification", "BartForConditionalGeneration", False),
        ("token-classification", "bert", True),
        ("text-generation", "BertModel", False),
        ("text-generation", "RobertaForMaskedLM", False),
        ("text-generation", "GPT2Model", True),
        ("text2text-generation", "LlamaForCausalLM", False),
        ("text2text-generation", "MarianMTModel", True),
        ("sentence-similarity", "WhisperForConditionalGeneration", False),
        ("image-classification", "BertModel", False),
        ("audio-classification", "WhisperForConditionalGeneration", True),
        ("question-answering", "NobodysNewModel", True),
    ],
)
def test_an_entry_without_a_folder_is_known_by_its_architecture(task: str, architecture: str, can: bool) -> None:
    found = _refused(task, ROWS[task], base_named("hub:a/b", architecture))
    assert (found is None) is can
    assert found is None or (architecture in found.message and found.hint)


def test_a_tokenizer_tells_whether_it_chats_and_masks(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "TokenizersBackend"}))
    base = base_in("x", tmp_path, {"model_type": "bert", "architectures": ["BertForMaskedLM"]})
    assert (base.chats, base.masks) == (False, False)
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"mask_token": "<mask>"}))
    base = base_in("x", tmp_path, {"model_type": "bert"})
    assert (base.chats, base.masks) == (True, True)


def test_a_config_of_odd_forms_refuses_nothing(tmp_path: Path) -> None:
    said = '{"architectures": "BertModel", "model_type": ["bert"], "extra": ' + "[" * 200_000 + "]" * 200_000 + "}"
    (tmp_path / "config.json").write_text(said)
    assert config(tmp_path) == {}, "deeper than Python reads"
    (tmp_path / "config.json").write_text('{"architectures": "BertModel", "model_type": ["bert"]}')
    base = base_in("x", tmp_path, config(tmp_path))
    assert (base.kind, base.classes, base.architecture) == (None, (), "x")
    assert all(_refused(task, columns, base) is None for task, columns in ROWS.items())
