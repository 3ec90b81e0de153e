"""Progress on stderr: a bar that redraws itself on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import Any

from modelnook.cards.figures import width
from modelnook.cards.run import logged_line, part_of, progress_line

__all__ = ["Bar", "Lines"]

CELLS = 20
EVERY_S = 10.0


class Bar:
    """One line that is written over; wiped when the result is there."""

    def open(self, run: Any) -> None:
        """Say where it is logged, and draw the line."""
        _say_where(run)
        self.update(run)

    def update(self, run: Any) -> None:
        """Draw the line anew."""
        record = run.record
        part = part_of(record)
        full = round((part or 0.0) * CELLS)
        bar = "" if part is None else "█" * full + "░" * (CELLS - full) + f" {part:4.0%} "
        self._write(f"{bar}{record.name} · {getattr(run, 'note', '') or progress_line(record)}")

    def close(self, result: Any) -> None:
        """Leave an empty line for the card that the caller prints."""
        self._write("")

    def _write(self, line: str) -> None:
        from shutil import get_terminal_size

        room = get_terminal_size().columns - 1
        while width(line) > room:
            line = line[:-1]
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


class Lines:
    """A plain line for every phase, and every ten seconds within one."""

    def __init__(self) -> None:
        self._phase: Any = None
        self._at = 0.0
        self._line = ""

    def open(self, run: Any) -> None:
        """Say where it is logged, and that it waits."""
        _say_where(run)
        self.update(run)

    def update(self, run: Any) -> None:
        """Say where it stands, where that is news."""
        record = run.record
        phase = (record.state, (record.progress or {}).get("phase"))
        line = f"{record.name} · {progress_line(record)}"
        now = time.monotonic()
        if record.live and (phase != self._phase or now - self._at >= EVERY_S):
            # Queued, and running without a first step yet, read alike.
            if line != self._line or now - self._at >= EVERY_S:
                print(line, file=sys.stderr, flush=True)
            self._phase, self._at, self._line = phase, now, line

    def close(self, result: Any) -> None:
        """Nothing to add: the caller prints the card."""


def _say_where(run: Any) -> None:
    said = logged_line(run.record)
    if said:
        print(said, file=sys.stderr, flush=True)
