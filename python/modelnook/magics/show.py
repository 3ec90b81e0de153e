"""How IPython shows what a magic gives, where that is no value with a card."""

from __future__ import annotations

from typing import Any

from modelnook import cards
from modelnook.live.formatters import html, text

__all__ = ["Said", "shown_already", "unfolded"]


class Said(str):
    """A text result that shows itself without quotes; in all else a str."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    @classmethod
    def of(cls, result: Any, verb: Any) -> Any:
        """A plain Python result as it is to be shown; domain values and frames as they are."""
        from modelnook.verbs.said import said

        if (sentence := said(verb.name, result)) is not None:
            return cls(sentence)
        if verb.name == "settings":
            return SaidDict(result)
        # A str of another type shows itself.
        return cls(result) if type(result) is str else result


class SaidDict(dict[str, Any]):
    """A dict that shows itself as a card; in all else a dict."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(text(dict(self)))

    def _repr_html_(self) -> str:
        return html(dict(self))


def shown_already(ipython: Any, value: Any) -> None:
    """The live screen shows ``value``: leave the same value out when this cell's result is displayed."""
    once = ipython.display_formatter.ipython_display_formatter
    kind = type(value)

    def skip(result: Any) -> None:
        forget()
        # A display() that the person wrote is not the cell's own result.
        if result is not value or getattr(ipython.displayhook, "msg", None) is None:
            from IPython.display import display

            display(result)

    def forget(*_: Any) -> None:
        once.type_printers.pop(kind, None)
        if forget in ipython.events.callbacks["post_run_cell"]:
            ipython.events.unregister("post_run_cell", forget)

    once.for_type(kind, skip)
    ipython.events.register("post_run_cell", forget)


def unfolded(ipython: Any, value: Any) -> None:
    """Display ``value`` with all of its rows as this cell's result: at a terminal a folded card can't be opened."""
    if not cards.knows(value):
        return
    formatter, kind = ipython.display_formatter.formatters["text/plain"], type(value)
    folded = formatter.for_type(kind)
    if (others := getattr(folded, "wanted", None)) is not None:
        # Another line of the same cell.
        others.append(value)
        return
    wanted = [value]

    def show(result: Any, printer: Any, cycle: bool) -> None:
        if any(result is one for one in wanted) and not cycle and len(printer.stack) <= 1:
            printer.text(cards.whole(result))
        elif folded is not None:
            folded(result, printer, cycle)

    def forget(*_: Any) -> None:
        formatter.for_type(kind, folded)
        if forget in ipython.events.callbacks["post_run_cell"]:
            ipython.events.unregister("post_run_cell", forget)

    setattr(show, "wanted", wanted)  # noqa: B010
    formatter.for_type(kind, show)
    ipython.events.register("post_run_cell", forget)
