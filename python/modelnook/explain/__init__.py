"""Why a model answers as it does. Methods that only ask it again work on whatever the model runs on."""

from __future__ import annotations

from modelnook.explain.base import Explainer
from modelnook.registry import Entry, Registry

__all__ = ["EXPLAINERS"]

EXPLAINERS: Registry[type[Explainer]] = Registry(
    "explainer",
    {
        "linear": Entry(
            "modelnook.explain.linear:Linear",
            "what each word weighs in a TF-IDF model, from its coefficients",
            requires=("sklearn",),
            extra="train",
        ),
        "occlusion": Entry("modelnook.explain.occlusion:Occlusion", "each word or column left out in turn"),
        "shapley": Entry(
            "modelnook.explain.shapley:Shapley",
            "each word's or column's fair share, over random orders in which they come in",
        ),
    },
)
