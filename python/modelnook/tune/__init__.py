"""Tuning hyper-parameters in a budget: Optuna decides what is tried, fine-tuning tries it."""

from __future__ import annotations

from modelnook.domain.run import LOWER_IS_BETTER

__all__ = ["DEFAULT", "MEASURED", "PRUNERS", "lower"]

DEFAULT = "default"
"""The number of the trial of the default configuration."""

PRUNERS = ("auto", "asha", "hyperband", "median", "none")
"""How trials without hope are ended early; ``auto`` is ``asha`` from eight trials on."""

MEASURED = ("size", "latency")
"""Objectives beside the task's metrics: bytes of the model's folder, milliseconds for one text (the median)."""


def lower(objective: str) -> bool:
    """Whether less of it is better."""
    return objective in MEASURED or objective in LOWER_IS_BETTER
