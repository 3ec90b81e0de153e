"""Speech recognition as a plain script on transformers' Trainer: characters a frame (CTC), or a model that writes."""

from __future__ import annotations

import json
from pathlib import Path

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.scripts.parts import ADAPTERS, PATHS, READ, SAVED, columns_of, method_of, values_of, wrapped
from modelnook.runtime import folder
from modelnook.tasks import TASKS

__all__ = ["code"]

HEAD = (
    '''"""{title}

Needs jiwer, soundfile and scipy beside transformers.
"""

import io
import json
{os}
import jiwer
import numpy as np
import pyarrow as pa
import soundfile
import torch
from scipy.signal import resample_poly
from transformers import (
{classes}    set_seed,
)

'''
    + PATHS
    + """{vocabulary}

"""
    + READ
    + '''

class Rows(torch.utils.data.Dataset):
    """Files are decoded when they are asked for."""

    def __init__(self, rows, positions):
        self.files = [rows["audio"][i] for i in positions]
        self.texts = [" ".join(rows["text"][i].split()) for i in positions]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return {{"file": self.files[i], "text": self.texts[i]}}


def decode(file):
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    wanted = extractor.sampling_rate
    samples = samples.mean(axis=1)
    samples = samples if rate == wanted else resample_poly(samples, wanted, rate)
    return np.pad(samples, (0, max(0, wanted // 4 - len(samples)))).astype(np.float32)


def collate(batch):
    sounds = [decode(row["file"]) for row in batch]
    inputs = extractor(sounds, sampling_rate=extractor.sampling_rate, return_tensors="pt"{padding})
    ids = [tokenizer(row["text"]).input_ids for row in batch]
{ids}    longest = max(map(len, ids))
    return {{**inputs, "labels": torch.tensor([row + [-100] * (longest - len(row)) for row in ids])}}


set_seed({seed})
{threads}extractor = AutoFeatureExtractor.from_pretrained(MODEL)
{tokenizer}
{take_rows}
model = {auto}.from_pretrained(
    MODEL,
{model_arguments}    dtype=torch.float32,
)
'''
)

KEEP = """        save_strategy="{when}",
        save_total_limit=1,
        load_best_model_at_end=True,
"""

KEEP_NONE = """        # No checkpoints: peft looks for embeddings beside a head of this name, and here are none.
        save_strategy="no",
"""

TAKE = {
    False: """rows = read(DATA)
with open(SPLIT) as file:
    split = json.load(file)
train, validation = Rows(rows, split["train"]), Rows(rows, split["validation"])""",
    True: """rows, checks = read(DATA), read(EVAL_DATA)
train, validation = Rows(rows, range(len(rows["text"]))), Rows(checks, range(len(checks["text"])))""",
}

LORA = """
from peft import {peft}, get_peft_model

body = model.base_model_prefix
heads = [name for name, child in model.named_children() if name != body and list(child.parameters())]
layers = [
    name
    for name, module in model.named_modules()
    if isinstance(module, torch.nn.Linear) and name.startswith(f"{{body}}.")
]
model = get_peft_model(
    model,
    {peft}({adapter}, target_modules=layers, modules_to_save={heads}),
)
"""

TAIL = (
    """

def metrics(prediction):
    ids = np.where(prediction.predictions < 0, tokenizer.pad_token_id, prediction.predictions)
    guess = tokenizer.batch_decode(ids{skip})
    truth = validation.texts
    guess = [" ".join(text.split()) for text in guess]
    return {{"wer": jiwer.wer(truth, guess), "cer": jiwer.cer(truth, guess)}}


trainer = {trainer}(
    model=model,
    args={trainer}ingArguments(
        output_dir=f"{{OUT}}-checkpoints",
        num_train_epochs={epochs},
        learning_rate={learning_rate},
        per_device_train_batch_size={batch_size},
        per_device_eval_batch_size=16,
        warmup_steps={warmup},
        weight_decay={weight_decay},
        eval_strategy="{when}",
{keep}        metric_for_best_model="{metric}",
        greater_is_better=False,
        logging_steps=50,
        seed={seed},
        report_to="none",
        remove_unused_columns=False,
        label_names=["labels"],
{generate}    ),
    train_dataset=train,
    eval_dataset=validation,
    data_collator=collate,
    compute_metrics=metrics,
{argmax})
trainer.train()
found = {{name.removeprefix("eval_"): value for name, value in trainer.evaluate().items()}}
print(json.dumps({{name: found[name] for name in ["wer", "cer"]}}))
"""
    + SAVED
    + "extractor.save_pretrained(OUT)\n"
)

