"""Weights & Biases, through the wandb library: offline unless the person said online; the run's id is ours.

Numbers go along: settings, curves, final metrics, which model it came from and which it made, the data's fingerprint.
Row texts, label names, code, host and console stay here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelnook.domain.event import Emit, Event, MetricLogged, Started, Warned
from modelnook.domain.run import RunRecord
from modelnook.settings import current
from modelnook.store.files import folder as private_folder
from modelnook.tracking.base import Tracker
from modelnook.tracking.destination import mode_of
from modelnook.tracking.outgoing import lineage, plain, summary
from modelnook.tracking.wandb_notes import Notes
from modelnook.tracking.wandb_server import Server, quieten
from modelnook.tracking.wandb_sync import sync

__all__ = ["WandbTracker", "sync"]

_START_WITHIN = 8.0
_END_WITHIN = 8.0

# Rows leave only when both intervals have passed; a transmission interval below one second is ignored (0.31).
_QUIET: dict[str, Any] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "finish_timeout": _END_WITHIN,
    "finish_timeout_raises": True,
    "host": "",
    "init_timeout": _START_WITHIN,
    "program": "modelnook",
    "save_code": False,
    "silent": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_file_stream_transmit_interval": 2,
    "x_save_requirements": False,
    "x_transaction_log_flush_interval": 1,
}


class WandbTracker(Tracker):
    """One run at W&B. Whatever the server does, the record is on this disk and can be uploaded later."""

    name = "wandb"
    watch_every = 20.0

    def __init__(self, folder: Path, emit: Emit) -> None:
        super().__init__(folder, emit)
        self._run: Any = None
        self._online = False
        self._warned = False
        self._refused = False
        self._place: Path | None = None
        self._skip = self._ahead = -1
        self._watched = time.monotonic()
        self._server: Server | None = None
        self._notes = Notes(folder / "wandb.json")

    @classmethod
    def prepare(cls) -> None:
        """Import the library and start its service, which takes a second; no run is begun."""
        quieten()
        import wandb

        wandb.setup()

    def open(self, record: RunRecord, *, mode: str = "auto", resume: bool = False) -> None:
        """Start the record, or go on with it; offline where the server can't be had, which is said once."""
        wanted = mode_of(mode, current())
        if wanted == "none":
            return
        quieten()
        private_folder(self.folder)
        if resume:
            self._notes = Notes.read(self.folder)
        self._notes.run, self._notes.project = record.id, current().wandb_project
        self._online = wanted == "online" and self._answers(record)
        try:
            self._run = self._start(record)
        except Exception as error:
            if not self._online:
                raise
            self._online = False
            self._warn("tracking.wandb_unreachable", run=record.id, why=type(error).__name__)
            # The library keeps the id of a start that failed; ``sync`` uploads under ours.
            self._run = self._start(record, f"{record.id}-offline")
        self._notes.entity = self._run.entity or self._notes.entity
        self._notes.url = (self._run.url if self._online else None) or self._notes.url
        # A resumed run repeats the steps since its checkpoint; W&B would move them behind the ones it has.
        self._skip = self._run.step - 1 if self._online and self._run.resumed else self._notes.last_step
        self._place = Path(self._run.dir).parent
        self._notes.folders[self._place.name] = False
        self._notes.save()

    def on_event(self, event: Event) -> None:
        """Hand numbers to the library, which sends them from a process of its own."""
        if self._run is None:
            return
        try:
            self._take(event)
        except Exception as error:
            self._run = None
            self._warn("tracking.wandb_failed", error=str(error)[:200] or type(error).__name__)
        if self._online and time.monotonic() - self._watched > self.watch_every:
            self._watched = time.monotonic()
            threading.Thread(target=self._watch, name="modelnook-wandb-watch", daemon=True).start()

    def expect(self, events: Sequence[Event]) -> None:
        """See :meth:`Tracker.expect`: one note of what is going to be logged does for all."""
        self._ahead = max((event.step for event in events if isinstance(event, MetricLogged)), default=-1)

    def close(self, record: RunRecord) -> None:
        """Send what the run came to, and end within seconds; what can't be sent by then is kept for ``sync``."""
        if self._run is None or self._place is None:
            return
        self._run.config.update(lineage(record) | plain(record.params), allow_val_change=True)
        # The last row ends here: written after the results, it would put its own values in their place.
        self._run.log({}, commit=True)
        self._run.summary.update(summary(record))
        complete = self._finish(0 if record.state not in ("failed", "crashed") else 1)
        self._notes.folders[self._place.name] = complete
        self._notes.save()
        if self._online and not complete:
            self._warn("tracking.wandb_lost", run=record.id)

    def status(self) -> dict[str, Any] | None:
        """``mode``, ``project``, ``url`` (of an online run), ``path`` of the local folder, ``synced``."""
        if self._place is None:
            return None
        return {
            "mode": "online" if self._online else "offline",
            "project": self._notes.project,
            "url": self._notes.url,
            "path": str(self._place),
            "synced": all(self._notes.folders.values()),
        }

    def _take(self, event: Event) -> None:
        if isinstance(event, MetricLogged) and event.step > self._skip:
            values: dict[str, Any] = dict(event.values)
            if event.epoch is not None:
                values["epoch"] = event.epoch
            # Not committed: what comes later for the same step joins it.
            self._notes.logs(max(event.step, self._ahead))
            self._run.log(values, step=event.step)
        elif isinstance(event, Started):
            self._run.config.update(plain(event.params), allow_val_change=True)

    def _start(self, record: RunRecord, id: str | None = None) -> Any:
        import wandb

        return wandb.init(
            project=self._notes.project,
            id=id or record.id,
            name=record.name or None,
            job_type=record.kind,
            group=record.group,
            config=lineage(record) | plain(record.params),
            dir=str(self.folder),
            mode="online" if self._online else "offline",
            resume="allow",
            # In a notebook's own process the person may have a run of theirs open.
            reinit="create_new",
            settings=wandb.Settings(**_QUIET),
        )

    def _finish(self, code: int) -> bool:
        """End the run; whether all of it has reached the server."""
        try:
            self._run.finish(exit_code=code)
        except TimeoutError:
            return False
        if not self._online or self._server is None:
            return False
        # The library drops what a server refuses to take, without a word.
        return self._server.ask().state == "ok" and not self._refused

    def _answers(self, record: RunRecord) -> bool:
        """Ask before the library does, which waits for minutes and may ask for a key."""
        server = self._server = Server.current()
        if not server.logged_in:
            self._warn("tracking.wandb_no_key", host=server.host)
            return False
        state = server.ask().state
        if state == "unreachable":
            self._warn("tracking.wandb_unreachable", run=record.id, why=server.host)
        elif state == "refused":
            self._warn("tracking.wandb_refused", run=record.id, host=server.host)
        return state == "ok"

    def _watch(self) -> None:
        state = self._server.ask().state if self._server else "ok"
        self._refused = self._refused or state == "refused"
        if state != "ok":
            self._warn("tracking.wandb_lost", run=self._notes.run)

    def _warn(self, code: str, **values: str) -> None:
        if not self._warned:
            self._warned = True
            self.emit(Warned.of(code, **values))
