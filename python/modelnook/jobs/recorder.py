"""The listener that keeps a run's record: state, curves, events, index, heartbeat. One a job; it holds the lease."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, NoReturn

from modelnook.domain.errors import ConflictError, ModelnookError
from modelnook.domain.event import Event, Failed, Finished, MetricLogged, Progress, Started, Warned
from modelnook.domain.run import RunRecord
from modelnook.settings import current
from modelnook.store import Store
from modelnook.store.files import disk_errors
from modelnook.store.lease import Holder
from modelnook.store.mirror import mirror_of
from modelnook.store.runs import RunFolder, now

__all__ = ["Recorder"]

_WRITE_EVERY = 0.4
_BEAT_EVERY = 2.0


class Recorder:
    """``emit`` takes every event of a run, from any thread, and passes it on to the further listeners.

    Raises (from ``emit``):
        ConflictError: another process has taken the run over; the job must end without writing.
        StoreError: the disk is full.
    """

    def __init__(self, store: Store, run: RunFolder, holder: Holder, record: RunRecord) -> None:
        self.store, self.run, self.holder = store, run, holder
        self.record = replace(record, pid=holder.pid, host=holder.host, error=None, ended=None)
        self.listeners: list[Callable[[Event], None]] = []
        self.before_end: list[Callable[[], None]] = []
        self.mirror = mirror_of(current(), self.emit)
        self.begun = time.monotonic()
        """When this process began to work on the run."""
        self._began = time.time()
        self._written = 0.0
        self._lock = threading.RLock()
        self._done = threading.Event()
        self._lost = False
        self._goes_on = False
        # Room for the last record, given up when the disk is full.
        self._reserve = run.path / ".reserve"

    def begin(self, *, state: str = "running", device: str | None = None, resumed_seconds: float = 0.0) -> None:
        """Say that work has begun, and keep giving signs of life."""
        self.begun = time.monotonic()
        self._began = time.time() - resumed_seconds
        # A tuning's points are its trials, which aren't done again.
        self._goes_on = resumed_seconds > 0 and self.record.kind != "tune"
        with disk_errors(self._reserve):
            self._reserve.write_bytes(bytes(64 << 10))
        self.change(state=state, device=device, started=self.record.started or now(), progress=None)
        threading.Thread(target=self._beat, name="modelnook-heartbeat", daemon=True).start()

    def change(self, **fields: Any) -> None:
        """Replace fields of the record and write it now."""
        with self._lock:
            self.record = replace(self.record, **fields)
            self._write()

    def stop(self) -> bool:
        """Whether the work should end: somebody asked, or the lease is lost."""
        return self._lost or self.run.stop_requested()

    @property
    def lost(self) -> bool:
        """Whether another process has taken the run over."""
        return self._lost or not self.run.lease.held(self.holder.epoch)

    def emit(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            self._take(event)
        for listener in self.listeners:
            listener(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, Progress):
            phase = (self.record.progress or {}).get("phase")
            self.record = replace(self.record, progress=asdict(event))
            if phase != event.phase or time.time() - self._written >= _WRITE_EVERY:
                self._write()
        elif isinstance(event, MetricLogged):
            values = event.values if event.epoch is None else {**event.values, "epoch": event.epoch}
            if self._goes_on:
                # What was done after the last checkpoint is done again.
                self._goes_on = False
                self.run.series.cut(event.step - 1)
            self.run.series.append(event.step, time.time() - self._began, values)
        elif isinstance(event, Warned):
            self.run.note(event)
            if event.message not in self.record.warnings:
                self.change(**_with(self.record, event))
        elif isinstance(event, Started):
            self.run.note(event)
            self.change(params={**self.record.params, **event.params}, plan=self.record.plan or event.plan)
        elif isinstance(event, Finished):
            self._finish(event)
        elif isinstance(event, Failed):
            self.run.note(event)
            error = {"code": event.code, "message": event.message, "hint": event.hint, "kind": event.kind}
            self._end("failed", error=error)

    def _finish(self, event: Finished) -> None:
        self.run.note(event)
        self._end(
            "stopped" if event.stopped else "finished",
            metrics=event.metrics,
            intervals=event.intervals,
            baselines=event.baselines,
            model=event.model,
            report=event.report,
        )

    def _end(self, state: str, **fields: Any) -> None:
        self._done.set()
        self.record = replace(self.record, state=state, ended=now(), progress=None, pid=None, **fields)
        self._write(durable=True)

    def fail(self, error: BaseException) -> None:
        """End the run with an error; what isn't ours is told as an internal one, with its trace in the log."""
        if isinstance(error, ConflictError) and error.code == "store.lease_lost":
            self._done.set()
            return
        if not isinstance(error, ModelnookError):
            from modelnook.domain.errors import InternalError

            error = InternalError("core.internal", error=f"{type(error).__name__}: {error}")
        self._reserve.unlink(missing_ok=True)
        try:
            self.emit(Failed(error.code, error.message, error.hint, type(error).__name__))
        except (ModelnookError, OSError):
            # A full disk can't keep the record; the lease's end tells readers that the job is gone.
            self._done.set()

    def leave(self, end: Finished | ModelnookError) -> NoReturn:
        """End the run and this process from a thread beside the work, which may never come back."""
        for close in self.before_end:
            close()
        if isinstance(end, Finished):
            self.emit(end)
        else:
            self.fail(end)
        self.close()
        os._exit(1)

    def close(self) -> None:
        """Give the lease back and hand the record to the mirror."""
        self._done.set()
        self._reserve.unlink(missing_ok=True)
        if not self._lost:
            # What a copy's failure can't be written down for must not keep the lease either.
            with suppress(OSError, ModelnookError):
                self.mirror.record(self.run.id, self.run.path)
            with suppress(OSError, ModelnookError):
                self.run.lease.give_back(self.holder.epoch)

    def _write(self, *, durable: bool = False) -> None:
        self.run.write(self.record, epoch=self.holder.epoch, durable=durable)
        self._written = time.time()
        self.store.list_again([replace(self.record, epoch=self.holder.epoch)])

    def _beat(self) -> None:
        while not self._done.wait(_BEAT_EVERY):
            if not self.run.lease.held(self.holder.epoch):
                self._lost = True
                return
            try:
                self.run.lease.beat()
            except OSError:
                continue


def _with(record: RunRecord, event: Warned) -> dict[str, Any]:
    """A record's warnings with one more, the gravest first: that is the one which a short card tells."""
    warnings, sources = list(record.warnings), list(record.sources)
    ranks = [Warned(said.get("code", ""), "").rank for said in sources]
    at = next((n for n, rank in enumerate(ranks) if rank > event.rank), len(warnings))
    if len(sources) != len(warnings):
        # Of an older version, which kept no sources: nothing is known of their order.
        at = len(warnings)
    warnings.insert(at, event.message)
    sources.insert(at, event.source())
    return {"warnings": tuple(warnings), "sources": tuple(sources)}
