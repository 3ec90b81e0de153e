"""Token classification as a plain script on transformers' Trainer and seqeval, with peft for LoRA."""

from __future__ import annotations

import json
from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import (
    ARGUMENTS,
    EVALUATED,
    JUDGED,
    PADDED,
    PATHS,
    READ,
    SAVED,
    adapted,
    labels_of,
    method_of,
    values_of,
    wrapped,
)
from modelnook.tasks import TASKS

__all__ = ["code"]

HEAD = (
    '''"""{title}"""

# pip install seqeval
import json

import numpy as np
import pyarrow as pa
import torch
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

'''
    + PATHS
    + """LABELS = {labels}


"""
    + READ
    + """

def encode(rows, positions):
    found = []
    for i in positions:
        words, tags = rows["tokens"][i] or [], rows["ner_tags"][i] or []
        row = tokenizer(words, is_split_into_words=True, truncation=True, max_length={max_length})
        numbers = row.word_ids()
        # A word's first token carries its tag; the others, and [CLS] and [SEP], have none.
        first = [n is not None and n not in numbers[:at] for at, n in enumerate(numbers)]
        labels = [LABELS.index(str(tags[n]).strip()) if one else -100 for n, one in zip(numbers, first)]
        found.append({{**row, "labels": labels}})
    return found


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL{spaced})
"""
    + PADDED
    + """{take_rows}
model = AutoModelForTokenClassification.from_pretrained(
    MODEL,
    num_labels=len(LABELS),
    id2label=dict(enumerate(LABELS)),
    label2id={{name: i for i, name in enumerate(LABELS)}},
    ignore_mismatched_sizes=True,
    dtype=torch.float32,
)
"""
)

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, validation = encode(rows, split["train"]), encode(rows, split["validation"])"""

TWO = """rows, checks = read(DATA), read(EVAL_DATA)
train, validation = encode(rows, range(len(rows["tokens"]))), encode(checks, range(len(checks["tokens"])))"""

TAIL = (
    """

def metrics(prediction):
    guess, labels = np.argmax(prediction.predictions, axis=-1), prediction.label_ids
    truth = [[LABELS[i] for i in row if i != -100] for row in labels]
    said = [[LABELS[g] for g, i in zip(*pair) if i != -100] for pair in zip(guess, labels)]
    return {{
        "f1": f1_score(truth, said),
        "precision": precision_score(truth, said),
        "recall": recall_score(truth, said),
        "accuracy": accuracy_score(truth, said),
    }}


trainer = Trainer(
    model=model,
    args=TrainingArguments(
"""
    + ARGUMENTS
    + JUDGED
    + """    ),
    train_dataset=train,
    eval_dataset=validation,
    data_collator=DataCollatorForTokenClassification(tokenizer),
    compute_metrics=metrics,
)
"""
    + EVALUATED
    + SAVED
)

# Their tokenizers take lists of words only where each begins with a blank.
SPACED = ("roberta", "gpt2", "longformer", "bart", "deberta")


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`. It cuts long rows where the run reads them in windows."""
    spec = TASKS.load(recipe.task or "", light=True)()
    kind = json.loads((model_path / "config.json").read_text(encoding="utf-8")).get("model_type")
    values = {
        **values_of(recipe, record, model_path, data, run, spec.metrics),
        "labels": wrapped(labels_of(recipe, data, "ner_tags")),
        "take_rows": TWO if recipe.eval_data else SPLIT,
        "spaced": ", add_prefix_space=True" if kind in SPACED else "",
    }
    return (HEAD + adapted(method_of(recipe, record)) + TAIL).format(**values)
