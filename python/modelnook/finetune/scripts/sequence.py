"""What the plain scripts of tasks with a sequence-classification head share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune import averaged
from modelnook.finetune.scripts.pairs import contrastive
from modelnook.finetune.scripts.parts import (
    ARGUMENTS,
    EVALUATED,
    JUDGED,
    PADDED,
    PATHS,
    READ,
    SAVED,
    adapted,
    four_bits,
    method_of,
    values_of,
)

__all__ = ["Form", "write"]

COLLATOR = "DataCollatorWithPadding(tokenizer)"

HEAD = (
    '''"""{title}"""

import json

import numpy as np
import pyarrow as pa
import torch
from {metric_module} import {metric_imports}
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

'''
    + PATHS
    + """{constants}

"""
    + READ
    + """

{target}

def encode(rows, positions):
    found = []
    for i in positions:
        row = tokenizer({texts}, truncation=True, max_length={max_length})
        found.append({{**row, "labels": target({value})}})
    return found


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL)
"""
    + PADDED
    + """{take_rows}
{prepare}{four_bits}model = AutoModelForSequenceClassification.from_pretrained(
    MODEL,
{model_arguments}    ignore_mismatched_sizes=True,
    dtype=torch.float32,
{quantized})
model.config.pad_token_id = tokenizer.pad_token_id
"""
)

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, validation = encode(rows, split["train"]), encode(rows, split["validation"])
"""

TWO = """rows, checks = read(DATA), read(EVAL_DATA)
train = encode(rows, range(len(rows["label"])))
validation = encode(checks, range(len(checks["label"])))
"""

TAIL = (
    """

{trainer}def metrics(prediction):
    outputs, truth = prediction.predictions, prediction.label_ids
{metrics}

trainer = {trainer_class}(
    model=model,
    args=TrainingArguments(
"""
    + ARGUMENTS
    + JUDGED
    + """    ),
    train_dataset={train},
    eval_dataset=validation,
    data_collator={collator},
    compute_metrics=metrics,
)
"""
    + EVALUATED
    + "{finish}"
    + SAVED
)


@dataclass(frozen=True, slots=True)
class Form:
    """The lines in which one task's script differs from another's.

    Attributes:
        metric_imports: what the metrics need of ``metric_module``.
        constants: assignments beside the paths, each line with its end.
        target: defines ``target(value)``, a row's label as the model is given it.
        model_arguments: keyword arguments of ``from_pretrained``, indented.
        metrics: the body that returns metrics from ``outputs`` and ``truth``, indented.
        names: the metrics in the order in which they are printed.
        texts, value: a row's texts and label, as expressions over ``rows`` and ``i``; found by the columns by default.
        prepare: what is done with the encoded rows.
        trainer: a Trainer of the task's own, ``trainer_class`` its name.
        finish: what is done before the model is saved.
    """

    metric_imports: tuple[str, ...]
    constants: str
    target: str
    model_arguments: str
    metrics: str
    names: tuple[str, ...]
    texts: str = ""
    value: str = 'rows["label"][i]'
    prepare: str = ""
    trainer: str = ""
    trainer_class: str = "Trainer"
    finish: str = ""


def write(form: Form, recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """The script; the arguments but the first are those of :func:`modelnook.finetune.script.code`."""
    assert recipe.data is not None
    method = method_of(recipe, record)
    pair = "text_pair" in recipe.data.columns
    paired = method == "few-shot"
    settings = values_of(recipe, record, model_path, data, run, form.names)
    values = {
        **settings,
        "averaged": averaged.code() if method in averaged.METHODS and averaged.reads_mean(model_path) else "",
        "quantized": f"    {settings['quantized']},\n" if settings["quantized"] else "",
        "metric_module": "sklearn.metrics",
        "metric_imports": ", ".join(sorted(form.metric_imports)),
        "constants": form.constants,
        "target": form.target,
        "texts": form.texts or 'rows["text"][i] or ""' + (', rows["text_pair"][i] or ""' if pair else ""),
        "value": form.value,
        "take_rows": (TWO if recipe.eval_data else SPLIT).rstrip(),
        "prepare": form.prepare,
        "four_bits": four_bits(method, kept=("classifier", "pooler", "score")),
        "model_arguments": form.model_arguments,
        "trainer": contrastive(COLLATOR, recipe.knobs | record.params) if paired else form.trainer,
        "trainer_class": "Contrastive" if paired else form.trainer_class,
        "train": "Pairs(train)" if paired else "train",
        "collator": "paired" if paired else COLLATOR,
        "metrics": form.metrics,
        "finish": form.finish,
    }
    return (HEAD + "{averaged}" + adapted(method) + TAIL).format(**values)
