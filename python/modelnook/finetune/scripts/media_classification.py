"""Images and sounds with one label each as a plain script on transformers' Trainer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.sequence import LORA, data_paths, knobs, labels_of, wrapped
from modelnook.finetune.scripts.text_classification import BINARY, LABEL_ARGUMENTS, METRICS, TARGET
from modelnook.messages import t
from modelnook.tasks.labels import positive

__all__ = ["audio", "image"]

HEAD = '''"""{title}"""

import io
import json

import numpy as np
import pyarrow as pa
{imports}
from sklearn.metrics import {metric_imports}
from transformers import (
{classes}    Trainer,
    TrainingArguments,
    set_seed,
)

MODEL = {model!r}  # {ref}
{data_paths}
OUT = {out!r}
LABELS = {labels}


class Rows(torch.utils.data.Dataset):
    """Files are decoded when they are asked for."""

    def __init__(self, rows, positions):
        self.files = [rows[{role!r}][i] for i in positions]
        self.labels = [target(rows["label"][i]) for i in positions]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return {{"file": self.files[i], "labels": self.labels[i]}}


def read(path):
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all().to_pydict()


{target}

{decode}

def collate(batch):
{prepare}    return {{**inputs, "labels": torch.tensor([row["labels"] for row in batch])}}


set_seed({seed})
{threads}processor = {processor}
{take_rows}
model = {auto}.from_pretrained(
    MODEL,
{model_arguments}    ignore_mismatched_sizes=True,
    dtype=torch.float32,
)
'''

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, validation = Rows(rows, split["train"]), Rows(rows, split["validation"])"""

TWO = """rows, checks = read(DATA), read(EVAL_DATA)
train, validation = Rows(rows, range(len(rows["label"]))), Rows(checks, range(len(checks["label"])))"""

TAIL = """

def metrics(prediction):
    outputs, truth = prediction.predictions, prediction.label_ids
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
{metrics}

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
        remove_unused_columns=False,
        label_names=["labels"],
    ),
    train_dataset=train,
    eval_dataset=validation,
    data_collator=collate,
    compute_metrics=metrics,
)
trainer.train()
found = {{name.removeprefix("eval_"): value for name, value in trainer.evaluate().items()}}
print(json.dumps({{name: found[name] for name in {names}}}))
{merge}model.save_pretrained(OUT)
processor.save_pretrained(OUT)
"""


@dataclass(frozen=True, slots=True)
class _Form:
    """The lines in which images and sounds differ."""

    role: str
    imports: str
    classes: tuple[str, ...]
    auto: str
    processor: str
    decode: str
    prepare: str


IMAGE = _Form(
    role="image",
    imports="import torch\nfrom PIL import Image, ImageOps",
    classes=("AutoImageProcessor", "AutoModelForImageClassification"),
    auto="AutoModelForImageClassification",
    processor='AutoImageProcessor.from_pretrained(MODEL, backend="pil")',
    decode="""def decode(file):
    with Image.open(io.BytesIO(file)) as image:
        colours = "L" if getattr(model.config, "num_channels", 3) == 1 else "RGB"
        return ImageOps.exif_transpose(image).convert(colours)
""",
    prepare="""    inputs = processor([decode(row["file"]) for row in batch], return_tensors="pt")
""",
)

AUDIO = _Form(
    role="audio",
    imports="import soundfile\nimport torch\nfrom scipy.signal import resample_poly",
    classes=("AutoFeatureExtractor", "AutoModelForAudioClassification"),
    auto="AutoModelForAudioClassification",
    processor="AutoFeatureExtractor.from_pretrained(MODEL)",
    decode="""def decode(file):
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    wanted = processor.sampling_rate
    samples = samples.mean(axis=1)
    samples = samples if rate == wanted else resample_poly(samples, wanted, rate)
    samples = samples[: 30 * wanted].astype(np.float32)
    return np.pad(samples, (0, max(0, wanted // 4 - len(samples))))
""",
    prepare="""    inputs = processor(
        [decode(row["file"]) for row in batch],
        sampling_rate=processor.sampling_rate,
        return_tensors="pt",
        padding="max_length" if hasattr(processor, "n_samples") else True,
    )
""",
)


def image(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    return _write(IMAGE, recipe, record, model_path, data, run)


def audio(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    return _write(AUDIO, recipe, record, model_path, data, run)


def _write(form: _Form, recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    labels = labels_of(recipe, data)
    params = {**recipe.knobs, **record.params}
    lora = str(params.get("method") or recipe.method or "full") == "lora"
    names = ["accuracy", "f1_macro", "mcc", "loss"]
    imports = ["accuracy_score", "f1_score", "matthews_corrcoef"]
    binary = ""
    if len(labels) == 2:
        one = positive(labels)
        binary = BINARY.format(one=one, zero=1 - one)
        names[2:2] = ["f1", "auc"]
        imports.append("roc_auc_score")
    values = {
        **knobs(params),
        "title": t("train.script_title", run=run.name, name=recipe.name or run.name),
        "role": form.role,
        "imports": form.imports,
        "classes": "".join(f"    {name},\n" for name in form.classes),
        "metric_imports": ", ".join(imports),
        "model": str(model_path),
        "ref": recipe.model,
        "out": recipe.name or run.name,
        "seed": recipe.seed,
        "data_paths": data_paths(recipe, data, run),
        "labels": wrapped(labels),
        "target": TARGET,
        "decode": form.decode,
        "prepare": form.prepare,
        "processor": form.processor,
        "auto": form.auto,
        "take_rows": TWO if recipe.eval_data else SPLIT,
        "model_arguments": LABEL_ARGUMENTS,
        "threads": f"torch.set_num_threads({recipe.threads})\n" if recipe.threads else "",
        "metrics": METRICS.format(binary=binary),
        "metric": str(params.get("metric") or record.primary_metric or "accuracy"),
        "names": json.dumps(names),
        "merge": "model = model.merge_and_unload()\n" if lora else "",
    }
    return (HEAD + (LORA if lora else "") + TAIL).format(**values)
