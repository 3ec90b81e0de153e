"""Licences in plain words: may I use it commercially, must I share alike, what must I do, what is forbidden.

The words and the clauses that they rest on are data (``licences.json``, both languages). A licence that isn't there is
told by its kind alone. None of it is legal advice, and the card says so.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from modelnook.domain.model import Licence, Terms
from modelnook.messages import t
from modelnook.settings import language

__all__ = ["allows", "known", "licence_of", "terms"]

# What a kind alone says of (commercial use, share alike).
_BY_KIND = {
    "permissive": ("yes", "no"),
    "copyleft": ("yes", "yes"),
    "noncommercial": ("no", "unknown"),
    "other": ("unknown", "unknown"),
    "unknown": ("unknown", "unknown"),
}


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("licences.json").read_text(encoding="utf-8"))
    return table


def known() -> list[str]:
    """The ids of those that are told in plain words."""
    return list(_table())


@cache
def licence_of(id: str | None) -> Terms:
    """What a licence allows, without the sentences: for filters.

    >>> licence_of("apache-2.0").commercial, licence_of("cc-by-nc-4.0").commercial, licence_of(None).commercial
    ('yes', 'no', 'unknown')
    >>> licence_of("gpl-3.0").share_alike
    'yes'
    """
    kind = Licence(id).kind
    said = _table().get((id or "").lower(), {})
    commercial, share_alike = _BY_KIND[kind]
    return Terms(
        kind=kind,
        name=said.get("name") or id or "",
        commercial=said.get("commercial", commercial),
        share_alike=said.get("share_alike", share_alike),
        clause=said.get("clause", ""),
    )


def terms(id: str | None) -> Terms:
    """What a licence allows, in the person's language, with the clause it rests on."""
    found = licence_of(id)
    said = _table().get((id or "").lower(), {})
    lang = language()

    def words(name: str) -> str:
        return str((said.get(name) or {}).get(lang, ""))

    return Terms(
        kind=found.kind,
        name=found.name,
        commercial=found.commercial,
        share_alike=found.share_alike,
        condition=words("condition"),
        must=words("must"),
        forbidden=words("forbidden"),
        clause=found.clause,
        note=t("catalog.not_legal_advice"),
    )


def allows(id: str | None, wanted: str) -> bool:
    """Whether a licence passes a filter: its own id, a kind, or ``commercial``.

    >>> allows("mit", "permissive"), allows("gemma", "commercial"), allows("cc-by-nc-4.0", "commercial")
    (True, True, False)
    """
    wanted = wanted.lower()
    found = licence_of(id)
    if wanted == "commercial":
        return found.commercial in ("yes", "conditions")
    return wanted in ((id or "").lower(), found.kind)
