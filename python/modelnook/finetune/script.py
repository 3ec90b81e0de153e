"""``code``: a run as a plain script on transformers (and peft), for a person to read, change and take away.

It does what the run did, the plain way: the same rows, split, epochs, rate, batch, length, seed and metrics. It needs
nothing of modelnook, and is the peer that the benchmarks measure against.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune import alone
from modelnook.messages import t
from modelnook.registry import Entry, Registry

__all__ = ["SCRIPTS", "code"]

SCRIPTS: Registry[Any] = Registry(
    "script",
    {
        "audio-classification": Entry("modelnook.finetune.scripts.media_classification:audio", "the plain Trainer"),
        "automatic-speech-recognition": Entry(
            "modelnook.finetune.scripts.automatic_speech_recognition:code", "the plain Trainer"
        ),
        "fill-mask": Entry("modelnook.finetune.scripts.fill_mask:code", "the plain Trainer"),
        "image-classification": Entry("modelnook.finetune.scripts.media_classification:image", "the plain Trainer"),
        "multi-label-classification": Entry(
            "modelnook.finetune.scripts.multi_label_classification:code", "the plain Trainer"
        ),
        "question-answering": Entry("modelnook.finetune.scripts.question_answering:code", "the plain Trainer"),
        "sentence-similarity": Entry("modelnook.finetune.scripts.sentence_similarity:code", "a plain loop"),
        "table": Entry("modelnook.finetune.scripts.table:code", "the plain Trainer"),
        "text-classification": Entry("modelnook.finetune.scripts.text_classification:code", "the plain Trainer"),
        "text-generation": Entry("modelnook.finetune.scripts.text_generation:code", "the plain Trainer"),
        "text2text-generation": Entry("modelnook.finetune.scripts.text2text_generation:code", "the plain Trainer"),
        "text-regression": Entry("modelnook.finetune.scripts.text_regression:code", "the plain Trainer"),
        "tfidf": Entry("modelnook.finetune.scripts.classic:tfidf", "scikit-learn"),
        "token-classification": Entry("modelnook.finetune.scripts.token_classification:code", "the plain Trainer"),
        "trees": Entry("modelnook.finetune.scripts.classic:trees", "scikit-learn"),
    },
)
"""Task -> what writes its script; a method that needs no base model has its own."""


def code(recipe: Recipe, record: RunRecord, model_path: Path | None, data: Path, run: Path) -> str:
    """The script of a fine-tuning run.

    Args:
        record: whose ``params`` hold what the plan decided.
        model_path: the base model's folder; None where the method needs none.
        data: the folder of snapshots; the script reads the run's own (its name is the fingerprint).
        run: the run's folder; its ``split.json`` holds the positions of the training and validation rows.

    Raises:
        UnsupportedError: a task that has no script yet.
    """
    name = (recipe.method if alone(recipe.method) else recipe.task) or ""
    if name not in SCRIPTS or recipe.data is None:
        raise UnsupportedError("train.no_script", task=recipe.task)
    found = (record.report or {}).get("unlabelled") or {}
    record = replace(record, params=found.get("params") or record.params)
    text: str = SCRIPTS.load(name)(recipe, record, model_path, data, run)
    text = _patient(text, int(record.params.get("patience") or 0))
    if found.get("kept") and not found.get("params"):
        text = f"# {t('train.script_settings')}\n{text}"
    if recipe.unlabelled is not None:
        text = f"# {t('train.script_unlabelled')}\n{text}"
    return text


def _patient(text: str, patience: int) -> str:
    """A script that ends early where its run may have; one that isn't evaluated in between has nothing to end by."""
    if not patience or 'eval_strategy="epoch"' not in text or "load_best_model_at_end=True" not in text:
        return text
    lines = (
        f"from transformers import EarlyStoppingCallback\n\ntrainer.add_callback(EarlyStoppingCallback({patience}))\n"
    )
    return text.replace("\ntrainer.train()", f"\n{lines}trainer.train()", 1)
