"""What lies in a hub cache, read without a network: whole commits only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from modelnook.catalog.hub_files import needed
from modelnook.domain.errors import ModelnookError

__all__ = ["HubCache"]

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubCache:
    """A cache folder in the client's layout."""

    path: Path

    def names(self) -> list[str]:
        """The ids of the models that have a commit here."""
        folders = self.path.glob("models--*--*") if self.path.is_dir() else ()
        return sorted(f.name.removeprefix("models--").replace("--", "/", 1) for f in folders if _commits(f))

    def folder(self, id: str, revision: str | None, *, allow_pickle: bool = False) -> Path | None:
        """The folder of a commit that is here whole.

        Without a revision, what ``main`` was when it was last seen; else, as runs ask for commits, the newest here.
        """
        storage = self.path / f"models--{id.replace('/', '--')}"
        if revision and _COMMIT.fullmatch(revision):
            folders = [storage / "snapshots" / revision]
        else:
            said = storage / "refs" / (revision or "main")
            folders = [storage / "snapshots" / said.read_text().strip()] if said.is_file() else []
            folders += [] if revision else _commits(storage)
        return next((f for f in folders if f.is_dir() and self._whole(f, id, allow_pickle)), None)

    def _whole(self, folder: Path, id: str, allow_pickle: bool) -> bool:
        """Whether all that is needed of the commit's listing is there; without a listing, of what the folder says."""
        from huggingface_hub import errors, get_cached_repo_tree

        try:
            listed = get_cached_repo_tree(id, revision=folder.name, cache_dir=self.path)
            names = [f.path for f in listed]
        except (OSError, ValueError, errors.CachedRepoTreeNotFoundError):
            names = _named(folder)
        try:
            wanted = needed(names, id, allow_pickle=allow_pickle)
        except ModelnookError:
            return False
        return all((folder / name).is_file() for name in wanted)


def _named(folder: Path) -> list[str]:
    """The files of a folder, and those that its weights' index says it has."""
    names = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if not f.is_dir()}
    for index in folder.glob("*.index.json"):
        try:
            names |= set(json.loads(index.read_bytes())["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            continue
    return sorted(names)


def _commits(storage: Path) -> list[Path]:
    """A repository's commits here, the one that was fetched last first."""
    try:
        return sorted((storage / "snapshots").iterdir(), key=lambda f: f.stat().st_mtime, reverse=True)
    except OSError:
        return []
