"""Cards of models: one entry, a list of entries, a loaded one."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Card, Facts, Fold, Grid, Line, Piece
from modelnook.cards.figures import count, metric, moment, size
from modelnook.domain.model import RELATIONS, ModelInfo, SearchResult, Terms
from modelnook.messages import t

__all__ = ["found", "loaded", "model"]

_NAMED_FROM = 0.01


def model(info: ModelInfo) -> Card:
    """Size, licence in plain words, memory against what is free, risks, the layer tree."""
    pieces: list[Piece] = []
    if info.summary:
        pieces.append(Line(info.summary, "quiet"))
    pieces += [
        Facts(
            (
                (t("cards.task"), info.task or ""),
                (t("cards.parameters"), _parameters(info)),
                (t("cards.size"), _bytes(info)),
                (t("cards.formats"), ", ".join(info.formats)),
                (t("cards.language"), ", ".join(info.language[:6])),
            )
        ),
        Facts(((t("cards.licence"), info.license or "–"), ("", _terms(info)))),
        _memory(info),
        _origin(info),
        # A model made here, or a package's, is here anyway.
        Facts(
            ((t("cards.here"), info.path if info.path and info.source not in ("local", "pip", "path") else ""),),
            whole=True,
        ),
        Facts(tuple((name, metric(value)) for name, value in info.metrics.items())[:5]),
    ]
    if info.labels:
        shown = ", ".join(info.labels[:8]) + (" …" if len(info.labels) > 8 else "")
        pieces.append(Facts(((t("cards.labels"), f"{len(info.labels)}: {shown}"),)))
    if info.gated and info.page:
        pieces.append(Line(t("cards.gated_at", page=info.page), href=info.page))
    if info.terms and info.terms.clause:
        pieces.append(Fold(t("cards.licence_words"), _clause(info.terms)))
    if info.layers:
        pieces.append(Fold(t("cards.layers"), info.layers))
    told = tuple(p for p in pieces if not (isinstance(p, Facts) and not p.said))
    risks = tuple(r.message for r in info.risks)
    return Card(info.ref, info.architecture or "", "warn" if risks else "plain", told, risks)


def _parameters(info: ModelInfo) -> str:
    """How many, and of which types: position ids and the like are too few to be named."""
    every = sum(info.dtypes.values())
    shares = sorted(((n / every, dtype) for dtype, n in info.dtypes.items() if every), reverse=True)
    named = [(share, dtype) for share, dtype in shares if share >= _NAMED_FROM]
    types = ", ".join(dtype if len(named) == 1 else f"{dtype} {share:.0%}" for share, dtype in named)
    return f"{count(info.parameters)} ({types})" if info.parameters and types else count(info.parameters) or types


def _bytes(info: ModelInfo) -> str:
    """Its size, and what the disk has free where it would lie."""
    if not info.bytes or info.disk_free is None:
        return size(info.bytes)
    free = t("cards.disk_free", size=size(info.disk_free))
    return f"{size(info.bytes)} ({t('cards.memory.over')}: {free})" if info.bytes > info.disk_free else size(info.bytes)


def _terms(info: ModelInfo) -> str:
    """May I use it commercially, must I share alike; by the kind alone where the licence isn't known."""
    terms = info.terms
    if terms is None or terms.commercial == "unknown":
        return t(f"cards.licence.{info.license_kind}")
    commercial = t(f"cards.answer.{terms.commercial}") + (f" ({terms.condition})" if terms.condition else "")
    alike = t(f"cards.answer.{terms.share_alike}")
    return t("cards.terms", commercial=commercial, share_alike=alike, note=t("cards.no_advice"))


def _clause(terms: Terms) -> str:
    said = ((t("cards.must"), terms.must), (t("cards.forbidden"), terms.forbidden))
    lines = [f"{label}: {text}" for label, text in said if text]
    return "\n".join([*lines, f"{terms.name}: “{terms.clause}”", terms.note])


def _memory(info: ModelInfo) -> Facts:
    wanted = (("run", info.memory_run), ("lora", info.memory_lora), ("full", info.memory_full))
    parts = []
    for name, need in wanted:
        if need is not None:
            over = info.memory_free is not None and need > info.memory_free
            parts.append((t(f"cards.memory.{name}"), size(need) + (f" ({t('cards.memory.over')})" if over else "")))
    if not parts:
        return Facts(())
    return Facts((*parts, (t("cards.memory.free"), size(info.memory_free))))


def _origin(info: ModelInfo) -> Facts:
    return Facts(
        (
            (t("cards.base"), _bases(info)),
            (t("cards.also"), ", ".join(info.also)),
            (t("cards.run"), info.run or ""),
            (t("cards.downloads"), count(info.downloads)),
            (t("cards.updated"), moment(info.updated)),
            (t("cards.gated"), t("cards.yes") if info.gated else ""),
        )
    )


def _bases(info: ModelInfo) -> str:
    """Every model that it comes from, and how."""
    said = ", ".join(info.bases or filter(None, (info.base_model,)))
    return f"{said} ({t(f'cards.relation.{info.relation}')})" if said and info.relation in RELATIONS else said


def _ref(info: ModelInfo) -> str:
    """Its reference, how many variants stand under it, the other sources that have it."""
    others = ", ".join(dict.fromkeys(ref.partition(":")[0] for ref in info.also))
    more = f" (+{len(info.variants)})" if info.variants else ""
    return f"{info.ref}{more}" + (f" = {others}" if others else "")


def found(result: SearchResult) -> Card:
    """A list of entries; what a source couldn't answer is folded below."""
    total = max(result.total, len(result))
    many = count(total) + ("+" if result.more else "")
    title = t("cards.found", n=many, query=result.query) if result.query else t("cards.models", n=many)
    if not result.items:
        hint = result.hint or t("cards.found_none" if result.query else "cards.models_none")
        return Card(title, warnings=result.notes, hint=hint)
    columns = ("model", "task", "parameters", "size", "licence", "language", "risks")
    cells = [
        (
            _ref(m),
            m.task or "",
            count(m.parameters),
            size(m.bytes),
            m.license or "–",
            ", ".join(m.language[:3]) + (" …" if len(m.language) > 3 else ""),
            ", ".join(r.code for r in m.risks),
        )
        for m in result.items
    ]
    used = [i for i in range(len(columns)) if any(row[i] not in ("", "–") for row in cells)]
    rows = tuple(tuple(row[i] for i in used) for row in cells)
    heads = tuple(t(f"cards.column.{columns[i]}") for i in used)
    right = tuple(n for n, i in enumerate(used) if columns[i] in ("parameters", "size"))
    hint = result.hint or t("cards.found_next", ref=result.items[0].ref)
    return Card(
        title,
        pieces=(Grid(heads, rows, right, more=t("cards.more_models"), total=total),),
        warnings=result.notes,
        hint=hint,
    )


def loaded(value: Any) -> Card:
    """A model in this process's memory."""
    said = value.to_dict()
    facts = Facts(
        (
            (t("cards.task"), said.get("task") or ""),
            (t("cards.runtime"), said.get("runtime") or ""),
            (t("cards.device"), said.get("device") or ""),
            (t("cards.size"), size(said.get("bytes"))),
        )
    )
    labels = said.get("labels") or []
    more = (
        (Facts(((t("cards.labels"), ", ".join(labels[:12]) + (" …" if len(labels) > 12 else "")),)),) if labels else ()
    )
    note = (Line(value.note, "quiet"),) if value.note else ()
    return Card(value.ref, t("cards.loaded"), "good", (*note, facts, *more))
