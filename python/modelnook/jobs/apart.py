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

import psutil

from modelnook.domain.event import Event, Warned, event_from_dict, event_to_dict
from modelnook.domain.run import RunRecord
from modelnook.jobs.listener import CLOSE_WITHIN, Listener, Tracked
from modelnook.tracking import TRACKERS

__all__ = ["TOGETHER", "Apart", "There", "main"]

TOGETHER = 2.0
"""Seconds in which events are gathered before they are handed on: W&B sends as often."""


class Apart:
    """The process, started when it is first needed; several runs may share it, one after another or side by side."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.dead = False
        self._orders: queue.SimpleQueue[tuple[int, str, Any] | None] = queue.SimpleQueue()
        self._urgent = threading.Event()
        self._runs: list[There] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def listener(self, run: Tracked) -> There:
        """What :class:`Listener` is, there."""
        with self._lock:
            self._runs.append(There(self, len(self._runs), run))
            return self._runs[-1]

    def prepare(self) -> None:
        """Start it now, and have it load what its trackers need."""
        self.say(0, "prepare", sorted({row for there in self._runs for row in there.run.names}))

    def say(self, number: int, what: str, value: Any) -> None:
        """Send an order, while there is somebody to do it. Neither a start nor a full pipe is waited for."""
        if self.dead:
            return
        self._orders.put((number, what, value))
        if what != "event":
            self._urgent.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="modelnook-apart", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """No more orders come; what was closed is still written."""
        self._orders.put(None)
        self._urgent.set()

    def _write(self) -> None:
        from modelnook.jobs import process

        try:
            child = self.child = process.start_trackers()
        except OSError as error:
            self._gone(error.strerror or str(error))
            return
        threading.Thread(target=self._read, args=(child,), name="modelnook-apart-answers", daemon=True).start()
        assert child.stdin
        with suppress(OSError, ValueError):
            while orders := self._next():
                child.stdin.write(b"".join(orders))
                child.stdin.flush()
        with suppress(OSError):
            child.stdin.close()

    def _next(self) -> list[bytes]:
        """The orders of now, none at the end; events wait a little for each other: whoever wakes takes from a step."""
        orders = [self._orders.get()]
        if orders[0] and orders[0][1] == "event":
            self._urgent.wait(TOGETHER)
        self._urgent.clear()
        with suppress(queue.Empty):
            while orders[-1]:
                orders.append(self._orders.get_nowait())
        if orders[-1] is None and orders[0]:
            # For the next call.
            self._orders.put(None)
        return [_line(*order) for order in orders if order]

    def _read(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout
        for line in child.stdout:
            answer = json.loads(line)
            self._runs[answer["run"]].hear(answer)
        code = child.wait()
        if code or any(there.opened and not there.closed.is_set() for there in self._runs):
            self._gone(f"exit {code}")

    def _gone(self, why: str) -> None:
        """The process is no more, and didn't say so: no run waits for it, and one is told."""
        self.dead = True
        waiting = [there for there in self._runs if not there.closed.is_set()]
        for there in waiting[:1]:
            name = ", ".join(row.partition(":")[0] for row in there.run.names)
            with suppress(Exception):
                there.run.emit(Warned.of("jobs.tracker_failed", name=name, error=why))
        for there in waiting:
            there.closed.set()


