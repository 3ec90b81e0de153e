"""Text-to-text generation as a plain script: transformers' Trainer, peft for LoRA, sacrebleu and rouge-score."""

from __future__ import annotations

from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.sequence import columns_of, data_paths, knobs
from modelnook.messages import t
from modelnook.tasks.translated import tokenizer_for

__all__ = ["code"]

HEAD = '''"""{title}"""

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

MODEL = {model!r}  # {ref}
{data_paths}
OUT = {out!r}


class Words:
    """Words in small letters; characters of scripts without blanks."""

    wide = r"[\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u9fff\\uf900-\\ufaff]"

    def tokenize(self, text):
        return re.findall(self.wide + r"|[^\\W_]+", text.lower())


def read(path):
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all().to_pylist()


def encode(row):
    return tokenizer(row["source"] or "", text_target=row["target"], truncation=True, max_length={max_length})


set_seed({seed})
{threads}tokenizer = AutoTokenizer.from_pretrained(MODEL)
{take_rows}
model = AutoModelForSeq2SeqLM.from_pretrained(MODEL, dtype=torch.float32)
'''

SPLIT = """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, checks = [rows[i] for i in split["train"]], [rows[i] for i in split["validation"]]"""

TWO = """train, checks = read(DATA), read(EVAL_DATA)"""

LORA = """
from peft import LoraConfig, get_peft_model

head = model.get_output_embeddings()
layers = [
    name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not head
]
model = get_peft_model(
    model, LoraConfig(r={rank}, lora_alpha={alpha}, lora_dropout={dropout}, target_modules=layers{dora})
)
"""

TAIL = """
trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir=f"{{OUT}}-checkpoints",
        num_train_epochs={epochs},
        learning_rate={learning_rate},
        per_device_train_batch_size={batch_size},
        warmup_steps={warmup},
        weight_decay={weight_decay},
        save_strategy="no",
        logging_steps=50,
        seed={seed},
        report_to="none",
    ),
    train_dataset=[encode(row) for row in train],
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
        ids = model.generate(input_ids=batch["input_ids"], max_new_tokens=128, num_beams=1, do_sample=False)
        written.append(tokenizer.decode(ids[0], skip_special_tokens=True).strip())
wanted = [row["target"] for row in checks]
scorer = RougeScorer(["rougeL"], tokenizer=Words())
found = {{
    "chrf": sacrebleu.corpus_chrf(written, [wanted]).score / 100,
    "bleu": sacrebleu.corpus_bleu(written, [wanted], tokenize={tokenize!r}).score / 100,
    "rougeL": sum(scorer.score(a, b)["rougeL"].fmeasure for a, b in zip(wanted, written)) / len(wanted),
    "loss": total / count,
}}
print(json.dumps(found))
{merge}model.save_pretrained(OUT)
tokenizer.save_pretrained(OUT)
"""


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    params = {**recipe.knobs, **record.params}
    method = str(params.get("method") or recipe.method or "full")
    adapted = method in ("lora", "dora")
    values = {
        **knobs(params),
        "title": t("train.script_title", run=run.name, name=recipe.name or run.name),
        "model": str(model_path),
        "ref": recipe.model,
        "out": recipe.name or run.name,
        "seed": recipe.seed,
        "data_paths": data_paths(recipe, data, run),
        "take_rows": TWO if recipe.eval_data else SPLIT,
        "threads": f"torch.set_num_threads({recipe.threads})\n" if recipe.threads else "",
        "tokenize": tokenizer_for([text or "" for text in columns_of(recipe, data, "target")["target"]]),
        "dora": ", use_dora=True" if method == "dora" else "",
        "merge": "model = model.merge_and_unload()\n" if adapted else "",
    }
    return (HEAD + (LORA if adapted else "") + TAIL).format(**values)
