"""Images and sounds with one label each as a plain script on transformers' Trainer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.pairs import contrastive
from modelnook.finetune.scripts.parts import (
    ARGUMENTS,
    EVALUATED,
    JUDGED,
    PATHS,
    READ,
    SAVED,
    adapted,
    labels_of,
    method_of,
    values_of,
    wrapped,
)
from modelnook.finetune.scripts.text_classification import LABEL_ARGUMENTS, TARGET, Metrics

__all__ = ["audio", "image"]

HEAD = (
    '''"""{title}"""

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

'''
    + PATHS
    + '''LABELS = {labels}


class Rows(torch.utils.data.Dataset):
    """Files are decoded when they are asked for."""

    def __init__(self, rows, positions):
        self.files = [rows[{role!r}][i] for i in positions]
        self.labels = [target(rows["label"][i]) for i in positions]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return {{"file": self.files[i], "labels": self.labels[i]}}


'''
    + READ
    + """

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
"""
)

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, validation = Rows(rows, split["train"]), Rows(rows, split["validation"])"""

TWO = """rows, checks = read(DATA), read(EVAL_DATA)
train, validation = Rows(rows, range(len(rows["label"]))), Rows(checks, range(len(checks["label"])))"""

TAIL = (
    """

def metrics(prediction):
    outputs, truth = prediction.predictions, prediction.label_ids
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
{metrics}

{trainer}trainer = {trainer_class}(
    model=model,
    args=TrainingArguments(
"""
    + ARGUMENTS
    + JUDGED
    + """        remove_unused_columns=False,
        label_names=["labels"],
    ),
    train_dataset={train},
    eval_dataset=validation,
    data_collator={collator},
    compute_metrics=metrics,
)
"""
    + EVALUATED
    + SAVED.replace("tokenizer", "processor")
)


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
    metrics = Metrics.of(labels)
    method = method_of(recipe, record)
    paired = method == "few-shot"
    values = {
        **values_of(recipe, record, model_path, data, run, metrics.names),
        "role": form.role,
        "imports": form.imports,
        "classes": "".join(f"    {name},\n" for name in form.classes),
        "metric_imports": ", ".join(metrics.imports),
        "labels": wrapped(labels),
        "target": TARGET,
        "decode": form.decode,
        "prepare": form.prepare,
        "processor": form.processor,
        "auto": form.auto,
        "take_rows": TWO if recipe.eval_data else SPLIT,
        "model_arguments": LABEL_ARGUMENTS,
        "metrics": metrics.lines,
        "trainer": contrastive("collate", recipe.knobs | record.params) if paired else "",
        "trainer_class": "Contrastive" if paired else "Trainer",
        "train": "Pairs(train)" if paired else "train",
        "collator": "paired" if paired else "collate",
    }
    return (HEAD + adapted(method) + TAIL).format(**values)
