"""Multi-label classification, the light half: any number of labels for a text, or for a pair of texts.

::

    run = modelnook.finetune(ref, frame, task="multi-label-classification", text="question", label="topics")
    modelnook.predict(run.model, ["How do I export a notebook?"])["label"][0]      # ['jupyter', 'export']

The label column holds lists, or texts that ``|`` or ``;`` divide (``sport|politics``). An empty list is an example too:
none of the labels fits; so is an empty cell among divided texts, which is all that a CSV file can say of such a row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.domain.table import Table
from modelnook.tasks.classification import MIN_ROWS
from modelnook.tasks.labels import label_name, label_names, ordered, rare_labels, unseen
from modelnook.tasks.spec import Columns, Spec
from modelnook.tasks.text_classification import check_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MultiLabelClassification", "label_sets"]

_DIVIDERS = re.compile(r"[|;；]")


class MultiLabelClassification(Spec):
    """Any number of labels for a text: each is decided by itself."""

    name = "multi-label-classification"
    inputs = ("text",)
    targets = ("label",)
    optional = ("text_pair",)
    metrics = ("f1_micro", "f1_macro", "accuracy", "loss")
    predicts = ("label", "score", "scores")
    methods = (*Spec.methods, "tfidf")
    baselines = ("majority:each", "tfidf:each")
    autos = ("AutoModelForSequenceClassification",)

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`: fatal are missing labels, 0 and 1 in their place, one label, few rows."""
        values = columns["label"]
        if len(values) < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=len(values), least=MIN_ROWS)
        _refuse_indicators(values)
        sets = label_sets(values)
        counts = Counter(name for row in sets for name in row)
        if not counts:
            raise DataError("task.no_labels", rows=len(sets))
        if len(counts) == 1 and sum(counts.values()) == len(sets):
            raise DataError("task.one_class", label=next(iter(counts)), rows=len(sets))
        if len(counts) > 20 and len(counts) > 0.5 * len(sets):
            raise DataError("task.too_many_classes", classes=len(counts), rows=len(sets))
        return [*check_texts(columns["text"]), *_check_sets(values, sets, counts)]

    def labels(self, columns: Columns) -> list[str]:
        """All names that occur, in natural order ("2" before "10")."""
        return ordered([name for row in label_sets(columns["label"]) for name in row])

    def truth(self, columns: Columns, labels: Sequence[str]) -> NDArray[np.float32]:
        """1 where a row has a label, else 0; float32 of shape (rows, labels)."""
        import numpy as np

        index = {name: i for i, name in enumerate(labels)}
        sets = label_sets(columns["label"])
        found = np.zeros((len(sets), len(labels)), dtype=np.float32)
        for row, names in enumerate(sets):
            for name in names:
                if name not in index:
                    raise unseen(row, name, labels)
                found[row, index[name]] = 1
        return found

    def score(self, truth: Any, outputs: Any, labels: Sequence[str] = ()) -> dict[str, float]:
        """Metrics from logits of shape (rows, labels); ``accuracy`` counts rows whose labels are all right."""
        found = self.metrics_of(self.sums(truth, outputs, labels).sum(axis=0))
        return {name: float(value) for name, value in found.items()}

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str] = ()) -> NDArray[np.float64]:
        """Per label: right, said, true; then whether all are right, the loss, one; shape (rows, 3 * labels + 3)."""
        import numpy as np

        known, logits = np.asarray(truth, dtype=np.float64), np.asarray(outputs, dtype=np.float64)
        said = (logits > 0).astype(np.float64)
        # The binary cross entropy without overflow, as torch computes it.
        losses = np.maximum(logits, 0) - logits * known + np.log1p(np.exp(-np.abs(logits)))
        whole = (said == known).all(axis=1).astype(np.float64)
        rest = np.stack([whole, losses.mean(axis=1), np.ones(len(known))], axis=1)
        return np.concatenate([said * known, said, known, rest], axis=1)

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """All metrics; ``f1_macro`` is the mean over the labels that occur in truth or guess."""
        import numpy as np

        width = (sums.shape[-1] - 3) // 3
        right, said, true = (sums[..., i * width : (i + 1) * width] for i in range(3))
        whole, loss, rows = (sums[..., i] for i in (-3, -2, -1))
        both = said + true
        f1 = 2 * right / np.maximum(both, 1)
        micro = 2 * right.sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
        macro = f1.sum(axis=-1) / np.maximum((both > 0).sum(axis=-1), 1)
        return {"f1_micro": micro, "f1_macro": macro, "accuracy": whole / rows, "loss": loss / rows}

    def answers(self, outputs: Any, labels: Sequence[str], rows: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """``label``: those whose probability is over 0.5, the likeliest first; ``scores``: every label's probability.

        ``score`` is the probability that the least certain of these decisions is right.
        """
        import numpy as np

        logits = np.asarray(outputs, dtype=np.float64)
        if not len(logits):
            return []
        known = label_names(labels, logits.shape[1])
        shares = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        found = []
        for row, least in zip(shares.tolist(), np.maximum(shares, 1 - shares).min(axis=1).tolist(), strict=True):
            scores = dict(zip(known, row, strict=True))
            said = sorted((n for n, share in scores.items() if share > 0.5), key=lambda n: -scores[n])
            found.append({"label": said, "score": least, "scores": scores})
        return found

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """Where both say the same labels."""
        import numpy as np

        same: NDArray[np.bool_] = ((np.asarray(before) > 0) == (np.asarray(after) > 0)).all(axis=1)
        return same

    def tables(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, Table]:
        """``per_class``: label, precision, recall, f1, rows."""
        if not len(outputs) or len(outputs[0]) != len(labels):
            return {}
        width = len(labels)
        sums = self.sums(truth, outputs, labels).sum(axis=0)
        rows = []
        for name, right, said, true in zip(
            labels, sums[:width], sums[width : 2 * width], sums[2 * width : 3 * width], strict=True
        ):
            precision, recall = right / said if said else 0.0, right / true if true else 0.0
            f1 = 2 * right / (said + true) if said + true else 0.0
            rows.append((name, float(precision), float(recall), float(f1), int(true)))
        return {"per_class": Table(("label", "precision", "recall", "f1", "rows"), tuple(rows))}


def label_sets(values: Sequence[Any]) -> list[list[str]]:
    """Each row's labels, in their order, without repeats.

    Raises:
        DataError: a missing list beside others, or a missing name in one; its row is named.

    >>> label_sets([["a", "b"], "b | c", "", []])
    [['a', 'b'], ['b', 'c'], [], []]
    >>> label_sets(["a|b", None])
    [['a', 'b'], []]
    """
    divided = not any(map(_is_list, values))
    found: list[list[str]] = []
    for row, value in enumerate(values):
        if isinstance(value, str):
            names: list[str | None] = [part.strip() for part in _DIVIDERS.split(value) if part.strip()]
        elif _is_list(value):
            names = [label_name(part) for part in value]
        else:
            single = label_name(value)
            if single is None and divided:
                # Reading a file makes an empty text a missing one.
                found.append([])
                continue
            if single is None:
                raise DataError("task.missing_labels", row=row)
            names = [single]
        if any(name is None for name in names):
            raise DataError("task.missing_labels", row=row)
        found.append([name for name in dict.fromkeys(names) if name is not None])
    return found


def _is_list(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str)


def _refuse_indicators(values: Sequence[Any]) -> None:
    """Raise DataError for lists that say by 0 and 1 which labels are set: read as names, every row would have both."""
    if not all(map(_is_list, values)):
        return
    lists = [list(value) for value in values]
    width = len(lists[0])
    if width < 2 or any(len(row) != width for row in lists):
        return
    if all(label_name(part) in ("0", "1", "True", "False") for row in lists for part in row):
        raise DataError("task.label_indicators", value=str(lists[0])[:40], width=width)


def _check_sets(values: Sequence[Any], sets: Sequence[Sequence[str]], counts: Counter[str]) -> list[Warned]:
    warned = []
    empty = sum(not isinstance(value, str) and not _is_list(value) and label_name(value) is None for value in values)
    if empty:
        warned.append(Warned.of("task.empty_labels", count=empty))
    if all(len(row) == 1 for row in sets):
        warned.append(Warned.of("task.single_labels"))
    if rare := rare_labels(counts):
        warned.append(rare)
    return warned
