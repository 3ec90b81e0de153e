"""Text regression as a plain script: standard scores are learnt, metrics are in the label's own unit."""

from __future__ import annotations

from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.sequence import Form, write

__all__ = ["code"]

TARGET = """def target(value):
    return float(value)
"""

PREPARE = """mean = float(np.mean([row["labels"] for row in train]))
std = float(np.std([row["labels"] for row in train]))
for row in train + validation:
    row["labels"] = (row["labels"] - mean) / std
"""

METRICS = """    outputs, truth = outputs[:, 0] * std + mean, truth * std + mean
    # The correlation of ranks; the mean rank of those that tie.
    ranks = [np.array([(v < x).sum() + (v == x).sum() / 2 for x in v]) for v in (truth, outputs)]
    return {
        "rmse": root_mean_squared_error(truth, outputs),
        "mae": mean_absolute_error(truth, outputs),
        "r2": r2_score(truth, outputs),
        "spearman": np.corrcoef(*ranks)[0, 1],
    }
"""

FINISH = """model.config.modelnook_learnt = {"mean": mean, "std": std}
"""


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    form = Form(
        metric_imports=("mean_absolute_error", "r2_score", "root_mean_squared_error"),
        constants="",
        target=TARGET,
        model_arguments='    num_labels=1,\n    problem_type="regression",\n',
        metrics=METRICS,
        names=("rmse", "mae", "r2", "spearman"),
        prepare=PREPARE,
        finish=FINISH,
    )
    return write(form, recipe, record, model_path, data, run)
