"""Models made or imported here, and model folders named by a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from modelnook.catalog.adapter import adapter_in
from modelnook.catalog.base import Query, Source
from modelnook.catalog.folder import describe
from modelnook.domain.errors import NotFoundError
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.store import Store

__all__ = ["LocalSource", "PathSource"]


class LocalSource(Source):
    """``local``: the store's models. A reference without revision is the newest finished one."""

    kind = "local"

    def __init__(self, name: str = "local") -> None:
        super().__init__(name)
        self.models = Store().models

    def search(self, query: Query) -> list[ModelInfo]:
        """The newest revision of each model that matches."""
        return [info for info in self.models.all() if query.matches(info)][: query.limit]

    def info(self, ref: ModelRef) -> ModelInfo:
        """A revision's entry."""
        return self.models.info(ref.id, ref.revision)

    def fetch(
        self, ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False, allow_pickle: bool = False
    ) -> Path:
        """The revision's folder."""
        return self.models.folder(ref.id, ref.revision)

    def names(self) -> list[str]:
        """Every model's name."""
        return self.models.names()


class PathSource(Source):
    """A folder on disk, by a path that starts with ``.``, ``/``, ``~`` or a drive letter."""

    kind = "path"

    def search(self, query: Query) -> list[ModelInfo]:
        """Nothing: paths aren't listed."""
        return []

    def info(self, ref: ModelRef) -> ModelInfo:
        """What the folder's files say."""
        return describe(self.fetch(ref, lambda event: None), ref=str(ref), id=ref.id, source="path")

    def fetch(
        self, ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False, allow_pickle: bool = False
    ) -> Path:
        """The folder itself.

        Raises:
            NotFoundError: no such folder, or no model in it.
        """
        path = Path(os.path.expanduser(ref.id)).resolve()
        # False as well of what is too long to be a name.
        if not os.path.isdir(path):
            raise NotFoundError("catalog.no_folder", path=ref.id)
        known = (path / "config.json").is_file() or adapter_in(path) or any(path.glob("*.gguf"))
        if not known:
            raise NotFoundError("catalog.no_config", path=ref.id)
        return path
