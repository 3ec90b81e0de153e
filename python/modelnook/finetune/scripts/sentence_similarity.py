"""Sentence similarity as a plain script: AutoModel, its pooling, its Dense layers, a loop over batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import ADAPTERS, PADDED, PATHS, READ, SAVED, columns_of, method_of, values_of
from modelnook.tasks.dense import MODULES, POOLING, Dense, dense_of, home_of
from modelnook.tasks.pooling import pools
from modelnook.tasks.sentence_similarity import SentenceSimilarity

__all__ = ["code"]

HEAD = (
    '''"""{title}"""

import json

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer, get_linear_schedule_with_warmup, set_seed

'''
    + PATHS
    + """SIDES = {sides}


"""
    + READ
    + """

def take(rows, positions):
    return [{{role: rows[role][i] for role in rows}} for i in positions]


def vectors(texts):
    texts = [text or "" for text in texts]
    batch = tokenizer(texts, truncation=True, max_length={max_length}, padding=True, return_tensors="pt")
    hidden = model(**{{name: batch[name] for name in ("input_ids", "attention_mask")}}).last_hidden_state
{pooled}


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL)
"""
    + PADDED
    + """{take_rows}
model = AutoModel.from_pretrained(MODEL, dtype=torch.float32)
{dense}"""
)

POOLED = {
    "cls": """    # The first token's vector; padding may stand on the left.
    found = hidden[torch.arange(len(hidden)), batch["attention_mask"].argmax(1)]
    return F.normalize(found, dim=-1)""",
    "last": """    mask = batch["attention_mask"]
    last = (mask * torch.arange(mask.shape[1])).argmax(1)
    return F.normalize(hidden[torch.arange(len(hidden)), last], dim=-1)""",
    "max": """    there = batch["attention_mask"].unsqueeze(-1).bool()
    return F.normalize(hidden.masked_fill(~there, -torch.inf).amax(1), dim=-1)""",
    "mean": """    weight = batch["attention_mask"].unsqueeze(-1).float()
    return F.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1)""",
}

DENSE = """model.dense = torch.nn.Sequential(
{layers}
)
for at, folder in enumerate({places}):
    weights = load_file(f"{{HOME}}/{{folder}}/model.safetensors")
    model.dense[2 * at].load_state_dict({{name.removeprefix("linear."): value for name, value in weights.items()}})
"""

DENSE_HEAD = """
import shutil

from safetensors.torch import load_file, save_file

# The folder with modules.json, which has the layers after the pooling.
HOME = {home}
"""

DENSE_APART = """# sentence-transformers keeps these layers in folders of their own.
dense = model.dense
del model.dense
"""

DENSE_SAVED = """for folder in {kept}:
    shutil.copytree(f"{{HOME}}/{{folder}}", f"{{OUT}}/{{folder}}", dirs_exist_ok=True)
shutil.copyfile(f"{{HOME}}/{modules}", f"{{OUT}}/{modules}")
for at, folder in enumerate({places}):
    weights = {{f"linear.{{name}}": value.contiguous() for name, value in dense[2 * at].state_dict().items()}}
    save_file(weights, f"{{OUT}}/{{folder}}/model.safetensors")
"""

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, validation = take(rows, split["train"]), take(rows, split["validation"])
"""

TWO = """rows, checks = read(DATA), read(EVAL_DATA)
{renamed}train = take(rows, range(len(rows[SIDES[0]])))
validation = take(checks, range(len(checks[SIDES[0]])))
"""

RENAMED = """# Their sides have other names than those of the training rows.
for mine, theirs in zip(SIDES, {sides}):
    checks[mine] = checks[theirs]
"""

LORA = """
from peft import {peft}, get_peft_model

layers = [
    name
    for name, module in model.named_modules()
    if isinstance(module, torch.nn.Linear) and not name.startswith("pooler")
]
model = get_peft_model(
    model,
    {peft}({adapter}, target_modules=layers),
)
"""

SCORED = """

low, high = {low}, {high}


def loss_of(batch):
    first, second = (vectors([row[side] for row in batch]) for side in SIDES)
    wanted = torch.tensor([(float(row["label"]) - low) / (high - low) for row in batch])
    return F.mse_loss((first * second).sum(-1), wanted)
"""

CORRELATIONS = """

def metrics(first, second):
    cosines, wanted = (first * second).sum(1), np.array([float(row["label"]) for row in validation])
    # The correlation of ranks; the mean rank of those that tie.
    ranks = [np.array([(v < x).sum() + (v == x).sum() / 2 for x in v]) for v in (wanted, cosines)]
    return {{"spearman": np.corrcoef(*ranks)[0, 1], "pearson": np.corrcoef(wanted, cosines)[0, 1]}}
"""

