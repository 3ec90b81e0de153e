"""Masked language modelling as a plain script: transformers' Trainer and its collator, peft for LoRA."""

from __future__ import annotations

from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import (
    ADAPTERS,
    ARGUMENTS,
    PATHS,
    SAVED,
    UNJUDGED,
    method_of,
    values_of,
)
from modelnook.runtime import folder

__all__ = ["code"]

HEAD = (
    '''"""{title}"""

import json
import math

import pyarrow as pa
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
    set_seed,
)

'''
    + PATHS
    + '''

def read(path):
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all()["text"].to_pylist()


def encode(texts):
    """Long texts in several parts."""
    found = tokenizer(
        [text or "" for text in texts],
        truncation=True,
        max_length={max_length},
        return_overflowing_tokens=True,
        return_special_tokens_mask=True,
    )
    names = ("input_ids", "special_tokens_mask")
    return [dict(zip(names, row)) for row in zip(*(found[name] for name in names))]


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL)
{take_rows}
model = AutoModelForMaskedLM.from_pretrained(MODEL, dtype=torch.float32)
'''
)

SPLIT = """texts = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, validation = (encode([texts[i] for i in split[name]]) for name in ("train", "validation"))"""

TWO = """train, validation = encode(read(DATA)), encode(read(EVAL_DATA))"""

NEW_HEAD = """
# The folder has no head: what of the new one isn't the table of the words is trained in full.
known = {{id(p) for p in model.base_model.parameters()}}
heads = [
    name
    for name, module in model.named_modules()
    if not list(module.children()) and list(module.parameters()) and known.isdisjoint(map(id, module.parameters()))
]
"""

LORA = """
from peft import {peft}, get_peft_model

layers = [
    name
    for name, module in model.named_modules()
    if isinstance(module, torch.nn.Linear) and name.startswith(f"{{model.base_model_prefix}}.")
]
model = get_peft_model(
    model,
    {peft}({adapter}, target_modules=layers{saved}),
)
"""

TAIL = (
    """
trainer = Trainer(
    model=model,
    args=TrainingArguments(
"""
    + ARGUMENTS
    + UNJUDGED
    + """        per_device_eval_batch_size=64,
    ),
    train_dataset=train,
    eval_dataset=validation,
    data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
)
trainer.train()
set_seed({seed})
loss = trainer.evaluate()["eval_loss"]
print(json.dumps({{"perplexity": math.exp(loss), "loss": loss}}))
"""
    + SAVED
)


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    method = method_of(recipe, record)
    adapts = method in ADAPTERS
    kinds = folder.config(model_path).get("architectures") or ()
    new = adapts and not any(str(kind).endswith(("ForMaskedLM", "ForPreTraining")) for kind in kinds)
    values = {
        **values_of(recipe, record, model_path, data, run, ("perplexity", "loss")),
        "saved": ", modules_to_save=heads" if new else "",
        "take_rows": TWO if recipe.eval_data else SPLIT,
    }
    return (HEAD + (NEW_HEAD if new else "") + (LORA if adapts else "") + TAIL).format(**values)
