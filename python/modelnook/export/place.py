"""The place of an export: what an earlier one wrote there, and how that makes way without anything of a person's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ConflictError, StoreError
from modelnook.store.files import folder_bytes, write_json

__all__ = ["MANIFEST", "free", "manifest", "put", "refuse_taken", "same", "signed"]

MANIFEST = "export.json"
"""The report in an export's own folder; by it a later export knows its files, and that it would write the same."""


def manifest(target: Path) -> dict[str, Any]:
    """What an earlier export wrote of itself at ``target``; empty where there is none."""
    try:
        said = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def free(target: Path) -> bool:
    """Whether nothing of a person's would be lost at ``target``: nothing there, or an empty folder.

    Raises:
        StoreError: nobody may look there.
    """
    try:
        return not target.exists() or (target.is_dir() and not any(target.iterdir()))
    except PermissionError as error:
        raise StoreError("export.not_writable", path=target) from error


def same(target: Path, identity: str) -> dict[str, Any]:
    """The manifest of an earlier export of the same recipe that is whole; empty where there is none."""
    said = manifest(target)
    whole = all((target / str(name)).exists() for name in said.get("files") or ())
    return said if said.get("identity") == identity and whole else {}


def refuse_taken(target: Path, *, overwrite: bool) -> None:
    """Refuse a place where something of a person's would be lost.

    Raises:
        ConflictError: there is something that no export wrote; an earlier export and ``overwrite`` wasn't said; or a
            file of it that was changed since.
    """
    if free(target):
        return
    if not _written(target):
        raise ConflictError("export.changed" if _is_old(manifest(target)) else "export.not_ours", path=target)
    if not overwrite:
        raise ConflictError("export.taken", path=target)
    files = manifest(target).get("files")
    for name, size in files.items() if isinstance(files, dict) else ():
        if (target / name).is_file() and (target / name).stat().st_size != size:
            raise ConflictError("export.edited", path=target / name)


def signed(folder: Path, report: dict[str, Any], identity: str) -> dict[str, Any]:
    """Write the manifest; the report with the bytes of all files, the manifest's own among them."""
    size, said = -1, 0
    files = {name: (folder / name).stat().st_size for name in sorted(_files(folder) - {MANIFEST})}
    while size != said:
        size = said
        written = {**report, "bytes": size, "identity": identity, "files": files}
        (folder / MANIFEST).write_text(json.dumps(written, ensure_ascii=False, indent=2), encoding="utf-8")
        # A digit more makes the file longer: never shorter, or this wouldn't end.
        said = max(size, folder_bytes(folder))
    return {**report, "bytes": size}


def put(folder: Path, target: Path, *, overwrite: bool) -> None:
    """Put a finished folder where it belongs. An earlier export's own files go, what else is there stays.

    Raises:
        ConflictError: see :func:`refuse_taken`; or what somebody put beside the earlier export stands in the way.
    """
    folder.chmod(0o755)
    # Writing it took its time: what came here meanwhile is a person's.
    refuse_taken(target, overwrite=overwrite)
    if free(target) and _moved(folder, target):
        return
    made, written = _files(folder), _written(target)
    _refuse_mixed(made, target, written)
    # Killed from here on, what lies there is still an export by its manifest, and the next one replaces it; which file
    # is which by then isn't known, so there are no sizes.
    write_json(target / MANIFEST, {**manifest(target), "identity": None, "files": sorted(made | written)}, indent=2)
    for name in sorted(made - {MANIFEST}):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _replace(folder / name, target / name)
    for name in written - made:
        (target / name).unlink()
        _tidy((target / name).parent, target)
    _replace(folder / MANIFEST, target / MANIFEST)


def _written(target: Path) -> set[str]:
    """The files that an earlier export wrote at ``target`` and that are still there; none of anything else."""
    said = manifest(target)
    files = said.get("files")
    if isinstance(files, (dict, list)):
        return {MANIFEST, *map(str, files)} & _files(target)
    if _is_old(said) and said.get("bytes") == folder_bytes(target):
        # Nothing was added, and an empty file is missed by nobody but who put it there.
        return {name for name in _files(target) if (target / name).stat().st_size}
    return set()


def _is_old(said: dict[str, Any]) -> bool:
    """Whether it is the manifest of a version that kept no list of files."""
    return "files" not in said and {"format", "identity", "bytes"} <= said.keys()


def _files(place: Path) -> set[str]:
    return {f.relative_to(place).as_posix() for f in place.rglob("*") if f.is_symlink() or not f.is_dir()}


def _refuse_mixed(made: Collection[str], target: Path, written: Collection[str]) -> None:
    """Refuse to write over, or through a link into, what isn't the earlier export's."""
    for name in sorted(made):
        *above, _ = (target / name).relative_to(target).parts
        for depth in range(1, len(above) + 1):
            between = target.joinpath(*above[:depth])
            if between.is_symlink() or (between.exists() and not between.is_dir()):
                raise ConflictError("export.not_ours", path=between)
        if name not in written and os.path.lexists(target / name):
            raise ConflictError("export.not_ours", path=target / name)


def _moved(folder: Path, target: Path) -> bool:
    """Whether the folder could take the place of an empty one: a link or a mounted disk stays, and is filled."""
    if target.is_symlink() or os.path.ismount(target):
        return False
    os.replace(folder, target)
    return True


def _replace(file: Path, place: Path) -> None:
    """Move a file over another, on whatever disk that is."""
    try:
        os.replace(file, place)
    except OSError:
        shutil.copyfile(file, place)


def _tidy(place: Path, target: Path) -> None:
    """Remove the folders that an earlier export's files have left empty."""
    while place != target and not any(place.iterdir()):
        place.rmdir()
        place = place.parent
