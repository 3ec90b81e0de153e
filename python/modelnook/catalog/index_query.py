"""A query as expressions of the index: filters as tokens, words in three tiers, each wider than the one before.

First the name itself, or a task or language that the words mean; then whatever else is said of a model, and words of
the same meaning; last the beginnings of words, and wider tasks. Within a tier the most used comes first, since that is
the order of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from modelnook.catalog.base import Query
from modelnook.catalog.index_rows import filter_token, size_range
from modelnook.catalog.words import Concept, concepts, grams, language_code

__all__ = ["filters", "tiers"]

KINDS = ("permissive", "copyleft", "noncommercial", "other", "unknown")
_SHORTEST_PREFIX = 2

Ending = Callable[[str], list[str]]
"""The words of the index that begin so, the ones of the most used models first."""


def filters(query: Query) -> list[str]:
    """What an entry must have, as expressions that hold together."""
    found = []
    if query.task:
        found.append(_q(f"t={filter_token(query.task)}"))
    if query.license:
        said = query.license.lower()
        kind = "u=commercial" if said == "commercial" else f"k={said}" if said in KINDS else f"i={filter_token(said)}"
        found.append(_q(kind))
    if query.language:
        found.append(_q(f"g={filter_token(language_code(query.language))}"))
    if query.format:
        found.append(_q(f"f={filter_token(query.format)}"))
    if query.gated is not None:
        found.append(_q("d=gated" if query.gated else "d=open"))
    if query.params:
        found.append(_any(map(_q, size_range(*query.params))))
    return found


def tiers(query: Query, beginning: Ending) -> list[Callable[[], str]]:
    """The expressions to try one after another, each made when it is needed; empty where there are no words."""
    asked = concepts(query.text)
    held = filters(query)
    if not asked:
        return [lambda: _all(held)] if held else []

    def made(form: Callable[[Concept], str]) -> Callable[[], str]:
        return lambda: _all([*map(form, asked), *held])

    found = [made(_named), made(_said), made(lambda c: _begun(c, beginning))]
    if len(asked) > 1:
        # A sentence may hold a word that no model has: the rest of it is still meant.
        for left in reversed(asked):
            rest = [c for c in asked if c is not left]
            found.append(lambda rest=rest: _all([*map(_said, rest), *held]))  # type: ignore[misc]
    return found


def _named(concept: Concept) -> str:
    found = [*_words(concept, ""), *(_q(f"t={task}") for task in concept.tasks)]
    found += [_q(f"g={language}") for language in concept.languages]
    if concept.chinese:
        found += [_q(mark + word) for word in concept.words for mark in ("", "~")]
    return _any(found)


def _said(concept: Concept) -> str:
    also = [_q(mark + word) for word in concept.words for mark in ("", "~")]
    return _any([_named(concept), *_words(concept, "~"), *also])


def _begun(concept: Concept, beginning: Ending) -> str:
    found = [_said(concept), *(_q(f"t={task}") for task in concept.near)]
    if not concept.chinese and " " not in concept.text and len(concept.text) >= _SHORTEST_PREFIX:
        begun = beginning(concept.text)
        # A beginning that no well-used model has: few have it at all, and they can be gone through.
        found += map(_q, begun) if begun else [_q(concept.text) + " *"]
    return _any(found)


def _words(concept: Concept, mark: str) -> list[str]:
    """The words as typed: whole, and by their parts where they have some."""
    if concept.chinese:
        pairs = [g for g in grams(concept.text) if len(g) > 1] or [concept.text]
        return [_all(_q(mark + pair) for pair in pairs)]
    found = [] if " " in concept.text else [_q(mark + concept.text)]
    return found + ([_all(_q(mark + part) for part in concept.parts)] if concept.parts else [])


def _q(token: str) -> str:
    return '"' + token.replace('"', '""') + '"'


def _all(parts: Iterable[str]) -> str:
    said = list(dict.fromkeys(parts))
    return said[0] if len(said) == 1 else f"({' AND '.join(said)})"


def _any(parts: Iterable[str]) -> str:
    said = list(dict.fromkeys(parts))
    return said[0] if len(said) == 1 else f"({' OR '.join(said)})"
