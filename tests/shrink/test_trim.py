"""Trimmed models answer as before to the last bit, whatever their architecture; what can't be trimmed says so."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.errors import StoreError, UnsupportedError, UsageError
from modelnook.domain.event import Event
from modelnook.runtime import runtime
from modelnook.runtime.transformers import load_trained
from modelnook.shrink.trim import Trimmed, trim
from modelnook.store.files import folder_bytes
from modelnook.testing.media import tiny_image_model
from modelnook.testing.models import WORDS, tiny_model, tiny_rows, tiny_translator, tiny_writer

MANY = (
    *WORDS,
    *(f"{a}{b}" for a in ("sea", "moun", "for", "riv") for b in ("tain", "est", "er", "side", "bird", "way")),
)
ROWS = tiny_rows(40)


def done(source: Path, target: Path, task: str = "text-classification", **more: Any) -> Trimmed:
    events: list[Event] = []
    options: dict[str, Any] = {"rows": [ROWS], "emit": events.append, **more}
    return trim(source, target, task=task, **options)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("trim") / "source", ("ham", "spam"), words=MANY)


def test_answers_are_the_same_to_the_last_bit(source: Path, tmp_path: Path) -> None:
    result = done(source, tmp_path / "small")
    before, after = (runtime(path, device="cpu", threads=1) for path in (source, tmp_path / "small"))
    assert np.array_equal(before.outputs(ROWS["text"]), after.outputs(ROWS["text"]))
    assert result.after < result.before
    assert result.cut == 0
    assert folder_bytes(tmp_path / "small") < folder_bytes(source)
    said = json.loads((tmp_path / "small" / "config.json").read_text())
    assert said["vocab_size"] == result.after
    new = after.outputs(["a riverside zebra"])
    assert np.isfinite(new).all(), "new texts are read"


def test_a_full_disk_is_said(source: Path, small_disk: Path) -> None:
    with pytest.raises(StoreError, match="couldn't be written") as caught:
        done(source, small_disk / "out")
    assert caught.value.code == "shrink.not_saved"
    assert not list(small_disk.iterdir())


def test_the_rows_left_are_those_of_the_tokens_left(source: Path, tmp_path: Path) -> None:
    done(source, tmp_path / "small")
    (_, whole, old), (_, small, new) = (load_trained(p, "text-classification") for p in (source, tmp_path / "small"))
    tables = [model.get_input_embeddings().weight for model in (whole, small)]
    for token, number in new.get_vocab().items():
        assert (tables[1][number] == tables[0][old.get_vocab()[token]]).all(), token
    for name in ("pad", "cls", "sep", "unk", "mask"):
        token = getattr(new, f"{name}_token")
        assert getattr(new, f"{name}_token_id") == new.get_vocab()[token]
    assert small.config.pad_token_id == new.pad_token_id


def test_a_number_of_tokens_says_what_it_cuts(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too few") as caught:
        done(source, tmp_path / "small", most=10)
    least = int(str(caught.value).rsplit(" ", 1)[1].rstrip("."))
    result = done(source, tmp_path / "small", most=least + 5)
    assert result.after <= least + 5
    assert 0 < result.cut < 1
    assert runtime(tmp_path / "small").outputs(ROWS["text"]).shape == (40, 2)


def test_half_precision_stays(source: Path, tmp_path: Path) -> None:
    _, model, tokenizer = load_trained(source, "text-classification")
    model.half().save_pretrained(tmp_path / "half")
    tokenizer.save_pretrained(tmp_path / "half")
    done(tmp_path / "half", tmp_path / "small")
    assert folder_bytes(tmp_path / "small") < folder_bytes(tmp_path / "half")
    first, second = (runtime(tmp_path / name, threads=1).outputs(ROWS["text"]) for name in ("half", "small"))
    assert np.array_equal(first, second)


def masked(folder: Path) -> Path:
    """A language model whose head is its embedding table, with a bias for each token."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    tiny_model(folder, words=MANY)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    model = BertForMaskedLM(config)
    torch.nn.init.normal_(model.cls.predictions.bias)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["mask", "llama", "bart", "t5"])
