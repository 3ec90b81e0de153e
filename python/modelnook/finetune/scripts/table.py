"""Classification of table rows as a plain script: a row is read as text, rare labels weigh more."""

from __future__ import annotations

import json
from pathlib import Path

from modelnook.domain.dataset import FEATURE
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import columns_of, wrapped
from modelnook.finetune.scripts.sequence import Form, write
from modelnook.finetune.scripts.text_classification import LABEL_ARGUMENTS, TARGET
from modelnook.tasks.labels import positive
from modelnook.tasks.spec import Columns
from modelnook.tasks.table import TENTHS, TableClassification

__all__ = ["code"]

SAID = '''

def plain(value):
    if value is None or value != value:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def said(rows, i):
    """A row as text: numbers by the tenth of the training rows that they lie in."""
    parts = []
    for name, limits in FEATURES.items():
        value = rows["feature:" + name][i]
        if limits is not None and value is not None:
            place = sum(float(value) >= limit for limit in limits)
            value = TENTHS[round(place * (len(TENTHS) - 1) / len(limits))]
        parts.append(f"{' '.join(name.replace('_', ' ').split())}: {plain(value)}")
    return "; ".join(parts)
'''

TRAINER = """class Weighted(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **more):
        truth = inputs.pop("labels")
        outputs = model(**inputs)
        weight = torch.tensor([WEIGHTS.get(name, 1.0) for name in LABELS], device=truth.device)
        loss = torch.nn.functional.cross_entropy(outputs.logits, truth, weight=weight)
        return (loss, outputs) if return_outputs else loss


"""

METRICS = """    guess = np.argmax(outputs, axis=-1)
    shares = torch.tensor(outputs).double().softmax(-1).numpy()
    return {{
        "accuracy": accuracy_score(truth, guess),
{binary}        "f1_macro": f1_score(truth, guess, average="macro"),
        "mcc": matthews_corrcoef(truth, guess),
        "loss": log_loss(truth, shares, labels=range(len(LABELS))),
    }}
"""

BINARY = """        "auc_pr": average_precision_score(truth == {one}, outputs[:, {one}] - outputs[:, {zero}]),
        "f1": f1_score(truth, guess, pos_label={one}),
        "auc": roc_auc_score(truth == {one}, outputs[:, {one}] - outputs[:, {zero}]),
"""


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    spec = TableClassification()
    columns = columns_of(recipe, data)
    labels = spec.labels(columns)
    learnt = spec.learn(_trained(columns, run, split=recipe.eval_data is None))
    names, imports, binary = ["accuracy"], ["accuracy_score", "f1_score", "log_loss", "matthews_corrcoef"], ""
    if len(labels) == 2:
        one = positive(labels)
        binary = BINARY.format(one=one, zero=1 - one)
        names += ["auc_pr", "f1", "auc"]
        imports += ["average_precision_score", "roc_auc_score"]
    constants = {"LABELS": labels, "FEATURES": learnt["features"], "TENTHS": TENTHS}
    constants["WEIGHTS"] = learnt.get("weights", {})
    form = Form(
        metric_imports=tuple(imports),
        constants="".join(f"{name} = {wrapped(value)}\n" for name, value in constants.items()),
        target=TARGET + SAID,
        texts="said(rows, i)",
        model_arguments=LABEL_ARGUMENTS,
        metrics=METRICS.format(binary=binary),
        names=(*names, "f1_macro", "mcc", "loss"),
        trainer=TRAINER,
        trainer_class="Weighted",
    )
    return write(form, recipe, record, model_path, data, run)


def _trained(columns: Columns, run: Path, *, split: bool) -> Columns:
    """The training rows, which the limits come from."""
    wanted = {role: values for role, values in columns.items() if role == "label" or role.startswith(FEATURE)}
    if not split:
        return wanted
    rows = json.loads((run / "split.json").read_text(encoding="utf-8"))["train"]
    return {role: [values[i] for i in rows] for role, values in wanted.items()}
