"""RPC: the few methods that the sidebar and the cell views need, by name. The server and the widget's comm call it.

A method is a plain function with the action that the server's authorizer is asked for; arguments come in as JSON, the
result goes out as JSON, and a job verb answers at once with its queued run.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from modelnook.domain.errors import NotFoundError, UsageError, unknown
from modelnook.domain.model import ModelInfo
from modelnook.domain.run import RunRecord
from modelnook.domain.table import Table, jsonable
from modelnook.store import Store
from modelnook.store.contents import was_of

__all__ = ["METHODS", "Method", "call"]


@dataclass(frozen=True, slots=True)
class Method:
    """``function`` is ``module:name``; ``action`` is ``read``, ``write`` or ``execute``; ``fixed`` are set here."""

    function: str
    action: str = "read"
    fixed: tuple[tuple[str, Any], ...] = ()


_AT_ONCE = (("background", True),)

METHODS: dict[str, Method] = {
    "cache": Method("modelnook.api:cache"),
    "compare": Method("modelnook.rpc:compare"),
    "delete": Method("modelnook.records:delete", "write"),
    "facets": Method("modelnook.api.finding:facets"),
    "history": Method("modelnook.records:history"),
    "info": Method("modelnook.api:info"),
    "list": Method("modelnook.api:list"),
    "log": Method("modelnook.rpc:log"),
    "resume": Method("modelnook.api:resume", "execute", _AT_ONCE),
    "run": Method("modelnook.api:run_of"),
    "runs": Method("modelnook.api:runs"),
    "search": Method("modelnook.api:search"),
    "settings": Method("modelnook.rpc:settings", "write"),
    "sources": Method("modelnook.rpc:sources"),
    "stop": Method("modelnook.api:stop", "execute"),
}


def call(method: str, params: Mapping[str, Any]) -> Any:
    """Do one method.

    Returns:
        Something that :mod:`json` can write as it is.

    Raises:
        ModelnookError: as the function says; NotFoundError for an unknown method, UsageError for an argument that
            is unknown or missing.
    """
    if method not in METHODS:
        raise unknown("method_rpc", method, METHODS, NotFoundError)
    row = METHODS[method]
    module, _, name = row.function.partition(":")
    function = getattr(import_module(module), name)
    args, kwargs = _bind(method, function, {**params, **dict(row.fixed)})
    return _json(function(*args, **kwargs))


def _bind(method: str, function: Any, params: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments, checked against the function's own signature."""
    known = inspect.signature(function).parameters
    args: list[Any] = []
    for name, parameter in known.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            args = list(params.pop(name, ()))
        elif parameter.kind is parameter.VAR_KEYWORD:
            return args, params
        elif parameter.default is parameter.empty and params.get(name) is None:
            raise UsageError("faces.rpc_missing", method=method, name=name)
    for name in params:
        if name not in known:
            raise unknown("option", name, known)
    # A view leaves an argument open by null as well as by leaving it out.
    return args, {name: value for name, value in params.items() if value is not None}


def _json(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    return jsonable(value)


def log(run: str = "last", *, offset: int = 0) -> dict[str, Any]:
    """What a run's worker printed after ``offset`` bytes, and whether more may come."""
    from modelnook.api import run_of

    handle = run_of(run)
    text, end = handle.folder.read_log(offset)
    return {"text": text, "offset": end, "end": not handle.record.live}


def settings(**values: str) -> dict[str, Any]:
    """The settings, after keeping some; ``speaks`` is the language of every answer, for the labels around it."""
    from modelnook import api
    from modelnook.settings import language

    return {**api.settings(**values), "speaks": language()}


def sources() -> dict[str, Any]:
    """The configured sources, an object each."""
    from modelnook.api import sources as listed

    table = listed()
    return {"items": [dict(zip(table.columns, row, strict=True)) for row in table.rows]}


def compare(refs: list[str]) -> Table:
    """Models side by side by what was measured of them before; nothing is run."""
    from modelnook import api

    store = Store()
    made = store.runs(limit=1000)
    rows = []
    for ref in refs:
        info = api.info(ref)
        figures = next((f for f in map(partial(_figures, store, info), made) if f), {})
        metrics = figures.get("metrics") or info.metrics
        rows.append(
            {"ref": info.ref, **metrics, "bytes": info.bytes, "parameters": info.parameters, **_speeds(figures)}
        )
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, tuple(tuple(row.get(name) for name in columns) for row in rows))


def _figures(store: Store, info: ModelInfo, record: RunRecord) -> dict[str, Any]:
    """What a quantizing run measured of a model, as its start or as its result."""
    report = record.report or {}
    if record.model == info.ref:
        made = record.origin != "local" or info.run in (record.id, None)
        return dict(report.get("after") or {}) if made else {}
    before = report.get("before") if record.base == info.ref else None
    return dict(before) if before and was_of(store, record, info) else {}


def _speeds(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {n: figures[n] for n in ("p50_ms", "p95_ms", "rows_per_s", "peak_memory_bytes") if figures.get(n)}
