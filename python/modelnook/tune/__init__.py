"""Tuning hyper-parameters in a budget: Optuna decides what is tried, fine-tuning tries it."""

from __future__ import annotations

__all__ = ["PRUNERS"]

PRUNERS = ("auto", "asha", "hyperband", "median", "none")
"""How trials without hope are ended early; ``auto`` is ``asha`` from eight trials on."""
