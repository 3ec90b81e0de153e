"""Records of runs that colleagues published with their models: read as what a stranger wrote, kept to be looked at."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelnook.domain.run import RunRecord
from modelnook.store import Store
from modelnook.store.files import read_json, staging, write_bytes, write_json
from modelnook.store.series import Series

__all__ = ["LARGEST", "adopt", "place", "received"]

_ID = re.compile(r"[a-z][a-z0-9]{7}")
LARGEST = 50_000_000
"""Bytes of a run's file that are read; a larger one is no record."""

_LONGEST, _PACKAGES = 200, 100
_MOST_ROWS = 2**53
"""Up to where a number is the same in every reader of JSON."""


def place(store: Store) -> Path:
    """Where they are kept: a folder a run."""
    return store.home / "received"


def received(store: Store) -> list[RunRecord]:
    """Every record that was received, for the index."""
    found = []
    for folder in sorted(place(store).glob("[!.]*")):
        record = _record(read_json(folder / "record.json"))
        if record is not None:
            found.append(record)
    return found


def adopt(store: Store, data: bytes, source: str, model: str) -> RunRecord | None:
    """List a colleague's run; None where it isn't one, or the run is this store's own.

    Args:
        data: the run's file within the model's folder.
        source: where the model came from; the record's ``origin``.
        model: the reference under which the model is known here.
    """
    try:
        said = json.loads(data) if len(data) <= LARGEST else None
    except (ValueError, RecursionError):
        said = None
    shown = said.get("record") if isinstance(said, dict) else None
    # What W&B shows is listed and forgotten by its reader: a source of that name isn't it.
    origin = source if source not in ("local", "wandb") else f"{source}:"
    # Before a record held it, its file did.
    told = {"environment": said.get("environment"), **shown} if said and isinstance(shown, dict) else None
    record = _record({**told, "origin": origin, "model": model} if told else None)
    if said is None or record is None or store.run(record.id).record() is not None:
        return None
    target = place(store) / record.id
    with staging(target) as temp:
        write_json(temp / "record.json", record.to_dict())
        _keep_curves(Series(temp / "series"), said.get("curves"))
        if isinstance(said.get("code"), str):
            write_bytes(temp / "code.py", _shown(said["code"]).encode("utf-8", "replace"))
        shutil.rmtree(target, ignore_errors=True)
        os.rename(temp, target)
    store.list_again([record])
    return record


def _record(said: Any) -> RunRecord | None:
    """A record whose every field is of its kind; what a run of another machine can't be (live) is dropped."""
    if not isinstance(said, dict) or not _ID.fullmatch(str(said.get("id"))):
        return None
    kept: dict[str, Any] = {
        name: value for name, value in said.items() if name in _KINDS and isinstance(value, _KINDS[name])
    }
    kept["params"] = {str(k): v for k, v in (kept.get("params") or {}).items() if isinstance(v, str | int | float)}
    kept["metrics"] = _numbers(kept.get("metrics") or {})
    kept["intervals"] = {k: v for k, v in (kept.get("intervals") or {}).items() if _pair(v)}
    kept["baselines"] = {k: _numbers(v) for k, v in (kept.get("baselines") or {}).items() if isinstance(v, dict)}
    kept["data"] = _data(kept.get("data") or {})
    kept["environment"] = _environment(kept.get("environment"))
    if kept.get("state") not in ("finished", "stopped", "failed", "crashed"):
        kept["state"] = "finished"
    try:
        return RunRecord.from_dict({"name": said["id"], "kind": "finetune", **_shown(kept)})
    except (TypeError, ValueError):
        return None


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(
        "id name kind state model base task method primary_metric created started ended device origin version".split(),
        str,
    ),
    **dict.fromkeys(("params", "metrics", "intervals", "baselines", "data", "environment"), dict),
}


# What a terminal obeys, and what has a line read otherwise than it stands there; a line's end and a tab are text.
_OBEYED = dict.fromkeys({*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - {9, 10})


def _shown(said: Any) -> Any:
    """A value whose texts, names included, can be shown as they are."""
    if isinstance(said, dict):
        return {_shown(name): _shown(value) for name, value in said.items()}
    if isinstance(said, list):
        return [_shown(value) for value in said]
    return said.translate(_OBEYED) if isinstance(said, str) else said


def _data(said: dict[str, Any]) -> dict[str, Any] | None:
    """What a record tells of its rows, as far as it is of its kind."""
    rows, fingerprint, columns = (said.get(name) for name in ("rows", "fingerprint", "columns"))
    kept: dict[str, Any] = {}
    if isinstance(rows, int) and 0 <= rows < _MOST_ROWS:
        kept["rows"] = int(rows)
    if isinstance(fingerprint, str):
        kept["fingerprint"] = fingerprint
    # Role -> column, or the columns alone.
    texts = columns.values() if isinstance(columns, dict) else columns
    if not isinstance(texts, str) and isinstance(texts, Iterable) and all(isinstance(text, str) for text in texts):
        kept["columns"] = columns
    return kept or None


def _numbers(said: dict[str, Any]) -> dict[str, float]:
    """The numbers among some values; one that is too long to be one is left out."""
    kept = {}
    for name, value in said.items():
        if isinstance(value, int | float):
            with suppress(OverflowError):
                kept[str(name)] = float(value)
    return kept


def _environment(said: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a stranger's run was computed with: short texts alone."""
    if not said:
        return None
    packages = said.get("packages")
    kept: dict[str, Any] = {name: _short(said[name]) for name in ("python", "system", "hardware") if said.get(name)}
    named = packages.items() if isinstance(packages, dict) else ()
    return {**kept, "packages": {_short(name): _short(number) for name, number in list(named)[:_PACKAGES]}}


def _short(value: object) -> str:
    return "".join(c for c in str(value)[:_LONGEST] if c.isprintable())


def _pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(v, int | float) for v in value)


def _keep_curves(series: Series, curves: Any) -> None:
    for name, points in (curves if isinstance(curves, dict) else {}).items():
        try:
            rows = list(zip(points["step"], points["time"], points["value"], strict=True))
            for step, time, value in rows:
                if value is not None:
                    series.append(int(step), float(time), {str(name)[:100]: float(value)})
        except (TypeError, ValueError, KeyError, OverflowError):
            continue
