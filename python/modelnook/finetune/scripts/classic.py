"""Methods without a base model as plain scripts on scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from modelnook.classic.linear import MANY_CLASSES
from modelnook.classic.tfidf import STRENGTH, kind_of
from modelnook.classic.trees import MOST_WORDS, SEED
from modelnook.classic.words import MOST_CHARS, MOST_FEATURES, SHAPES, features_for, unspaced
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import READ, columns_of, data_paths, labels_of, wrapped
from modelnook.finetune.scripts.text_classification import TARGET, Metrics
from modelnook.messages import t
from modelnook.tasks import TASKS
from modelnook.tasks.labels import positive

__all__ = ["tfidf", "trees"]

SCRIPT = (
    '''"""{title}"""

import json

import numpy as np
import pyarrow as pa
{imports}
{data_paths}
{constants}

'''
    + READ
    + """

{target}

{inputs}

{rows}
train_truth, truth = np.array(train_truth), np.array(truth)
{model}


def metrics(outputs, truth):
{metrics}

found = metrics(outputs, truth)
print(json.dumps({{name: float(found[name]) for name in {names}}}))
# model.predict(…) answers new rows.
"""
)

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, train_truth = inputs(rows, split["train"]), [target(rows["label"][i]) for i in split["train"]]
validation, truth = inputs(rows, split["validation"]), [target(rows["label"][i]) for i in split["validation"]]
"""

TWO = """rows, checks = read(DATA), read(EVAL_DATA)
train, train_truth = inputs(rows, range(len(rows["label"]))), [target(value) for value in rows["label"]]
validation, truth = inputs(checks, range(len(checks["label"]))), [target(value) for value in checks["label"]]
"""

TEXTS = """def inputs(rows, positions):
    return [" ".join(rows[name][i] or "" for name in {roles})[:{chars}] for i in positions]
"""

SHARES = """outputs = np.full((len(truth), len(LABELS)), np.log(1e-9))
outputs[:, model.classes_] = np.log(np.maximum(model.predict_proba(validation), 1e-9))"""

NUMBER = """    # The correlation of ranks; the mean rank of those that tie.
    ranks = [np.array([(v < x).sum() + (v == x).sum() / 2 for x in v]) for v in (truth, outputs)]
    return {
        "rmse": root_mean_squared_error(truth, outputs),
        "mae": mean_absolute_error(truth, outputs),
        "r2": r2_score(truth, outputs),
        "spearman": np.corrcoef(*ranks)[0, 1],
    }
"""

SETS = """    guess = outputs > 0
    return {
        "f1_micro": f1_score(truth, guess, average="micro", zero_division=0),
        "f1_macro": f1_score(truth, guess, average="macro", zero_division=0),
        "accuracy": accuracy_score(truth, guess),
        "loss": (np.logaddexp(0, outputs) - outputs * truth).mean(),
    }
"""

SET_TARGET = """def target(value):
    if isinstance(value, str):
        value = value.replace(";", "|").replace("；", "|").split("|")
    value = value if isinstance(value, list) else [value]
    value = [int(name) if isinstance(name, float) and name.is_integer() else name for name in value]
    names = {str(name).strip() for name in value}
    return [int(name in names) for name in LABELS]
"""

CELLS = """def reader(values):
    \"\"\"What makes numbers of a column's cells, and whether they stand for words.\"\"\"
    known = [v for v in values if v is not None and v == v]
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in known):
        return (lambda v: np.nan if v is None or v == "" else float(v)), False
    texts, counts = np.unique([str(v) for v in known], return_counts=True)
    place = {{str(texts[i]): n for n, i in enumerate(np.argsort(-counts, kind="stable")[:{words}])}}
    return (lambda v: place.get(str(v), np.nan)), True


def inputs(rows, positions):
    return {{name: [cells[i] for i in positions] for name, cells in rows.items() if name.startswith("feature:")}}
"""

BOOSTED = """readers = {{name: reader(cells) for name, cells in train.items()}}
# Columns of words first.
order = sorted(readers, key=lambda name: not readers[name][1])
train, validation = (
    np.stack([[readers[name][0](v) for v in part[name]] for name in order], axis=1).astype(float)
    for part in (train, validation)
)
kept = [i for i in range(len(order)) if len(np.unique(train[:, i])) > 1]
train, validation = train[:, kept], validation[:, kept]
model = HistGradientBoostingClassifier(
    categorical_features=np.array([readers[order[i]][1] for i in kept]), random_state={seed}
)
model.fit(train, train_truth)
"""


