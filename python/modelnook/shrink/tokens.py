"""Which tokens of a vocabulary stay, and a tokenizer's JSON written anew without the others.

Works on what the package ``tokenizers`` writes, for WordPiece, BPE, Unigram (SentencePiece) and WordLevel. A text whose
tokens all stay is divided as before:

- WordPiece takes the longest entry that fits; of fewer entries, the one it took is still the longest.
- BPE merges the pair that was learnt first. Each merge on the way to a token that stays must stay too, see
  :func:`way_to`; the merges left are then a subset that holds all that happened, in their order.
- Unigram takes the likeliest division; with fewer candidates it is still the likeliest. The least likely entry stays,
  because what an unknown character costs is reckoned from it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

from modelnook.domain.errors import UsageError

__all__ = ["FEW", "SHARE", "choose", "essential", "rewrite", "vocabulary", "words"]

SHARE = 0.15
"""Of the vocabulary, the part that stays by rank alone, so that texts of tomorrow are read as well.

On clinc150 the test accuracy of MiniLM fell by 0.6 points with 5%; every further 5% is half a percent of its bytes."""

FEW = 0.05
"""The same where a word that was cut is read as the nearest that stayed: on customer reviews MiniLM loses 0.2 points
with it as with 15% (without such words 1.3 and 1.1)."""

ALWAYS = 0x250
"""Single characters below this stay whatever the data holds: Latin letters, digits, signs, and all bytes of BPE."""

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_PLACEHOLDER = re.compile(r"[\[<]unused\d+[\]>]")

Json = dict[str, Any]


def vocabulary(said: Json) -> dict[str, int]:
    """Token -> its number, added tokens included.

    >>> vocabulary({"model": {"type": "Unigram", "vocab": [["<unk>", 0.0], ["a", -1.5]]}})
    {'<unk>': 0, 'a': 1}
    """
    entries = said["model"]["vocab"]
    found = {token: at for at, (token, _) in enumerate(entries)} if isinstance(entries, list) else dict(entries)
    return {**found, **{added["content"]: added["id"] for added in said.get("added_tokens") or ()}}


def choose(
    said: Json,
    counts: Counter[int],
    fixed: Iterable[int],
    most: int | None = None,
    share: float = SHARE,
    coverage: float = 1.0,
) -> list[int]:
    """The numbers of the tokens that stay, ascending.

    Without ``most`` these are all that were counted, the :func:`essential` ones and the ``share`` of highest rank.
    With it the essential ones, then the most counted, then those of highest rank, until there are ``most``.

    Args:
        counts: how often each token occurs in the person's rows.
        fixed: numbers that the model itself looks for.
        coverage: of those that were counted only the most frequent stay that make up this part of the occurrences.

    Raises:
        UsageError: ``most`` doesn't hold the essential tokens.
    """
    known = vocabulary(said)
    names = {number: token for token, number in known.items()}
    used = [number for number, count in counts.most_common() if number in names and count > 0]
    must = essential(said, "".join(names[number] for number in used)) | (set(fixed) & set(names))
    ranked = [number for number in _by_rank(said) if number not in must]
    way = way_to(said)

    def needed(number: int) -> set[int]:
        return {number, *(known[part] for part in way(names[number]) if part in known)}

    if most is None:
        frequent = used if coverage >= 1 else _covering(counts, used, coverage)
        wanted = [*frequent, *ranked[: round(share * len(known))]]
        return sorted(must.union(*(needed(number) for number in wanted)))
    if most < len(must):
        raise UsageError("shrink.too_few_tokens", tokens=most, least=len(must))
    kept = set(must)
    for number in dict.fromkeys((*used, *ranked)):
        more = needed(number) - kept
        if len(kept) + len(more) <= most:
            kept |= more
    return sorted(kept)


def _covering(counts: Counter[int], used: list[int], coverage: float) -> list[int]:
    """The first of ``used``, the most counted first, that make up ``coverage`` of all that was counted."""
    sums = accumulate(counts[number] for number in used)
    return used[: bisect_left(list(sums), coverage * counts.total()) + 1]


def essential(said: Json, seen: str) -> set[int]:
    """Special and added tokens, what stands for the unknown, single bytes, and single characters of the scripts seen.

    Args:
        seen: characters of the person's texts.
    """
    model, known = said["model"], vocabulary(said)
    scripts = {_script(c) for c in set(seen)}
    found = {added["id"] for added in said.get("added_tokens") or ()}
    found |= {known[token] for token in _named(said.get("post_processor")) if token in known}
    if model.get("unk_token") in known:
        found.add(known[model["unk_token"]])
    if isinstance(model["vocab"], list):
        found |= {model["unk_id"]} if model.get("unk_id") is not None else set()
        found.add(min(range(len(model["vocab"])), key=lambda at: model["vocab"][at][1]))
    for token, number in known.items():
        piece, inside = _bare(model, token)
        if _BYTE.fullmatch(token) or (len(piece) == 1 and _stays(piece, inside, scripts)):
            found.add(number)
    return found


def words(said: Json) -> dict[int, str]:
    """Number -> token, of those that are more than a single character, a byte or a mark of the model's own."""
    model, added = said["model"], {one["content"] for one in said.get("added_tokens") or ()}
    return {
        number: token
        for token, number in vocabulary(said).items()
        if len(_bare(model, token)[0]) > 1
        and token not in added
        and not (_BYTE.fullmatch(token) or _PLACEHOLDER.fullmatch(token))
    }


