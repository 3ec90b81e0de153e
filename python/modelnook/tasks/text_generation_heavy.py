"""Text generation, the heavy half: causal language models, taught by supervised fine-tuning."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import torch

from modelnook.catalog.folder import task_of
from modelnook.domain.errors import UnsupportedError
from modelnook.tasks.base import Task
from modelnook.tasks.chat import Message, messages_of, segments, template
from modelnook.tasks.gguf_heavy import read_once
from modelnook.tasks.language_modelling_heavy import Head, foretold, mean_loss, reads_apart
from modelnook.tasks.padding_heavy import IGNORE, bins, pad
from modelnook.tasks.pretrained_heavy import load_config, load_model, load_tokenizer
from modelnook.tasks.spec import Columns
from modelnook.tasks.text import as_text
from modelnook.tasks.text_generation import TextGeneration
from modelnook.tasks.writing_heavy import streamed, write

__all__ = ["TextGenerationTask"]


class TextGenerationTask(Task):
    """A decoder with the output layer that it was trained with."""

    spec = TextGeneration
    new_head = False

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`; an encoder, or a decoder without its output layer, is refused."""
        with read_once(path):
            config = load_config(path)
            kinds = getattr(config, "architectures", None) or []
            if kinds and task_of(kinds) not in ("text-generation", "feature-extraction"):
                raise UnsupportedError("task.no_writer", architecture=kinds[0], task=self.spec.name)
            how: dict[str, Any] = {"no_head": "task.no_writer", "trained": True}
            model = load_model(path, config, "AutoModelForCausalLM", self.spec.name, **how)
            tokenizer = load_tokenizer(path, near=False)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id
        self.head = Head(model)
        return model, tokenizer

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``input_ids``, and ``labels`` of the tokens that are learnt (IGNORE at the others) where there are any.

        What is too long loses the start of its prompt, then the end of its answer.
        """
        rows = list(_parts(processor, columns))
        learnt = not rows or any(said for row in rows for _, said in row)
        flat = [text for row in rows for text, _ in row]
        tokens = iter(processor(flat, add_special_tokens=False, verbose=False)["input_ids"] if flat else ())
        found: dict[str, list[Any]] = {"input_ids": [], "labels": []}
        starts = [] if _templated(processor, columns) else _start(processor)
        ends = "text" in columns or not _templated(processor, columns)
        for row in rows:
            ids, labels = list(starts), [IGNORE] * len(starts)
            for _, said in row:
                part = next(tokens)
                ids += part
                labels += part if said else [IGNORE] * len(part)
            if learnt and ends and processor.eos_token_id is not None:
                ids.append(processor.eos_token_id)
                labels.append(processor.eos_token_id)
            ids, labels = _cut(ids or [_any(processor)], labels or [IGNORE], max_length)
            found["input_ids"].append(ids)
            found["labels"].append(labels)
        return found if learnt else {"input_ids": found["input_ids"]}

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """Padded to the right, with no mask: what is there never sees what comes after it.

        ``labels`` are what comes next at each position, IGNORE where that isn't learnt; all that comes next where rows
        have no labels.
        """
        ids = pad(rows["input_ids"], processor.pad_token_id)[0]
        labels = pad(rows.get("labels", rows["input_ids"]), IGNORE)[0]
        return {"input_ids": ids, "labels": torch.cat([labels[:, 1:], torch.full((len(ids), 1), IGNORE)], dim=1)}

    def can_pack(self, model: Any) -> bool:
        """See :meth:`Task.can_pack`."""
        return reads_apart(model)

    def pack(self, processor: Any, rows: dict[str, list[Any]], max_length: int) -> dict[str, Any]:
        """As :meth:`collate`; ``position_ids`` begin anew with each row, by which the model tells them apart."""
        together = bins([len(ids) for ids in rows["input_ids"]], max_length)
        # What comes after a row's last token is another row's, and isn't learnt.
        shifted = [[*labels[1:], IGNORE] for labels in rows["labels"]]

        def joined(values: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
            return pad([[value for row in rows for value in values[row]] for rows in together], fill)[0]

        return {
            "input_ids": joined(rows["input_ids"], processor.pad_token_id),
            "labels": joined(shifted, IGNORE),
            "position_ids": joined([range(len(ids)) for ids in rows["input_ids"]], 0),
        }

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Mean cross entropy of the tokens that are learnt."""
        return mean_loss(self.head, model, _inputs(batch), batch["labels"])

    def outputs(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """See :class:`~modelnook.tasks.text_generation.LanguageModelling`."""
        return foretold(self.head, model, _inputs(batch), batch["labels"])

    def weight(self, rows: dict[str, list[Any]]) -> float:
        """The tokens that are learnt."""
        return float(max(1, sum(label != IGNORE for row in rows["labels"] for label in row[1:])))

    def answer(self, model: Any, processor: Any, rows: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """What the model writes after each prompt, up to its end of text: the likeliest token each time.

        Args:
            options: ``batch_size``, ``max_new_tokens`` (128), and what transformers' ``generate`` takes.
        """
        return [{"text": text} for text in write(model, processor, self.prompts(processor, rows), **options)]

    def stream(self, model: Any, processor: Any, row: Any, **options: Any) -> Generator[str, None, str]:
        """See :meth:`Task.stream`; the options are those of :meth:`answer`, without ``batch_size``."""
        return streamed(model, processor, self.prompts(processor, [row])[0], **options)

    def prompts(self, processor: Any, rows: Sequence[Any]) -> list[list[int]]:
        """The tokens after which a model writes, a row each."""
        columns = self.spec().as_columns(rows)
        raw = self.learnt.get("form") == "text"
        return [_asked(processor, columns, row, raw) for row in range(len(rows))]


def _inputs(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "labels"} | {"use_cache": False}


def _templated(processor: Any, columns: Columns) -> bool:
    """Whether the chat template writes these rows, which then brings the tokens of start and end itself."""
    return "text" not in columns and bool(getattr(processor, "chat_template", None) or "messages" in columns)


def _parts(processor: Any, columns: Columns) -> Any:
    """Each row as texts, and whether the model is to learn them."""
    if "messages" in columns:
        for row, cell in enumerate(columns["messages"]):
            messages = messages_of(cell, row)
            yield segments(processor, messages) or [(template(processor, messages, asks=True), False)]
    elif "prompt" in columns:
        completions = columns.get("completion")
        for row, prompt in enumerate(columns["prompt"]):
            answer = None if completions is None else as_text(completions[row])
            yield _pair(processor, as_text(prompt), answer)
    else:
        for text in columns["text"]:
            yield [(as_text(text), True)]


def _pair(processor: Any, prompt: str, answer: str | None) -> list[tuple[str, bool]]:
    if not getattr(processor, "chat_template", None):
        return [(prompt, False)] if answer is None else [(prompt, False), (answer, True)]
    turn: Message = {"role": "user", "content": prompt}
    if answer is None:
        return [(template(processor, [turn], asks=True), False)]
    return segments(processor, [turn, {"role": "assistant", "content": answer}])


def _asked(processor: Any, columns: Columns, row: int, raw: bool) -> list[int]:
    """The tokens after which the model writes, whatever their number."""
    if "messages" in columns:
        text, starts = template(processor, messages_of(columns["messages"][row], row), asks=True), []
    elif raw or "text" in columns or not getattr(processor, "chat_template", None):
        text, starts = as_text(columns["text" if "text" in columns else "prompt"][row]), _start(processor)
    else:
        turn: Message = {"role": "user", "content": as_text(columns["prompt"][row])}
        text, starts = template(processor, [turn], asks=True), []
    ids: list[int] = starts + processor(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids or [_any(processor)]


def _start(processor: Any) -> list[int]:
    """The token that the tokenizer puts before every text, if it does."""
    added = processor("")["input_ids"]
    return [processor.bos_token_id] if added[:1] == [processor.bos_token_id] else []


def _any(processor: Any) -> int:
    """A token to begin with where there is nothing to go on from."""
    found = (processor.bos_token_id, processor.eos_token_id, processor.pad_token_id)
    return int(next(token for token in found if token is not None))


def _cut(ids: list[int], labels: list[int], max_length: int) -> tuple[list[int], list[int]]:
    over = len(ids) - max_length
    if over <= 0:
        return ids, labels
    first = next((i for i, label in enumerate(labels) if label != IGNORE), len(ids))
    # One token stays before the answer, which is predicted from it.
    start = min(over, max(0, first - 1))
    return ids[start : start + max_length], labels[start : start + max_length]
