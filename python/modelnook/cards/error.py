"""The card of an error: one sentence what, one what to do."""

from __future__ import annotations

from modelnook.cards.card import Card
from modelnook.domain.errors import ModelnookError

__all__ = ["error"]


def error(value: ModelnookError) -> Card:
    """Message and hint; the code stays out of the way."""
    return Card(value.message, tone="bad", hint=value.hint)
