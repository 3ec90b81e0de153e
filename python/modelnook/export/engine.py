"""The control around every exporter: written beside its place, compared with the original, then put there at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ConflictError, StoreError, UnsupportedError
from modelnook.domain.event import Emit, Progress, Stopped, Warned, ending
from modelnook.domain.model import ModelInfo
from modelnook.export import EXPORTERS
from modelnook.export.base import Exporter, shown
from modelnook.export.card import card
from modelnook.export.parity import Parity, answers, compared
from modelnook.store.files import folder_bytes, staging
from modelnook.tasks import TASKS

__all__ = ["MANIFEST", "export", "free", "manifest", "refuse_taken"]

MANIFEST = "export.json"
"""The report in an export's own folder; by it a later export knows that it would write the same."""
MOST_ROWS = 128
FULL = "No space left"


def manifest(target: Path) -> dict[str, Any]:
    """What an earlier export wrote of itself at ``target``; empty where there is none."""
    try:
        said = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def free(target: Path) -> bool:
    """Whether nothing of a person's would be lost at ``target``: nothing there, or an empty folder."""
    return not target.exists() or (target.is_dir() and not any(target.iterdir()))


def refuse_taken(target: Path, *, overwrite: bool) -> None:
    """Refuse a place where something of a person's would be lost.

    Raises:
        ConflictError: there is something that no export wrote, or an earlier export and ``overwrite`` wasn't said.
    """
    if free(target):
        return
    if not _written(target):
        raise ConflictError("export.not_ours", path=target)
    if not overwrite:
        raise ConflictError("export.taken", path=target)


def _written(target: Path) -> set[str]:
    """The files that an earlier export wrote at ``target`` and that are still there; none of anything else."""
    files = manifest(target).get("files")
    named = {MANIFEST, *map(str, files)} if isinstance(files, list) else set()
    return named & _files(target)


def _files(place: Path) -> set[str]:
    return {f.relative_to(place).as_posix() for f in place.rglob("*") if not f.is_dir()}


def export(
    source: Path,
    target: Path,
    *,
    to: str,
    task: str,
    rows: Sequence[Any],
    info: ModelInfo,
    lineage: Sequence[str],
    identity: str,
    emit: Emit,
    stop: Callable[[], bool] = lambda: False,
    overwrite: bool = False,
) -> dict[str, Any] | None:
    """Write ``target``, a folder that other tools load by themselves; its report, None where ``stop`` ended it.

    Args:
        rows: what both are compared on, at most 128 of them, see :meth:`modelnook.tasks.base.Spec.as_rows`.
        info: the model's catalogue entry, and ``lineage`` the references that it was made from: for its card.
        identity: the recipe's.

    Raises:
        ConflictError: see :func:`refuse_taken`.
        RefusedError: its answers aren't the original's.
        UnsupportedError: weights, an architecture or an operation that the format can't hold, named.
        StoreError: the disk is full or not writable; nothing is left behind.
    """
    refuse_taken(target, overwrite=overwrite)
    exporter = EXPORTERS.load(to)()
    rows = list(rows[:MOST_ROWS])
    try:
        with staging(target) as folder:
            name, told = info.name or info.id, ending(emit, stop)
            more = exporter.write(source, folder, task=task, rows=rows, name=name, emit=told)
            if stop():
                return None
            emit(Progress("measuring"))
            found = _parity(source, folder, task, rows, to)
            if stop():
                return None
            report = {**_report(exporter, found, info, lineage), **more}
            _tell(exporter, found, emit)
            emit(Progress("saving"))
            (folder / "README.md").write_text(card(exporter, task, info, report), encoding="utf-8")
            report = _manifested(folder, report, identity)
            _place(folder, target)
    except Stopped:
        return None
    except UnsupportedError as error:
        if error.code != "export.cant_hold" or not info.base_model:
            raise
        said = {**error.values, "ref": shown(info.ref), "base": shown(info.base_model)}
        raise UnsupportedError("export.cant_hold_made", **said) from None
    except StoreError as error:
        # The place is the person's own: what the store says of its folder doesn't help there.
        full = error.code == "store.disk_full"
        raise StoreError("export.disk_full" if full else "export.not_writable", path=target) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError("export.not_writable", path=target) from error
    except Exception as error:
        # Libraries that write weights have errors of their own for a full disk.
        if FULL not in str(error):
            raise
        raise StoreError("export.disk_full", path=target) from error
    return report


def _parity(source: Path, folder: Path, task: str, rows: Sequence[Any], to: str) -> Parity:
    before = answers(source, task, rows)
    return compared(TASKS.load(task, light=True)(), before, answers(folder, task, rows), to)


def _manifested(folder: Path, report: dict[str, Any], identity: str) -> dict[str, Any]:
    """Write the manifest; the report with the bytes of all files, the manifest's own among them."""
    size, said, files = -1, 0, sorted(_files(folder) | {MANIFEST})
    while size != said:
        size = said
        written = {**report, "bytes": size, "identity": identity, "files": files}
        (folder / MANIFEST).write_text(json.dumps(written, ensure_ascii=False, indent=2), encoding="utf-8")
        # A digit more makes the file longer: never shorter, or this wouldn't end.
        said = max(size, folder_bytes(folder))
    return {**report, "bytes": size}


def _place(folder: Path, target: Path) -> None:
    """Put a finished folder where it belongs. An earlier export's own files go, what else is there stays.

    Raises:
        ConflictError: what somebody put beside the earlier export has the name of a file of this one.
    """
    folder.chmod(0o755)
    if not target.exists():
        os.replace(folder, target)
        return
    written = _written(target)
    for name in sorted(_files(folder) & (_files(target) - written)):
        raise ConflictError("export.not_ours", path=target / name)
    for name in written:
        (target / name).unlink()
    for below in sorted((f for f in target.rglob("*") if f.is_dir() and not f.is_symlink()), reverse=True):
        if not any(below.iterdir()):
            below.rmdir()
    if free(target) and not target.is_symlink():
        os.replace(folder, target)
        return
    for file in sorted(folder.iterdir()):
        if file.is_dir():
            shutil.copytree(file, target / file.name, dirs_exist_ok=True)
        else:
            os.replace(file, target / file.name)


def _report(exporter: Exporter, found: Parity, info: ModelInfo, lineage: Sequence[str]) -> dict[str, Any]:
    return {
        "format": exporter.name,
        "model": shown(info.ref),
        "task": info.task,
        "lineage": [shown(ref) for ref in lineage],
        "license": info.license,
        "tolerance": exporter.tolerance,
        **asdict(found),
    }


def _tell(exporter: Exporter, found: Parity, emit: Emit) -> None:
    off = found.max_difference
    if off is not None and off > exporter.tolerance:
        values = {"format": exporter.name, "difference": f"{off:.2g}", "tolerance": f"{exporter.tolerance:g}"}
        emit(Warned.of("export.further", **values, equal=f"{100 * found.equal:.1f}"))
