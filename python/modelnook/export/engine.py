"""The control around every exporter: written beside its place, compared with the original, then put there at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ModelnookError, StoreError, UnsupportedError
from modelnook.domain.event import Emit, Progress, Stopped, Warned, ending
from modelnook.domain.model import ModelInfo
from modelnook.export import EXPORTERS
from modelnook.export.base import Exporter, shown
from modelnook.export.card import card
from modelnook.export.parity import Parity, answers, compared
from modelnook.export.place import put, refuse_taken, signed
from modelnook.runtime.folder import config, formats
from modelnook.runtime.silence import first_line
from modelnook.store.files import staging
from modelnook.tasks import TASKS

__all__ = ["export"]

MOST_ROWS = 128
FULL = "No space left"


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
    mark: str = "",
) -> dict[str, Any] | None:
    """Write ``target``, a folder that other tools load by themselves; its report, None where ``stop`` ended it.

    Args:
        rows: what both are compared on, at most 128 of them, see :meth:`modelnook.tasks.spec.Spec.as_rows`.
        info: the model's catalogue entry, and ``lineage`` the references that it was made from: for its card.
        identity: the recipe's.
        mark: see :func:`modelnook.store.files.staging`.

    Raises:
        ConflictError: see :func:`modelnook.export.place.put`.
        RefusedError: its answers aren't the original's.
        UnsupportedError: weights, an architecture or an operation that the format can't hold, named.
        StoreError: the disk is full or not writable; nothing is left behind.
    """
    refuse_taken(target, overwrite=overwrite)
    exporter = EXPORTERS.load(to)()
    rows = list(rows[:MOST_ROWS])
    try:
        with staging(target, mark) as folder:
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
            (folder / "README.md").write_text(card(exporter, task, info, report, config(folder)), encoding="utf-8")
            report = signed(folder, report, identity)
            put(folder, target, overwrite=overwrite)
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
    # Only a GGUF file is run by llama.cpp on both sides.
    before = answers(source, task, rows, floats="gguf" not in formats(folder))
    try:
        after = answers(folder, task, rows)
    except (ModelnookError, MemoryError, OSError, Stopped):
        raise
    except Exception as error:
        # A program that was traced, and that its own library can't run.
        raise UnsupportedError("export.cant_run", format=to, error=first_line(error)) from error
    return compared(TASKS.load(task, light=True)(), before, after, to)


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
