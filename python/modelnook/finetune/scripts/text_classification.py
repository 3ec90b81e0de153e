"""Text classification as a plain script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import labels_of, wrapped
from modelnook.finetune.scripts.sequence import Form, write
from modelnook.tasks.labels import positive

__all__ = ["LABEL_ARGUMENTS", "TARGET", "Metrics", "code"]

TARGET = """def target(value):
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return LABELS.index(str(value).strip())
"""

LABEL_ARGUMENTS = """    num_labels=len(LABELS),
    id2label=dict(enumerate(LABELS)),
    label2id={name: i for i, name in enumerate(LABELS)},
"""

METRICS = """    guess = np.argmax(outputs, axis=-1)
    return {{
        "accuracy": accuracy_score(truth, guess),
        "f1_macro": f1_score(truth, guess, average="macro"),
{binary}        "mcc": matthews_corrcoef(truth, guess),
    }}
"""

BINARY = """        "f1": f1_score(truth, guess, pos_label={one}),
        "auc": roc_auc_score(truth == {one}, outputs[:, {one}] - outputs[:, {zero}]),
"""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of a classification: what is imported for them, their lines, their names in order."""

    imports: tuple[str, ...]
    lines: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, labels: Sequence[str]) -> Metrics:
        """Those of two labels have more."""
        names = ["accuracy", "f1_macro", "mcc", "loss"]
        imports = ["accuracy_score", "f1_score", "matthews_corrcoef"]
        binary = ""
        if len(labels) == 2:
            one = positive(labels)
            binary = BINARY.format(one=one, zero=1 - one)
            names[2:2] = ["f1", "auc"]
            imports.append("roc_auc_score")
        return cls(tuple(imports), METRICS.format(binary=binary), tuple(names))


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    labels = labels_of(recipe, data)
    metrics = Metrics.of(labels)
    form = Form(
        metric_imports=metrics.imports,
        constants=f"LABELS = {wrapped(labels)}\n",
        target=TARGET,
        model_arguments=LABEL_ARGUMENTS,
        metrics=metrics.lines,
        names=metrics.names,
    )
    return write(form, recipe, record, model_path, data, run)
