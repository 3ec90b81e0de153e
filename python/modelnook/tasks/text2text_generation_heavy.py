"""Text-to-text generation, the heavy half: encoder-decoders such as T5, BART and Marian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from modelnook.catalog.folder import task_of
from modelnook.domain.errors import UnsupportedError
from modelnook.tasks.base import Task
from modelnook.tasks.heads import room_to_write
from modelnook.tasks.language_modelling_heavy import Head, likelihoods, mean_loss
from modelnook.tasks.padding_heavy import IGNORE, padded
from modelnook.tasks.pretrained_heavy import load_config, load_model, load_tokenizer
from modelnook.tasks.spec import Columns
from modelnook.tasks.text import as_text, encode_texts
from modelnook.tasks.text2text_generation import Text2TextGeneration
from modelnook.tasks.writing_heavy import new_tokens, write, written

__all__ = ["Text2TextGenerationTask"]


class Text2TextGenerationTask(Task):
    """An encoder-decoder with the output layer that it was trained with."""

    spec = Text2TextGeneration
    new_head = False
    checks_by_loss = True
    room: int | None = None
    """See :func:`~modelnook.tasks.heads.room_to_write`; of the model that :meth:`load` read."""

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`; a model that isn't an encoder-decoder, or lacks its output layer, is refused."""
        config = load_config(path)
        kinds = getattr(config, "architectures", None) or [config.model_type]
        if not config.is_encoder_decoder or task_of(kinds) not in ("text2text-generation", "feature-extraction", None):
            raise UnsupportedError("task.no_translator", architecture=kinds[0], task=self.spec.name)
        model = load_model(
            path, config, "AutoModelForSeq2SeqLM", self.spec.name, no_head="task.no_translator", trained=True
        )
        self.tokenizer = load_tokenizer(path, near=False)
        self.head = Head(model)
        self.room = room_to_write(config.to_dict())
        return model, self.tokenizer

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``input_ids`` of the sources, and ``labels`` of the targets where they are given, both with their ends."""
        rows = {"input_ids": encode_texts(processor, columns["source"], max_length)}
        if "target" in columns:
            texts = [as_text(text) for text in columns["target"]]
            most = self.spec.longer * max_length
            most = min(most, self.room or most)
            found = processor(text_target=texts, truncation=True, max_length=most) if texts else {}
            rows["labels"] = list(found.get("input_ids", ()))
        return rows

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """See :func:`~modelnook.tasks.padding_heavy.padded`; ``labels`` are IGNORE beyond a target's end."""
        return padded(processor, rows, IGNORE)

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Mean cross entropy of the targets' tokens."""
        return mean_loss(self.head, model, _inputs(model, batch), batch["labels"])

    def check(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """The summed negative log-likelihood and the tokens of each row, float32 of shape (rows, 2)."""
        return likelihoods(self.head, model, _inputs(model, batch), batch["labels"])

    def outputs(self, model: Any, batch: dict[str, Any]) -> list[tuple[str, float, float]]:
        """``(what is written, summed negative log-likelihood of the target, its tokens)``; zeros without a target."""
        texts = written(_plain(model), self.tokenizer, _read(batch), new_tokens(model))
        known = self.check(model, batch).tolist() if "labels" in batch else [(0.0, 0.0)] * len(texts)
        return [(text, *row) for text, row in zip(texts, known, strict=True)]

    def lengths(self, rows: dict[str, list[Any]]) -> list[int]:
        """Tokens of both sides, as both are filled up in a batch: a short source may have a long target."""
        targets = rows.get("labels") or [[]] * len(rows["input_ids"])
        return [len(ids) + len(target) for ids, target in zip(rows["input_ids"], targets, strict=True)]

    def weight(self, rows: dict[str, list[Any]]) -> float:
        """The targets' tokens."""
        return float(max(1, sum(map(len, rows["labels"]))))

    def taught(self, model: Any, rows: dict[str, list[Any]]) -> None:
        """See :meth:`Task.taught`: the settings that are saved with it let it write its longest target."""
        model.generation_config.max_new_tokens = max(new_tokens(model), *map(len, rows["labels"]))

    def answer(self, model: Any, processor: Any, rows: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """See :func:`~modelnook.tasks.writing_heavy.write`."""
        sources = self.spec().as_columns(rows)["source"] if len(rows) else []
        limit = int(options.get("max_length") or 512)
        return [{"text": x} for x in write(model, processor, encode_texts(processor, sources, limit), **options)]


def _plain(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _read(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "labels"}


def _inputs(model: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """What the model is given; its decoder reads the labels, moved on by one as the model itself does it."""
    moved = _plain(model).prepare_decoder_input_ids_from_labels(labels=batch["labels"])
    return {**_read(batch), "decoder_input_ids": moved, "use_cache": False}
