"""The verb that says why a model answers as it does."""

from __future__ import annotations

from typing import Any

from modelnook.api.reading import spec_of
from modelnook.domain.explanation import Explanation
from modelnook.model import Model

__all__ = ["explain"]


def explain(
    ref: str | Model,
    inputs: Any,
    *,
    method: str = "auto",
    label: Any = None,
    text: str | None = None,
    columns: dict[str, str] | None = None,
    predictions: int = 1000,
    seed: int = 0,
) -> Explanation:
    """Say what speaks for a model's answer and what against it: a score for each word of a text, or column of a table.

    Scores are log-odds of the explained label (0.7 doubles its odds), or the unit of the number that a model says. What
    is scored is the model, right or wrong: not what words mean, and not what would be so if they were others.

    Args:
        ref: a reference, or a loaded model: of texts or pairs of them with labels or a number, or of a table.
        inputs: the texts, or the rows, as :func:`modelnook.predict` takes them.
        method: ``occlusion`` leaves each word out in turn; ``shapley`` shares the answer out over words that depend on
            each other, with standard errors; ``linear`` reads a TF-IDF model's own weights; ``auto`` chooses, and the
            result's ``why`` says why.
        label: explain this label, as the rows to train on had it; without it the likeliest one of each input.
        text: the column of the texts, where its name doesn't tell.
        columns: role -> column, where a model has other or more inputs than ``text``.
        predictions: how many may be made for an input; where a text has more words, some of them are taken together.
        seed: of the orders that ``shapley`` draws.

    Returns:
        An :class:`~modelnook.domain.explanation.Explanation`: ``tokens`` and ``scores``, ``to_frame()`` with a row for
        each; ``explanation[2]`` is that of the third input.

    Raises:
        NotFoundError: no such model, file or column.
        UsageError: no such method or label (a near miss is suggested), or more columns than predictions suffice for.
        UnsupportedError: a task whose answers aren't scores of words, a method for other models, or a model that
            nothing here runs.
        DataError: inputs that can't be read, or lack what the model needs.
        RefusedError: a data set of the hub whose terms must be accepted first, or that would run a script.
        MissingPackage: what runs the model or reads the inputs isn't installed.

    >>> found = mn.explain("spam", "win free money")
    >>> found.tokens, found.items[0].label
    (('win', 'free', 'money'), 'spam')
    >>> found.to_frame().columns.tolist()
    ['row', 'label', 'column', 'token', 'score', 'error', 'start', 'end']
    """
    from modelnook.api.models import answering
    from modelnook.data.inputs import inputs as read_inputs
    from modelnook.explain import EXPLAINERS
    from modelnook.explain.engine import check, choose, explained, unit
    from modelnook.tasks.labels import label_name

    if method != "auto":
        EXPLAINERS.check(method)
    model = ref if isinstance(ref, Model) else answering(ref)
    spec = spec_of(model.task)
    check(spec, model.ref)
    given = {**(columns or {}), **({"text": text} if text else {})}
    rows, _ = read_inputs(
        inputs, spec.inputs, given, optional=spec.optional, forms=spec.shapes(asked=True), features=spec.features
    )
    method, why = choose(model.runtime, spec) if method == "auto" else (method, "")
    wanted = None if label is None else label_name(label)
    items = explained(model.runtime, spec, rows, method=method, label=wanted, most=predictions, seed=seed)
    note = "" if ref is model else model.note
    return Explanation(model.ref, spec.name, method, items, unit(spec), why, note)
