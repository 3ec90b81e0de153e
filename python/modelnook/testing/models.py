"""Small random models and tables that are made in code: no network, a fraction of a second."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["tiny_model", "tiny_rows", "tiny_tokenizer"]

WORDS = (
    "a an and are as at be by for from good bad great awful money prize free win click meeting report lunch today "
    "tomorrow it is not of on or that the this to was were will with you we i he she they dog cat sun rain"
).split()

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_tokenizer(words: Sequence[str] = WORDS, max_length: int = 64) -> Any:
    """A lower-casing WordPiece tokenizer: some words, and ASCII letters and digits as their pieces."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import WordPiece
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    single = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*SPECIAL, *words, *single, *(f"##{c}" for c in single)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def tiny_model(
    folder: Path,
    labels: Sequence[str] | None = None,
    *,
    hidden: int = 32,
    layers: int = 2,
    seed: int = 0,
    words: Sequence[str] = WORDS,
) -> Path:
    """Write a random BERT to ``folder``: a bare encoder, or with ``labels`` a classifier. Gives the folder.

    Its output is meaningless until it is trained; it learns :func:`tiny_rows` in some dozen steps.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel
    from transformers.utils import logging

    tokenizer = tiny_tokenizer(words)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
    )
    if labels:
        config.id2label = {i: str(name) for i, name in enumerate(labels)}
        config.label2id = {str(name): i for i, name in enumerate(labels)}
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config) if labels else BertModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_rows(rows: int = 64, labels: Sequence[str] = ("ham", "spam"), seed: int = 0) -> dict[str, list[Any]]:
    """``{"text": …, "label": …}``: random words with one word that tells the label; easy to learn."""
    rng = random.Random(seed)
    fillers = WORDS[20:]
    texts, names = [], []
    for i in range(rows):
        name = labels[i % len(labels)]
        words = [rng.choice(fillers) for _ in range(rng.randint(2, 12))]
        words.insert(rng.randrange(len(words)), WORDS[9 + i % len(labels)])
        texts.append(" ".join(words))
        names.append(name)
    return {"text": texts, "label": names}
