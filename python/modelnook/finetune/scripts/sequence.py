"""What the plain scripts of tasks with a sequence-classification head share: transformers' Trainer, peft for LoRA."""

from __future__ import annotations

import json
import pprint
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import LOWER_IS_BETTER, RunRecord
from modelnook.messages import t
from modelnook.tasks import TASKS
from modelnook.tasks.base import Columns

__all__ = ["LORA", "Form", "columns_of", "data_paths", "knobs", "labels_of", "wrapped", "write"]

HEAD = '''"""{title}"""

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

MODEL = {model!r}  # {ref}
{data_paths}
OUT = {out!r}
{constants}

def read(path):
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all().to_pydict()


{target}

def encode(rows, positions):
    found = []
    for i in positions:
        row = tokenizer({texts}, truncation=True, max_length={max_length})
        found.append({{**row, "labels": target({value})}})
    return found


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL)
{take_rows}
{prepare}model = AutoModelForSequenceClassification.from_pretrained(
    MODEL,
{model_arguments}    ignore_mismatched_sizes=True,
    dtype=torch.float32,
)
'''

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, validation = encode(rows, split["train"]), encode(rows, split["validation"])
"""

TWO = """rows, checks = read(DATA), read(EVAL_DATA)
train = encode(rows, range(len(rows["label"])))
validation = encode(checks, range(len(checks["label"])))
"""

LORA = """
from peft import LoraConfig, get_peft_model

body = model.base_model_prefix
heads = [name for name, child in model.named_children() if name != body and list(child.parameters())]
if getattr(model.get_submodule(body), "pooler", None) is not None:
    heads.append(f"{{body}}.pooler")
layers = [
    name
    for name, module in model.named_modules()
    if isinstance(module, torch.nn.Linear) and name.startswith(f"{{body}}.") and not name.startswith(f"{{body}}.pooler")
]
model = get_peft_model(
    model,
    LoraConfig(
        r={rank}, lora_alpha={alpha}, lora_dropout={dropout}, target_modules=layers, modules_to_save=heads
    ),
)
"""

TAIL = """

{trainer}def metrics(prediction):
    outputs, truth = prediction.predictions, prediction.label_ids
{metrics}

trainer = {trainer_class}(
    model=model,
    args=TrainingArguments(
        output_dir=f"{{OUT}}-checkpoints",
        num_train_epochs={epochs},
        learning_rate={learning_rate},
        per_device_train_batch_size={batch_size},
        per_device_eval_batch_size=64,
        warmup_steps={warmup},
        weight_decay={weight_decay},
        eval_strategy="{when}",
        save_strategy="{when}",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="{metric}",
{lower}        logging_steps=50,
        seed={seed},
        report_to="none",
    ),
    train_dataset=train,
    eval_dataset=validation,
    data_collator=DataCollatorWithPadding(tokenizer),
    compute_metrics=metrics,
)
trainer.train()
found = {{name.removeprefix("eval_"): value for name, value in trainer.evaluate().items()}}
print(json.dumps({{name: found[name] for name in {names}}}))
{merge}{finish}model.save_pretrained(OUT)
tokenizer.save_pretrained(OUT)
"""


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
    params = {**recipe.knobs, **record.params}
    lora = str(params.get("method") or recipe.method or "full") == "lora"
    metric = str(params.get("metric") or record.primary_metric or form.names[0])
    pair = "text_pair" in recipe.data.columns
    values = {
        **knobs(params),
        "title": t("train.script_title", run=run.name, name=recipe.name or run.name),
        "metric_module": "sklearn.metrics",
        "metric_imports": ", ".join(sorted(form.metric_imports)),
        "model": str(model_path),
        "ref": recipe.model,
        "out": recipe.name or run.name,
        "seed": recipe.seed,
        "data_paths": data_paths(recipe, data, run),
        "constants": form.constants,
        "target": form.target,
        "texts": form.texts or 'rows["text"][i] or ""' + (', rows["text_pair"][i] or ""' if pair else ""),
        "value": form.value,
        "take_rows": (TWO if recipe.eval_data else SPLIT).rstrip(),
        "prepare": form.prepare,
        "model_arguments": form.model_arguments,
        "threads": f"torch.set_num_threads({recipe.threads})\n" if recipe.threads else "",
        "trainer": form.trainer,
        "trainer_class": form.trainer_class,
        "metrics": form.metrics,
        "metric": metric,
        "lower": "        greater_is_better=False,\n" if metric in LOWER_IS_BETTER else "",
        "names": json.dumps(form.names),
        "merge": "model = model.merge_and_unload()\n" if lora else "",
        "finish": form.finish,
    }
    return (HEAD + (LORA if lora else "") + TAIL).format(**values)


def knobs(params: dict[str, Any]) -> dict[str, Any]:
    """The run's settings as the Trainer's arguments take them."""
    epochs = float(params["epochs"])
    rank = int(params.get("rank") or 16)
    return {
        "max_length": params["max_length"],
        "epochs": int(epochs) if epochs.is_integer() else epochs,
        "when": "epoch" if epochs.is_integer() else "no",
        "learning_rate": params["learning_rate"],
        "batch_size": params["batch_size"],
        "warmup": params.get("warmup", 0.1),
        "weight_decay": params.get("weight_decay", 0.0),
        "rank": rank,
        "alpha": int(params.get("alpha") or 2 * rank),
        "dropout": float(params.get("dropout") or 0.05),
    }


def columns_of(recipe: Recipe, data: Path, *roles: str) -> Columns:
    """Role -> values of the run's snapshot, of those roles that it has; all of them where none is named."""
    import pyarrow as pa

    assert recipe.data is not None
    with pa.memory_map(str(data / recipe.data.fingerprint / "data.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
        names = [name for name in table.column_names if name in roles] if roles else table.column_names
        return {name: table[name].to_pylist() for name in names}


def labels_of(recipe: Recipe, data: Path) -> list[str]:
    """The label names in the order of the model's outputs."""
    spec = TASKS.load(recipe.task or "", light=True)()
    found: list[str] = spec.labels(columns_of(recipe, data, "label"))
    return found


def data_paths(recipe: Recipe, data: Path, run: Path) -> str:
    """The assignments of ``DATA`` and of what says which rows validate."""
    assert recipe.data is not None
    lines = [f"DATA = {str(data / recipe.data.fingerprint / 'data.arrow')!r}"]
    if recipe.eval_data:
        lines.append(f"EVAL_DATA = {str(data / recipe.eval_data.fingerprint / 'data.arrow')!r}")
    else:
        lines.append(f"SPLIT = {str(run / 'split.json')!r}")
    return "\n".join(lines)


def wrapped(value: Any) -> str:
    """A literal over as many lines as it needs."""
    return pprint.pformat(value, width=110, compact=True)
