"""Text-to-text generation as a plain script: transformers' Trainer, peft for LoRA, sacrebleu and rouge-score."""

from __future__ import annotations

from pathlib import Path

from modelnook.catalog.papers import json_in
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
)
from modelnook.tasks.heads import room_to_write
from modelnook.tasks.text2text_generation import Text2TextGeneration
from modelnook.tasks.translated import tokenizer_for

__all__ = ["code"]

HEAD = (
    '''"""{title}"""

import json
import re

import pyarrow as pa
import sacrebleu
import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
    set_seed,
)

'''
    + PATHS
    + '''

class Words:
    """Words in small letters; characters of scripts without blanks."""

    wide = r"[\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u9fff\\uf900-\\ufaff]"

    def tokenize(self, text):
        return re.findall(self.wide + r"|[^\\W_]+", text.lower())


def read(path):
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all().to_pylist()


def encode(row):
    found = tokenizer(row["source"] or "", truncation=True, max_length={max_length})
    found["labels"] = tokenizer(text_target=row["target"], truncation=True, max_length={target_length})["input_ids"]
    return found


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL)
{take_rows}
{four_bits}model = AutoModelForSeq2SeqLM.from_pretrained(MODEL, dtype=torch.float32{quantized})
'''
)

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, checks = [rows[i] for i in split["train"]], [rows[i] for i in split["validation"]]"""

TWO = """train, checks = read(DATA), read(EVAL_DATA)"""

TAIL = (
    """
examples = [encode(row) for row in train]
settings = model.generation_config
settings.max_new_tokens = max(settings.max_new_tokens or 128, *(len(row["labels"]) for row in examples))

trainer = Trainer(
    model=model,
    args=TrainingArguments(
"""
    + ARGUMENTS
    + UNJUDGED
    + """    ),
    train_dataset=examples,
    data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
)
trainer.train()

model.eval()
total = count = 0
written = []
with torch.inference_mode():
    for row in checks:
        batch = {{name: torch.tensor([values], device=model.device) for name, values in encode(row).items()}}
        tokens = batch["labels"].shape[1]
        total, count = total + model(**batch).loss.item() * tokens, count + tokens
        ids = model.generate(input_ids=batch["input_ids"], num_beams=1, do_sample=False)
        written.append(tokenizer.decode(ids[0], skip_special_tokens=True).strip())
wanted = [row["target"] for row in checks]
names = ["rouge1", "rouge2", "rougeL"]
scorer = RougeScorer(names, tokenizer=Words())
scores = [scorer.score(a, b) for a, b in zip(wanted, written)]
found = {{
    "chrf": sacrebleu.corpus_chrf(written, [wanted]).score / 100,
    "bleu": sacrebleu.corpus_bleu(written, [wanted], tokenize={tokenize!r}).score / 100,
    **{{name: sum(score[name].fmeasure for score in scores) / len(wanted) for name in names}},
    "loss": total / count,
}}
print(json.dumps(found))
"""
    + SAVED
)


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    settings = values_of(recipe, record, model_path, data, run, ("chrf", "bleu", "rouge1", "rouge2", "rougeL", "loss"))
    longest = Text2TextGeneration.longer * int(settings["max_length"])
    values = {
        **settings,
        "target_length": min(longest, room_to_write(json_in(model_path / "config.json")) or longest),
        "quantized": f", {settings['quantized']}" if settings["quantized"] else "",
        "four_bits": four_bits(method_of(recipe, record)),
        "take_rows": TWO if recipe.eval_data else SPLIT,
        "tokenize": tokenizer_for([text or "" for text in columns_of(recipe, data, "target")["target"]]),
    }
    return (HEAD + adapted(method_of(recipe, record), new_head=False) + TAIL).format(**values)
