"""The only thing that engines emit. Progress bars, trackers, the store and the sidebar are listeners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from modelnook.domain.table import jsonable
from modelnook.messages import t

__all__ = [
    "Emit",
    "Event",
    "Failed",
    "Finished",
    "MetricLogged",
    "Progress",
    "Started",
    "Stopped",
    "Warned",
    "ending",
    "event_from_dict",
    "event_to_dict",
]


@dataclass(frozen=True, slots=True)
class Started:
    """Work has begun: ``what`` is the recipe's verb, ``params`` what was resolved (batch size, method …).

    ``plan`` is what a training is going to take: memory, time, disk (:class:`modelnook.finetune.plan.Plan` as a dict).
    """

    what: str
    params: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where it stands. ``phase`` is a message key's last part: ``loading training evaluating saving`` …

    ``eta_s`` is seconds left in the whole run, ``rows_per_s`` training rows a second.
    """

    phase: str
    step: int = 0
    total: int | None = None
    epoch: float | None = None
    epochs: float | None = None
    rows_per_s: float | None = None
    eta_s: float | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class MetricLogged:
    """Values at a step, by name: ``loss learning_rate`` while training, ``eval_…`` from the validation rows."""

    step: int
    values: dict[str, float]
    epoch: float | None = None


_GRAVE = ("data.leak", "data.seen", "data.mislabelled", "data.conflict")
_MERE = ("data.long", "train.truncated", "train.length_capped")
_RANKS = {code: rank for rank, code in enumerate(_GRAVE)} | dict.fromkeys(_MERE, len(_GRAVE) + 1)


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a person should know; ``code`` is the message key, ``message`` its text with the ``values`` filled in.

    >>> Warned.of("train.best_lost", step=3).values
    {'step': 3}
    """

    code: str
    message: str
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, code: str, /, **values: Any) -> Warned:
        """The warning in the language of whoever is warned."""
        plain: dict[str, Any] = {name: v if isinstance(v, str | int | float) else str(v) for name, v in values.items()}
        return cls(code, t(code, **plain), plain)

    @property
    def rank(self) -> int:
        """Where it stands among others, the gravest at 0: what makes the scores untrue, the rest, mere lengths."""
        return _RANKS.get(self.code, len(_GRAVE))

    def source(self) -> dict[str, Any]:
        """What a record keeps beside the text, so that it can be told in another language."""
        return {"code": self.code, "values": self.values}


@dataclass(frozen=True, slots=True)
class Finished:
    """The work ended as asked, or was stopped and left a usable result (``stopped``)."""

    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    model: str | None = None
    report: dict[str, Any] | None = None
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The work ended in an error, as :meth:`ModelnookError.to_dict` says it; ``kind`` is the name of its class."""

    code: str
    message: str
    hint: str = ""
    kind: str = ""


Event = Started | Progress | MetricLogged | Warned | Finished | Failed
Emit = Callable[[Event], None]


class Stopped(Exception):
    """Raised by an emit to end the work that emits; what was being written is removed on its way out."""


def ending(emit: Emit, stop: Callable[[], bool]) -> Emit:
    """``emit`` for work that can't be asked to stop: every event is a place where it ends.

    Raises (from what it gives):
        Stopped: ``stop`` says so.
    """

    def told(event: Event) -> None:
        if stop():
            raise Stopped
        emit(event)

    return told


_KINDS = {c.__name__: c for c in (Started, Progress, MetricLogged, Warned, Finished, Failed)}


def event_to_dict(event: Event) -> dict[str, Any]:
    """``{"type": …, fields}``."""
    return {"type": type(event).__name__, **jsonable(asdict(event))}


def event_from_dict(data: dict[str, Any]) -> Event | None:
    """Read :func:`event_to_dict`'s form; None for a type that this version doesn't know."""
    kind = _KINDS.get(data.get("type", ""))
    if kind is None:
        return None
    return kind(**{k: v for k, v in data.items() if k in kind.__dataclass_fields__})  # type: ignore[no-any-return]
