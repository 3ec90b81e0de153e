"""The time that a tuning is given: when training ends so that all of it is kept, and whether it holds one trial."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from modelnook.domain.errors import UsageError
from modelnook.domain.event import Emit, Event, Progress

__all__ = ["Budget", "TimeKnown"]

FIRST_STEPS = 4
"""Steps of the default configuration that are taken to estimate its time by."""

SURE = 0.5
"""By which part of it what steps tell may be too long, the less the more of them are known: a budget that is
shorter still is too short."""


class TimeKnown(Exception):
    """Raised out of a training whose time is known."""


@dataclass
class Budget:
    """Times are those of ``time.monotonic``.

    Args:
        trial: seconds after which any trial is cut short.
        until: when the whole of it ends; None: never.
    """

    trial: float | None = None
    until: float | None = None
    making: dict[str, float] = field(default_factory=dict)
    """Precision -> seconds that making and measuring a trained model in it took the last time: the first imports."""
    scoring: float = 0.0
    """Seconds for a model on the held-out rows."""
    models: int = 1
    """How many the end scores beside the default's."""
    whole: float = 0.0
    """Seconds that the default configuration takes, as far as its steps tell."""

    def deadline(self) -> float:
        """When training has to end, so that there is time for what follows it."""
        if self.until is None:
            return math.inf
        return self.until - max(self.making.values(), default=0.0) - self.models * self.scoring

    @contextmanager
    def made(self, precision: str) -> Iterator[None]:
        """Around what is made of a trained model."""
        began = time.monotonic()
        yield
        self.making[precision] = time.monotonic() - began

    @contextmanager
    def scored(self) -> Iterator[None]:
        """Around a model's answers on the held-out rows."""
        began = time.monotonic()
        yield
        self.scoring = time.monotonic() - began

    def rehearsal(self, show: Callable[[Progress], None]) -> Emit:
        """What hears some steps of the default configuration.

        Raises (from what it gives):
            UsageError: the budget is shorter than one trial.
            TimeKnown: it isn't; that was all that was to be learnt.
        """

        def listen(event: Event) -> None:
            if not isinstance(event, Progress):
                return
            show(event)
            if event.phase == "training" and event.step >= min(FIRST_STEPS, max(1, (event.total or 0) - 1)):
                self.check(event)
                raise TimeKnown

        return listen

    def check(self, event: Progress) -> None:
        """End the default configuration where its steps tell that it won't come to its end.

        Raises:
            UsageError: the budget is shorter than one trial.
        """
        share = event.step / max(1, event.total or 1)
        if self.until is None or event.phase != "training" or event.eta_s is None or not 0 < share < 1:
            return
        whole = event.eta_s / (1 - share)
        # A trial's own budget cuts it short: what is left of it then is less than what the steps tell.
        self.whole = min(whole, self.trial or whole)
        if self.whole - share * whole > (1 + SURE * (1 - share)) * (self.until - time.monotonic()):
            raise UsageError("tune.budget_trial", seconds=round(self.whole))
