"""How IPython displays our values: cards, registered by the names of types, so that nothing is imported for it."""

from __future__ import annotations

from typing import Any

from modelnook.cards import MAKERS

__all__ = ["Said", "install", "shown_already"]


def install(ipython: Any) -> None:
    """Text and HTML for every value that has a card."""
    formatters = ipython.display_formatter.formatters
    for target in MAKERS:
        module, _, name = target.rpartition(".")
        if module == "builtins":
            continue
        formatters["text/plain"].for_type_by_name(module, name, _pretty)
        formatters["text/html"].for_type_by_name(module, name, _html)


def _pretty(value: Any, printer: Any, cycle: bool) -> None:
    # Inside a list or a dict a card would tear the line apart.
    printer.text(repr(value) if cycle or len(printer.stack) > 1 else _bundle(value)["text/plain"])


def _html(value: Any) -> str:
    return _bundle(value)["text/html"]


def _bundle(value: Any) -> dict[str, str]:
    from modelnook.live import bundle

    return bundle(value)


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
        printer.text(_bundle(dict(self))["text/plain"])

    def _repr_html_(self) -> str:
        return _html(dict(self))


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