class There:
    """The trackers of one run, in the other process."""

    def __init__(self, apart: Apart, number: int, run: Tracked) -> None:
        self.apart, self.number, self.run = apart, number, run
        self.opened = False
        self.closed = threading.Event()

    def open(self, record: RunRecord) -> None:
        """See :meth:`Listener.open`."""
        self.opened = True
        self.apart.say(self.number, "open", (self.run, record))

    def on_event(self, event: Event) -> None:
        """See :meth:`Listener.on_event`."""
        self.apart.say(self.number, "event", event)

    def close(self, record: RunRecord) -> None:
        """See :meth:`Listener.close`."""
        self.apart.say(self.number, "close", record)

    def wait(self, seconds: float) -> None:
        """See :meth:`Listener.wait`."""
        if not self.apart.dead:
            self.closed.wait(seconds)

    def hear(self, answer: dict[str, Any]) -> None:
        """An answer; a run that is another's by now takes none."""
        if "closed" in answer:
            self.closed.set()
            return
        with suppress(Exception):
            event = event_from_dict(answer["event"]) if "event" in answer else None
            if event:
                self.run.emit(event)
            elif "status" in answer:
                self.run.status(answer["status"])


def _line(number: int, what: str, value: Any) -> bytes:
    """An order as it is sent."""
    said = value if what == "prepare" else _said(value)
    return json.dumps({"run": number, what: said}).encode() + b"\n"


def _said(value: Any) -> dict[str, Any]:
    """An order's value as JSON."""
    if isinstance(value, RunRecord):
        return value.to_dict()
    if isinstance(value, tuple):
        run, record = value
        names, folder = list(run.names), str(run.folder)
        return {"names": names, "folder": folder, "resume": run.resume, "record": record.to_dict()}
    return event_to_dict(value)


def _opened(number: int, said: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> Listener:
    """The trackers of a run, here: each on a thread, so that one's end doesn't hold up another's beginning."""

    def answer(**what: Any) -> None:
        say({"run": number, **what})

    run = Tracked(
        said["names"],
        Path(said["folder"]),
        lambda event: answer(event=event_to_dict(event)),
        lambda status: answer(status=status),
        said["resume"],
    )
    made = Listener(run, closed=lambda: answer(closed=True))
    made.open(RunRecord.from_dict(said["record"]))
    return made


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

    runs: dict[int, Listener] = {}
    calm = False
    for line in sys.stdin.buffer:
        order = json.loads(line)
        number = order["run"]
        if "prepare" in order:
            _prepare(order["prepare"])
            calm = _children_give_way()
        elif "open" in order:
            runs[number] = _opened(number, order["open"], say)
        elif "close" in order:
            runs[number].close(RunRecord.from_dict(order["close"]))
        elif event := event_from_dict(order["event"]):
            runs[number].on_event(event)
            calm = calm or _children_give_way()
    until = time.monotonic() + CLOSE_WITHIN
    for run in runs.values():
        if run.closing:
            run.wait(max(0.0, until - time.monotonic()))
    # Threads of a library may wait for a server that doesn't answer.
    os._exit(0)


def _prepare(rows: Sequence[str]) -> None:
    for row in rows:
        with suppress(Exception):
            TRACKERS.load(row.partition(":")[0]).prepare()


def _give_way() -> None:
    """Take only what others leave of the cores, and have the processes started from here do so."""
    with suppress(OSError):
        # Told apart by it from programs that the training makes way for, see ``training/threads.py``.
        if hasattr(os, "nice"):
            os.nice(19)
        if hasattr(os, "SCHED_IDLE"):
            # Below every nice value, and off a core as soon as a thread of the training wakes.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _children_give_way() -> bool:
    """The same for what a library has started in a session of its own, as W&B does; True where there is such a process.

    Linux may share the cores among sessions first, whatever their processes' niceness (sched(7), "autogroup").
    """
    session = os.getsid(0) if hasattr(os, "getsid") else None
    found = False
    for child in psutil.Process().children(recursive=True) if sys.platform == "linux" else ():
        with suppress(OSError):
            if os.getsid(child.pid) != session:
                found = True
                _lower(Path(f"/proc/{child.pid}/autogroup"))
    return found


def _lower(group: Path) -> None:
    """Give a session the lowest priority; the kernel takes one such wish in a tenth of a second."""
    for _ in range(3):
        try:
            group.write_text("19", encoding="ascii")
        except BlockingIOError:
            time.sleep(0.15)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
