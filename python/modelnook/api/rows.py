"""What the verbs that work on rows share: reading a person's table, and the rows that a made model was chosen on."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelnook.domain.dataset import FEATURE, SLICE, Columns, DatasetRef
from modelnook.domain.errors import DataError, ModelnookError, NotFoundError, UnsupportedError, UsageError, unknown
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import AGREEMENT
from modelnook.settings import current
from modelnook.store import Store
from modelnook.tasks.base import Spec

__all__ = [
    "Read",
    "base_and_rows",
    "check_features",
    "columns_of",
    "default_name",
    "done_by",
    "features_of",
    "given_columns",
    "needs_network",
    "no_rows",
    "noted",
    "on_rows",
    "quantized_as",
    "read_table",
    "read_validation",
    "refuse_quantized",
    "spec_of",
    "without",
]

_LONGEST = 94
"""Letters of a default name: a model's has 100 at most, and there is room for a number behind it."""


def spec_of(task: str | None) -> Any:
    from modelnook.tasks import TASKS

    return TASKS.load(task or "", light=True)()


@dataclass(frozen=True, slots=True)
class Read:
    """A person's data, read: rows, the roles of its columns, and its snapshot."""

    rows: Any
    columns: Columns
    ref: DatasetRef

    def values(self) -> dict[str, Any]:
        """Role -> values."""
        return {role: self.rows.column(column) for role, column in self.columns.to_dict().items()}


def read_table(
    store: Store,
    data: Any,
    spec: Spec,
    given: dict[str, str],
    *,
    part: str = "train",
    asked: bool = False,
    divides: str | None = None,
    features: Collection[str] = (),
) -> Read:
    """A person's data with its columns found, kept as a snapshot.

    Args:
        asked: whether rows without targets will do, where none is named.
        divides: the column that tells which rows validate: nothing that a model reads of a table.
        features: the columns that a model of a table reads, see :func:`features_of`; without any all are features.
            Others are read for a role alone, such as the label's, or that by which an evaluation is sliced.

    Raises:
        UsageError: a column is given for a role that the task doesn't have.
        DataError: one of ``features`` is missing, or no column is plainly the one for a role.
    """
    from modelnook.data.columns import with_features
    from modelnook.data.media import encoded
    from modelnook.data.read import read
    from modelnook.data.snapshot import snapshot

    roles = tuple(dict.fromkeys((*spec.read, *spec.targets, *(r for form in spec.shapes() for r in form))))
    for role in given if not spec.features else ():
        if role not in roles and not role.startswith(SLICE):
            raise UsageError("api.no_role", task=spec.name, role=role, column=given[role], known=", ".join(roles))
    rows = read(data, part=part)
    # A column that training had, the same in all of its rows, is no feature of the model; a feature is no label.
    given = {role: column for role, column in given.items() if not (features and role.startswith(FEATURE))}
    check_features(features, rows)
    cuts = {column for role, column in given.items() if role.startswith(SLICE)}
    others = rows.select([name for name in rows.names if name not in features or name in cuts])
    columns = _columns(others, spec, given, asked and not set(given) & set(spec.targets))
    if spec.features:
        kept = rows.select(list(features)) if features else rows
        columns = with_features(kept, columns, spec.roles, divides)
    rows = encoded(rows, columns)
    return Read(rows, columns, snapshot(rows, columns, store.home))


def features_of(spec: Spec, entry: ModelInfo) -> tuple[str, ...]:
    """The columns that a model of a table reads; none for one that isn't here, or that reads other things."""
    from modelnook.catalog.papers import json_in
    from modelnook.classic.base import SAID
    from modelnook.runtime.folder import config, learnt

    if not spec.features or not entry.path:
        return ()
    path = Path(entry.path)
    trees = [column["name"] for column in json_in(path / SAID).get("columns") or ()]
    return tuple(learnt(config(path)).get("features") or trees)


