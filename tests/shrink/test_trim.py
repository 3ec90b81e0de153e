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
from modelnook.runtime.folder import limit
from modelnook.runtime.transformers import load_trained
from modelnook.shrink.trim import Trimmed, trim
from modelnook.store.files import folder_bytes
from modelnook.tasks.fill_mask_heavy import FillMaskTask
from modelnook.tasks.near import NEAR, near_in, plain
from modelnook.tasks.pooling import pooling_of
from modelnook.testing.media import tiny_image_model
from modelnook.testing.models import WORDS, tiny_model, tiny_rows, tiny_sentence_encoder, tiny_translator, tiny_writer

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


def test_what_a_next_training_needs_to_know_stays(tmp_path: Path) -> None:
    base = tiny_sentence_encoder(tmp_path / "base")
    settings = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 48}))
    done(base, tmp_path / "small", "sentence-similarity", rows=[{"anchor": ["the dog"], "positive": ["a cat"]}])
    assert limit(tmp_path / "small") == 48, "not the 64 that there are places for"
    assert pooling_of(tmp_path / "small") == "mean"


def test_a_full_disk_is_said(source: Path, small_disk: Path) -> None:
    with pytest.raises(StoreError, match="couldn't be written") as caught:
        done(source, small_disk / "out")
    assert caught.value.code == "shrink.not_saved"
    assert not list(small_disk.iterdir())


def test_the_rows_left_are_those_of_the_tokens_left(source: Path, tmp_path: Path) -> None:
    done(source, tmp_path / "small")
    (_, whole, old), (_, small, new) = (load_trained(p, "text-classification") for p in (source, tmp_path / "small"))
    tables = [model.get_input_embeddings().weight for model in (whole, small)]
    with plain(new):
        left = new.get_vocab()
    for token, number in left.items():
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
    assert 0 < result.cut + result.moved < 1
    assert runtime(tmp_path / "small").outputs(ROWS["text"]).shape == (40, 2)


def named(folder: Path) -> tuple[dict[str, int], dict[str, int]]:
    """The tokens with a row of their own, and those that are read as one of them."""
    said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return said["model"]["vocab"], near_in(folder)


def pair(folder: Path) -> tuple[str, str]:
    """A word that was cut, and the one that it is read as."""
    own, near = named(folder)
    words = {number: token for token, number in own.items()}
    return next((token, words[number]) for token, number in near.items() if token in MANY)


def test_a_word_that_was_cut_is_read_as_the_nearest_that_stayed(source: Path, tmp_path: Path) -> None:
    import torch

    result = done(source, tmp_path / "small")
    own, near = named(tmp_path / "small")
    assert result.near == len(near) > 0
    assert not own.keys() & near.keys()
    assert set(near.values()) <= set(own.values())
    word, other = pair(tmp_path / "small")
    small = runtime(tmp_path / "small", device="cpu", threads=1)
    assert np.array_equal(small.outputs([f"the {word}"]), small.outputs([f"the {other}"]))
    # By the model's own table: no word that stayed is nearer.
    _, model, old = load_trained(source, "text-classification")
    table, at = model.get_input_embeddings().weight.detach(), old.get_vocab()
    left = [token for token in own if len(token) > 1 and not token.startswith(("[", "##"))] + [
        token for token in own if token.startswith("##") and len(token) > 3
    ]
    rows = table[[at[token] for token in left]]
    alike = torch.cosine_similarity(table[at[word]] - rows.mean(0), rows - rows.mean(0))
    assert left[int(alike.argmax())] == other


def test_a_tokenizer_that_is_written_again_keeps_the_words_that_stayed(source: Path, tmp_path: Path) -> None:
    """The package ``tokenizers`` would keep any one of the words with a number."""
    from modelnook.tasks.pretrained_heavy import save_pretrained

    done(source, tmp_path / "small")
    _, model, tokenizer = load_trained(tmp_path / "small", "text-classification")
    word, _ = pair(tmp_path / "small")
    (tmp_path / "again").mkdir()
    save_pretrained(model, tokenizer, tmp_path / "again")
    assert named(tmp_path / "again") == named(tmp_path / "small")
    assert word in tokenizer.get_vocab(), "what is in memory goes on reading them"
    texts = [*ROWS["text"], f"a {word} zebra"]
    first, second = (runtime(tmp_path / name, threads=1).outputs(texts) for name in ("small", "again"))
    assert np.array_equal(first, second)


