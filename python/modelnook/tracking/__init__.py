"""Where a run's record goes besides the store: rows of ``TRACKERS``, each listening in the job process."""

from __future__ import annotations

from modelnook.registry import Entry, Registry
from modelnook.tracking.base import Tracker

__all__ = ["TRACKERS"]

TRACKERS: Registry[type[Tracker]] = Registry(
    "tracker",
    {
        "tensorboard": Entry(
            "modelnook.tracking.tensorboard:TensorBoardTracker",
            "Event files that TensorBoard reads",
            requires=("tensorboard", "torch"),
            extra="tensorboard",
        ),
        "wandb": Entry(
            "modelnook.tracking.wandb:WandbTracker",
            "Weights & Biases, offline unless you are logged in and said so",
            requires=("wandb",),
            extra="wandb",
        ),
    },
)
