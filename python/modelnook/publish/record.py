"""A run's record as it travels with its model: what was done and with what, its curves, its script. Never a row.

What names this person's machine stays here: paths, the host, the process, the notebook, where W&B logged to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ModelnookError
from modelnook.domain.model import ModelRef
from modelnook.domain.run import RunRecord
from modelnook.settings import home
from modelnook.store import Store
from modelnook.store.runs import RunFolder

__all__ = ["portable", "stripped", "without_places"]

_POINTS = 2000


def stripped(record: RunRecord) -> RunRecord:
    """A record without what belongs to this machine or may quote a row (warnings and errors may)."""
    data = {k: v for k, v in (record.data or {}).items() if k in ("fingerprint", "rows", "columns")} or None
    return replace(
        record,
        base=name_of(record.base),
        data=data,
        params={k: v for k, v in record.params.items() if not _a_path(v)},
        progress=None,
        host=None,
        wandb=None,
        notebook=None,
        pid=None,
        warnings=(),
        sources=(),
        error=None,
        resumable=False,
        stopping=False,
        epoch=0,
    )


def name_of(ref: str | None) -> str | None:
    """A reference that means something elsewhere: of a path the folder's name alone."""
    if not ref:
        return None
    return Path(ref).name if ModelRef.parse(ref).source == "path" else ref


def _a_path(value: Any) -> bool:
    return isinstance(value, str) and (value.startswith(("/", "~", "\\")) or value[1:3] in (":\\", ":/"))


def portable(store: Store, record: RunRecord) -> dict[str, Any]:
    """The record as a JSON value."""
    run = store.run(record.id)
    recipe = run.recipe()
    said: dict[str, Any] = {
        "schema": 1,
        "record": stripped(record).to_dict(),
        "curves": run.series.sampled(_POINTS, run.series.names()),
        "code": _code(store, run),
    }
    if recipe is not None:
        kept = {k: v for k, v in recipe.knobs.items() if not _a_path(v)}
        said["recipe"] = {"verb": recipe.verb, "task": recipe.task, "method": recipe.method, "seed": recipe.seed}
        said["recipe"]["knobs"] = kept
    # Through JSON once: what can't be said in it must be seen here, not by who reads it.
    return json.loads(json.dumps(said, default=str))  # type: ignore[no-any-return]


def _code(store: Store, run: RunFolder) -> str | None:
    """The plain script, where its base and the rows' snapshot are here and nothing must be fetched for it."""
    from modelnook.catalog.search import source
    from modelnook.jobs.submit import script

    recipe = run.recipe()
    if recipe is None:
        return None
    try:
        base = ModelRef.parse(recipe.model)
        where = source(base.source or "local")
        if where.networked and base.id not in where.names():
            return None
        places = {str(where.fetch(base, lambda event: None)): name_of(recipe.model) or ""}
        return without_places(script(store, run), places)
    except (ModelnookError, OSError):
        return None


def without_places(text: str, places: Mapping[str, str] | None = None) -> str:
    """A text in which this machine's folders are told by what they are."""
    known = {**(places or {}), str(home()): "MODELNOOK_HOME", str(Path.home()): "~"}
    for path in sorted(known, key=len, reverse=True):
        if len(path) > 1:
            text = text.replace(path, known[path])
    return text
