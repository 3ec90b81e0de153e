"""Text classification as a plain script on transformers' Trainer, with peft for LoRA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.messages import t
from modelnook.tasks import TASKS

__all__ = ["code"]

HEAD = '''"""{title}"""

import json

import numpy as np
import pyarrow as pa
import torch
from sklearn.metrics import {metric_imports}
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
LABELS = {labels}


def read(path):
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all().to_pydict()


def label_id(value):
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return LABELS.index(str(value).strip())


def encode(rows, positions):
    found = []
    for i in positions:
        row = tokenizer(rows["text"][i] or "", truncation=True, max_length={max_length})
        found.append({{**row, "labels": label_id(rows["label"][i])}})
    return found


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL)
{take_rows}
model = AutoModelForSequenceClassification.from_pretrained(
    MODEL,
    num_labels=len(LABELS),
    id2label=dict(enumerate(LABELS)),
    label2id={{name: i for i, name in enumerate(LABELS)}},
    ignore_mismatched_sizes=True,
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

def metrics(prediction):
    logits, truth = prediction.predictions, prediction.label_ids
    guess = np.argmax(logits, axis=-1)
    return {{
        "accuracy": accuracy_score(truth, guess),
        "f1_macro": f1_score(truth, guess, average="macro"),
{binary}        "mcc": matthews_corrcoef(truth, guess),
    }}


trainer = Trainer(
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
        logging_steps=50,
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
{merge}model.save_pretrained(OUT)
tokenizer.save_pretrained(OUT)
"""

BINARY = """        "f1": f1_score(truth, guess, pos_label={one}),
        "auc": roc_auc_score(truth == {one}, logits[:, {one}] - logits[:, {zero}]),
"""


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    params = {**recipe.knobs, **record.params}
    labels = _labels(recipe, data)
    method = str(params.get("method") or recipe.method or "full")
    values = _values(recipe, params, labels)
    values |= {
        "title": t("train.script_title", run=run.name, name=recipe.name or run.name),
        "model": str(model_path),
        "ref": recipe.model,
        "out": recipe.name or run.name,
        "data_paths": _data_paths(recipe, data, run),
        "take_rows": (TWO if recipe.eval_data else SPLIT).rstrip(),
        "threads": f"torch.set_num_threads({recipe.threads})\n" if recipe.threads else "",
        "merge": "model = model.merge_and_unload()\n" if method == "lora" else "",
    }
    return (HEAD + (LORA if method == "lora" else "") + TAIL).format(**values)


def _values(recipe: Recipe, params: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    from modelnook.tasks.labels import positive

    names = ["accuracy", "f1_macro", "mcc", "loss"]
    imports = ["accuracy_score", "f1_score", "matthews_corrcoef"]
    binary = ""
    if len(labels) == 2:
        one = positive(labels)
        binary = BINARY.format(one=one, zero=1 - one)
        names[2:2] = ["f1", "auc"]
        imports.append("roc_auc_score")
    epochs = float(params["epochs"])
    rank = int(params.get("rank") or 16)
    return {
        "labels": _wrapped(labels),
        "names": json.dumps(names),
        "metric_imports": ", ".join(imports),
        "binary": binary,
        "seed": recipe.seed,
        "max_length": params["max_length"],
        "epochs": int(epochs) if epochs.is_integer() else epochs,
        "when": "epoch" if epochs.is_integer() else "no",
        "learning_rate": params["learning_rate"],
        "batch_size": params["batch_size"],
        "warmup": params.get("warmup", 0.1),
        "weight_decay": params.get("weight_decay", 0.0),
        "metric": params.get("metric") or "accuracy",
        "rank": rank,
        "alpha": int(params.get("alpha") or 2 * rank),
        "dropout": float(params.get("dropout") or 0.05),
    }


def _labels(recipe: Recipe, data: Path) -> list[str]:
    """The label names in the order of the model's outputs, from the run's snapshot."""
    import pyarrow as pa

    assert recipe.data is not None
    with pa.memory_map(str(data / recipe.data.fingerprint / "data.arrow")) as source:
        column = pa.ipc.open_file(source).read_all()["label"].to_pylist()
    spec = TASKS.load("text-classification", light=True)()
    found: list[str] = spec.labels({"label": column})
    return found


def _data_paths(recipe: Recipe, data: Path, run: Path) -> str:
    assert recipe.data is not None
    lines = [f"DATA = {str(data / recipe.data.fingerprint / 'data.arrow')!r}"]
    if recipe.eval_data:
        lines.append(f"EVAL_DATA = {str(data / recipe.eval_data.fingerprint / 'data.arrow')!r}")
    else:
        lines.append(f"SPLIT = {str(run / 'split.json')!r}")
    return "\n".join(lines)


def _wrapped(labels: list[str]) -> str:
    import pprint

    return pprint.pformat(labels, width=110, compact=True)
