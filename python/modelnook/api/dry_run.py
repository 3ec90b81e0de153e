"""What a dry run tells beside the plan itself: which columns and rows, and what stands by those that were trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modelnook.finetune.estimate import estimated
from modelnook.store import Store

__all__ = ["told"]


def told(planned: Any, store: Store, base: Any, table: Any, held_out: int, labels: Sequence[str], knobs: Any) -> Any:
    """The plan with what a person checks before they wait for it.

    Args:
        base: the resolved model to start from; None where a method needs none.
        held_out: how many rows validate.
        knobs: what was given.
    """
    said = replace(planned, columns=table.columns.to_dict(), classes=len(labels), held_out=held_out)
    return estimated(said, store, str(base.ref), knobs.get("max_seconds")) if base else said
