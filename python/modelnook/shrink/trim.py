"""Vocabulary trimming: the tokens that the person's rows use, and what reads new texts, stay; the rest is cut.

Of a small model most of the weights are its embedding table: half of MiniLM's, four fifths of a multilingual one's. A
row of the table whose token never occurs does nothing, so the model's answers to the rows at hand are the same to the
last bit (Abdaoui et al. 2020, arXiv:2010.05609, cut multilingual BERT so by language).

A word of tomorrow's texts that was cut would be divided into pieces that mean little to the model. Where the tokenizer
can give several words one number it reads the nearest that stayed in its place, by the angle between the rows of the
model's own table: ``flaws`` as ``flaw``, ``qualities`` as ``characteristics``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig

from modelnook.convert.llama_tokenizer import KEY, probe_of
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.runtime.folder import max_length
from modelnook.runtime.silence import silence
from modelnook.shrink.folder import read, staged, write
from modelnook.shrink.tokens import FEW, SHARE, choose, rewrite, vocabulary, words
from modelnook.tasks.near import NEAR, near_of, plain, write_near
from modelnook.tasks.pretrained_heavy import load_tokenizer

__all__ = ["Trimmed", "trim"]

WORTH_IT = 0.97
"""Above this share of tokens that stay, cutting isn't worth another model."""

OFFSET = 16
"""Up to this number of a padding token, those before it stay: some models count positions from it."""

NEAR_ENOUGH = 0.3
"""The cosine between two rows, less the mean of those that stay, from which one may stand for the other. Rows that have
nothing in common are within 0.2 of 0."""

PART = 4096
"""Rows that are compared at a time."""

_MANY_TO_ONE = ("WordPiece", "WordLevel")
"""Tokenizers that look a word up: for the others a token's number is its place, or merges are told by numbers."""

_REPLACED = (
    "vocab.txt vocab.json merges.txt spiece.model sentencepiece.bpe.model tokenizer.model tekken.json added_tokens.json"
).split()
"""Files that say the vocabulary a second time; tokenizer.json is what is read here."""

_BIASES = ("predictions.bias", "lm_head.bias")
"""What a language model's head adds to each token, where it isn't part of the last layer."""

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """``tokens`` before and after; ``used`` of them occur in the rows, ``cut`` is the share of these occurrences that
    is read in smaller pieces now, ``moved`` the share that is read as the nearest token that stayed (both 0 where none
    was asked to go); ``near`` tokens are read so.
    """

    before: int
    after: int
    used: int
    cut: float
    moved: float = 0.0
    near: int = 0


def trim(
    source: Path,
    target: Path,
    *,
    task: str,
    rows: Sequence[Columns],
    most: int | None = None,
    coverage: float = 1.0,
    emit: Emit,
) -> Trimmed:
    """Write to ``target`` the model in ``source`` with a smaller vocabulary.

    Args:
        rows: tables of role -> values whose tokens stay.
        most: the tokens of the result; None keeps all that occur, see :func:`modelnook.shrink.tokens.choose`.
        coverage: keeps the most frequent alone, which make up this part of all that occurs.

    Raises:
        UnsupportedError: quantized; reads no text; its tokenizer is of an unknown kind; nothing to cut.
        UsageError: ``most`` is too few.
        StoreError: the disk is full.
    """
    emit(Progress("loading"))
    heavy, model, processor = read(source, task, "trim")
    said = _tokenizer(source, heavy, processor)
    table = model.get_input_embeddings()
    _check_table(model, table)
    emit(Progress("trimming"))
    length = max_length(source)
    encoded = [heavy.encode(processor, columns, length) for columns in rows]
    counts = Counter(number for part in encoded for number in _ids(part, heavy) if number < table.num_embeddings)
    probe = probe_of(processor, said) if heavy.spec.name == "text-generation" else None
    several = _several(said, heavy, model)
    fixed = {*_fixed(model), *processor.all_special_ids}
    kept = choose(said, counts, fixed, most, FEW if several else SHARE, coverage)
    before = table.num_embeddings
    if len(kept) > WORTH_IT * before:
        raise UnsupportedError("shrink.nothing_to_trim", kept=len(kept), tokens=before)
    with torch.no_grad():
        stand_ins = _stand_ins(table.weight, words(said), kept) if several else {}
        _cut(model, table, kept)
    new = {number: at for at, number in enumerate(kept)}
    read_as = new | {number: new[other] for number, other in stand_ins.items()}
    near = _near(said, near_of(processor), new, read_as) if several else {}
    emit(Progress("saving"))
    with staged(target) as folder:
        write(source, folder, heavy, model, processor)
        _write_tokenizer(folder, rewrite(said, kept), near, {KEY: probe} if probe else {})
        _verify(folder, heavy, rows, encoded, read_as, length)
    total = max(1, counts.total())
    lost = sum(count for number, count in counts.items() if number not in read_as)
    moved = sum(count for number, count in counts.items() if number in stand_ins)
    return Trimmed(before, len(kept), len(counts), lost / total, moved / total, len(near))