def check_features(features: Collection[str], rows: Any) -> None:
    """Refuse a table that lacks a column which a model reads.

    Raises:
        DataError: see above.
    """
    gone = [name for name in features if name not in rows]
    if gone:
        raise DataError("task.missing_columns", columns=", ".join(gone[:10]), known=", ".join(rows.names[:10]))


def _columns(rows: Any, spec: Spec, given: dict[str, str], unlabelled: bool) -> Columns:
    from modelnook.data.columns import find_form

    try:
        return find_form(rows, spec.shapes(), given, optional=spec.optional)
    except DataError:
        if not unlabelled:
            raise
        try:
            return find_form(rows, spec.shapes(asked=True), given, optional=spec.optional)
        except DataError:
            pass
        raise


def read_validation(
    store: Store, data: Any, spec: Spec, given: dict[str, str], drop: str | Sequence[str] | None, table: Read
) -> Read:
    """A person's validation rows, which have no targets but those of the rows to train on.

    Args:
        table: the rows to train on.

    Raises:
        DataError, NotFoundError: as :func:`read_table` and the task; that it is these rows is said.
    """
    from modelnook.data.read import read

    train, columns = table.values(), table.columns
    labels = spec.labels(train)
    try:
        held = read_table(store, without(read(data, part="test"), drop, must=False), spec, given, part="test")
        found = held.values()
        spec.check_inputs(found)
        _check_alike(spec, found, train, {**columns.to_dict(), **held.columns.to_dict()})
        said, wanted = spec.metrics_for(found), spec.metrics_for(train)
        if not set(said) & set(wanted):
            raise DataError("api.other_form", found=", ".join(said), wanted=", ".join(wanted))
        spec.truth(found, labels)
    except (DataError, NotFoundError) as error:
        raise type(error)("api.validation", said=error.message, next=error.hint) from error
    return held


def _check_alike(spec: Spec, held: dict[str, Any], train: dict[str, Any], columns: dict[str, str]) -> None:
    """Refuse validation rows whose inputs aren't those of the rows to train on; ``columns`` are those of both."""
    for role in spec.optional:
        if (role in held) != (role in train):
            found, wanted = (", ".join(r for r in spec.read if r in part) for part in (held, train))
            raise DataError("api.other_inputs", found=found, wanted=wanted, column=columns[role])
    if spec.features:
        # A column that is missing, or holds texts in place of numbers.
        spec.worded(spec.as_rows(held) or [{}], spec.learn(train))


def base_and_rows(verb: str, ref: Any, data: Any) -> tuple[str, Any]:
    """What to start from, and the rows; a table alone is the rows, and the base is chosen.

    Raises:
        UsageError: there are no rows.
    """
    from modelnook.data.read import kind_of

    if data is None and not isinstance(ref, str) and kind_of(ref) not in ("path", "other"):
        return "auto", ref
    if data is None:
        raise UsageError("api.no_data", verb=verb)
    return ref, data


def without(rows: Any, drop: str | Sequence[str] | None, *, must: bool = True, held: Any = None) -> Any:
    """Rows without some columns, named in a list or with commas between them.

    Args:
        held: validation rows, which may have a column to leave out that the others don't.

    Raises:
        NotFoundError: one that isn't there, unless ``must`` is False.
    """
    from modelnook.data.read import read

    names = [n.strip() for n in drop.split(",")] if isinstance(drop, str) else list(drop or ())
    gone = [name for name in names if must and name not in rows]
    if gone and held is not None:
        there = read(held, part="test").names
        gone = [name for name in gone if name not in there]
    if gone:
        raise unknown("column", gone[0], rows.names, kind=NotFoundError)
    return rows.select([name for name in rows.names if name not in names]) if names else rows


def given_columns(text: str | None, label: str | None, columns: Any) -> dict[str, str]:
    given = dict(columns or {})
    given |= {role: name for role, name in (("text", text), ("label", label)) if name}
    return given


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
    from modelnook.measure.own_texts import own_metric

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
        return replace(recipe, knobs={"measured_on": "own"}), None, own_metric(spec, primary)
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
