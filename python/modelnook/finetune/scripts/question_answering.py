"""Question answering as a plain script on transformers' Trainer, with peft for LoRA."""

from __future__ import annotations

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
    method_of,
    values_of,
)
from modelnook.tasks import TASKS

__all__ = ["code"]

HEAD = (
    '''"""{title}"""

import json
import re
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

'''
    + PATHS
    + """

"""
    + READ
    + '''

def known(cell):
    """[(text, where it begins or None)]"""
    if isinstance(cell, str):
        return [(cell, None)]
    if isinstance(cell, list):
        return [answer for part in cell for answer in known(part)]
    texts, starts = cell["text"], cell.get("answer_start")
    if isinstance(texts, str):
        texts, starts = [texts], [starts]
    return list(zip(texts, starts or [None] * len(texts)))


def encode(rows, positions):
    """Windows for the Trainer, and for each (row, where its tokens stand in the context)."""
    windows, places = [], []
    for i in positions:
        question, context = (rows["question"][i] or "").strip(), rows["context"][i]
        text, start = known(rows["answers"][i])[0]
        if start is None or context[start : start + len(text)] != text:
            start = context.find(text)
        end = start + len(text)
        asked = len(tokenizer(question, add_special_tokens=False)["input_ids"])
        room = {max_length} - asked - tokenizer.num_special_tokens_to_add(pair=True)
        found = tokenizer(
            question,
            context,
            truncation="only_second",
            max_length={max_length},
            stride=room // 2,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        for k, offsets in enumerate(found["offset_mapping"]):
            part = found.encodings[k].sequence_ids
            inside = {{n: o for n, o in enumerate(offsets) if part[n] == 1}}
            first = last = 0
            if inside and min(a for a, _ in inside.values()) <= start and end <= max(b for _, b in inside.values()):
                answer = [n for n, (a, b) in inside.items() if b > start and a < end]
                first, last = answer[0], answer[-1]
            window = {{name: found[name][k] for name in tokenizer.model_input_names}}
            windows.append({{**window, "start_positions": first, "end_positions": last}})
            places.append((i, inside))
    return windows, places


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL)
'''
    + PADDED
    + """{take_rows}
model = AutoModelForQuestionAnswering.from_pretrained(MODEL, num_labels=2, dtype=torch.float32)
model.config.pad_token_id = tokenizer.pad_token_id
"""
)

SPLIT = """rows = checks = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
(train, _), (validation, places) = encode(rows, split["train"]), encode(checks, split["validation"])"""

TWO = """rows, checks = read(DATA), read(EVAL_DATA)
train, _ = encode(rows, range(len(rows["question"])))
validation, places = encode(checks, range(len(checks["question"])))"""

TAIL = (
    """

def terms(text):
    text = "".join(c for c in text.lower() if unicodedata.category(c)[0] != "P" and c not in "$+<=>^`|~")
    text = re.sub(r"\\b(a|an|the)\\b", " ", text)
    return re.findall(r"[\\u2e80-\\u9fff]|[^\\s\\u2e80-\\u9fff]+", text)


def f1(said, text):
    one, two = terms(said), terms(text)
    return 2 * sum((Counter(one) & Counter(two)).values()) / max(1, len(one) + len(two))


def metrics(prediction):
    best = {{}}
    for starts, ends, (i, inside) in zip(*prediction.predictions[:2], places):
        tokens = sorted(inside)
        for a in sorted(tokens, key=lambda n: -starts[n])[:20]:
            for b in range(a, min(a + 64, tokens[-1] + 1)):
                score = starts[a] + ends[b]
                if i not in best or score > best[i][0]:
                    best[i] = (score, checks["context"][i][inside[a][0] : inside[b][1]])
    said = {{i: [(text, right) for right, _ in known(checks["answers"][i])] for i, (_, text) in best.items()}}
    return {{
        "f1": np.mean([max(f1(*pair) for pair in pairs) for pairs in said.values()]),
        "exact_match": np.mean([any(terms(a) == terms(b) for a, b in pairs) for pairs in said.values()]),
    }}


trainer = Trainer(
    model=model,
    args=TrainingArguments(
"""
    + ARGUMENTS
    + JUDGED
    + """        label_names=["start_positions", "end_positions"],
    ),
    train_dataset=train,
    eval_dataset=validation,
    data_collator=DataCollatorWithPadding(tokenizer),
    compute_metrics=metrics,
)
"""
    + EVALUATED
    + SAVED
)


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    spec = TASKS.load(recipe.task or "", light=True)()
    values = {
        **values_of(recipe, record, model_path, data, run, spec.metrics),
        "take_rows": TWO if recipe.eval_data else SPLIT,
    }
    return (HEAD + adapted(method_of(recipe, record)) + TAIL).format(**values)