def _several(said: dict[str, Any], heavy: Any, model: Any) -> bool:
    """Whether several words may have one number: not where a number has to say which word is meant."""
    writes = heavy.spec.name in WRITES or model.get_output_embeddings() is not None
    return said["model"].get("type") in _MANY_TO_ONE and not writes


def _stand_ins(table: torch.Tensor, named: Mapping[int, str], kept: Sequence[int]) -> dict[int, int]:
    """Number of a word that goes -> number of the nearest that stays, where one is near enough."""
    table, stays = table.detach().float(), set(kept)
    left = [number for number in kept if number in named]
    going = [number for number in sorted(named) if number not in stays and number < len(table)]
    if not left or not going:
        return {}
    centre = table[torch.tensor(left)].mean(dim=0)
    rows = nn.functional.normalize(table[torch.tensor(left)] - centre, dim=1)
    found = {}
    for start in range(0, len(going), PART):
        part = going[start : start + PART]
        alike, at = (nn.functional.normalize(table[torch.tensor(part)] - centre, dim=1) @ rows.T).max(dim=1)
        for number, share, place in zip(part, alike.tolist(), at.tolist(), strict=True):
            if share >= NEAR_ENOUGH:
                found[number] = left[place]
    return found


def _near(
    said: dict[str, Any], had: Mapping[str, int], new: Mapping[int, int], read_as: Mapping[int, int]
) -> dict[str, int]:
    """Word that has no row of its own any more -> the new number of what it is read as; an earlier trim's words too."""
    named = words(said)
    gone = {named[number]: number for number in sorted(read_as) if number not in new}
    return {token: read_as[number] for token, number in (gone | dict(had)).items() if number in read_as}


def _tokenizer(source: Path, heavy: Any, processor: Any) -> dict[str, Any]:
    """The tokenizer's JSON, as transformers has it loaded."""
    if getattr(processor, "backend_tokenizer", None) is None or not hasattr(processor, "vocab_size"):
        raise UnsupportedError("shrink.no_vocabulary", path=source, task=heavy.spec.name)
    with plain(processor):
        backend = processor.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        said: dict[str, Any] = json.loads(backend.to_str())
        # What the library counts is true; a file may say other numbers of its added tokens.
        numbers = backend.get_vocab(with_added_tokens=True)
    kind = said["model"].get("type")
    if kind not in ("WordPiece", "BPE", "Unigram", "WordLevel"):
        raise UnsupportedError("shrink.no_vocabulary", path=source, task=heavy.spec.name)
    added = [{**one, "id": numbers[one["content"]]} for one in said.get("added_tokens") or ()]
    return {**said, "added_tokens": added}


def _check_table(model: Any, table: Any) -> None:
    """Raise UnsupportedError where the tokens' table isn't the only one of its kind."""
    others = [
        part
        for name, part in model.named_modules()
        if isinstance(part, nn.Embedding)
        and part.num_embeddings == getattr(table, "num_embeddings", None)
        and part.weight is not table.weight
        and "position" not in name
        and "type" not in name
    ]
    if not isinstance(table, nn.Embedding) or others:
        raise UnsupportedError("shrink.no_table", architecture=type(model).__name__)


def _ids(encoded: Mapping[str, Sequence[Any]], heavy: Any) -> list[int]:
    """Every token of encoded rows; what a model writes is in its labels."""
    names = [name for name in encoded if name.endswith("input_ids")]
    if not heavy.cuts_vocabulary and heavy.spec.name in WRITES:
        names += [name for name in encoded if name.endswith("labels")]
    return [int(number) for name in names for row in encoded[name] for number in row if number >= 0]