PAIRED = '''

def loss_of(batch):
    """Each first text is to be nearer to its own second text than to all other texts of the batch."""
    first, *others = (vectors([row[side] for row in batch]) for side in SIDES)
    near = 20 * first @ torch.cat(others).T
    for i, one in enumerate(batch):
        for j, other in enumerate(batch):
            if i != j and (one[SIDES[0]] == other[SIDES[0]] or one[SIDES[1]] == other[SIDES[1]]):
                near[i, j] = -torch.inf
    return F.cross_entropy(near, torch.arange(len(batch)))
'''

LOOKUPS = '''

def metrics(first, second):
    """Each first text looks its second one up among those of all validation rows."""
    known = [" ".join((row[SIDES[1]] or "").split()).casefold() for row in validation]
    asked = [" ".join((row[SIDES[0]] or "").split()).casefold() for row in validation]
    corpus = sorted(set(known), key=known.index)
    near = first @ second[[known.index(text) for text in corpus]].T
    gains = 1 / np.log2(np.arange(2, 12))
    found = []
    for i, text in enumerate(asked):
        wanted = {{known[j] for j, other in enumerate(asked) if other == text}}
        order = [j for j in np.argsort(-near[i]) if corpus[j] != text or text in wanted][:10]
        hits = [rank for rank, j in enumerate(order) if corpus[j] in wanted]
        ideal = gains[: len(wanted)].sum()
        found.append((gains[hits].sum() / ideal, 1 / (1 + hits[0]) if hits else 0, len(hits) / len(wanted)))
    return dict(zip(("ndcg@10", "mrr@10", "recall@10"), np.mean(found, axis=0).tolist(), strict=True))
'''

TAIL = (
    """

steps = round({epochs} * -(-len(train) // {batch_size}))
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr={learning_rate}, weight_decay={weight_decay})
schedule = get_linear_schedule_with_warmup(optimizer, round({warmup} * steps), steps)
model.train()
order = []
for step in range(steps):
    if len(order) == 0:
        order = torch.randperm(len(train)).tolist()
    batch, order = [train[i] for i in order[:{batch_size}]], order[{batch_size}:]
    loss_of(batch).backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()

model.eval()
with torch.inference_mode():
    first, second = (
        np.concatenate([vectors([row[side] for row in validation[i : i + 64]]) for i in range(0, len(validation), 64)])
        for side in SIDES[:2]
    )
print(json.dumps(metrics(first, second)))
"""
    + SAVED
)


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    assert recipe.data is not None
    roles, checked = recipe.data.columns, (recipe.eval_data or recipe.data).columns
    spec = SentenceSimilarity()
    sides, theirs = _sides(roles), _sides(checked)
    adapts = method_of(recipe, record) in ADAPTERS
    home = home_of(model_path)
    layers = dense_of(home)
    renamed = RENAMED.format(sides=theirs[:2]) if theirs[:2] != sides[:2] else ""
    values = {
        **values_of(recipe, record, model_path, data, run, spec.metrics),
        **_scale(recipe, data),
        "pooled": POOLED[pools(home)],
        "dense": "",
        "sides": sides,
        "take_rows": (TWO.format(renamed=renamed) if recipe.eval_data else SPLIT).rstrip(),
    }
    tail = TAIL
    if layers:
        values |= _dense(layers, "MODEL" if home == model_path else repr(str(home)), values)
        tail += "{dense_saved}"
    loss = SCORED if "label" in roles else PAIRED
    metrics = CORRELATIONS if "label" in checked else LOOKUPS
    return (HEAD + (LORA if adapts else "") + loss + metrics + tail).format(**values)


def _dense(layers: Sequence[Dense], home: str, values: Mapping[str, Any]) -> dict[str, str]:
    """What a script of an encoder with Dense layers says otherwise. They are a part of the model, so that whatever is
    done to its matrices is done to theirs.
    """
    places = [layer.place for layer in layers]
    lines = [
        f"    torch.nn.Linear({one.inputs}, {one.outputs}, bias={one.bias}),\n    torch.nn.{one.activation}(),"
        for one in layers
    ]
    read = DENSE_HEAD.format(home=home) + DENSE.format(layers="\n".join(lines), places=places)
    pooled = values["pooled"].replace("F.normalize(", "F.normalize(model.dense(").replace(", dim=-1)", "), dim=-1)")
    saved = DENSE_SAVED.format(kept=[POOLING, *places], modules=MODULES, places=places)
    return {"dense": read, "pooled": pooled, "merge": values["merge"] + DENSE_APART, "dense_saved": saved}


def _sides(roles: Collection[str]) -> list[str]:
    """A row's texts, in order."""
    return [role for role in ("anchor", "text", "positive", "text_pair", "negative") if role in roles]


def _scale(recipe: Recipe, data: Path) -> dict[str, float]:
    found: dict[str, float] = SentenceSimilarity().learn(columns_of(recipe, data, "label"))
    return found
