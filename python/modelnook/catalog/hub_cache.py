"""What lies in a hub cache, read without a network: whole commits only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from modelnook.catalog.base import Held
from modelnook.catalog.hub_files import needed
from modelnook.domain.errors import ModelnookError
from modelnook.domain.model import ModelRef

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

    def held(self, source: str) -> list[Held]:
        """Every commit that is here, and what unfinished downloads have left.

        Read without the client: the server lists them too, and its process stays small.
        """
        found = []
        for storage in sorted(self.path.glob("models--*")) if self.path.is_dir() else ():
            id = storage.name.removeprefix("models--").replace("--", "/", 1)
            sizes = {commit.name: _blobs(commit) for commit in _commits(storage)}
            used = max((last for blobs in sizes.values() for _, last in blobs.values()), default=None)
            found += [
                Held(ModelRef(source, id, commit), sum(size for size, _ in blobs.values()), used)
                for commit, blobs in sizes.items()
                if blobs
            ]
            parts = [part.stat() for part in _parts(storage)]
            if parts:
                ref = ModelRef(source, id)
                found.append(Held(ref, sum(s.st_size for s in parts), max(s.st_mtime for s in parts), part=True))
        return found

    def discard(self, id: str, revision: str | None) -> None:
        """Remove a commit, or all of a model, parts of downloads included."""
        from huggingface_hub import scan_cache_dir

        info = scan_cache_dir(self.path)
        commits = {
            r.commit_hash
            for repo in info.repos
            if repo.repo_type == "model" and repo.repo_id == id
            for r in repo.revisions
        }
        info.delete_revisions(*(commits & {revision} if revision else commits)).execute()
        if not revision:
            for part in _parts(self.path / f"models--{id.replace('/', '--')}"):
                part.unlink(missing_ok=True)

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


def _blobs(commit: Path) -> dict[Path, tuple[int, float]]:
    """File -> its bytes and when it was last read; one that stands there under two names counts once."""
    found = {}
    for file in commit.rglob("*"):
        if file.is_file():
            stat = file.stat()
            found[file.resolve()] = (stat.st_size, stat.st_atime)
    return found


def _parts(storage: Path) -> list[Path]:
    """What unfinished downloads have left, ours and the client's own."""
    return sorted((storage / "blobs").glob("*.incomplete"))


def _commits(storage: Path) -> list[Path]:
    """A repository's commits here, the one that was fetched last first."""
    try:
        return sorted((storage / "snapshots").iterdir(), key=lambda f: f.stat().st_mtime, reverse=True)
    except OSError:
        return []