def test_heads_over_the_vocabulary_are_cut_with_it(kind: str, tmp_path: Path) -> None:
    import torch

    source, target = tmp_path / "source", tmp_path / "small"
    words = [WORDS[at] for at in range(20)]
    task, rows = {
        "mask": ("fill-mask", {"text": [" ".join(words)]}),
        "llama": ("text-generation", {"prompt": [" ".join(words)], "completion": ["it is"]}),
        "bart": ("text2text-generation", {"source": [" ".join(words)], "target": ["it is"]}),
        "t5": ("text2text-generation", {"source": [" ".join(words)], "target": ["it is"]}),
    }[kind]
    if kind == "mask":
        masked(source)
    elif kind == "llama":
        tiny_writer(source)
    else:
        tiny_translator(source, kind=kind)
    done(source, target, task, rows=[rows])
    models, tokenizers = [], []
    for path in (source, target):
        _, model, tokenizer = load_trained(path, task)
        models.append(model)
        tokenizers.append(tokenizer)
    text = " ".join(words[:6])
    fed = [tokenizer(text, return_tensors="pt")["input_ids"] for tokenizer in tokenizers]
    more = [{"decoder_input_ids": ids[:, :3]} if kind in ("bart", "t5") else {} for ids in fed]
    with torch.inference_mode():
        logits = [model(input_ids=ids, **m).logits for model, ids, m in zip(models, fed, more, strict=True)]
    old, new = (tokenizer.get_vocab() for tokenizer in tokenizers)
    order = [old[token] for token, _ in sorted(new.items(), key=lambda pair: pair[1])]
    assert logits[1].shape[-1] == len(new) < len(old)
    torch.testing.assert_close(logits[1], logits[0][..., order], rtol=1e-5, atol=1e-6)


def test_a_padding_token_that_positions_are_counted_from_stays_where_it_is(tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    rng = random.Random(0)
    learnt = [" ".join(rng.choice(MANY) for _ in range(8)) for _ in range(400)]
    inner.train_from_iterator(
        learnt, trainers.BpeTrainer(vocab_size=450, special_tokens=special, initial_alphabet=alphabet)
    )
    inner.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=64, cls_token="<s>", sep_token="</s>", **names
    )
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=66, pad_token_id=1, id2label={0: "ham", 1: "spam"}, label2id={"ham": 0, "spam": 1},
    )  # fmt: skip
    torch.manual_seed(0)
    RobertaForSequenceClassification(config).save_pretrained(tmp_path / "source")
    tokenizer.save_pretrained(tmp_path / "source")
    result = done(tmp_path / "source", tmp_path / "small")
    assert result.after < result.before
    found = [runtime(tmp_path / name, threads=1).outputs(ROWS["text"]) for name in ("source", "small")]
    assert np.array_equal(*found)


def test_what_has_no_vocabulary_says_so(tmp_path: Path) -> None:
    tiny_image_model(tmp_path / "image", ("cat", "dog"))
    with pytest.raises(UnsupportedError, match="no vocabulary"):
        done(tmp_path / "image", tmp_path / "small", "image-classification")


@pytest.mark.slow
def test_a_quantized_model_and_a_full_vocabulary_are_refused(source: Path, tmp_path: Path) -> None:
    from modelnook.quantize import QUANTIZERS

    pytest.importorskip("onnxruntime")
    options = {"task": "text-classification", "calibration": [], "emit": lambda event: None}
    QUANTIZERS.load("onnx")().quantize(source, tmp_path / "int8", "int8", **options)
    with pytest.raises(UnsupportedError, match="already quantized"):
        done(tmp_path / "int8", tmp_path / "small")
    with pytest.raises(UnsupportedError, match="Nothing is won"):
        done(source, tmp_path / "small", rows=[{"text": list(MANY)}])
    assert not (tmp_path / "small").exists()
