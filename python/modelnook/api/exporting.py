"""Writing a model for other tools."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from modelnook.api.reading import features_of, given_columns, read_table, spec_of
from modelnook.api.rows import columns_of, done_by, on_rows
from modelnook.domain.errors import NotFoundError, UnsupportedError
from modelnook.domain.export import Exported
from modelnook.domain.recipe import Recipe
from modelnook.messages import t
from modelnook.run import Run
from modelnook.settings import current, expanded
from modelnook.store import Store
from modelnook.store.files import refuse_overlong

__all__ = ["export", "exported"]


def export(
    ref: str,
    path: str | os.PathLike[str],
    *,
    to: str,
    data: Any = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    overwrite: bool = False,
    background: bool = False,
) -> Any:
    """Write a model as a folder that other tools load by themselves, and check that it answers the same.

    Args:
        ref: the model.
        path: the folder to write.
        to: the format: ``gguf``, ``onnx``, ``openvino`` or ``safetensors``.
        data: rows to compare on; without them the validation rows of the run that made the model, else texts of its
            own card and of everyday.
        text, label: the columns of the input and of the target, where their names don't tell.
        columns: role -> column, for the other roles of a task.
        overwrite: replace an earlier export at ``path``; what no export wrote is never replaced.
        background: give the run at once.

    Returns:
        An :class:`~modelnook.domain.export.Exported`: the path, with ``report``. With ``background=True`` the Run.

    Raises:
        UsageError: no such format, or a path that is too long.
        MissingPackage: what writes the format isn't installed.
        ConflictError: an earlier export is at ``path``, or something else, which ``overwrite`` doesn't replace.
        RefusedError: the export doesn't answer as the model does.
        UnsupportedError: the format can't hold the model.
        NotFoundError: no such model, file or column.
        DataError: rows that can't be read, or which column is what isn't plain.
        StoreError: nobody can write at ``path``, or the disk is full.

    >>> path = mn.export("spam", "./spam-safetensors", to="safetensors")
    >>> path.report["equal"], (path / "model.safetensors").is_file()
    (1.0, True)
    """
    from modelnook.export import EXPORTERS
    from modelnook.jobs.submit import completed, submit

    EXPORTERS.check(to)
    from modelnook.export.place import refuse_taken, same

    store, target = Store(), expanded(path).absolute()
    refuse_overlong(target)
    recipe, split = _recipe(store, ref, data, given_columns(text, label, columns))
    knobs = {**recipe.knobs, "to": to, "path": str(target)}
    recipe = completed(store, replace(recipe, knobs=knobs))
    if not overwrite and (said := same(target, recipe.identity())):
        return Exported.of(target, said, t("export.same", path=target))
    refuse_taken(target, overwrite=overwrite)
    live = [r for r in store.index.runs(identity=recipe.identity(), limit=5) if r.live]
    if overwrite:
        recipe = replace(recipe, knobs={**knobs, "overwrite": True})
    run = submit(store, recipe, split=split, again=not live)
    return run if background else exported(run.wait())


def exported(run: Run) -> Any:
    """A finished exporting run as its path; a run that was stopped as itself.

    Args:
        run: what ``export(…, background=True)`` gave.

    >>> from modelnook.api import exported
    >>> run = mn.export("spam", "./out", to="safetensors", background=True)
    >>> exported(run.wait()).name
    'out'
    """
    report = run.record.report
    return Exported.of(report["path"], report) if report else run


def _recipe(store: Store, ref: str, data: Any, given: dict[str, str]) -> tuple[Recipe, dict[str, list[int]] | None]:
    """The recipe on the rows given, on those of the run that made the model, or without any."""
    from modelnook.catalog.search import resolve
    from modelnook.jobs.lineage import training_run

    found = resolve(ref)
    entry = found.source.info(found.ref)
    task = done_by(entry)
    if task is None:
        raise UnsupportedError("api.no_task", ref=ref)
    recipe = Recipe("export", str(found.ref), task=task, name=entry.name, threads=current().threads)
    if data is not None:
        trained = training_run(store, str(found.ref))
        given = given or (columns_of(trained, data) if trained else {})
        spec = spec_of(task)
        table = read_table(store, data, spec, given, asked=True, features=features_of(spec, entry))
        return replace(recipe, data=table.ref, knobs={"measured_on": "data"}), None
    own = replace(recipe, knobs={"measured_on": "own"}), None
    if task != entry.task:
        return own
    try:
        made, split, _ = on_rows("export", store, ref, None, {})
        return made, split
    except NotFoundError as error:
        if error.code not in ("jobs.no_rows", "api.no_rows"):
            raise
        return own