def test_a_program_reads_them_too_and_holds_them_itself(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from tokenizers import Tokenizer

    from modelnook.quantize import QUANTIZERS

    done(source, tmp_path / "small")
    options = {"task": "text-classification", "calibration": [], "emit": lambda event: None}
    QUANTIZERS.load("onnx")().quantize(tmp_path / "small", tmp_path / "int8", "int8", **options)
    word, other = pair(tmp_path / "small")
    tokenizer = Tokenizer.from_file(str(tmp_path / "int8" / "tokenizer.json"))
    assert tokenizer.encode(word).ids == tokenizer.encode(other).ids
    program = runtime(tmp_path / "int8")
    assert np.array_equal(program.outputs([f"the {word}"]), program.outputs([f"the {other}"]))
    assert not (tmp_path / "int8" / NEAR).exists()


def test_an_export_holds_them_where_other_tools_read(source: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from modelnook.export import EXPORTERS

    done(source, tmp_path / "small")
    (tmp_path / "out").mkdir()
    how: Any = {"task": "text-classification", "rows": [], "name": "small", "emit": lambda event: None}
    EXPORTERS.load("safetensors")().write(tmp_path / "small", tmp_path / "out", **how)
    word, other = pair(tmp_path / "small")
    elsewhere = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert elsewhere(f"the {word}")["input_ids"] == elsewhere(f"the {other}")["input_ids"]
    texts = [*ROWS["text"], f"a {word} zebra"]
    first, second = (runtime(tmp_path / name, threads=1).outputs(texts) for name in ("small", "out"))
    assert np.array_equal(first, second)
    assert not (tmp_path / "out" / NEAR).exists()


def test_a_second_trim_goes_on_from_the_first(source: Path, tmp_path: Path) -> None:
    done(source, tmp_path / "small")
    least = round(0.9 * len(named(tmp_path / "small")[0]))
    result = done(tmp_path / "small", tmp_path / "smaller", most=least)
    (own, near), (before, had) = named(tmp_path / "smaller"), named(tmp_path / "small")
    assert result.after == len(own) == least
    gone = before.keys() - own.keys()
    for token, number in had.items():
        read = next(name for name, at in before.items() if at == number)
        if read not in gone:
            assert near[token] == own[read]
    assert runtime(tmp_path / "smaller").outputs(ROWS["text"]).shape == (40, 2)


def test_where_a_number_says_which_word_is_meant_they_are_not_read(source: Path, tmp_path: Path) -> None:
    done(source, tmp_path / "small")
    word, other = pair(tmp_path / "small")
    own, _ = named(tmp_path / "small")
    _, tokenizer = FillMaskTask().load(str(tmp_path / "small"))
    assert word not in tokenizer.get_vocab()
    assert tokenizer.convert_ids_to_tokens(own[other]) == other


@pytest.mark.parametrize("text", ["{", "[1]", '{"riverside": 99999, "the": 3, "a": "b", "x": -1, "y": true}'])
def test_a_damaged_file_of_near_words_costs_these_words_alone(text: str, source: Path, tmp_path: Path) -> None:
    done(source, tmp_path / "small")
    whole = runtime(tmp_path / "small", threads=1).outputs(ROWS["text"])
    (tmp_path / "small" / NEAR).write_text(text)
    assert np.array_equal(runtime(tmp_path / "small", threads=1).outputs(ROWS["text"]), whole)


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
    assert not (target / NEAR).exists(), "of what writes, a number has to say which word is meant"
    torch.testing.assert_close(logits[1], logits[0][..., order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["mask", "llama"])
def test_fewer_tokens_to_choose_from_are_no_gain(kind: str, tmp_path: Path) -> None:
    """Beside the first model with the same tokens to choose from only what a text in pieces costs is left."""
    from modelnook.shrink.limited import limited

    source, target = tmp_path / "source", tmp_path / "small"
    masked(source) if kind == "mask" else tiny_writer(source)
    task = "fill-mask" if kind == "mask" else "text-generation"
    shown, new = ({"text": [" ".join(WORDS[at:end])] * 9} for at, end in ((0, 20), (-20, None)))
    done(source, target, task, rows=[shown])
    first, small = (runtime(path, task=task, device="cpu", threads=1) for path in (source, target))
    for columns in (shown, new):
        rows = first.spec().as_rows(columns)
        beside = np.asarray(limited(source, target, task=task, columns=columns))
        outputs = first.spec().beside(beside, small.outputs(rows))
        np.testing.assert_array_equal(outputs[:, 1], first.outputs(rows)[:, 1])
        if columns is shown:
            np.testing.assert_allclose(outputs[:, :2], beside, rtol=1e-4)
            assert (first.outputs(rows)[:, 0] > beside[:, 0]).all()
        else:
            assert (outputs[:, 0] > 1.2 * beside[:, 0]).all()


def test_of_a_text_that_is_too_long_in_pieces_the_part_counts_that_is_still_read(tmp_path: Path) -> None:
    from modelnook.shrink.limited import limited

    source, target = tiny_writer(tmp_path / "source"), tmp_path / "small"
    done(source, target, "text-generation", rows=[{"text": [" ".join(WORDS[:20])]}])
    columns = {"text": [" ".join([word] * 50) for word in WORDS[-7:]]}
    told = np.asarray(limited(source, target, task="text-generation", columns=columns))[:, 1]
    assert (told < 40).all(), "of 50 words that are three pieces each, 64 tokens hold less"


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
