"""Uploading what was logged offline, with ``wandb sync``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from modelnook.domain.errors import OfflineError, RefusedError, UsageError
from modelnook.settings import Settings
from modelnook.tracking.wandb_notes import Notes
from modelnook.tracking.wandb_server import Server

__all__ = ["sync"]

_WITHIN = 900.0


def sync(path: Path, settings: Settings) -> dict[str, Any]:
    """Upload a run: the folder ``path`` and the ones of the same run that aren't on the server yet, in their order.

    Returns:
        What the run's record says of W&B from now on: ``synced``, ``url``, ``project``.

    Raises:
        OfflineError: modelnook is offline, or the server can't be reached.
        UsageError: there is no API key.
        RefusedError: the server refused the key, or didn't take all of it.
    """
    if settings.offline:
        raise OfflineError("tracking.sync_offline")
    server = Server.current()
    if not server.logged_in:
        raise UsageError("tracking.sync_no_key", host=server.host)
    answer = server.ask(10)
    if answer.state == "unreachable":
        raise OfflineError("tracking.sync_unreachable", host=server.host)
    if answer.state == "refused":
        raise RefusedError("tracking.sync_refused", host=server.host)
    notes = Notes.read(path.parent.parent)
    notes.folders.setdefault(path.name, False)
    run = notes.run or re.sub(r"^(offline-)?run-\d{8}_\d{6}-", "", path.name)
    for name in [n for n, done in notes.folders.items() if not done]:
        _upload(path.parent / name, run, server)
        notes.folders[name] = True
        notes.save()
    project = notes.project or settings.wandb_project
    entity = os.environ.get("WANDB_ENTITY") or notes.entity or answer.entity
    url = server.run_url(entity, project, run) if entity else None
    return {"mode": "online", "project": project, "url": url, "path": str(path), "synced": True}


def _upload(folder: Path, run: str, server: Server) -> None:
    # Runs of an interrupted online session count as online; the library leaves them out unless told.
    command = [sys.executable, "-P", "-m", "wandb", "sync", "--yes", "--include-online", "--id", run, str(folder)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            env={**os.environ, "WANDB_BASE_URL": server.url},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OfflineError("tracking.sync_unreachable", host=server.host) from error
    # Its exit code is 0 as well where the server refused every row; the mark is what it makes in the end.
    if not any(folder.glob("*.synced")):
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise RefusedError("tracking.sync_incomplete", host=server.host, why=lines[-1][:200] if lines else "-")
