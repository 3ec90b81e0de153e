"""A query as expressions of the index: filters as tokens, words in three tiers, each wider than the one before.

First the name itself, or a task or language that the words mean; then whatever else is said of a model, and words of
the same meaning; last the beginnings of words, and wider tasks. Within a tier the most used comes first, since that is
the order of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from modelnook.catalog.base import Query
from modelnook.catalog.index_rows import filter_token, size_range
from modelnook.catalog.words import Concept, concepts, grams, language_code

__all__ = ["Alternative", "Tier", "filters", "held", "tiers"]

KINDS = ("permissive", "copyleft", "noncommercial", "other", "unknown")
_SHORTEST_PREFIX = 2

Alternative = str | tuple[str, ...]
"""A token, or several that must all be there; ``(word, "*")`` for whatever begins so."""

Ending = Callable[[str], list[str]]
"""The words of the index that begin so, the ones of the most used models first."""


def filters(query: Query) -> list[str]:
    """What an entry must have, a token each; the range of sizes isn't among them."""
    found = []
    if query.task:
        found.append(f"t={filter_token(query.task)}")
    if query.license:
        said = query.license.lower()
        kind = "u=commercial" if said == "commercial" else f"k={said}" if said in KINDS else f"i={filter_token(said)}"
        found.append(kind)
    if query.language:
        found.append(f"g={filter_token(language_code(query.language))}")
    if query.format:
        found.append(f"f={filter_token(query.format)}")
    if query.gated is not None:
        found.append("d=gated" if query.gated else "d=open")
    return found


def held(query: Query) -> list[str]:
    """The filters as expressions that hold together."""
    sizes = [_any(map(_q, size_range(*query.params)))] if query.params else []
    return [*map(_q, filters(query)), *sizes]


@dataclass(frozen=True, slots=True)
class Tier:
    """One way to look. ``parts`` is, for each concept, what stands for it: tokens, or several of them together."""

    parts: tuple[tuple[Alternative, ...], ...]
    number: int

    def expression(self, more: Iterable[str] = ()) -> str:
        """As the full-text table is asked."""
        return _all([*(_any(map(_said_as, part)) for part in self.parts), *more])


def tiers(query: Query, beginning: Ending) -> Iterator[Tier]:
    """The ways to look, one after another, each wider; the caller stops when it has enough. None without words.

    Args:
        beginning: looked up only where the first two ways weren't enough.
    """
    asked = concepts(query.text)
    if not asked:
        return
    named = Tier(tuple(map(_named, asked)), 0)
    said = Tier(tuple(map(_said, asked)), 1)
    yield named
    if said.parts != named.parts:
        yield said
    # What is being typed is the last word.
    yield Tier((*map(_near, asked[:-1]), _begun(asked[-1], beginning)), 2)
    if len(asked) > 1:
        yield Tier(tuple(_begun(c, beginning) for c in asked), 3)
        # A sentence may hold a word that no model has: the rest of it is still meant.
        for left in reversed(asked):
            yield Tier(tuple(_said(c) for c in asked if c is not left), 3)


def _named(concept: Concept) -> tuple[Alternative, ...]:
    found = [*_words(concept, ""), *(f"t={task}" for task in concept.tasks)]
    found += [f"g={language}" for language in concept.languages]
    if concept.chinese:
        found += [mark + word for word in concept.words for mark in ("", "~")]
    return tuple(dict.fromkeys(found))


def _said(concept: Concept) -> tuple[Alternative, ...]:
    also = [mark + word for word in concept.words for mark in ("", "~")]
    return tuple(dict.fromkeys([*_named(concept), *_words(concept, "~"), *also]))


def _near(concept: Concept) -> tuple[Alternative, ...]:
    return tuple(dict.fromkeys([*_said(concept), *(f"t={task}" for task in concept.near)]))


def _begun(concept: Concept, beginning: Ending) -> tuple[Alternative, ...]:
    found = list(_near(concept))
    if not concept.chinese and " " not in concept.text and len(concept.text) >= _SHORTEST_PREFIX:
        # A beginning that no well-used model has: few have it at all, and they can be gone through.
        found += beginning(concept.text) or [(concept.text, "*")]
    return tuple(dict.fromkeys(found))


def _words(concept: Concept, mark: str) -> list[Alternative]:
    """The words as typed: whole, and by their parts where they have some."""
    if concept.chinese:
        pairs = [g for g in grams(concept.text) if len(g) > 1] or [concept.text]
        return [tuple(mark + pair for pair in pairs)]
    found: list[Alternative] = [] if " " in concept.text else [mark + concept.text]
    return found + ([tuple(mark + part for part in concept.parts)] if concept.parts else [])


def _said_as(alternative: Alternative) -> str:
    if isinstance(alternative, str):
        return _q(alternative)
    if alternative[-1] == "*":
        return f"{_q(alternative[0])} *"
    return _all(map(_q, alternative))


def _q(token: str) -> str:
    return '"' + token.replace('"', '""') + '"'


def _all(parts: Iterable[str]) -> str:
    said = list(dict.fromkeys(parts))
    return said[0] if len(said) == 1 else f"({' AND '.join(said)})"


def _any(parts: Iterable[str]) -> str:
    said = list(dict.fromkeys(parts))
    return said[0] if len(said) == 1 else f"({' OR '.join(said)})"
