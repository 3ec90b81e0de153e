"""What a person should know of the rows that they train on: said while and after the training, never before it."""

from __future__ import annotations

from typing import Any

from modelnook.data.checks import looked_at
from modelnook.domain.dataset import Columns
from modelnook.domain.event import Warned
from modelnook.jobs.steps.context import Context, take
from modelnook.store.files import write_json

__all__ = ["check_labels", "check_rows"]

_SHOWN = 40


def check_rows(context: Context) -> None:
    """Copies, leaks, contradictions, lengths, languages."""
    from modelnook.data.snapshot import open_snapshot
    from modelnook.tasks import TASKS

    recipe = context.recipe
    if recipe.data is None:
        return
    split = context.run.split()
    rows = open_snapshot(recipe.data, context.store.home)
    columns = Columns.of(**{role: role for role in recipe.data.columns})
    spec = TASKS.load(recipe.task or "", light=True)()
    held = context.rows(recipe.eval_data) if recipe.eval_data is not None else None
    for warning in looked_at(spec, rows, columns, split, held):
        context.emit(warning)


def check_labels(context: Context, labels: list[str]) -> None:
    """Rows whose label looks wrong: said in a warning, all of them kept in the run's folder."""
    from modelnook.data.snapshot import open_snapshot
    from modelnook.measure.label_issues import label_issues
    from modelnook.tasks import TASKS

    recipe = context.recipe
    if recipe.data is None or not labels:
        return
    spec = TASKS.load(recipe.task or "", light=True)()
    rows, split = open_snapshot(recipe.data, context.store.home), context.run.split()
    # Rows that a column marks as test rows are neither.
    used = sorted([*split["train"], *split["validation"]]) if "train" in split else list(range(len(rows)))
    columns = take({role: rows.column(role) for role in rows.names}, used)
    try:
        found = label_issues(spec, columns, labels)
    except ImportError:
        return
    if found is None or not found.items:
        return
    texts = spec.texts(columns) or []
    items = [(int(rows.ids[used[i.row]]), i.label, i.suggested, round(i.confidence, 4)) for i in found.items]
    write_json(context.run.label_issues, {"rows": items, "looked_at": found.rows}, indent=None)
    row, label, suggested, _ = items[0]
    text = " ".join(texts[found.items[0].row].split())
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"
    values: dict[str, Any] = {"count": len(items), "rows": found.rows, "row": row, "text": shown, "label": label}
    context.emit(Warned.of("data.mislabelled", **values, suggested=suggested, run=context.run.id))
