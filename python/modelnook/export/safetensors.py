"""A folder for transformers' ``from_pretrained``: floats, config and what prepares the inputs; an adapter is merged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelnook.convert.floats import as_floats, requantizes
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress, Warned
from modelnook.export.base import TEXT, Exporter
from modelnook.runtime.folder import config, max_length, quantized
from modelnook.store.models import CARD
from modelnook.tasks.dense import CONFIG, MODULES, POOLING, carry, describe, home_of
from modelnook.tasks.near import fold
from modelnook.tasks.pooling import POOLINGS, pooling_of

__all__ = ["SafetensorsExporter"]

# The classes of transformers that load a model with its head, by task.
_OF_TEXTS = "AutoModelForSequenceClassification"
AUTO = {
    "audio-classification": "AutoModelForAudioClassification",
    "automatic-speech-recognition": "AutoModelForCTC",
    "fill-mask": "AutoModelForMaskedLM",
    "image-classification": "AutoModelForImageClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "sentence-similarity": "AutoModel",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "token-classification": "AutoModelForTokenClassification",
}
_PROCESSORS = {
    "audio-classification": "AutoFeatureExtractor",
    "automatic-speech-recognition": "AutoProcessor",
    "image-classification": "AutoImageProcessor",
}


# What sentence-transformers reads beside transformers' own files.
_LENGTH = "sentence_bert_config.json"
_PARTS = (MODULES, f"{POOLING}/{CONFIG}", _LENGTH, "config_sentence_transformers.json")


class SafetensorsExporter(Exporter):
    """See :class:`Exporter`."""

    name = "safetensors"
    weights = "model.safetensors"
    tolerance = 1e-5

    def write(
        self, source: Path, folder: Path, *, task: str, rows: Sequence[Any], name: str, emit: Emit
    ) -> dict[str, Any]:
        """See :meth:`Exporter.write`.

        What torchao quantized is copied as it is: transformers reads it where torchao is installed. Words that a trim
        cut come into the tokenizer itself: another tool knows nothing of a file beside it, and is what is compared.
        """
        how = quantized(source)
        if how == "torchao":
            emit(Progress("saving"))
            for file in source.iterdir():
                if file.is_file() and file.name not in (CARD, "README.md"):
                    shutil.copyfile(file, folder / file.name)
            carry(source, folder)
            fold(folder)
            return {"quantized": how}
        if how and not requantizes(source):
            raise UnsupportedError("export.cant_hold", path=source, how=how, format=self.name)
        if how:
            emit(Warned.of("export.floats_of_gguf", how=how))
        emit(Progress("loading"))
        as_floats(source, folder, task)
        fold(folder)
        if task == "sentence-similarity":
            _for_sentence_transformers(source, folder)
        return {}

    def snippet(self, task: str) -> str:
        """See :meth:`Exporter.snippet`."""
        auto = AUTO.get(task, _OF_TEXTS)
        processor = _PROCESSORS.get(task, "AutoTokenizer")
        asked = f'outputs = model(**processor({TEXT}, return_tensors="pt")).logits.detach().numpy()\n'
        return (
            f"from transformers import {auto}, {processor}\n\n"
            f'model = {auto}.from_pretrained("FOLDER")\n'
            f'processor = {processor}.from_pretrained("FOLDER")\n' + (asked if auto == _OF_TEXTS else "")
        )

    def example(self, task: str, said: Mapping[str, Any]) -> str:
        """See :meth:`Exporter.example`. Speech is heard by models of two classes."""
        code = super().example(task, said)
        writes = any(name.endswith("ForConditionalGeneration") for name in said.get("architectures") or ())
        ctc = AUTO["automatic-speech-recognition"]
        return code.replace(ctc, "AutoModelForSpeechSeq2Seq") if writes else code


def _for_sentence_transformers(source: Path, folder: Path) -> None:
    """The files by which sentence-transformers loads an encoder that makes vectors: the source's own, or written."""
    if (source / MODULES).is_file():
        for name in _PARTS:
            if (source / name).is_file():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source / name, folder / name)
        return
    if (folder / MODULES).is_file():
        # An adapter's base says it.
        return
    said, mode = config(source), pooling_of(home_of(source)) or "mean"
    describe((), POOLINGS.get(mode, mode), folder, width=said.get("hidden_size") or said.get("dim"))
    length = {"max_seq_length": max_length(source), "do_lower_case": False}
    (folder / _LENGTH).write_text(json.dumps(length, indent=2), encoding="utf-8")