def _stays(character: str, inside: bool, scripts: set[str]) -> bool:
    script = _script(character)
    # Ideographs are words of their own: a form for the inside of a word is never used.
    return ord(character) < ALWAYS or (script in scripts and not (inside and script == "CJK"))


def _script(character: str) -> str:
    """The first word of a character's Unicode name, which is its script for letters: ``CYRILLIC``, ``CJK`` …"""
    return unicodedata.name(character, "").partition(" ")[0]


def _bare(model: Json, token: str) -> tuple[str, bool]:
    """A token without the marks of its place in a word, and whether it stands inside of one."""
    prefix = model.get("continuing_subword_prefix") or ""
    inside = bool(prefix) and token.startswith(prefix) and token != prefix
    return token.removeprefix(prefix if inside else "").removesuffix(model.get("end_of_word_suffix") or ""), inside


def _by_rank(said: Json) -> list[int]:
    """Numbers of the vocabulary, the most frequent tokens first: learnt vocabularies are in that order, or have it."""
    model = said["model"]
    if isinstance(model["vocab"], list):
        order = sorted(range(len(model["vocab"])), key=lambda at: -model["vocab"][at][1])
        return [at for at in order if not _PLACEHOLDER.fullmatch(model["vocab"][at][0])]
    # Single characters come first in most, by their code: they are chosen by script.
    words = [(number, token) for token, number in model["vocab"].items() if len(_bare(model, token)[0]) > 1]
    return [number for number, token in sorted(words) if not _PLACEHOLDER.fullmatch(token)]


def way_to(said: Json) -> Callable[[str], set[str]]:
    """For a token, what BPE makes of its single characters on the way to it, those included; nothing for other models.

    >>> said = {"model": {"type": "BPE", "vocab": {}, "merges": [["h", "e"], ["l", "l"], ["he", "ll"]]}}
    >>> sorted(way_to(said)("hell"))
    ['e', 'h', 'he', 'hell', 'l', 'll']
    """
    model = said["model"]
    if model.get("type") != "BPE":
        return lambda token: set()
    ranks = {pair: rank for rank, pair in enumerate(map(_pair, model["merges"]))}
    prefix, suffix = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""

    def way(token: str) -> set[str]:
        piece, inside = _bare(model, token)
        parts = [prefix + c if prefix and (at or inside) else c for at, c in enumerate(piece)]
        if suffix and token.endswith(suffix) and parts:
            parts[-1] += suffix
        made = set(parts)
        while len(parts) > 1:
            at = min(range(len(parts) - 1), key=lambda i: ranks.get((parts[i], parts[i + 1]), len(ranks)))
            if (parts[at], parts[at + 1]) not in ranks:
                break
            parts[at : at + 2] = [_merged(parts[at], parts[at + 1], prefix)]
            made.add(parts[at])
        return made

    return way


def _pair(merge: Any) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _merged(left: str, right: str, prefix: str) -> str:
    return left + right.removeprefix(prefix)


def rewrite(said: Json, kept: list[int]) -> Json:
    """The tokenizer with the tokens ``kept`` alone; a token's new number is its place among them."""
    new = {number: at for at, number in enumerate(kept)}
    model = dict(said["model"])
    if isinstance(model["vocab"], list):
        model["vocab"] = [model["vocab"][number] for number in kept if number < len(model["vocab"])]
        if model.get("unk_id") is not None:
            model["unk_id"] = new[model["unk_id"]]
    else:
        left = sorted((new[number], token) for token, number in model["vocab"].items() if number in new)
        model["vocab"] = {token: number for number, token in left}
    if model.get("merges"):
        prefix = model.get("continuing_subword_prefix") or ""
        there = model["vocab"]
        model["merges"] = [
            merge for merge in model["merges"] if {*_pair(merge), _merged(*_pair(merge), prefix)} <= there.keys()
        ]
    added = [{**one, "id": new[one["id"]]} for one in said.get("added_tokens") or ()]
    return {
        **said,
        "model": model,
        "added_tokens": added,
        "post_processor": _renumbered(said.get("post_processor"), new),
    }


def _named(processor: Any) -> set[str]:
    """The tokens that a post-processor adds."""
    if not processor:
        return set()
    if processor["type"] == "Sequence":
        return set().union(*map(_named, processor["processors"]))
    said = processor.get("special_tokens") or {}
    pairs = [processor[name][0] for name in ("sep", "cls") if isinstance(processor.get(name), list)]
    return {*pairs, *(token for entry in said.values() for token in entry["tokens"])}


def _renumbered(processor: Any, new: dict[int, int]) -> Any:
    """A post-processor with the new numbers of the tokens that it adds."""
    if not processor:
        return processor
    if processor["type"] == "Sequence":
        return {**processor, "processors": [_renumbered(one, new) for one in processor["processors"]]}
    changed = dict(processor)
    for name in ("sep", "cls"):
        if isinstance(changed.get(name), list):
            token, number = changed[name]
            changed[name] = [token, new[number]]
    if changed.get("special_tokens"):
        changed["special_tokens"] = {
            name: {**entry, "ids": [new[number] for number in entry["ids"]]}
            for name, entry in changed["special_tokens"].items()
        }
    return changed