WRITES = ("fill-mask", "text-generation", "text2text-generation")
"""Tasks whose labels are tokens."""


def _fixed(model: Any) -> set[int]:
    """Numbers that the model looks for by its configuration, and those before its padding token's."""
    found = {number for said in _configs(model) for numbers in _numbers(said).values() for number in _listed(numbers)}
    pad = getattr(model.config, "pad_token_id", None)
    return found | (set(range(pad + 1)) if isinstance(pad, int) and pad < OFFSET else set())


def _configs(model: Any) -> list[Any]:
    """The model's configuration with those inside of it, and how it generates."""
    found = [model.config]
    for said in found:
        found += [value for value in vars(said).values() if isinstance(value, PretrainedConfig)]
    generation = getattr(model, "generation_config", None)
    return found + ([generation] if generation is not None else [])


def _numbers(said: Any) -> dict[str, Any]:
    """A configuration's fields that hold numbers of tokens."""
    return {n: v for n, v in vars(said).items() if n.endswith("_token_id") and isinstance(v, int | list)}


def _listed(numbers: Any) -> list[int]:
    return [number for number in (numbers if isinstance(numbers, list) else [numbers]) if number >= 0]


def _cut(model: Any, table: nn.Embedding, kept: list[int]) -> None:
    """Leave the rows ``kept``, in their order, in the table and in what reads tokens off; numbers follow."""
    index = torch.tensor(kept)
    new = {number: at for at, number in enumerate(kept)}
    size = table.num_embeddings
    head = model.get_output_embeddings()
    moved = [table.weight]
    if head is not None:
        moved += [p for p in (head.weight, getattr(head, "bias", None)) if p is not None and p is not table.weight]
    biases = (p for name, p in model.named_parameters() if name.endswith(_BIASES) and len(p) == size)
    moved += [p for p in biases if all(p is not m for m in moved)]
    for weight in moved:
        weight[: len(kept)] = weight[index].clone()
    for name, buffer in model.named_buffers():
        if name.endswith("final_logits_bias") and buffer.shape[-1] == size:
            buffer[..., : len(kept)] = buffer[..., index].clone()
    with silence():
        model.resize_token_embeddings(len(kept))
    for weight in moved:
        # A head that shares its weights with the table is taken to be done, its bias as well.
        if weight.dim() == 1 and len(weight) == size:
            weight.data = weight.data[: len(kept)].clone()
    for said in _configs(model):
        for name, numbers in _numbers(said).items():
            moved_to = [new.get(number, number) for number in _listed(numbers)]
            setattr(said, name, moved_to if isinstance(numbers, list) else (moved_to or [numbers])[0])


def _write_tokenizer(folder: Path, said: dict[str, Any], near: dict[str, int], more: dict[str, str]) -> None:
    """The tokenizer's JSON without blanks, which are a third of a small vocabulary's file; numbers in its settings."""
    (folder / NEAR).unlink(missing_ok=True)
    write_near(folder, near)
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    for name in _REPLACED:
        (folder / name).unlink(missing_ok=True)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    known = vocabulary(said)
    decoder = settings.get("added_tokens_decoder")
    if decoder:
        settings["added_tokens_decoder"] = {str(known[entry["content"]]): entry for entry in decoder.values()}
    file.write_text(json.dumps({**settings, **more}, ensure_ascii=False, indent=2), encoding="utf-8")


def _verify(
    folder: Path, heavy: Any, rows: Sequence[Columns], encoded: Sequence[Any], read_as: Mapping[int, int], length: int
) -> None:
    """Raise UnsupportedError where the written tokenizer divides texts otherwise whose tokens it all knows."""
    processor = load_tokenizer(str(folder))
    for columns, was in zip(rows, encoded, strict=True):
        again = heavy.encode(processor, columns, length)
        for name in (name for name in was if name.endswith("input_ids")):
            for old, now in zip(was[name], again[name], strict=True):
                if all(number in read_as for number in old) and [read_as[number] for number in old] != list(now):
                    raise UnsupportedError("shrink.other_tokens", path=folder.name)
