"""Every domain value as text and as static HTML: ``text(value)``, ``html(value)``.

Values are known by the name of their type, so that nothing of theirs is imported before one is shown, and the domain
stays free of display. A new value needs a function that makes its :class:`~modelnook.cards.card.Card`, and a row here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelnook.cards.card import Card

__all__ = ["MAKERS", "card_of", "html", "knows", "printed", "text", "whole"]

# module.Type -> module:function
MAKERS: dict[str, str] = {
    "builtins.dict": "modelnook.cards.table:settings",
    "modelnook.domain.errors.ModelnookError": "modelnook.cards.error:error",
    "modelnook.domain.explanation.Explanation": "modelnook.cards.explanation:explanation",
    "modelnook.domain.export.Exported": "modelnook.cards.exported:exported",
    "modelnook.domain.model.ModelInfo": "modelnook.cards.model:model",
    "modelnook.domain.model.SearchResult": "modelnook.cards.model:found",
    "modelnook.domain.publication.Publication": "modelnook.cards.publication:publication",
    "modelnook.domain.run.Comparison": "modelnook.cards.measured:comparison",
    "modelnook.domain.run.Evaluation": "modelnook.cards.measured:evaluation",
    "modelnook.domain.run.RunRecord": "modelnook.cards.run:run",
    "modelnook.domain.table.Table": "modelnook.cards.table:table",
    "modelnook.finetune.plan.Plan": "modelnook.cards.plan:plan",
    "modelnook.model.Model": "modelnook.cards.model:loaded",
    "modelnook.run.Run": "modelnook.cards.run:run",
    "modelnook.run_list.RunList": "modelnook.cards.run:runs",
    "modelnook.serving.Server": "modelnook.cards.server:server",
    "modelnook.verbs.help.Page": "modelnook.cards.help:help",
}


def _maker(value: object) -> str | None:
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__)
    return next((MAKERS[name] for name in names if name in MAKERS), None)


def knows(value: object) -> bool:
    """Whether there is a card for values of this type."""
    return _maker(value) is not None


def card_of(value: Any, **more: Any) -> Card:
    """The card of a value. ``more`` is what the caller read beside it, such as a run's ``series`` for its chart.

    Raises:
        TypeError: no card for this type.
    """
    target = _maker(value)
    if target is None:
        raise TypeError(f"no card for {type(value).__name__}")
    module, _, name = target.partition(":")
    made: Card = getattr(import_module(module), name)(value, **more)
    return made


def text(value: Any, **more: Any) -> str:
    """The card as at most twelve lines of text; what has no card, as ``str`` says it."""
    if not knows(value):
        return str(value)
    from modelnook.cards.plain import plain

    return plain(card_of(value, **more))


def whole(value: Any) -> str:
    """The card as text with all of its rows, as a person asked for them."""
    if not knows(value):
        return str(value)
    from dataclasses import replace

    from modelnook.cards.plain import plain

    return plain(replace(card_of(value), whole=True))


def printed(value: Any) -> str:
    """The card as ``print`` shows it: in a plain Python, with the commands of a terminal."""
    from modelnook.cards.typed import typed
    from modelnook.domain.errors import in_notebook

    return text(value) if in_notebook() else typed(text(value))


def html(value: Any, **more: Any) -> str:
    """The card as static HTML."""
    from modelnook.cards.page import page

    return page(card_of(value, **more))
