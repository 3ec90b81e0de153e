"""Which method trains where a person names none: by what was set, memory, parameters, rows and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from modelnook.domain.knobs import OWNERS
from modelnook.finetune.costs import ROOM
from modelnook.measure.memory import Need
from modelnook.messages import t

__all__ = ["choose_method"]

QUICKER = ("last-k", "head")
"""Methods that take less time than ``full``, the better one first."""

FEW = 16
"""Rows a class up to which few-shot training is chosen."""


def choose_method(
    *,
    need: Need,
    parameters: int,
    memory_free: int | None,
    wanted: str = "auto",
    size: str = "balanced",
    rows_a_class: float = math.inf,
    methods: Sequence[str] = ("full", "lora", "last-k"),
    gpu: bool = False,
    own: Iterable[str] = (),
    budget: float | None = None,
    took: Callable[[str], float] | None = None,
    stacked: bool = True,
) -> tuple[str, str]:
    """``(method, the reason in one sentence)``.

    Args:
        need, memory_free: bytes.
        methods: those that the task has been tested with. ``quick`` takes ``last-k`` where that is among them: with
            MiniLM it took half to a third of the time of ``full``, within two points of it on trec, bbc-news,
            clinc150 and spam-assassin. With 8 rows of each of trec's classes ``few-shot`` was 4 to 9 points ahead.
        gpu: whether the free memory is a GPU's that methods for GPUs alone can use.
        own: settings that were given and that only some methods have.
        budget: seconds that there are at most, where that was said.
        took: about how many seconds a method takes.
        stacked: whether the model has layers of which ``last-k`` could leave some as they are.
    """
    quicker = [method for method in QUICKER if method in methods and (stacked or method != "last-k")]
    if wanted != "auto":
        return wanted, t("train.reason_asked", method=wanted)
    values = {"need": _gigabytes(need.full), "free": _gigabytes(memory_free or 0)}
    if memory_free is not None and need.lora > ROOM * memory_free and gpu and "qlora" in methods:
        return "qlora", t("train.reason_four_bits", need=_gigabytes(need.lora), free=values["free"])
    for name in own:
        owner = next((method for method in OWNERS[name] if method in methods), None)
        if owner is not None:
            return owner, t("train.reason_own", method=owner, name=name)
    if memory_free is not None and need.full > ROOM * memory_free:
        return "lora", t("train.reason_memory", **values)
    if parameters > 1_000_000_000:
        return "lora", t("train.reason_size", parameters=f"{parameters / 1e9:.1f}")
    if rows_a_class <= FEW and "few-shot" in methods:
        chosen = "few-shot", t("train.reason_few", rows=round(rows_a_class))
    elif size == "quick" and "last-k" in methods:
        chosen = ("last-k", t("train.reason_quick")) if stacked else ("full", t("train.reason_no_stack"))
    else:
        chosen = "full", t("train.reason_full", **values)
    if budget is None or took is None or took(chosen[0]) <= budget:
        return chosen
    quicker = [method for method in quicker if took(method) < took(chosen[0])]
    if not quicker:
        return chosen
    fitting = next((method for method in quicker if took(method) <= budget), quicker[-1])
    said = {"needs": _seconds(took(chosen[0])), "budget": _seconds(budget), "than": chosen[0]}
    return fitting, t("train.reason_budget", method=fitting, **said)


def _seconds(took: float) -> str:
    return f"{took:.0f}" if took >= 10 else f"{took:.1f}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f}"
