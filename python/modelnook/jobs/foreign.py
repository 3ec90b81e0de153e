"""The curves of a run that only W&B has: read by a helper process, kept in the store until the run moves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from modelnook.domain.errors import OfflineError
from modelnook.domain.run import RunRecord
from modelnook.jobs import process
from modelnook.settings import current
from modelnook.store import Store
from modelnook.store.files import read_json, staging, write_json
from modelnook.store.series import Series

__all__ = ["curves", "place"]

_WITHIN = 60.0


def place(store: Store) -> Path:
    """Where they are kept."""
    return store.home / "wandb-reader" / "curves"


def curves(store: Store, record: RunRecord) -> Series:
    """The curves of a colleague's run, asked for anew only where its record has changed since.

    Raises:
        OfflineError: they aren't here and W&B is off, or can't be read; its hint is the run's own page.
    """
    held = place(store) / record.id
    mark = hashlib.sha256(json.dumps(record.to_dict(), sort_keys=True).encode()).hexdigest()
    if read_json(held / "mark.json") != {"of": mark}:
        try:
            _fetch(store, record, held, mark)
        except OfflineError:
            if not held.exists():
                raise
    return Series(held)


def _fetch(store: Store, record: RunRecord, held: Path, mark: str) -> None:
    url = (record.wandb or {}).get("url") or "W&B"
    if current().wandb_mode != "online":
        raise OfflineError("tracking.curves_off", run=record.id, url=url)
    parts = (os.environ.get("WANDB_ENTITY"), (record.wandb or {}).get("project") or current().wandb_project, record.id)
    with staging(held) as temp:
        log = temp / "log"
        path = "/".join(filter(None, parts))
        code = process.call(("modelnook.tracking.curves", path, str(temp)), store, log, timeout=_WITHIN)
        if code:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise OfflineError("tracking.curves_unread", run=record.id, url=url, why=said[-1][:200] if said else code)
        log.unlink()
        write_json(temp / "mark.json", {"of": mark})
        shutil.rmtree(held, ignore_errors=True)
        os.rename(temp, held)