def tfidf(recipe: Recipe, record: RunRecord, model_path: Path | None, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    spec = TASKS.load(recipe.task or "", light=True)()
    kind = kind_of(spec)
    columns = columns_of(recipe, data, *spec.read)
    roles = [role for role in spec.read if role in columns]
    texts = [" ".join(str(cell or "") for cell in cells)[:MOST_CHARS] for cells in zip(*columns.values(), strict=True)]
    labels = labels_of(recipe, data) if kind != "ridge" else []
    many = kind == "one" and len(labels) > MANY_CLASSES
    features = features_for(len(labels)) if kind == "one" else MOST_FEATURES
    shape = {**SHAPES["char" if unspaced(texts) else "word"], "max_features": features}
    said = "".join(f"    {name}={value!r},\n" for name, value in shape.items())
    words = f"words = TfidfVectorizer(\n    sublinear_tf=True,\n    dtype=np.float32,\n{said})\n"
    imports = "from sklearn.feature_extraction.text import TfidfVectorizer\n"
    inputs = TEXTS.format(roles=roles, chars=MOST_CHARS)
    if kind == "ridge":
        imports += "from sklearn.linear_model import Ridge\n"
        imports += "from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error\n"
        model = f"{words}model = make_pipeline(words, Ridge(alpha=1.0)).fit(train, train_truth)\n"
        model += "outputs = model.predict(validation)"
        target, metrics, names = "def target(value):\n    return float(value)\n", NUMBER, spec.metrics
    elif kind == "each":
        imports += "from sklearn.linear_model import LogisticRegression\n"
        imports += "from sklearn.metrics import accuracy_score, f1_score\n"
        imports += "from sklearn.multiclass import OneVsRestClassifier\n"
        each = "OneVsRestClassifier(LogisticRegression(C=10.0, max_iter=100, tol=1e-3))"
        model = f"{words}model = make_pipeline(words, {each}).fit(train, train_truth)\n"
        model += "outputs = model.decision_function(validation)"
        target, metrics, names = SET_TARGET, SETS, spec.metrics
    else:
        imports += "from sklearn.linear_model import LogisticRegression\n"
        turns = 50 if many else 200
        last = f"LogisticRegression(C={STRENGTH}, max_iter={turns}, tol=1e-3)"
        model = f"{words}model = make_pipeline(words, {last}).fit(train, train_truth)\n" + SHARES
        one, metrics, names = _one_label(labels)
        imports, target = imports + one, TARGET
    imports += "from sklearn.pipeline import make_pipeline\n"
    return _script(recipe, data, run, imports, target, inputs, model, metrics, names, labels)


def trees(recipe: Recipe, record: RunRecord, model_path: Path | None, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    labels = labels_of(recipe, data)
    one, metrics, names = _one_label(labels, rare=True)
    imports = "from sklearn.ensemble import HistGradientBoostingClassifier\n" + one
    model = BOOSTED.format(seed=SEED) + SHARES
    return _script(recipe, data, run, imports, TARGET, CELLS.format(words=MOST_WORDS), model, metrics, names, labels)


def _one_label(labels: Sequence[str], *, rare: bool = False) -> tuple[str, str, tuple[str, ...]]:
    """``(imports, the body of metrics, names)`` of a classification; ``rare``: with the area under precision-recall."""
    told = Metrics.of(labels)
    imports, names, lines = list(told.imports), [*told.names], told.lines
    added = '        "loss": -outputs[np.arange(len(truth)), truth].mean(),\n'
    if rare and len(labels) == 2:
        one = positive(labels)
        imports.append("average_precision_score")
        names.append("auc_pr")
        margin = f"outputs[:, {one}] - outputs[:, {1 - one}]"
        added += f'        "auc_pr": average_precision_score(truth == {one}, {margin}),\n'
    end = lines.rindex("    }")
    body = lines[:end] + added + lines[end:]
    return f"from sklearn.metrics import {', '.join(sorted(imports))}\n", body, tuple(names)


def _script(
    recipe: Recipe,
    data: Path,
    run: Path,
    imports: str,
    target: str,
    inputs: str,
    model: str,
    metrics: str,
    names: Sequence[str],
    labels: Sequence[str],
) -> str:
    return SCRIPT.format(
        title=t("train.script_classic", run=run.name, name=recipe.name or run.name),
        imports=imports,
        data_paths=data_paths(recipe, data, run),
        constants=f"LABELS = {wrapped(list(labels))}" if labels else "",
        target=target,
        inputs=inputs,
        rows=(TWO if recipe.eval_data else SPLIT).rstrip(),
        model=model,
        metrics=metrics,
        names=json.dumps(list(names)),
    )
