"""An explanation method: asked about one input, it may ask the model about parts of it, and shares the answer out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from modelnook.domain.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelnook.explain.units import Divided
    from modelnook.runtime.base import Runtime
    from modelnook.tasks.spec import Spec

__all__ = ["Explainer", "Game", "Question", "Shares"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be explained of one input.

    ``value`` is the answer in the unit of the scores; ``label`` None where it is a number. At most ``most`` predictions
    may be asked for.
    """

    runtime: Runtime
    spec: Spec
    row: Divided
    label: str | None
    value: float
    most: int
    seed: int

    def too_few(self, least: int) -> UsageError:
        """The refusal where so many columns need more predictions: they can't be taken together as words are."""
        return UsageError("explain.too_few", predictions=self.most, columns=len(self.row.units), least=least)


@dataclass(frozen=True, slots=True)
class Shares:
    """The answer, shared out over spans of consecutive units, in their order.

    ``value`` and ``base`` are the answer with all units and with none; ``errors`` are standard errors, None where
    nothing was sampled.
    """

    spans: list[range]
    scores: NDArray[np.float64]
    value: float
    base: float
    errors: NDArray[np.float64] | None = None


Game = Generator["NDArray[np.bool_]", "NDArray[np.float64]", Shares]
"""Gives which units stay, shape (asked, units), and is sent the answer for each, shape (asked,)."""


class Explainer(ABC):
    """One method."""

    name: ClassVar[str]

    @classmethod
    def check(cls, runtime: Runtime, spec: Spec) -> None:
        """Refuse a model that it can't explain.

        Raises:
            UnsupportedError: of another kind than it needs; the hint says which method can.
        """

    @classmethod
    def asks(cls, units: int, most: int) -> int:
        """Predictions at most for an input of so many units, itself and the empty one among them."""
        return most if units >= most.bit_length() else min(most, 2**units)

    @abstractmethod
    def play(self, asked: Question) -> Game:
        """Ask about parts of the input, as often as it takes, and share its answer out. The same seed, the same shares.

        Raises:
            UsageError: more columns than the predictions suffice for.
        """
