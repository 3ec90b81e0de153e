"""Small random models and tables that are made in code: no network, a fraction of a second."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "tiny_asked",
    "tiny_model",
    "tiny_pairs",
    "tiny_prompts",
    "tiny_rows",
    "tiny_sentence_encoder",
    "tiny_sentencepiece",
    "tiny_tagged",
    "tiny_tokenizer",
    "tiny_translator",
    "tiny_writer",
]

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


def tiny_sentence_encoder(folder: Path, kind: str = "bert", *, dense: Sequence[tuple[int, str]] = ()) -> Path:
    """Write a random encoder of BERT's family whose folder says that its vectors are the mean of the tokens.

    Args:
        dense: the width and the activation (``Tanh``, ``Identity``) of each layer that the mean goes through.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    tiny_model(folder)
    if kind != "bert":
        said = AutoConfig.from_pretrained(folder)
        same = ("vocab_size", "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size")
        sizes = {name: getattr(said, name) for name in (*same, "pad_token_id")}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = AutoConfig.for_model(kind, **sizes, max_position_embeddings=66)
            AutoModel.from_config(config).save_pretrained(folder)
    if dense:
        _add_dense(folder, dense)
        return folder
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    return folder


def _add_dense(folder: Path, wanted: Sequence[tuple[int, str]]) -> None:
    import torch

    from modelnook.tasks.dense import Dense
    from modelnook.tasks.dense_heavy import DenseLayers

    widths = [32, *(width for width, _ in wanted)]
    said = [
        Dense(f"{at + 2}_Dense", widths[at], width, activation != "Identity", activation)
        for at, (width, activation) in enumerate(wanted)
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        DenseLayers(said, "mean").save(folder)


def tiny_sentencepiece(max_length: int = 64) -> Any:
    """A tokenizer of Llama's kind, which llama.cpp reads: characters, and bytes for those that it doesn't have."""
    from tokenizers import Tokenizer, decoders, normalizers
    from tokenizers.models import BPE
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    single = string.ascii_letters + string.digits + string.punctuation
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *single]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        chat_template="{% for m in messages %}{{ m['role'] }} {{ m['content'] }}</s>{% endfor %}",
    )


CHAT = (
    "{% for m in messages %}{% if m['role'] == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "[CLS]{{ m['role'] }} {{ m['content'] }}[SEP]{% endfor %}{% if add_generation_prompt %}[CLS]assistant {% endif %}"
)
"""A chat template in the tokens of :func:`tiny_tokenizer`: a turn ends with ``[SEP]``, the end of text."""


def tiny_writer(
    folder: Path, *, chat: bool = False, hidden: int = 32, layers: int = 2, seed: int = 0, tokenizer: Any = None
) -> Path:
    """Write a random Llama to ``folder``, with a chat template where ``chat``. Gives the folder.

    It learns :func:`tiny_prompts` in some hundred steps.

    Args:
        tokenizer: another than :func:`tiny_tokenizer`'s, as it is.
    """
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    if tokenizer is None:
        tokenizer = tiny_tokenizer((*WORDS, "assistant", "user", "system"))
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
        tokenizer.eos_token = "[SEP]"
        tokenizer.chat_template = CHAT if chat else None
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_translator(folder: Path, *, kind: str = "bart", hidden: int = 32, seed: int = 0) -> Path:
    """Write a random encoder-decoder, ``bart`` or ``t5``, to ``folder``. Gives the folder.

    It learns something of :func:`tiny_pairs` in some hundred steps.
    """
    import torch
    from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration
    from transformers.utils import logging

    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "[SEP]"
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "t5":
            t5 = T5Config(
                vocab_size=len(tokenizer), d_model=hidden, d_kv=8, d_ff=2 * hidden, num_layers=2, num_heads=4, **ends
            )  # fmt: skip
            t5.decoder_start_token_id = tokenizer.pad_token_id
            model: Any = T5ForConditionalGeneration(t5)
        else:
            bart = BartConfig(
                vocab_size=len(tokenizer), d_model=hidden, encoder_layers=2, decoder_layers=2,
                encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=2 * hidden,
                decoder_ffn_dim=2 * hidden, max_position_embeddings=64, bos_token_id=tokenizer.cls_token_id,
                decoder_start_token_id=tokenizer.sep_token_id, forced_eos_token_id=None, **ends,
            )  # fmt: skip
            model = BartForConditionalGeneration(bart)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_pairs(rows: int = 64, seed: int = 0) -> dict[str, list[Any]]:
    """``{"source": …, "target": …}``: of each word another one, in order."""
    rng = random.Random(seed)
    places = [[rng.randrange(10) for _ in range(rng.randint(2, 5))] for _ in range(rows)]
    return {
        role: [" ".join(WORDS[at + i] for i in line) for line in places] for role, at in (("source", 0), ("target", 20))
    }


def tiny_prompts(rows: int = 64, seed: int = 0) -> dict[str, list[Any]]:
    """``{"prompt": …, "completion": …}``: some words, of which the answer is the last two."""
    rng = random.Random(seed)
    words = [[rng.choice(WORDS[:12]) for _ in range(rng.randint(3, 7))] for _ in range(rows)]
    return {"prompt": [" ".join(line) for line in words], "completion": [" ".join(line[-2:]) for line in words]}


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


def tiny_tagged(rows: int = 64, seed: int = 0) -> dict[str, list[Any]]:
    """``{"tokens": …, "ner_tags": …}``: dogs and cats are animals, sun and rain weather, which goes on into a day.

    A day by itself has no tag: what word it is isn't enough to tell.
    """
    rng = random.Random(seed)
    tokens, tags = [], []
    for _ in range(rows):
        words: list[tuple[str, str]] = []
        for _ in range(rng.randint(2, 6)):
            kind = rng.choice(("filler", "filler", "animal", "weather", "day"))
            if kind == "animal":
                words.append((rng.choice(("dog", "cat")), "B-ANIMAL"))
            elif kind == "weather":
                words += [(rng.choice(("sun", "rain")), "B-SKY"), (rng.choice(("today", "tomorrow")), "I-SKY")]
            elif kind == "day":
                words += [("we", "O"), (rng.choice(("today", "tomorrow")), "O")]
            else:
                words.append((rng.choice(WORDS[:16]), "O"))
        tokens.append([word for word, _ in words])
        tags.append([tag for _, tag in words])
    return {"tokens": tokens, "ner_tags": tags}


def tiny_asked(rows: int = 64, seed: int = 0) -> dict[str, list[Any]]:
    """``{"question": …, "context": …, "answers": …}``: which animal, or which weather, a line of words holds."""
    rng = random.Random(seed)
    found: dict[str, list[Any]] = {"question": [], "context": [], "answers": []}
    for i in range(rows):
        animal, weather = rng.choice(("dog", "cat")), rng.choice(("sun", "rain"))
        words = [rng.choice(WORDS[:16]) for _ in range(rng.randint(2, 8))]
        for word in (animal, weather):
            words.insert(rng.randrange(len(words) + 1), word)
        answer = animal if i % 2 else weather
        context = " ".join(words)
        found["question"].append("is it he or she" if i % 2 else "will it be good today")
        found["context"].append(context)
        found["answers"].append({"text": [answer], "answer_start": [context.index(answer)]})
    return found
