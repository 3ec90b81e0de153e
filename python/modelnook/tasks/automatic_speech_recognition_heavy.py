"""Speech recognition, the heavy half: models that name a character for each frame (CTC), and models that write.

A base without a vocabulary, or with one that lacks characters of the training texts, is given theirs, and a head of its
own for them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from modelnook.data.sounds import seconds
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.tasks.audio_classification import LONGEST
from modelnook.tasks.automatic_speech_recognition import AutomaticSpeechRecognition
from modelnook.tasks.base import Task
from modelnook.tasks.padding_heavy import IGNORE, pad
from modelnook.tasks.pretrained_heavy import load_config, load_feature_extractor, load_model, load_tokenizer
from modelnook.tasks.sound_heavy import heard, lengths, repeatable
from modelnook.tasks.spec import Columns

__all__ = ["AutomaticSpeechRecognitionTask", "Hearing"]

BLANK, UNKNOWN, SPACE = "<pad>", "<unk>", "|"
"""What is neither a character nor nothing known, and what stands for a blank in a vocabulary of characters."""


class Hearing:
    """A feature extractor and a tokenizer, as one processor."""

    def __init__(self, extractor: Any, tokenizer: Any) -> None:
        self.extractor, self.tokenizer = extractor, tokenizer

    def save_pretrained(self, folder: Path) -> None:
        """Both, as transformers' pipeline for speech finds them."""
        self.extractor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


