"""Where models are found. One row a kind of source; ``sources add`` makes more of a kind under a name of their own."""

from __future__ import annotations

from modelnook.catalog.base import Source
from modelnook.registry import Entry, Registry

__all__ = ["NETWORKED", "SOURCES"]

NETWORKED = frozenset({"git", "hub", "kaggle", "modelscope"})
"""Kinds that are at an address, and asked only when online."""

SOURCES: Registry[type[Source]] = Registry(
    "source",
    {
        "folder": Entry(
            "modelnook.catalog.shared:SharedSource",
            "A team's shared folder or bucket",
            requires=("fsspec", "filelock"),
            extra="data",
        ),
        "git": Entry(
            "modelnook.catalog.git:GitSource",
            "Git repositories with Git LFS: GitHub, Gitee, GitLab",
            requires=("dulwich", "huggingface_hub"),
            extra="git",
        ),
        "hub": Entry(
            "modelnook.catalog.hub:HubSource",
            "Hugging Face, or any endpoint that speaks its protocol",
            requires=("huggingface_hub",),
            extra="hub",
        ),
        "kaggle": Entry(
            "modelnook.catalog.kaggle:KaggleSource",
            "Kaggle Models, where TensorFlow Hub's live now",
            requires=("kagglehub",),
            extra="kaggle",
        ),
        "local": Entry("modelnook.catalog.local:LocalSource", "Models made here"),
        "modelscope": Entry(
            "modelnook.catalog.modelscope:ModelScopeSource",
            "ModelScope",
            requires=("modelscope_hub",),
            extra="modelscope",
        ),
        "path": Entry("modelnook.catalog.local:PathSource", "A model folder, by its path"),
        "pip": Entry("modelnook.catalog.pip:PipSource", "Models that installed Python packages carry"),
    },
)
