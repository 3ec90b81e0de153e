"""Vocabularies of every kind, learnt from texts here: what stays reads the same, and new texts are still read."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from modelnook.domain.errors import UsageError
from modelnook.shrink.tokens import choose, essential, rewrite, vocabulary

WORDS = (
    "the of weather report today sunny cloudy raining running reader unreadable meeting tomorrow lunch 天气 很好 дождь"
).split()


def texts(count: int, seed: int, words: list[str] = WORDS) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choice(words) for _ in range(rng.randint(1, 9))) for _ in range(count)]


def wordpiece() -> Tokenizer:
    found = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    found.normalizer = normalizers.BertNormalizer(lowercase=True)
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    found.train_from_iterator(texts(500, 1), trainer)
    ends = [(token, found.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return found


def bytes_bpe() -> Tokenizer:
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    found.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<s>", "<pad>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    found.train_from_iterator(texts(500, 1), trainer)
    found.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return found


def words_bpe() -> Tokenizer:
    """With marks for the inside and the end of a word, as old ones have them."""
    found = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>"], continuing_subword_prefix="##", end_of_word_suffix="</w>"
    )
    found.train_from_iterator(texts(500, 1), trainer)
    return found


def unigram() -> Tokenizer:
    found = Tokenizer(models.Unigram())
    found.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="<unk>")
    found.train_from_iterator(texts(500, 1), trainer)
    ends = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    found.post_processor = processors.Sequence([ends])
    return found


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "bytes-bpe": bytes_bpe,
    "unigram": unigram,
    "wordpiece": wordpiece,
    "words-bpe": words_bpe,
}


def said(tokenizer: Tokenizer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tokenizer.to_str())
    return found


def cut(tokenizer: Tokenizer, rows: list[str], most: int | None = None) -> tuple[Tokenizer, list[int]]:
    counts = Counter(number for one in tokenizer.encode_batch(rows) for number in one.ids)
    kept = choose(said(tokenizer), counts, (), most)
    return Tokenizer.from_str(json.dumps(rewrite(said(tokenizer), kept))), kept


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_divided_as_before(kind: str) -> None:
    whole = KINDS[kind]()
    rows = texts(60, 2, WORDS[:9])
    small, kept = cut(whole, rows)
    assert small.get_vocab_size() == len(kept) < whole.get_vocab_size()
    for text in (*rows, *texts(300, 3), "unseen words, бор! 天 ~", ""):
        before, after = whole.encode(text), small.encode(text)
        if all(number in kept for number in before.ids):
            assert after.tokens == before.tokens
            assert after.ids == [kept.index(number) for number in before.ids]
    assert all(set(whole.encode(text).ids) <= set(kept) for text in rows)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_have_their_ends(kind: str) -> None:
    whole = KINDS[kind]()
    small, _ = cut(whole, texts(60, 2, WORDS[:9]))
    assert small.encode("the weather", "of today").tokens == whole.encode("the weather", "of today").tokens


@pytest.mark.parametrize("kind", KINDS)
def test_new_words_are_read_in_pieces(kind: str) -> None:
    whole = KINDS[kind]()
    small, _ = cut(whole, ["the weather"])
    unknown = {number for token, number in small.get_vocab().items() if token in ("[UNK]", "<unk>")}
    for text in ("unreadable meeting", "tomorrow raining", "zebra"):
        before = {number for token, number in whole.get_vocab().items() if token in ("[UNK]", "<unk>")}
        if not before & set(whole.encode(text).ids):
            assert not unknown & set(small.encode(text).ids), text


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_of_tokens_is_kept_to_and_the_most_used_stay(kind: str) -> None:
    whole = KINDS[kind]()
    rows = [*["the weather report"] * 20, *texts(40, 5)]
    counts = Counter(number for one in whole.encode_batch(rows) for number in one.ids)
    names = {number: token for token, number in vocabulary(said(whole)).items()}
    least = len(essential(said(whole), "".join(names[n] for n in counts)))
    small, _ = cut(whole, rows, least + 12)
    assert least < small.get_vocab_size() <= least + 12
    assert len(small.encode("the weather").ids) <= len(small.encode("cloudy tomorrow").ids)
    with pytest.raises(UsageError, match=str(least)):
        cut(whole, rows, least - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_most_frequent_that_make_up_a_part_stay(kind: str) -> None:
    tokenizer = KINDS[kind]()
    counts = Counter(number for text in texts(60, 2) for number in tokenizer.encode(text).ids)
    kept = choose(said(tokenizer), counts, (), share=0.0, coverage=0.7)
    whole = choose(said(tokenizer), counts, (), share=0.0)
    assert set(kept) < set(whole)
    assert sum(count for number, count in counts.items() if number in kept) >= 0.7 * counts.total()
    assert max(counts[n] for n in set(whole) - set(kept)) < max(counts.values()), "the rarer ones go"


def test_a_merge_that_stays_has_all_that_it_is_made_of() -> None:
    small, _ = cut(bytes_bpe(), ["raining running unreadable"])
    model = said(small)["model"]
    for left, right in model["merges"]:
        assert {left, right, left + right} <= model["vocab"].keys()
    assert small.encode("unreadable").tokens == bytes_bpe().encode("unreadable").tokens


def test_what_an_unknown_character_costs_stays() -> None:
    whole = unigram()
    small, _ = cut(whole, ["the weather today"])
    least = min(score for _, score in said(whole)["model"]["vocab"])
    assert min(score for _, score in said(small)["model"]["vocab"]) == pytest.approx(least, abs=1e-9)


def test_added_tokens_stay_with_new_numbers() -> None:
    whole = wordpiece()
    whole.add_special_tokens(["[USER]", "[BOT]"])
    small, kept = cut(whole, ["the weather"])
    assert small.encode("the [BOT] weather").tokens == whole.encode("the [BOT] weather").tokens
    assert kept[small.token_to_id("[BOT]")] == whole.token_to_id("[BOT]")


def test_scripts_that_the_rows_have_stay_whole() -> None:
    model = {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "vocab": {token: at for at, token in enumerate(["[UNK]", "a", "##a", "天", "##天", "气", "д", "word"])},
    }
    found = essential({"model": model, "added_tokens": []}, "天")
    assert sorted(found) == [0, 1, 2, 3, 5], "Latin always, Chinese because it is there, no Cyrillic"
