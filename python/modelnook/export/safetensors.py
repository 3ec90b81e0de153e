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
from modelnook.tasks.dense import carry, home_of
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


# How sentence-transformers finds a model's parts, what they are, and where it keeps their settings.
_PARTS = ("modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json")
_KINDS = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
_MODES = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens", "last": "lasttoken"}


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
    (folder / "1_Pooling").mkdir(exist_ok=True)
    if (source / _PARTS[0]).is_file():
        for name in _PARTS:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        return
    if (folder / _PARTS[0]).is_file():
        # An adapter's base says it.
        return
    said = config(source)
    mode = pooling_of(home_of(source)) or "mean"
    how = POOLINGS.get(mode, mode)
    pooling = {"word_embedding_dimension": said.get("hidden_size") or said.get("dim")}
    pooling |= {f"pooling_mode_{mode}": name == how for name, mode in _MODES.items()}
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(_KINDS)
    ]
    written = (modules, pooling, {"max_seq_length": max_length(source), "do_lower_case": False})
    for name, value in zip(_PARTS, written, strict=False):
        (folder / name).write_text(json.dumps(value, indent=2), encoding="utf-8")
