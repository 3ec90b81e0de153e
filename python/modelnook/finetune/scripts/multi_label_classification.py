"""Multi-label classification as a plain script."""

from __future__ import annotations

from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import labels_of, wrapped
from modelnook.finetune.scripts.sequence import Form, write
from modelnook.finetune.scripts.text_classification import LABEL_ARGUMENTS

__all__ = ["code"]

TARGET = """def target(value):
    if isinstance(value, str):
        value = value.replace(";", "|").replace("；", "|").split("|")
    value = value if isinstance(value, list) else [value]
    value = [int(name) if isinstance(name, float) and name.is_integer() else name for name in value]
    names = {str(name).strip() for name in value}
    return [float(name in names) for name in LABELS]
"""

METRICS = """    guess = outputs > 0
    return {
        "f1_micro": f1_score(truth, guess, average="micro", zero_division=0),
        "f1_macro": f1_score(truth, guess, average="macro", zero_division=0),
        "accuracy": accuracy_score(truth, guess),
    }
"""


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    form = Form(
        metric_imports=("accuracy_score", "f1_score"),
        constants=f"LABELS = {wrapped(labels_of(recipe, data))}\n",
        target=TARGET,
        model_arguments=LABEL_ARGUMENTS + '    problem_type="multi_label_classification",\n',
        metrics=METRICS,
        names=("f1_micro", "f1_macro", "accuracy", "loss"),
    )
    return write(form, recipe, record, model_path, data, run)
