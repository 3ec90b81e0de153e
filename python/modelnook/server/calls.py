"""The methods, one plain function each, until ``modelnook.rpc`` holds this table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from modelnook import api
from modelnook.domain.errors import NotFoundError, UsageError, unknown
from modelnook.store import Store

__all__ = ["ACTIONS", "call"]

ACTIONS: dict[str, str] = {
    "search": "read",
    "info": "read",
    "runs": "read",
    "run": "read",
    "history": "read",
    "log": "read",
    "compare": "execute",
    "sources": "read",
    "events": "read",
    "settings": "write",
    "delete": "write",
    "stop": "execute",
    "resume": "execute",
}


def search(
    query: str = "",
    *,
    task: str | None = None,
    license: str | None = None,
    language: str | None = None,
    params: str | None = None,
    fits: str | None = None,
    source: str | None = None,
    sort: str = "relevance",
    limit: int = 20,
) -> Any:
    """Every source is asked."""
    return api.search(
        query,
        task=task,
        license=license,
        language=language,
        params=params,
        fits=fits,
        source=source,
        sort=sort,
        limit=limit,
    ).to_dict()


def info(ref: str) -> Any:
    """A model's entry."""
    return api.info(ref).to_dict()


def runs(
    *,
    state: str | None = None,
    kind: str | None = None,
    model: str | None = None,
    query: str | None = None,
    limit: int = 100,
) -> Any:
    """The run history."""
    return api.runs(state=state, kind=kind, model=model, query=query, limit=limit).to_dict()


def run(run: str) -> Any:
    """One run."""
    return api.run_of(run).to_dict()


def history(run: str, points: int = 500) -> Any:
    """Its curves, down-sampled."""
    series = Store().find(run).series
    return {"series": series.sampled(points), "total": series.total()}


def log(run: str, offset: int = 0) -> Any:
    """What its worker printed."""
    folder = Store().find(run)
    record = folder.seen()
    text, after = folder.read_log(offset)
    return {"text": text, "offset": after, "end": not (record and record.live)}


def stop(run: str) -> Any:
    """Ask it to stop."""
    return api.stop(run).to_dict()


def resume(run: str) -> Any:
    """Start another worker."""
    return api.resume(run, background=True).to_dict()


def delete(run: str) -> Any:
    """Remove its record."""
    handle = api.run_of(run)
    said = handle.to_dict()
    handle.delete()
    return said


def compare(refs: list[str]) -> Any:
    """Models side by side."""
    return api.compare(*refs).to_dict()


def sources() -> Any:
    """Where models are found."""
    table = api.sources().to_dict()
    return {"items": [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]}


def settings(**values: Any) -> Any:
    """Keep settings."""
    from modelnook.settings import save

    return dict(save(**values).saved)


_TABLE: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (search, info, runs, run, history, log, stop, resume, delete, compare, sources, settings)
}


def checked(method: str, params: dict[str, Any]) -> Callable[..., Any]:
    """The method's function, its arguments looked at.

    Raises:
        ModelnookError: no such method or argument.
    """
    if method not in _TABLE:
        raise unknown("verb", method, ACTIONS, NotFoundError)
    function = _TABLE[method]
    known = inspect.signature(function).parameters
    if method != "settings":
        for name in params:
            if name not in known:
                raise unknown("option", name, known)
    try:
        inspect.signature(function).bind(**params)
    except TypeError as error:
        raise UsageError("server.bad_call", method=method, error=error) from None
    return function


def call(method: str, params: dict[str, Any]) -> Any:
    """Answer one method.

    Raises:
        ModelnookError: no such method or argument, or what the method raises.
    """
    return checked(method, params)(**params)
