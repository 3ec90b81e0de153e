"""A model made ready for the backends that trace it into a program, kept from one attempt to the next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelnook.convert import WITHOUT
from modelnook.convert.trace import Traced
from modelnook.domain.errors import UnsupportedError
from modelnook.quantize import NEXT

__all__ = ["UNTRACEABLE", "prepared"]

UNTRACEABLE = ("quantize.untraceable", "quantize.failed_on")
"""The messages where a model can't be traced, see :func:`~modelnook.convert.trace.tracing`."""


def prepared(
    held: Traced | None,
    source: Path,
    task: str,
    rows: Sequence[Any],
    backend: str,
    scheme: str,
    attention: str = "eager",
) -> Traced:
    """The model of ``source`` ready to be traced: the one that is held, where it is of the same folder and task.

    Args:
        backend: which asks, for its own errors.
        attention: see :class:`~modelnook.convert.trace.Traced`.

    Raises:
        UnsupportedError: a task for which no program stands.
    """
    if held is not None and held.source == source and held.heavy.spec.name == task:
        return held
    if task in WITHOUT:
        raise UnsupportedError("quantize.no_program", backend=backend, task=task, next=NEXT[scheme])
    return Traced(source, task, rows, attention)
