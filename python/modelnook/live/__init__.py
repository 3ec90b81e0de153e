"""Watching a run while a caller waits for it: a widget, an updated card, a bar in a terminal, or plain lines.

The faces share this room; which screen fits is decided here, and a screen is loaded only when a run is waited for.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from modelnook import cards

__all__ = ["SCREENS", "Screen", "bundle", "carried", "in_kernel", "looked_at", "watch"]

SCREENS = {
    "bar": "modelnook.live.terminal:Bar",
    "card": "modelnook.live.card:LiveCard",
    "lines": "modelnook.live.terminal:Lines",
    "widget": "modelnook.widgets.screen:WidgetScreen",
}

EVERY_S = 0.25


class Screen(Protocol):
    """Where a waiting person looks. A screen never fails the wait: what it can't show, it leaves out."""

    def open(self, run: Any) -> None:
        """Show the run as it starts."""

    def update(self, run: Any) -> None:
        """Something changed; called about four times a second at most."""

    def close(self, result: Any) -> None:
        """Leave the result where the run stood, readable without us; None leaves nothing there."""


def shell() -> Any:
    """The IPython shell that this process is, or None."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module else None


def in_kernel() -> bool:
    """Whether outputs go to a notebook."""
    return getattr(shell(), "kernel", None) is not None


def choose() -> str:
    """The name of the screen that fits where we are."""
    if in_kernel():
        built = Path(__file__).parents[1] / "static" / "widget.js"
        return "widget" if find_spec("anywidget") and built.exists() else "card"
    return "bar" if sys.stderr.isatty() else "lines"


def looked_at() -> bool:
    """Whether what is shown while somebody waits is seen: in a cell, or at a terminal.

    What another thread shows would land in whichever cell runs then.
    """
    seen = in_kernel() or bool(sys.stderr and sys.stderr.isatty())
    return seen and threading.current_thread() is threading.main_thread()


def carried(
    call: Callable[..., Any], finish: Callable[[Any], Any], *, waits: bool, keep: bool = True
) -> tuple[Any, bool, Any]:
    """Call a verb, showing how far it is.

    Args:
        call: the verb's function with its arguments; takes ``background`` besides where it ``waits``.
        finish: what makes the result of a run.
        waits: whether a run is started that is to be waited for.
        keep: see :func:`watch`.

    Returns:
        The result; whether it is shown already; the run that was waited for, or None.
    """
    if not waits:
        from modelnook.live.answers import counted

        with counted():
            return call(), False, None
    run = call(background=True)
    if not hasattr(run, "wait"):
        return run, False, None
    return *watch(run, finish, keep=keep), run


def watch(run: Any, finish: Callable[[Any], Any], *, keep: bool = True) -> tuple[Any, bool]:
    """Wait for a run; ``finish`` makes the result of it.

    Args:
        keep: leave the result's card where the run stood; else nothing stays.

    Returns:
        The result, and whether the screen shows it already. A run that has ended is only looked up.

    Raises:
        ModelnookError: the run failed or crashed.
    """
    if not run.record.live:
        return finish(run.checked()), False
    screen = _opened(run)
    try:
        run.wait(on_update=partial(_quietly, screen.update), every=EVERY_S)
        result = run if run.record.live else finish(run)
    except BaseException:
        _quietly(screen.close, run if keep else None)
        raise
    if not keep:
        _quietly(screen.close, None)
        return result, False
    # A result without a card, such as a path, is the caller's to show; the screen keeps the run's own.
    whole = cards.knows(result)
    shown = _quietly(screen.close, result if whole else run)
    return result, shown and whole and in_kernel()


def _opened(run: Any) -> Screen:
    """The screen that fits; a simpler one where that can't be shown, such as a widget of versions that don't agree."""
    name, card, where = choose(), None, uuid4().hex
    if name == "widget" and "anywidget" not in sys.modules:
        # The widget's packages take as long to import as all before them: the card stands in the cell meanwhile.
        card = _open("card", run, where)
    try:
        return _open(name, run, where) if card else _open(name, run)
    except Exception:
        return card or _open("card" if name == "widget" else "lines", run)


def _open(name: str, run: Any, *where: str) -> Screen:
    module, _, kind = SCREENS[name].partition(":")
    screen: Screen = getattr(import_module(module), kind)(*where)
    screen.open(run)
    return screen


def _quietly(show: Callable[[Any], None], value: Any) -> bool:
    """Show, if it can be shown; a display that breaks must not end the waiting for the run."""
    try:
        show(value)
    except Exception:
        return False
    return True


def bundle(value: Any) -> dict[str, str]:
    """A value's card as text and static HTML, with the curves of a run that has some; of None nothing, by mime type."""
    if value is None:
        return {"text/plain": "", "text/html": ""}
    more = {"series": curves(value)} if hasattr(value, "folder") and hasattr(value, "record") else {}
    return {"text/plain": cards.text(value, **more), "text/html": cards.html(value, **more)}


def curves(run: Any, points: int = 160) -> dict[str, dict[str, list[Any]]]:
    """The curves that a run's card draws."""
    series = run.folder.series
    wanted = {"loss", "eval_loss", f"eval_{run.record.primary_metric}"}
    found: dict[str, dict[str, list[Any]]] = series.sampled(points, sorted(wanted & set(series.names())))
    return found
