"""What the verbs that work on a made model share: what it is, and the rows that it was chosen on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.api.reading import features_of, read_table, spec_of
from modelnook.domain.dataset import SLICE
from modelnook.domain.errors import DataError, ModelnookError, NotFoundError, UnsupportedError, UsageError
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import AGREEMENT
from modelnook.settings import current
from modelnook.store import Store
from modelnook.tasks.spec import Spec

__all__ = [
    "columns_of",
    "default_name",
    "done_by",
    "needs_network",
    "no_rows",
    "noted",
    "on_rows",
    "quantized_as",
    "refuse_quantized",
]

_LONGEST = 94
"""Letters of a default name: a model's has 100 at most, and there is room for a number behind it."""


def needs_network(verb: str, ref: str, entry: ModelInfo) -> None:
    """Refuse what makes networks smaller for a model that has none.

    Raises:
        UnsupportedError: one that was learnt from rows alone.
    """
    if "sklearn" in entry.formats:
        raise UnsupportedError("api.no_network", ref=ref, method=entry.architecture, verb=verb)


def refuse_quantized(code: str, ref: str, entry: ModelInfo, **said: object) -> None:
    """Refuse a quantized model whose original is known by name, before a job is started; the job says the rest.

    Args:
        code: the message, which is given ``said``, the model, how it was quantized, and its original.

    Raises:
        UnsupportedError: see above.
    """
    how = quantized_as(entry) if entry.base_model else None
    if how:
        raise UnsupportedError(code, ref=ref, how=how, base=entry.base_model, **said)


def quantized_as(entry: ModelInfo) -> str | None:
    """How a model that is here was quantized, where it can't be quantized once more."""
    from modelnook.runtime.folder import config, formats, quantized

    if not entry.path:
        return None
    path = Path(entry.path)
    # A GGUF file that was found can be quantized again; what was made here has a better original.
    if formats(path) == ("gguf",) and not config(path).get("modelnook_quantization"):
        return None
    return quantized(path)


def done_by(entry: ModelInfo) -> str | None:
    """The task that a model does as it is: a bare encoder makes vectors."""
    return "sentence-similarity" if entry.task == "feature-extraction" else entry.task


def no_rows(entry: ModelInfo, ref: str) -> NotFoundError:
    """There are no validation rows to measure a model on: its run is gone, or there was none."""
    if entry.run:
        return NotFoundError("jobs.no_rows", run=entry.run, model=ref)
    return NotFoundError("api.no_rows", model=ref)


def noted(ref: str) -> str:
    """What there is to say of where a reference was found: that a second source has the name too."""
    from modelnook.catalog.search import locate

    return locate(ref).note


def on_rows(
    verb: str,
    store: Store,
    ref: str,
    data: Any,
    given: dict[str, str],
    *,
    part: str = "train",
    slices: Sequence[str] = (),
    unlabelled: bool = False,
    beside: Sequence[str] = (),
) -> tuple[Recipe, dict[str, list[int]] | None, str]:
    """The recipe of a verb that works on a made model and rows: given ones, or its run's validation rows.

    ``slices`` are further columns of the given rows, kept under roles of their own. Where ``unlabelled`` rows will do,
    the model's own texts do as well: a recipe without data, measured on ``own``. Models ``beside`` this one read the
    same rows.
    """
    from modelnook.catalog.search import resolve
    from modelnook.data.read import read
    from modelnook.jobs.lineage import training_run

    found = resolve(ref)
    entry = found.source.info(found.ref)
    task = done_by(entry)
    if task is None:
        raise UnsupportedError("api.no_task", ref=ref)
    if verb not in ("compare", "evaluate"):
        needs_network(verb, ref, entry)
    if verb == "quantize":
        refuse_quantized("quantize.already_made", ref, entry)
    spec = spec_of(task)
    recipe = Recipe(verb, str(found.ref), task=task, name=entry.name, threads=current().threads)
    trained = training_run(store, str(found.ref))
    record = trained.record() if trained else None
    primary = (record.primary_metric if record else None) or spec.metrics[0]
    if data is not None:
        if not given and trained:
            given = columns_of(trained, data)
        given |= {SLICE + name: name for name in slices}
        # Of other tasks nothing is asked: a hub's answer takes its time.
        entries = [entry, *(one.source.info(one.ref) for one in map(resolve, beside if spec.features else ()))]
        told = [features_of(spec, one) for one in entries]
        # A model that says nothing may read any of them.
        features = dict.fromkeys(sum(told, ())) if all(told) else ()
        try:
            table = read_table(store, data, spec, given, part=part, asked=unlabelled, features=features)
        except DataError as error:
            if verb not in ("compare", "evaluate") or error.code not in ("data.no_column", "data.no_form"):
                raise
            raise _unscored(error, verb, ref, entry, spec, read(data, part=part), given) from None
        columns = table.values()
        spec.check_inputs(columns)
        primary = _primary(spec, columns, primary)
        if primary != AGREEMENT and entry.labels:
            # What the job would find after it has loaded the weights.
            spec.truth(columns, entry.labels)
        return replace(recipe, data=table.ref, knobs={"measured_on": "data"}), None, primary
    made = trained.recipe() if trained else None
    if unlabelled and (trained is None or made is None):
        return replace(recipe, knobs={"measured_on": "own"}), None, AGREEMENT
    if trained is None or made is None:
        raise no_rows(entry, ref)
    if slices:
        raise UsageError("api.slices_need_data", slices=", ".join(slices))
    rows, split = (made.eval_data, None) if made.eval_data else (made.data, trained.split())
    held = {"validation": split["validation"]} if split else None
    return replace(recipe, data=rows, knobs={"measured_on": "validation"}), held, primary


def _unscored(
    error: DataError, verb: str, ref: str, entry: ModelInfo, spec: Spec, rows: Any, given: dict[str, str]
) -> ModelnookError:
    """The error for rows that lack a column; none is asked for where none that is there would help."""
    from modelnook.data.columns import find_form, has_role, unused

    paired = {role for form in spec.shapes() for role in form} - {"text", "label"}
    if entry.task == "feature-extraction" and not any(has_role(rows, role, given) for role in paired):
        return UnsupportedError("api.no_answers", ref=ref)
    try:
        asked = find_form(rows, spec.shapes(asked=True), given, optional=spec.optional)
    except DataError:
        return error
    if unused(rows, asked.to_dict().values()):
        return error
    return DataError("api.no_labels", verb=verb, ref=ref, known=", ".join(rows.names))


def _primary(spec: Spec, columns: dict[str, Any], primary: str) -> str:
    """The metric that decides on these rows."""
    if not any(set(form) <= set(columns) for form in spec.shapes()):
        return AGREEMENT
    told = spec.metrics_for(columns)
    return primary if primary in told else told[0]


def columns_of(trained: Any, data: Any) -> dict[str, str]:
    """The column names of the training run, where the new rows have them too."""
    from modelnook.data.read import read

    recipe = trained.recipe()
    names = set(read(data, part="test").names)
    return {role: c for role, c in (recipe.data.columns if recipe and recipe.data else {}).items() if c in names}


def default_name(ref: ModelRef, ending: str) -> str:
    """A name for what is made of a model.

    >>> default_name(ModelRef.parse("hub:owner/small model@1"), "ft")
    'small-model-ft'
    """
    base = re.sub(r"[^\w.-]+", "-", ref.id.rpartition("/")[2]).strip("-._")
    # A folder's name may be longer than a model's.
    return f"{base[: _LONGEST - len(ending)]}-{ending}"
