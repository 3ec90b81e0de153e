"""Run folders: ``runs/ID/{recipe.json, state.json, events.jsonl, series/, checkpoints/, lease/, log}``, the truth."""

from __future__ import annotations

import json
import os
import secrets
import time
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ConflictError
from modelnook.domain.event import Event, event_to_dict
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.store.files import PRIVATE_FILE, disk_errors, folder, put_if_absent, read_json, staging, write_json
from modelnook.store.lease import Lease
from modelnook.store.series import Series

__all__ = ["RESUMABLE", "START_GRACE", "RunFolder", "new_id", "now"]

START_GRACE = 60.0
"""Seconds that a queued run may be without a worker: the time a cold machine needs to start Python."""

LEAVING = 10.0
"""Seconds that a worker may take to go after it has written its end: it ends its trackers, and gives memory back."""

# A letter of UTF-8 has three bytes at most beside its first, and these are the ones that none begins with.
_LETTER, _INSIDE = 3, bytes(range(0x80, 0xC0))
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def now() -> str:
    """The time as the store writes it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(said: str | None) -> float | None:
    """A stored time as seconds since 1970."""
    return datetime.fromisoformat(said).timestamp() if said else None


def new_id() -> str:
    """Eight characters, a letter first; also the id of the W&B run."""
    return secrets.choice(_LETTERS) + "".join(secrets.choice(_LETTERS + "0123456789") for _ in range(7))


class RunFolder:
    """One run on disk. Whoever holds its lease writes; everybody reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lease = Lease(path / "lease")
        self.series = Series(path / "series")

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def rounds(self) -> Path:
        """What each of several trainings of one run made, until it is done."""
        return self.path / "rounds"

    @property
    def log(self) -> Path:
        """What the worker printed."""
        return self.path / "log"

    @property
    def publication(self) -> Path:
        """What a publication came to."""
        return self.path / "publication.json"

    @property
    def label_issues(self) -> Path:
        """Rows whose label looks wrong: ``rows`` of row, label, suggested, confidence; ``looked_at``: of how many."""
        return self.path / "label_issues.json"

    @classmethod
    def create(
        cls, runs: Path, recipe: Recipe, record: RunRecord, split: dict[str, list[int]] | None = None
    ) -> RunFolder:
        """Publish a new run whole: recipe, state and split appear together."""
        target = runs / record.id
        with staging(target) as temp:
            write_json(temp / "recipe.json", recipe.to_dict())
            write_json(temp / "state.json", record.to_dict())
            if split is not None:
                write_json(temp / "split.json", split, indent=None)
            os.rename(temp, target)
        return cls(target)

    def recipe(self) -> Recipe | None:
        """What it does; None where the file is damaged."""
        data = read_json(self.path / "recipe.json")
        return Recipe.from_dict(data) if isinstance(data, dict) else None

    def snapshots(self) -> tuple[str, ...]:
        """Fingerprints of the rows that it reads: its data, and validation and unlabelled rows where there are any."""
        recipe = self.recipe()
        used = (recipe.data, recipe.eval_data, recipe.unlabelled) if recipe else ()
        return tuple(ref.fingerprint for ref in used if ref is not None)

    def split(self) -> dict[str, list[int]]:
        """Which rows of its snapshot are for what: ``train`` and ``validation`` -> positions."""
        data = read_json(self.path / "split.json")
        return data if isinstance(data, dict) else {}

    def record(self) -> RunRecord | None:
        """Its state as last written; None where the file is damaged or the folder gone."""
        data = read_json(self.path / "state.json")
        try:
            return RunRecord.from_dict(data) if isinstance(data, dict) else None
        except TypeError:
            return None

    def seen(self) -> RunRecord | None:
        """Its state as it is: a live state whose worker is dead reads ``crashed``."""
        record = self.record()
        return self.judge(record) if record else None

    def judge(self, record: RunRecord) -> RunRecord:
        """``record`` as it is: ``crashed`` where its worker is gone, ``queued`` where one is being started."""
        if self._starting() or self._taken_up(record):
            return replace(record, state="queued", error=None, ended=None, resumable=False)
        if record.live and not self._worked_on(record):
            record = replace(record, state="crashed", pid=None)
        ended = record.state in ("crashed", "stopped", "failed")
        refused = (record.error or {}).get("code", "").endswith(".refused")
        resumable = ended and record.kind in RESUMABLE and not refused and (self.path / "recipe.json").exists()
        return replace(record, resumable=resumable, stopping=record.live and self.stop_requested())

    def _worked_on(self, record: RunRecord) -> bool:
        if self.lease.live():
            return True
        if record.state != "queued":
            return False
        # Where it was taken since the first look, it is looked at once more.
        return self._fresh(self.path / "state.json") if self.lease.epoch() == 0 else self.lease.live() is not None

    def _starting(self) -> bool:
        return self._fresh(self._ticket(self.lease.epoch()))

    def _taken_up(self, record: RunRecord) -> bool:
        """Whether a worker that goes on with it has the lease and hasn't written yet: it may be importing."""
        epoch = self.lease.epoch()
        if record.live or record.epoch >= epoch or not self._ticket(epoch - 1).exists():
            return False
        return self.lease.live() is not None

    def _ticket(self, epoch: int) -> Path:
        return self.path / "lease" / f"resume-{epoch:06d}"

    def claim_resume(self) -> int:
        """Be the one that starts the next worker; the epoch it must follow.

        Raises:
            ConflictError: a worker is alive, or another resume was faster.
        """
        epoch = self.lease.epoch()
        ticket = self._ticket(epoch)
        if ticket.exists() and not self._fresh(ticket):
            # The worker that it stood for never came.
            ticket.unlink(missing_ok=True)
        if not self._left() or not put_if_absent(ticket, now().encode()):
            raise ConflictError("jobs.resumed_elsewhere", run=self.id)
        self.clear_stop()
        return epoch

    def _left(self) -> bool:
        """Whether no worker holds the run; one that has written its end is given a moment to go."""
        until = time.monotonic() + LEAVING
        while self.lease.live():
            record = self.record()
            if record is None or record.live or self._taken_up(record) or time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def _fresh(self, path: Path) -> bool:
        try:
            age = datetime.now(UTC).timestamp() - path.stat().st_mtime
        except FileNotFoundError:
            return False
        return age < START_GRACE

    def write(self, record: RunRecord, *, epoch: int, durable: bool = False) -> None:
        """Replace the state; only the holder of ``epoch``.

        Raises:
            ConflictError: another has taken the run over since.
            StoreError: the disk is full.
        """
        if epoch and not self.lease.held(epoch):
            raise ConflictError("store.lease_lost", run=self.id)
        write_json(self.path / "state.json", replace(record, epoch=epoch).to_dict(), durable=durable)

    def note(self, event: Event, **more: Any) -> None:
        """Append an event to events.jsonl."""
        line = json.dumps({"at": now(), **event_to_dict(event), **more}, ensure_ascii=False) + "\n"
        with disk_errors(self.path):
            descriptor = os.open(self.path / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event noted, in order; a torn last line is left out."""
        try:
            lines = (self.path / "events.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def request_stop(self) -> bool:
        """Ask the worker to stop after its step; True for the first request."""
        return put_if_absent(self.path / "stop", now().encode())

    def clear_stop(self) -> None:
        """Forget an old request, when the run is resumed."""
        (self.path / "stop").unlink(missing_ok=True)

    def stop_requested(self) -> bool:
        """Whether somebody asked it to stop."""
        return (self.path / "stop").exists()

    def read_log(self, offset: int = 0, limit: int = 64_000) -> tuple[str, int]:
        """``(text, next offset)`` of the log from ``offset``; a negative offset counts from the end.

        A letter of several bytes is never cut: half of one waits for the next piece while somebody writes.
        """
        try:
            with self.log.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                start = file.seek(max(0, size + offset) if offset < 0 else min(offset, size))
                data = file.read(limit)
                end = file.tell()
        except FileNotFoundError:
            return "", 0
        if offset < 0 < start:
            rest = data[:_LETTER].lstrip(_INSIDE)
            data = rest + data[_LETTER:]
        decoder = getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(data, final=end >= size and self._written())
        return text, end - len(decoder.getstate()[0])

    def _written(self) -> bool:
        """Whether a worker has had it and is gone."""
        return self.lease.epoch() > 0 and self.lease.live() is None


RESUMABLE = frozenset({"distil", "finetune", "pull", "shrink", "tune"})
"""Kinds that go on where they were; the others are started anew."""


def folders(runs: Path) -> Iterator[RunFolder]:
    """Every run folder, hidden ones (being made or removed) left out."""
    folder(runs)
    for entry in os.scandir(runs):
        if entry.is_dir() and not entry.name.startswith("."):
            yield RunFolder(Path(entry.path))
