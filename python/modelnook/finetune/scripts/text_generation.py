"""Text generation as a plain script: supervised fine-tuning with transformers' Trainer, peft for LoRA."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import (
    ARGUMENTS,
    PATHS,
    SAVED,
    UNJUDGED,
    adapted,
    columns_of,
    four_bits,
    method_of,
    values_of,
    wrapped,
)
from modelnook.tasks.chat import messages_of

__all__ = ["code"]

HEAD = (
    '''"""{title}"""

import json
import math
{chat_import}
import pyarrow as pa
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    {collator},
    {gguf_import}Trainer,
    TrainingArguments,
    set_seed,
)

'''
    + PATHS
    + """MAX_LENGTH = {max_length}


def read(path):
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all().to_pylist()


def template(messages, asks=False):
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks)


{parts}

def tokens(text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def encode(row):
    start = tokenizer("")["input_ids"][:1]
    ids = [] if {templated} or start != [tokenizer.bos_token_id] else start
    labels = [-100] * len(ids)
    for text, learnt in parts(row):
        part = tokens(text)
        ids += part
        labels += part if learnt else [-100] * len(part)
    if not {templated}:
        ids.append(tokenizer.eos_token_id)
        labels.append(tokenizer.eos_token_id)
    first = next((i for i, label in enumerate(labels) if label != -100), len(ids))
    cut = min(max(0, len(ids) - MAX_LENGTH), max(0, first - 1))
    return {{"input_ids": ids[cut : cut + MAX_LENGTH], "labels": labels[cut : cut + MAX_LENGTH]}}


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL{gguf})
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token
tokenizer.padding_side = "right"
{take_rows}
{four_bits}model = AutoModelForCausalLM.from_pretrained(MODEL{gguf}{dequantize}, dtype=torch.float32{quantized})
"""
)

SPLIT = """rows = [encode(row) for row in read(DATA)]
with open(SPLIT) as file:
    split = json.load(file)
train, validation = [rows[i] for i in split["train"]], [rows[i] for i in split["validation"]]"""

TWO = """train, validation = [encode(row) for row in read(DATA)], [encode(row) for row in read(EVAL_DATA)]"""

TEXTS = """def parts(row):
    return [(row["text"] or "", True)]
"""

PAIRS = """def parts(row):
    return [(row["prompt"] or "", False), (row["completion"], True)]
"""

CHATS = '''def parts(row):
    """Texts, and whether the assistant says them."""
{messages}
    found, done = [], ""
    turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    for i in turns:
        before, after = template(messages[:i], asks=True), template(messages[: i + 1])
        if not (before.startswith(done) and after.startswith(before)):
            # Earlier turns are written otherwise once there are later ones: the last answer alone is learnt.
            before, after = template(messages[: turns[-1]], asks=True), template(messages[: turns[-1] + 1])
            same = len(os.path.commonprefix([before, after]))
            return [(after[:same], False), (after[same:], True)]
        found += [(before[len(done) :], False), (after[len(before) :], True)]
        done = after
    return found
'''

GIVEN = """    messages = [{name: m[name] for name in ("role", "content")} for m in row["messages"]]"""

MESSAGES = """ROLES = {roles}


def named(said):
    content = said.get("content")
    role = (said.get("role") or said.get("from")).strip().lower()
    return {"role": ROLES[role], "content": said["value"] if content is None else content}


"""

NAMED = """    said = row["messages"]
    messages = [named(one) for one in (json.loads(said) if isinstance(said, str) else said)]"""

MADE = """    messages = [
        {"role": "user", "content": row["prompt"] or ""},
        {"role": "assistant", "content": row["completion"]},
    ]"""

TAIL = (
    """
trainer = Trainer(
    model=model,
    args=TrainingArguments(
"""
    + ARGUMENTS
    + UNJUDGED
    + """    ),
    train_dataset=train,
    data_collator={collator}({collates}),
)
trainer.train()

model.eval()
total = count = 0
with torch.inference_mode():
    for row in validation:
        batch = {{name: torch.tensor([values], device=model.device) for name, values in row.items()}}
        learnt = sum(label != -100 for label in row["labels"][1:])
        total += model(**batch).loss.item() * learnt if learnt else 0
        count += learnt
print(json.dumps({{"perplexity": math.exp(total / count), "loss": total / count}}))
"""
    + SAVED
)


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    assert recipe.data is not None
    if method_of(recipe, record) == "qlora" and not (model_path / "config.json").is_file():
        # transformers reads a GGUF file, or makes four bits of a model: not both.
        raise UnsupportedError("train.no_script", task=f"{recipe.task} (qlora, GGUF)")
    settings = values_of(recipe, record, model_path, data, run, ("perplexity", "loss"))
    values = {
        **settings,
        "quantized": f", {settings['quantized']}" if settings["quantized"] else "",
        "four_bits": four_bits(method_of(recipe, record)),
        **_reading(model_path, set(recipe.data.columns), _named(recipe, data)),
        # All rows of a batch in one sequence, their positions each its own.
        "collator": "DataCollatorWithFlattening" if settings["packing"] else "DataCollatorForSeq2Seq",
        "collates": "" if settings["packing"] else "tokenizer",
        "take_rows": TWO if recipe.eval_data else SPLIT,
    }
    return (HEAD + adapted(method_of(recipe, record), new_head=False) + TAIL).format(**values)


def _reading(model_path: Path, roles: set[str], named: dict[str, str]) -> dict[str, Any]:
    """How the script reads rows and model: by the table's form and the folder's files.

    Args:
        named: see :func:`_named`.
    """
    gguf = sorted(f.name for f in model_path.glob("*.gguf")) if not (model_path / "config.json").is_file() else []
    # A GGUF file that answers has its template inside; that of a model which doesn't is rare and the exception here.
    chats = bool(gguf) or _has_template(model_path)
    parts = TEXTS if "text" in roles else PAIRS
    if "text" not in roles and ("messages" in roles or chats):
        given = NAMED if named else GIVEN
        parts = CHATS.replace("{messages}", given if "messages" in roles else MADE)
        parts = MESSAGES.replace("{roles}", wrapped(named)) + parts if named else parts
    return {
        "parts": parts,
        "templated": parts not in (TEXTS, PAIRS),
        "chat_import": "" if parts in (TEXTS, PAIRS) else "import os\n",
        "gguf": f", gguf_file={gguf[0]!r}" if gguf else "",
        "gguf_import": "GgufConfig,\n    " if gguf else "",
        "dequantize": ", quantization_config=GgufConfig(dequantize=True)" if gguf else "",
    }


def _named(recipe: Recipe, data: Path) -> dict[str, str]:
    """The names that the rows have for roles; empty where all messages have role and content as a template wants."""
    found: dict[str, str] = {}
    plain = True
    for ref in filter(None, (recipe.data, recipe.eval_data)):
        cells = columns_of(replace(recipe, data=ref), data, "messages").get("messages", ())
        for row, cell in enumerate(cells):
            known = messages_of(cell, row)
            said = json.loads(cell) if isinstance(cell, str) else cell
            for one, message in zip(said, known, strict=True):
                name = one.get("role") or one.get("from")
                found[name.strip().lower()] = message["role"]
                plain &= said is cell and {"role": name, "content": one.get("content")} == message
    return {} if plain else found


def _has_template(model_path: Path) -> bool:
    if (model_path / "chat_template.jinja").is_file():
        return True
    file = model_path / "tokenizer_config.json"
    return file.is_file() and '"chat_template"' in file.read_text(encoding="utf-8")
