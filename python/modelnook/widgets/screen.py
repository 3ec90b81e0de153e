"""The widget as a screen for a run that a cell waits for; the static card takes its place at the end."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from modelnook.live import bundle, shell
from modelnook.widgets.view import View

__all__ = ["WidgetScreen"]

CURVES_EVERY_S = 1.0
POINTS = 300


def answers_now() -> bool:
    """Whether the front end made a subshell: then calls are answered while a cell runs."""
    thread = getattr(getattr(shell(), "kernel", None), "shell_channel_thread", None)
    manager = getattr(thread, "manager", None)
    return bool(manager and manager.list_subshell())


class WidgetScreen:
    """A ``View`` bound to one run; its output also holds the run's card for readers without widgets."""

    def __init__(self, shown: str = "") -> None:
        """``shown`` is the display id of the output whose place it takes."""
        self._id = shown or uuid4().hex
        self._first = not shown
        self._curves = time.monotonic()
        self._total = -1

    def open(self, run: Any) -> None:
        """Show the view with what is known now."""
        from IPython.display import display, update_display

        state = {f"run:{run.id}": run.to_dict(), f"history:{run.id}": self._history(run)}
        self.view = View("run", {"run": run.id, "compact": True}, state=state, live=answers_now())
        show = display if self._first else update_display
        show({**bundle(run), **self.view.mime}, raw=True, display_id=self._id)

    def update(self, run: Any) -> None:
        """Push the record, and the curves once a second."""
        self.view.push(f"run:{run.id}", run.to_dict())
        now = time.monotonic()
        total = run.folder.series.total()
        if total != self._total and now - self._curves >= CURVES_EVERY_S:
            self._curves, self._total = now, total
            self.view.push(f"history:{run.id}", self._history(run))
        if self.view.live != answers_now():
            self.view.live = not self.view.live

    def close(self, result: Any) -> None:
        """Put the result's static card in the view's place: a saved notebook reads without a kernel."""
        from IPython.display import update_display

        update_display(bundle(result), raw=True, display_id=self._id)
        self.view.close()

    def _history(self, run: Any) -> dict[str, Any]:
        series = run.folder.series
        return {"series": series.sampled(POINTS), "total": series.total()}
