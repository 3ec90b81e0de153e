"""Whether a model may be shared under a licence, given those of what it was made from. No legal advice.

What binds is read from a licence's own terms: share-alike asks for the same licence, NC forbids a licence that allows
commerce, ND forbids sharing what was changed, an unknown one gives no right at all; ``internal`` shares nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelnook.catalog.licences import licence_of
from modelnook.domain.errors import ModelnookError, RefusedError
from modelnook.domain.model import Licence
from modelnook.messages import t

__all__ = ["INTERNAL", "Part", "judge"]

INTERNAL = "internal"
_RANKS = ("permissive", "copyleft", "other", "noncommercial", "internal", "unknown")


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a model was made from. ``role`` is ``base``, ``adapter``, ``model`` or ``data``.

    ``compared`` is False where it couldn't be looked up, so that nobody knows its licence.
    """

    role: str
    name: str
    license: str | None
    compared: bool = True

    @property
    def kind(self) -> str:
        """:attr:`Licence.kind`, or ``internal``."""
        return INTERNAL if (self.license or "").lower() == INTERNAL else Licence(self.license).kind


def judge(wanted: str | None, parts: Sequence[Part], *, public: bool) -> tuple[str, list[ModelnookError], list[str]]:
    """``(the licence, what forbids it, what to know)``; without ``wanted`` the strictest of the parts' own licences.

    A part that couldn't be looked up has no say: whoever looked says that.

    >>> judge(None, [Part("base", "b", "mit"), Part("data", "d", None)], public=False)[0]
    'mit'
    >>> [str(e) for e in judge("mit", [Part("base", "b", "gpl-3.0")], public=True)[1]] != []
    True
    """
    parts = [p for p in parts if p.compared]
    models = [p for p in parts if p.role != "data"]
    strictest = max(models, key=lambda p: _RANKS.index(p.kind), default=None)
    if wanted is None and (strictest is None or strictest.kind == "unknown"):
        name = strictest.name if strictest else "?"
        return "unknown", [RefusedError("publish.licence_unsaid", name=name)], []
    licence = wanted.strip() if wanted else (strictest.license or "" if strictest else "")
    problems: list[ModelnookError] = []
    notes: list[str] = []
    if licence.lower() == INTERNAL and public:
        problems.append(RefusedError("publish.internal_public"))
    for part in parts:
        reason = _conflict(licence, part, public=public)
        if reason:
            problems.append(_refusal(licence, part, reason))
        elif part.role == "data" and part.kind == "unknown":
            notes.append(t("publish.data_unsaid"))
        elif part.role == "data" and part.kind in ("copyleft", "other"):
            notes.append(t("publish.data_terms", name=part.name, license=part.license))
        elif part.kind == "unknown":
            notes.append(t("publish.base_unknown", name=part.name))
    return licence, problems, notes


def _conflict(licence: str, part: Part, *, public: bool) -> str | None:
    """Why a part's licence forbids ``licence``: a key of ``publish.why``, or None."""
    theirs, ours = (part.license or "").lower(), licence.lower()
    if ours == INTERNAL or theirs == ours:
        return "no_derivatives" if "-nd" in theirs and (public or ours != INTERNAL) else None
    if part.role == "data":
        if part.kind == INTERNAL:
            return "internal"
        return "noncommercial" if _noncommercial(theirs) and not _noncommercial(ours) else None
    if "-nd" in theirs:
        return "no_derivatives"
    if part.kind == "noncommercial":
        if "-sa" in theirs:
            return "same"
        return None if _noncommercial(ours) else "noncommercial"
    return {"permissive": None, "copyleft": "same", "other": "own_terms", "unknown": "unknown", INTERNAL: INTERNAL}[
        part.kind
    ]


def _noncommercial(licence: str) -> bool:
    return licence_of(licence).commercial == "no"


def _refusal(licence: str, part: Part, reason: str) -> RefusedError:
    return RefusedError(
        "publish.licence_conflict",
        license=licence,
        role=t(f"publish.role.{part.role}"),
        name=part.name,
        theirs=part.license or t("publish.no_licence"),
        why=t(f"publish.why.{reason}"),
        better=part.license
        if part.kind in ("copyleft", "noncommercial", "other") and "-nd" not in (part.license or "")
        else INTERNAL,
    )