class AutomaticSpeechRecognitionTask(Task):
    """``writes`` tells the two families apart: a decoder that writes (Whisper), or a character a frame (CTC)."""

    spec = AutomaticSpeechRecognition
    writes = False

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`.

        Raises:
            UnsupportedError: an architecture of neither family.
        """
        import transformers

        config = load_config(path)
        if type(config) in transformers.AutoModelForCTC._model_mapping:
            extractor = load_feature_extractor(path)
            model, self.tokenizer = self._with_characters(path, config)
        elif type(config) in transformers.AutoModelForSpeechSeq2Seq._model_mapping:
            extractor = load_feature_extractor(path)
            self.writes = self.checks_by_loss = True
            self.new_head = False
            self.tokenizer = load_tokenizer(path)
            model = load_model(path, config, "AutoModelForSpeechSeq2Seq", self.spec.name)
        else:
            names = getattr(config, "architectures", None) or [config.model_type]
            raise UnsupportedError("task.no_audio_head", architecture=names[0], task=self.spec.name)
        self.labels = []
        self.config = model.config.to_dict()
        return model, Hearing(extractor, self.tokenizer)

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``audio`` (bytes of files), ``row``, ``window`` (of 30 seconds), ``frames``, ``owner``, and ``labels``, ids
        of the texts, where they are given."""
        files = list(columns["audio"])
        parts = [1 if "text" in columns else max(1, int(np.ceil(seconds(blob) / LONGEST))) for blob in files]
        owner = [row for row, count in enumerate(parts) for _ in range(count)]
        window = [number for count in parts for number in range(count)]
        found = lengths(self.config, int(processor.extractor.sampling_rate), [files[row] for row in owner], window)
        rows: dict[str, list[Any]] = {
            "audio": [files[row] for row in owner],
            "row": owner,
            "window": window,
            "frames": found,
            "owner": owner,
        }
        if "text" in columns:
            rows["labels"] = [self._ids(text) for text in self.spec().truth(columns, ())]
        return rows

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """See :func:`~modelnook.tasks.sound_heavy.heard`; ``labels`` of shape (rows, longest), filled with -100."""
        batch: dict[str, Any] = {**heard(processor.extractor, rows), "frames": rows["frames"]}
        if "labels" in rows:
            batch["labels"] = pad(rows["labels"], IGNORE)[0]
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """The connectionist temporal classification loss, or the cross entropy of the text's tokens."""
        repeatable(model)
        if self.writes:
            found: torch.Tensor = model(**{name: value for name, value in batch.items() if name != "frames"}).loss
            return found.float()
        logits = model(**{name: value for name, value in batch.items() if name not in ("frames", "labels")}).logits
        # Sums of products of many probabilities: in half precision, gradients become NaN.
        with torch.autocast(logits.device.type, enabled=False):
            return self._aligned(logits.float(), batch["frames"], batch["labels"])

    def _aligned(self, logits: torch.Tensor, frames: list[int], labels: torch.Tensor) -> torch.Tensor:
        """The mean loss of a character; ``logits`` of shape (rows, frames, characters)."""
        there = labels != IGNORE
        return F.ctc_loss(
            logits.log_softmax(dim=-1).transpose(0, 1),
            labels[there],
            torch.tensor(frames).clamp(max=logits.shape[1]),
            there.sum(dim=1).cpu(),
            blank=self.tokenizer.pad_token_id,
            # A sound with fewer frames than its text has characters can't be aligned: it teaches nothing, and does
            # no harm.
            zero_infinity=True,
        )

    def outputs(self, model: Any, batch: dict[str, Any]) -> list[str]:
        """The texts."""
        inputs = {name: value for name, value in batch.items() if name not in ("frames", "labels")}
        if self.writes:
            ids = model.generate(**inputs)
            found: list[str] = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
            return [text.strip() for text in found]
        best = model(**inputs).logits.argmax(dim=-1).cpu().numpy()
        return [self.tokenizer.decode(row[:size]) for row, size in zip(best, batch["frames"], strict=True)]

    def check(self, model: Any, batch: dict[str, Any]) -> Any:
        """Where the model writes, each row's sum of losses and its tokens: shape (rows, 2)."""
        inputs = {name: value for name, value in batch.items() if name != "frames"}
        logits = model(**inputs).logits.float()
        labels = batch["labels"]
        losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORE, reduction="none")
        return torch.stack([losses.sum(dim=1), (labels != IGNORE).sum(dim=1).float()], dim=1)

    def merge(self, rows: dict[str, list[Any]], outputs: Any) -> list[str]:
        """The texts of a long sound's windows, one after another."""
        found: dict[int, list[str]] = {}
        for row, text in zip(rows["owner"], outputs, strict=True):
            found.setdefault(row, []).append(text)
        return [" ".join(text for text in parts if text) for parts in found.values()]

    def lengths(self, rows: dict[str, list[Any]]) -> list[int]:
        """The frames that the model makes of each window."""
        return rows["frames"]

    def weight(self, rows: dict[str, list[Any]]) -> float:
        """Tokens where the model writes, else rows: what the mean of the loss is over."""
        return float(sum(map(len, rows["labels"])) if self.writes else len(rows["labels"]))

    def set_length(self, processor: Any, max_length: int) -> None:
        """Nothing: a window has 30 seconds, whatever it was trained on."""

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text).input_ids
        # The model puts its first token before the labels itself.
        return ids[1:] if self.writes and ids[0] == self.config["decoder_start_token_id"] else ids

    def _with_characters(self, path: str, config: Any) -> tuple[Any, Any]:
        """The model, and its tokenizer: the folder's own where that has a head for it and every character."""
        own = _own_tokenizer(path)
        trained = any(name.endswith("ForCTC") for name in config.architectures or ())
        keep = own is not None and trained and _covers(own.get_vocab(), self.labels)
        if not keep and not self.labels:
            raise DataError("task.no_vocabulary", path=path)
        tokenizer = own if keep else _characters(self.labels)
        config.vocab_size = len(tokenizer)
        config.pad_token_id = tokenizer.pad_token_id
        config.ctc_zero_infinity = True
        config.ctc_loss_reduction = "mean"
        model = load_model(path, config, "AutoModelForCTC", self.spec.name)
        if not keep:
            # Vocabularies of one size would otherwise share a head.
            model.lm_head.reset_parameters()
        return model, tokenizer


def _own_tokenizer(path: str) -> Any:
    names = ("vocab.json", "tokenizer.json", "tokenizer_config.json")
    return load_tokenizer(path) if any((Path(path) / name).is_file() for name in names) else None


def _covers(vocabulary: Mapping[str, int], characters: list[str]) -> bool:
    return all(character in vocabulary or (character == " " and SPACE in vocabulary) for character in characters)


def _characters(characters: list[str]) -> Any:
    """A tokenizer of single characters."""
    from transformers import Wav2Vec2CTCTokenizer

    tokens = dict.fromkeys((BLANK, UNKNOWN, SPACE, *(c for c in characters if c != " ")))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vocab.json"
        file.write_text(json.dumps({token: i for i, token in enumerate(tokens)}, ensure_ascii=False), encoding="utf-8")
        return Wav2Vec2CTCTokenizer(
            str(file),
            bos_token=None,
            eos_token=None,
            pad_token=BLANK,
            unk_token=UNKNOWN,
            word_delimiter_token=SPACE,
        )
