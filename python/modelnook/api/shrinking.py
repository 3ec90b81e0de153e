"""Verbs that make a model smaller by other means than quantization, and chains of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelnook.api.knobs import check_drop, seconds
from modelnook.api.measuring import BUDGET
from modelnook.api.reading import given_columns
from modelnook.api.rows import default_name, noted
from modelnook.api.shrink_rows import on_rows_of
from modelnook.api.shrink_steps import check_last, check_steps, students
from modelnook.api.training import trackers
from modelnook.domain.errors import ConflictError, UsageError
from modelnook.domain.model import ModelRef
from modelnook.run import Run
from modelnook.store import Store

__all__ = ["distil", "prune", "shrink", "trim"]


def trim(
    ref: str,
    *,
    tokens: int | str = "auto",
    data: Any = None,
    unlabelled: Any = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    max_drop: float = 0.01,
    name: str | None = None,
    again: bool = False,
    background: bool = False,
) -> Run:
    """Cut a model's vocabulary to the tokens that the rows use, measured before and after on the same rows.

    Special tokens, single characters and the most frequent 5% of the vocabulary stay as well, so that new texts are
    read; a word that was cut is read as the nearest that stayed, by the model's own table (``flaws`` as ``flaw``).
    Where a tokenizer can't do that, and where the model writes, it is read in pieces, and 15% stay. For rows whose
    tokens all stay the answers are the same to the last bit (as in Abdaoui et al. 2020, arXiv:2010.05609). What new
    texts lose is measured on the validation rows as if their tokens hadn't been looked at (``.report["unseen"]``), and
    decides; of a model that wasn't trained here each half of ``data`` is measured
    with the tokens of the other, which is told, and decides for writers.

    Fewer tokens to choose from are no gain: where perplexity or a loss of tokens is the metric, it is told as if the
    model had always had those that stay, and for each text as many as it had before.

    The cut words stand in ``near_tokens.json`` beside the tokenizer, and in the tokenizer of what is exported and of an
    ``onnx`` or ``openvino`` program; another tool that loads the model's own folder with weights reads them in pieces.

    Args:
        ref: the model.
        tokens: ``auto`` keeps every token that occurs; ``fewest`` lets the rarer ones go as well, up to a tenth of all
            that is read, while at most one validation row in two hundred is answered otherwise; a number keeps so
            many, the most frequent first.
        data: rows to measure on, whose tokens stay; without them those of the run that made the model.
        unlabelled: further texts whose tokens stay: a table, a file, or a list of texts.
        text, label: the columns of the input and of the target, where their names don't tell.
        columns: role -> column, for the other roles of a task.
        max_drop: how far the primary metric may fall; 0.01 is one point of accuracy.
        name: default ``NAME-trim``.
        again: do it anew where the same has been done.
        background: give the run at once.

    Returns:
        A finished Run with ``.model`` and ``.report``.

    Raises:
        RefusedError: it fell further than ``max_drop``; the numbers are told.
        UnsupportedError: a quantized model, one that reads no texts, or nothing to cut (in a chain the step is left
            out).
        UsageError: ``tokens`` that aren't any of these, or a ``max_drop`` that is no share.
        NotFoundError, DataError: no such model, file or column; no rows at hand, or such as can't be read.
        ConflictError: another model holds the name; or the run's process was lost.

    >>> small = mn.trim("spam")
    >>> small.model, small.report["after"]["tokens"] < small.report["before"]["tokens"]
    ('local:spam-trim@1', True)
    """
    step = "trim" if tokens == "auto" else f"trim:{tokens}"
    given = given_columns(text, label, columns)
    return _run("trim", ref, [step], data, unlabelled, given, max_drop, name, again, background)


def prune(
    ref: str,
    *,
    layers: int | str = "auto",
    recover: str = "auto",
    data: Any = None,
    unlabelled: Any = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    max_drop: float = 0.01,
    name: str | None = None,
    again: bool = False,
    background: bool = False,
) -> Run:
    """Drop the layers that a model misses least, measured before and after on the same rows.

    Each layer stands aside in turn, the loss on the rows is measured, and the one missed least goes (the greedy order
    of Fan et al. 2020, arXiv:1909.11556, section 4). Where the result falls too far and the
    training rows are at hand, what is left is retrained shortly on what the whole model says.

    Args:
        ref: the model.
        layers: how many stay: a number, a share (``"50%"``), or ``auto``: half, or as few as ``max_drop`` allows.
        recover: ``auto`` retrains where that is needed, ``never`` doesn't.
        data: rows to measure on; without them the validation rows of the run that made the model, and where there are
            none either, texts of the model's own card and vocabulary: agreement is measured, and nothing retrained.
        unlabelled: further rows to retrain on.
        text, label: the columns of the input and of the target, where their names don't tell.
        columns: role -> column, for the other roles of a task.
        max_drop: how far the primary metric may fall; 0.01 is one point of accuracy.
        name: default ``NAME-prune``.
        again: do it anew where the same has been done.
        background: give the run at once.

    Returns:
        A finished Run with ``.model`` and ``.report``, whose ``dropped`` says which layers went.

    Raises:
        RefusedError: every number of layers tried fell further than ``max_drop``; the numbers are told.
        UnsupportedError: a quantized model, or one without a stack of layers.
        UsageError: ``layers`` or ``recover`` that aren't any of these, or a ``max_drop`` that is no share.
        NotFoundError, DataError, ConflictError: as for :func:`trim`.

    >>> small = mn.prune("spam", layers=1, max_drop=0.05)
    >>> small.model, small.report["after"]["bytes"] < small.report["before"]["bytes"]
    ('local:spam-prune@1', True)
    """
    if recover not in ("auto", "never"):
        raise UsageError("core.bad_value", name="recover", value=recover, allowed="auto, never")
    step = "prune" if layers == "auto" else f"prune:{layers}"
    given, knobs = given_columns(text, label, columns), {"recover": recover}
    return _run("prune", ref, [step], data, unlabelled, given, max_drop, name, again, background, knobs)


def distil(
    ref: str,
    *,
    student: str = "auto",
    data: Any = None,
    unlabelled: Any = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    temperature: float = 2.0,
    soft: float = 0.7,
    size: str = "balanced",
    epochs: float | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    budget: str | float | None = None,
    max_drop: float = 0.03,
    name: str | None = None,
    track: str | Sequence[str] = "auto",
    again: bool = False,
    background: bool = False,
) -> Run:
    """Teach a smaller model what a model knows, with its own rows and any number of rows without labels.

    Args:
        ref: the model that teaches.
        student: ``layers:N`` starts from N of the teacher's own layers, ``auto`` from half of them; or a model's
            reference, such as a smaller encoder of the catalogue.
        data: labelled rows, of which a part is kept aside to measure on; without them those that made the model.
        unlabelled: rows without labels: a table, a file, or a list of texts.
        text, label: the columns of the input and of the target, where their names don't tell.
        columns: role -> column, for the other roles of a task.
        temperature: of the softmaxes that are compared (Hinton et al. 2015, arXiv:1503.02531).
        soft: the share of the loss that is the teacher's; the labels have the rest.
        size, epochs, learning_rate, seed, budget, track: as for :func:`finetune`.
        max_drop: how far the primary metric may fall; 0.03 is three points of accuracy.
        name: default ``NAME-distil``.
        again: do it anew where the same has been done.
        background: give the run at once.

    Returns:
        A finished Run with ``.model`` and ``.report``; one that was stopped can be resumed.

    Raises:
        RefusedError: the student fell further than ``max_drop``; the numbers are told.
        UnsupportedError: a task that can't be taught so, a student of another task or with other labels.
        UsageError: a value out of its range, or a student that can't be read.
        NotFoundError, DataError, ConflictError: as for :func:`trim`.

    >>> more = ["win a free prize", "lunch today", "a meeting and a report"]
    >>> small = mn.distil("spam", student="layers:1", unlabelled=more, size="quick", max_drop=0.1)
    >>> small.model, sorted(small.report["after"]["metrics"])[:2]
    ('local:spam-distil@1', ['accuracy', 'auc'])
    """
    from modelnook.finetune.plan import SIZES

    if size not in SIZES:
        raise UsageError("core.bad_value", name="size", value=size, allowed=", ".join(SIZES))
    for called, value in (("temperature", temperature), ("epochs", epochs), ("learning_rate", learning_rate)):
        if value is not None and not value > 0:
            raise UsageError("api.positive", name=called, value=value)
    if not 0 <= soft <= 1:
        raise UsageError("api.share", name="soft", value=soft)
    knobs = {"temperature": temperature, "soft": soft, "size": size, "epochs": epochs, "learning_rate": learning_rate}
    if budget is not None:
        knobs["max_seconds"] = seconds(budget)
    given, steps = given_columns(text, label, columns), [f"distil:{student}"]
    return _run(
        "distil", ref, steps, data, unlabelled, given, max_drop, name, again, background, knobs, seed=seed, track=track
    )


def shrink(
    ref: str,
    *,
    steps: str | Sequence[str] = "trim,int8",
    data: Any = None,
    unlabelled: Any = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    max_drop: float = 0.01,
    budget: str | float | None = None,
    seed: int = 0,
    name: str | None = None,
    track: str | Sequence[str] = "auto",
    again: bool = False,
    background: bool = False,
) -> Run:
    """Make a model smaller in several steps, each measured beside the model that the chain began with.

    Args:
        ref: the model.
        steps: in their order: ``distil`` (``distil:layers:3``, ``distil:REF``), ``prune`` (``prune:4``), ``trim``
            (``trim:fewest``, ``trim:8000``), then a scheme of ``quantize`` (``int8``, ``int8:onnx``), after which
            nothing can follow.
        data: rows to measure on; without them those of the run that made the model, and where there are none either and
            no step needs any (``prune``, a scheme), texts of the model's own card and vocabulary.
        unlabelled: rows without labels: to teach on, and whose tokens stay.
        text, label: the columns of the input and of the target, where their names don't tell.
        columns: role -> column, for the other roles of a task.
        max_drop: how far the primary metric may fall in all; 0.01 is one point of accuracy.
        budget: the time after which the step that quantizes tries nothing further, ``"10m"``; two minutes where none is
            given.
        seed: of what is taught, and of the rows that are kept aside for it.
        name: default ``NAME-small``.
        track: as for :func:`finetune`.
        again: do it anew where the same has been done.
        background: give the run at once.

    Returns:
        A finished Run with ``.model``, and ``.report`` with each of its ``steps``.

    Raises:
        RefusedError: a step fell further than ``max_drop`` below the first model; the numbers are told.
        UsageError: an unknown step, or one after quantization.
        UnsupportedError, MissingPackage: as for the verb of each step.
        NotFoundError, DataError, ConflictError: as for :func:`trim`.

    >>> small = mn.shrink("spam", steps="trim,int8:quanto")
    >>> small.model, [step["step"] for step in small.report["steps"]]
    ('local:spam-small@1', ['trim', 'int8:quanto'])
    """
    words = steps.split(",") if isinstance(steps, str) else list(steps)
    words = [word.strip() for word in words if word.strip()]
    given = given_columns(text, label, columns)
    knobs = {"trying_seconds": seconds(budget) if budget is not None else BUDGET}
    return _run(
        "shrink", ref, words, data, unlabelled, given, max_drop, name, again, background, knobs, seed=seed, track=track
    )


def _run(
    verb: str,
    ref: str,
    steps: list[str],
    data: Any,
    unlabelled: Any,
    given: dict[str, str],
    max_drop: float,
    name: str | None,
    again: bool,
    background: bool,
    knobs: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    track: str | Sequence[str] = "auto",
) -> Run:
    """One job of any of them."""
    from modelnook.jobs.submit import submit

    store = Store()
    check_steps(steps)
    check_drop(max_drop)
    teaches = any(step.startswith("distil") for step in steps)
    recipe, split, primary = on_rows_of(verb, store, ref, steps, data, unlabelled, given, teaches=teaches, seed=seed)
    check_last(recipe, steps[-1])
    steps, models = students(recipe, steps)
    source = ModelRef.parse(recipe.model)
    made = name or default_name(source, {"shrink": "small"}.get(verb, verb))
    store.check_name(made, recipe.task)
    if made == source.id and source.source == "local":
        raise ConflictError("store.name_taken", name=made)
    said = {**recipe.knobs, **(knobs or {}), "steps": steps, "max_drop": max_drop}
    recipe = replace(recipe, name=made, knobs=said, seed=seed, models=models, track=trackers(track))
    run = submit(store, recipe, split=split, primary_metric=primary, again=again, note=noted(ref))
    return run if background else run.wait()
