"""Text-to-text generation, the light half: a text made of a text, by an encoder-decoder.

::

    pairs = [{"source": "Good morning.", "target": "早上好。"}, …]
    run = modelnook.finetune("hub:Helsinki-NLP/opus-mt-en-zh", pairs, task="seq2seq")
    run.metrics["chrf"], run.metrics["bleu"], run.baselines["copy"]["chrf"]
    modelnook.predict(run.model, ["Good night."])

``chrf``, ``bleu``, ``rouge1``, ``rouge2`` and ``rougeL`` go from 0 to 1: sacrebleu's figures are a hundred times as
much. Chinese is compared by sacrebleu's own rules for it. ``loss`` is nats a token of the wanted texts. In mid-training
only that is measured, for writing takes long; the others are those of the finished model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelnook.catalog.folder import task_of
from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.tasks import translated
from modelnook.tasks.spec import ADAPTERS, Columns, Spec
from modelnook.tasks.text import as_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelnook.tasks.heads import Base

__all__ = ["Text2TextGeneration"]

MIN_ROWS = 8
SAME = 0.5


class Text2TextGeneration(Spec):
    """A text made of a text. Outputs are ``(text, summed negative log-likelihood, tokens)`` a row, targets texts."""

    name = "text2text-generation"
    inputs = ("source",)
    targets = ("target",)
    scored = ("target",)
    metrics = ("chrf", "bleu", *translated.ROUGE, "loss")
    predicts = ("text",)
    methods = ("full", *ADAPTERS, "rslora", "qlora")
    longer = 2
    keeps_end = True
    output_share = 1.0
    baselines = ("copy",)
    autos = ("AutoModelForSeq2SeqLM",)
    no_head = "task.no_translator"

    def takes(self, base: Base) -> bool:
        """See :meth:`Spec.takes`: an encoder with a decoder, trained to write."""
        writes = task_of(base.classes) in (self.name, "feature-extraction", None)
        return super().takes(base) and base.paired is not False and writes

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`: fatal are fewer than 8 rows, rows without a target, sources that are all empty."""
        sources, targets = columns["source"], columns["target"]
        if len(targets) < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=len(targets), least=MIN_ROWS)
        wanted = self.truth(columns, ())
        if not any(as_text(text).strip() for text in sources):
            raise DataError("task.no_source", rows=len(sources))
        warned = []
        empty = [i for i, text in enumerate(sources) if not as_text(text).strip()]
        if empty:
            warned.append(Warned.of("task.empty_text", count=len(empty), row=empty[0]))
        same = sum(as_text(source) == target for source, target in zip(sources, wanted, strict=True)) / len(wanted)
        if same > SAME:
            warned.append(Warned.of("task.same_texts", percent=round(100 * same)))
        return warned

    def labels(self, columns: Columns) -> list[str]:
        """None."""
        return []

    def truth(self, columns: Columns, labels: Sequence[str]) -> list[str]:
        """The wanted texts.

        Raises:
            DataError: a row without one; it is named.
        """
        wanted = [as_text(text) for text in columns["target"]]
        missing = next((row for row, text in enumerate(wanted) if not text.strip()), None)
        if missing is not None:
            raise DataError("task.no_target", row=missing)
        return wanted

    def written(self, columns: Columns) -> list[str]:
        """The targets."""
        return [as_text(text) for text in columns["target"]]

    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """chrF and BLEU of all rows as one corpus, the means of the three of ROUGE, and the loss where it is known."""
        found = self.metrics_of(self.sums(truth, outputs, labels).sum(axis=0))
        return {name: float(value) for name, value in found.items()}

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str]) -> NDArray[np.float64]:
        """What is counted of each row, ones, and its loss and tokens; shape (rows, 34)."""
        import numpy as np

        texts = [str(row[0]) for row in outputs]
        losses = np.array([[1.0, row[1], row[2]] for row in outputs], dtype=np.float64).reshape(-1, 3)
        return np.concatenate([translated.counts(texts, truth), losses], axis=1)

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """See :mod:`modelnook.tasks.translated`."""
        import numpy as np

        end = translated.CHRF + translated.BLEU
        *shared, rows, loss, tokens = (sums[..., end + i] for i in range(len(translated.ROUGE) + 3))
        found = {
            "chrf": translated.chrf(sums[..., : translated.CHRF]),
            "bleu": translated.bleu(sums[..., translated.CHRF : end]),
            **{name: values / np.maximum(rows, 1) for name, values in zip(translated.ROUGE, shared, strict=True)},
        }
        return {**found, "loss": loss / tokens} if np.all(tokens > 0) else found

    def answers(self, outputs: Any, labels: Sequence[str], rows: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """``text``."""
        return [{"text": row[0]} for row in outputs]

    def beside(self, first: Any, outputs: Any) -> list[tuple[str, float, float]]:
        """See :meth:`Spec.beside`: a target counts as many tokens as it had for the first model."""
        return [(text, loss, was[2]) for (text, loss, _), was in zip(outputs, first, strict=True)]

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """Where both write the same."""
        import numpy as np

        return np.array([a[0] == b[0] for a, b in zip(before, after, strict=True)], dtype=bool)
