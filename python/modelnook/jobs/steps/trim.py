"""A smaller vocabulary, as a step."""

from __future__ import annotations

from pathlib import Path

from modelnook.domain.event import Warned
from modelnook.jobs.steps.work import Made, Work
from modelnook.messages import t

__all__ = ["trim"]

MUCH = 0.01
"""The share of cut occurrences above which it is said."""


def trim(work: Work, source: Path, target: Path, option: str) -> Made:
    """Cut the vocabulary to what the person's rows use, or to ``option`` tokens."""
    from modelnook.shrink.trim import trim as cut

    most = int(option) if option.isdigit() else None
    done = cut(source, target, task=work.task, rows=work.whole, most=most, emit=work.context.emit)
    if done.cut > MUCH:
        percent = f"{100 * done.cut:.1f}"
        work.context.emit(Warned("shrink.cut_tokens", t("shrink.cut_tokens", percent=percent, tokens=done.after)))
    return {"before": {"tokens": done.before}, "after": {"tokens": done.after}, "used_tokens": done.used}