OWN_TOKENIZER = "tokenizer = AutoTokenizer.from_pretrained(MODEL)"

NEW_TOKENIZER = """tokens = ["<pad>", "<unk>", "|", *(c for c in CHARACTERS if c != " ")]
os.makedirs(OUT, exist_ok=True)
with open(f"{OUT}/vocab.json", "w") as file:
    json.dump({token: i for i, token in enumerate(dict.fromkeys(tokens))}, file)
tokenizer = Wav2Vec2CTCTokenizer(
    f"{OUT}/vocab.json",
    bos_token=None,
    eos_token=None,
    pad_token="<pad>",
    unk_token="<unk>",
    word_delimiter_token="|",
)"""

CTC_ARGUMENTS = """    vocab_size=len(tokenizer),
    pad_token_id=tokenizer.pad_token_id,
    ctc_zero_infinity=True,
    ctc_loss_reduction="mean",
    ignore_mismatched_sizes=True,
"""

BEST = """    # A character a frame: the likeliest is all that is needed of the logits.
    preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(dim=-1),
"""


def code(recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path) -> str:
    """See :func:`modelnook.finetune.script.code`."""
    adapts = method_of(recipe, record) in ADAPTERS
    writes = any(str(n).endswith("ForConditionalGeneration") for n in folder.config(model_path)["architectures"])
    characters = TASKS.load(recipe.task or "", light=True)().labels(columns_of(recipe, data, "text"))
    own = writes or _has_characters(model_path, characters)
    auto = "AutoModelForSpeechSeq2Seq" if writes else "AutoModelForCTC"
    trainer = "Seq2SeqTrain" if writes else "Train"
    classes = ["AutoFeatureExtractor", auto, "AutoTokenizer" if own else "Wav2Vec2CTCTokenizer"]
    classes += [f"{trainer}er", f"{trainer}ingArguments"]
    settings = values_of(recipe, record, model_path, data, run, ("wer", "cer"))
    values = {
        **settings,
        "keep": KEEP_NONE if adapts and not writes else KEEP.format(**settings),
        "os": "" if own else "import os\n",
        "classes": "".join(f"    {name},\n" for name in sorted(classes)),
        "vocabulary": "" if own else f"CHARACTERS = {wrapped(characters)}\n",
        "padding": "" if writes else ", padding=True",
        "ids": "    ids = [row[1:] if row[0] == model.config.decoder_start_token_id else row for row in ids]\n"
        if writes
        else "",
        "tokenizer": OWN_TOKENIZER if own else NEW_TOKENIZER,
        "take_rows": TAKE[bool(recipe.eval_data)],
        "auto": auto,
        "model_arguments": "" if writes else CTC_ARGUMENTS,
        "heads": "None" if writes else "heads",
        "skip": ", skip_special_tokens=True" if writes else "",
        "trainer": f"{trainer}er",
        "generate": "        predict_with_generate=True,\n" if writes else "",
        "argmax": "" if writes else BEST,
    }
    tail = TAIL.replace("{trainer}ingArguments", f"{trainer}ingArguments")
    return (HEAD + (LORA if adapts else "") + tail).format(**values)


def _has_characters(model_path: Path, characters: list[str]) -> bool:
    """Whether the base names characters already, these among them."""
    trained = any(str(name).endswith("ForCTC") for name in folder.config(model_path).get("architectures") or ())
    try:
        known = json.loads((model_path / "vocab.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return trained and all(c in known or (c == " " and "|" in known) for c in characters)
