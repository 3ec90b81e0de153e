"""``python -m modelnook.jobs.apart``: trackers in a process of their own, which takes the time that training leaves.

In the training's process their import and their calls hold Python's lock, for which every operation of a step waits
(``benchmarks/loop.py`` measures it); here they run at the lowest priority.

The two processes exchange lines of JSON: orders ``open event close`` of a run, by number, and ``event status closed``
as answers. The process ends with its input: at once where the run isn't closed, as it would have died with the job.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelnook.domain.event import Emit, Event, Warned, event_from_dict, event_to_dict
from modelnook.domain.run import RunRecord
from modelnook.jobs.listener import CLOSE_WITHIN, Listener
from modelnook.messages import t
from modelnook.tracking import TRACKERS

__all__ = ["Apart", "main"]


class Apart:
    """The process, started when it is first needed; several runs may share it, one after another or side by side."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self._orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._runs: list[_There] = []
        self._lock = threading.Lock()
        self._dead = False

    def listener(
        self,
        names: Sequence[str],
        folder: Path,
        emit: Emit,
        status: Callable[[dict[str, Any]], None],
        *,
        resume: bool = False,
    ) -> _There:
        """What :class:`Listener` is, there."""
        with self._lock:
            made = _There(self, len(self._runs), names, folder, emit, status, resume)
            self._runs.append(made)
            return made

    def start(self) -> None:
        """Start it now, and have it load what the trackers need."""
        from modelnook.jobs import process

        with self._lock:
            if self.child is not None or self._dead:
                return
            try:
                self.child = process.start_trackers()
            except OSError as error:
                self._gone(error.strerror or str(error))
                return
        rows = sorted({row for run in self._runs for row in run.names})
        self._orders.put({"prepare": rows})
        for work in (self._write, self._read):
            threading.Thread(target=work, name="modelnook-trackers-apart", daemon=True).start()

    def say(self, order: dict[str, Any]) -> None:
        """Send an order."""
        self.start()
        if self._dead:
            self._runs[order["run"]].closed.set()
        else:
            self._orders.put(order)

    def end(self) -> None:
        """No more orders come; what was closed is still written."""
        self._orders.put(None)

    def _write(self) -> None:
        assert self.child
        assert self.child.stdin
        with suppress(OSError, ValueError):
            while (order := self._orders.get()) is not None:
                self.child.stdin.write(json.dumps(order).encode() + b"\n")
                self.child.stdin.flush()
        with suppress(OSError):
            self.child.stdin.close()

    def _read(self) -> None:
        assert self.child
        assert self.child.stdout
        for line in self.child.stdout:
            answer = json.loads(line)
            self._runs[answer["run"]].hear(answer)
        code = self.child.wait()
        if code or any(run.opened and not run.closed.is_set() for run in self._runs):
            self._gone(f"exit {code}")

    def _gone(self, why: str) -> None:
        """The process is no more, and didn't say so: no run waits for it, and one is told."""
        self._dead = True
        waiting = [run for run in self._runs if not run.closed.is_set()]
        for run in waiting[:1]:
            name = ", ".join(row.partition(":")[0] for row in run.names)
            with suppress(Exception):
                run.emit(Warned("jobs.tracker_failed", t("jobs.tracker_failed", name=name, error=why)))
        for run in waiting:
            run.closed.set()


class _There:
    """The trackers of one run, in the other process."""

    def __init__(
        self,
        apart: Apart,
        number: int,
        names: Sequence[str],
        folder: Path,
        emit: Emit,
        status: Callable[[dict[str, Any]], None],
        resume: bool,
    ) -> None:
        self.apart, self.number, self.names, self.folder = apart, number, list(names), folder
        self.emit, self.status, self.resume = emit, status, resume
        self.opened = False
        self.closed = threading.Event()

    def open(self, record: RunRecord) -> None:
        self.opened = True
        said = {"names": self.names, "folder": str(self.folder), "resume": self.resume, "record": record.to_dict()}
        self.apart.say({"run": self.number, "open": said})

    def on_event(self, event: Event) -> None:
        self.apart.say({"run": self.number, "event": event_to_dict(event)})

    def close(self, record: RunRecord) -> None:
        self.apart.say({"run": self.number, "close": record.to_dict()})
        self.closed.wait(CLOSE_WITHIN)

    def hear(self, answer: dict[str, Any]) -> None:
        """An answer; a run that is another's by now takes none."""
        if "closed" in answer:
            self.closed.set()
            return
        with suppress(Exception):
            event = event_from_dict(answer["event"]) if "event" in answer else None
            if event:
                self.emit(event)
            elif "status" in answer:
                self.status(answer["status"])


class _Run:
    """A run's trackers here, on a thread of their own: while one run's are closed, the next one's are open."""

    def __init__(self, number: int, opened: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
        self.orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.closing = False
        self.over = threading.Event()
        self._say = lambda answer: say({"run": number, **answer})
        self._record = RunRecord.from_dict(opened["record"])
        self._listener = Listener(
            opened["names"],
            Path(opened["folder"]),
            lambda event: self._say({"event": event_to_dict(event)}),
            lambda status: self._say({"status": status}),
            resume=opened["resume"],
        )
        threading.Thread(target=self._work, name=f"modelnook-run-{number}", daemon=True).start()

    def take(self, order: dict[str, Any]) -> None:
        self.closing = self.closing or "close" in order
        self.orders.put(order)

    def _work(self) -> None:
        self._listener.open(self._record)
        while "close" not in (order := self.orders.get()):
            event = event_from_dict(order["event"])
            if event:
                self._listener.on_event(event)
        self._listener.close(RunRecord.from_dict(order["close"]))
        self._say({"closed": True})
        self.over.set()


def main() -> int:
    """The process: does orders until there are no more."""
    _give_way()
    # What a library prints goes to the log of the job and not among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Meant for the job, which ends its trackers in its own time.
        signal.signal(number, signal.SIG_IGN)
    lock = threading.Lock()

    def say(answer: dict[str, Any]) -> None:
        with lock, suppress(OSError):
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()

    runs: dict[int, _Run] = {}
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if "prepare" in order:
            _prepare(order["prepare"])
        elif "open" in order:
            runs[order["run"]] = _Run(order["run"], order["open"], say)
        else:
            runs[order["run"]].take(order)
    until = time.monotonic() + CLOSE_WITHIN
    for run in runs.values():
        if run.closing:
            run.over.wait(max(0.0, until - time.monotonic()))
    # Threads of a library may wait for a server that doesn't answer.
    os._exit(0)


def _prepare(rows: Sequence[str]) -> None:
    for row in rows:
        with suppress(Exception):
            TRACKERS.load(row.partition(":")[0]).prepare()


def _give_way() -> None:
    """Take only what others leave of the cores, and have the processes started from here do so."""
    with suppress(OSError):
        if hasattr(os, "SCHED_IDLE"):
            # Below every nice value, and off a core as soon as a thread of the training wakes.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        elif hasattr(os, "nice"):
            os.nice(19)


if __name__ == "__main__":
    sys.exit(main())
