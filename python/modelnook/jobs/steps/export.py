"""A model for other tools, compared with the original."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.catalog.search import info as look
from modelnook.domain.errors import ModelnookError
from modelnook.domain.event import Finished, Warned
from modelnook.domain.model import ModelInfo
from modelnook.jobs.lineage import quantized_base
from modelnook.jobs.steps.context import Context
from modelnook.store.files import marks

__all__ = ["export"]


def export(context: Context) -> Finished:
    """Write a model for other tools, compared with the original on the run's validation rows, given ones or its own."""
    from modelnook.export.engine import export as write
    from modelnook.measure.own_rows import own_rows
    from modelnook.tasks import TASKS

    recipe = context.recipe
    context.phase("loading")
    source = context.fetch(recipe.model)
    spec = TASKS.load(recipe.task or "", light=True)()
    rows: Sequence[Any] = own_rows(source, spec) if recipe.data is None else spec.as_rows(context.measured_on())
    info = replace(context.base(), task=recipe.task)
    once = quantized_base(info)
    if once is not None:
        context.emit(Warned.of("export.floats_of_gguf", how=once.ref))
    target = Path(recipe.knobs["path"])
    _tidy(context, target)
    report = write(
        source,
        target,
        to=recipe.knobs["to"],
        task=recipe.task or "",
        rows=rows,
        info=info,
        lineage=lineage(info),
        identity=replace(recipe, knobs={n: v for n, v in recipe.knobs.items() if n != "overwrite"}).identity(),
        emit=context.emit,
        stop=context.stop,
        overwrite=bool(recipe.knobs.get("overwrite")),
        mark=context.run.id,
    )
    if report is None:
        return Finished(stopped=True)
    return Finished(report={**report, "path": str(target), "data": recipe.knobs["measured_on"]})


def _tidy(context: Context, target: Path) -> None:
    """Remove what exports to this place left beside it whose process was killed, and that have ended since."""
    for mark, left in marks(target).items():
        record = context.store.run(mark).seen()
        if record is not None and not record.live:
            shutil.rmtree(left, ignore_errors=True)


def lineage(info: ModelInfo) -> list[str]:
    """The references that a model was made from, itself first, as far as the catalogue still knows them."""
    found = [info.ref]
    while info.base_model and info.base_model not in found and len(found) < 10:
        found.append(info.base_model)
        if info.source != "local":
            break
        try:
            info = look(info.base_model)[0]
        except ModelnookError:
            break
    return found
