"""Question answering, the heavy half: contexts in windows, and the likeliest stretch over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from modelnook.domain.errors import UsageError
from modelnook.tasks.base import Task
from modelnook.tasks.padding_heavy import padded
from modelnook.tasks.pretrained_heavy import load_config, load_model, load_tokenizer
from modelnook.tasks.question_answering import QuestionAnswering
from modelnook.tasks.spec import Columns
from modelnook.tasks.text import as_text

__all__ = ["QuestionAnsweringTask"]

LONGEST = 64
"""Tokens of an answer at most: beginnings and ends are found each by itself, and must not lie in different parts."""

NOWHERE = (-1, -1)


class QuestionAnsweringTask(Task):
    """Two numbers for each token: how well an answer begins, and ends, there.

    A context that is longer than ``max_length`` leaves beside the question is read in windows that overlap by half.
    Those without the answer are trained to point at the first token, which is never an answer.
    """

    spec = QuestionAnswering
    cuts_vocabulary = True

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`; a head that is there is kept."""
        config = load_config(path)
        config.num_labels = 2
        model = load_model(path, config, "AutoModelForQuestionAnswering", self.spec.name)
        tokenizer = self.prepare(path)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id
        return model, tokenizer

    def prepare(self, path: str) -> Any:
        """See :meth:`Task.prepare`."""
        tokenizer = load_tokenizer(path)
        # Places are counted from the left.
        tokenizer.padding_side = "right"
        return tokenizer

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """Windows: ``input_ids``, ``token_type_ids`` where the model has them, and ``places``.

        ``places`` are where each token begins and ends in the context, int64 of shape (tokens, 2), and -1 for what is
        none of it. ``labels`` are the first and the last token of the answer.
        """
        contexts = [as_text(text) for text in columns["context"]]
        least = processor.num_special_tokens_to_add(pair=True) + 2
        if max_length < least:
            raise UsageError("task.no_room", max_length=max_length, least=least)
        questions = _short(processor, [as_text(text) for text in columns["question"]], max_length)
        known = self.spec().places(columns) if "answers" in columns else None
        kinds = "token_type_ids" in processor.model_input_names
        rows: dict[str, list[Any]] = {"input_ids": [], "places": [], "owner": []}
        rows |= {"token_type_ids": []} if kinds else {}
        rows |= {"labels": []} if known is not None else {}
        for row, (question, context) in enumerate(zip(questions, contexts, strict=True)):
            for window in _windows(processor, question, context, max_length):
                places = _places(window)
                rows["input_ids"].append(window.ids)
                rows["places"].append(places)
                rows["owner"].append(row)
                if kinds:
                    rows["token_type_ids"].append(window.type_ids)
                if known is not None:
                    rows["labels"].append(_tokens(places, *known[row]))
        return rows

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """See :func:`~modelnook.tasks.padding_heavy.padded`; ``context`` tells which tokens may be an answer's."""
        batch: dict[str, Any] = padded(processor, rows)
        context = torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
        for at, places in enumerate(rows["places"]):
            context[at, : len(places)] = torch.from_numpy(places[:, 0] >= 0)
        batch["context"] = context
        if "labels" in rows:
            batch["labels"] = torch.tensor(rows["labels"], dtype=torch.int64)
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """The mean cross entropy of beginning and end, in float32."""
        starts, ends = _logits(model, batch)
        first, last = batch["labels"].unbind(dim=1)
        return (F.cross_entropy(starts, first) + F.cross_entropy(ends, last)) / 2

    def outputs(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Of each window the best stretch's first and last token, its logit, and the log sums over both.

        Float32 of shape (windows, 5). A window without any of the context has -inf for the last three.
        """
        starts, ends = (logits.masked_fill(~batch["context"], -torch.inf) for logits in _logits(model, batch))
        width = starts.shape[1]
        near = torch.ones((width, width), dtype=torch.bool, device=starts.device).triu().tril(LONGEST - 1)
        together = (starts[:, :, None] + ends[:, None, :]).masked_fill(~near, -torch.inf).flatten(1)
        best, at = together.max(dim=1)
        sums = [logits.logsumexp(dim=1) for logits in (starts, ends)]
        return torch.stack([(at // width).float(), (at % width).float(), best, *sums], dim=1)

    def merge(self, rows: dict[str, list[Any]], outputs: Any) -> NDArray[np.float64]:
        """Each row's best stretch over its windows in characters, and its probability; float64 of shape (rows, 3)."""
        found = np.zeros((rows["owner"][-1] + 1 if rows["owner"] else 0, 3))
        owner, values = np.asarray(rows["owner"]), np.asarray(outputs, dtype=np.float64)
        for row in range(len(found)):
            windows = np.flatnonzero(owner == row) if len(found) < len(owner) else np.array([row])
            best = windows[values[windows, 2].argmax()]
            first, last, logit = values[best, :3]
            if not np.isfinite(logit):
                continue
            places = rows["places"][best]
            total = np.logaddexp.reduce(values[windows, 3]) + np.logaddexp.reduce(values[windows, 4])
            found[row] = places[int(first), 0], places[int(last), 1], np.exp(min(0.0, logit - total))
        return found


def _logits(model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = {name: value for name, value in batch.items() if name not in ("labels", "context")}
    said = model(**inputs)
    return said.start_logits.float(), said.end_logits.float()


def _short(tokenizer: Any, questions: list[str], max_length: int) -> list[str]:
    """Questions cut to half of the length, so that there is room for the context."""
    if not questions:
        return []
    most = max(1, max_length // 2 - tokenizer.num_special_tokens_to_add(pair=True))
    read = tokenizer(questions, add_special_tokens=False, verbose=False).encodings
    ends = [one.offsets[most - 1][1] if len(one.ids) > most else None for one in read]
    return [question[:end] for question, end in zip(questions, ends, strict=True)]


def _windows(tokenizer: Any, question: str, context: str, max_length: int) -> list[Any]:
    asked = len(tokenizer(question, add_special_tokens=False, verbose=False)["input_ids"])
    room = max_length - asked - tokenizer.num_special_tokens_to_add(pair=True)
    found: list[Any] = tokenizer(
        question,
        context,
        truncation="only_second",
        max_length=max_length,
        stride=max(0, room // 2),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    ).encodings
    return found


def _places(window: Any) -> NDArray[np.int64]:
    places = [
        offset if part == 1 else NOWHERE for offset, part in zip(window.offsets, window.sequence_ids, strict=True)
    ]
    found = np.array(places, dtype=np.int64).reshape(-1, 2)
    # Tokens of no width, as some tokenizers put before a text, are nobody's answer.
    found[found[:, 0] == found[:, 1]] = -1
    return found


def _tokens(places: NDArray[np.int64], start: int, end: int) -> tuple[int, int]:
    """The first and the last token of an answer; the first of the window, twice, where it doesn't hold all of it."""
    within = np.flatnonzero((places[:, 0] >= 0) & (places[:, 1] > start) & (places[:, 0] < end))
    context = np.flatnonzero(places[:, 0] >= 0)
    if not len(within) or places[context[0], 0] > start or places[context[-1], 1] < end:
        return 0, 0
    return int(within[0]), int(within[-1])
