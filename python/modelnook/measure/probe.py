"""One model folder measured in a clean process: ``python -m modelnook.measure.probe PATH --rows FILE --out FOLDER``.

``FILE`` holds the rows, ``FOLDER`` gets ``probe.json`` and the outputs (see
:mod:`modelnook.measure.outputs`). A process of its own makes the peak of memory the model's, and keeps PyTorch away
from one that doesn't need it.
"""

from __future__ import annotations

import argparse
import errno
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelnook.convert.folder import writing
from modelnook.domain.errors import ModelnookError, StoreError, UnsupportedError
from modelnook.measure import LATE, MINUTES, STOPPED
from modelnook.measure.memory import peak
from modelnook.measure.outputs import read_outputs, read_rows, write_outputs
from modelnook.measure.speed import speed
from modelnook.runtime import pick, runtime
from modelnook.runtime.silence import failed_in, first_line
from modelnook.store.models import model_bytes

__all__ = [
    "NO_ROOM",
    "Probe",
    "arguments",
    "command",
    "ended",
    "main",
    "measure",
    "probe_args",
    "read_probe",
    "within_room",
]

SECONDS = 8.0
NO_ROOM = 28
"""The exit code where the disk is full: nothing can be written to say so."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was measured of a folder; ``figures`` is the part that a report keeps.

    Attributes:
        bytes: every file of the folder, tokenizer included, without the store's entry of it.
        p50_ms, p95_ms: one text at a time, warm.
        rows_per_s: at batch 32, sorted by length, warm.
        load_s: from the folder to a model that answers, libraries already imported.
        peak_memory_bytes: the process's most, libraries included, or of a GPU's memory where it ran there; None where
            the system doesn't say.
        outputs: the model's, in the order of the rows.
        device: where it ran.
    """

    bytes: int
    p50_ms: float
    p95_ms: float
    rows_per_s: float
    load_s: float
    peak_memory_bytes: int | None
    runtime: str
    threads: int
    labels: list[str]
    outputs: Any = field(repr=False)
    device: str = "cpu"

    def figures(self) -> dict[str, Any]:
        """JSON, without the outputs."""
        return {n: getattr(self, n) for n in self.__dataclass_fields__ if n not in ("outputs", "labels")}


def measure(
    path: Path, rows: Sequence[Any], *, task: str | None = None, device: str = "cpu", seconds: float = SECONDS
) -> Probe:
    """Load, answer, time; in this process.

    Args:
        device: ``cpu``; or ``auto``, where the model runs when it is loaded without a word on that.

    Raises:
        NotFoundError, UnsupportedError: a folder that can't be loaded.
    """
    from modelnook.runtime import RUNTIMES

    # Imported first: loading a library isn't loading a model.
    name = pick(path, task=task, device=device)
    RUNTIMES.load(name)
    began = time.perf_counter()
    model = runtime(path, name=name, task=task, device=device)
    model.outputs(rows[:1], batch_size=1)
    load_s = time.perf_counter() - began
    outputs = model.outputs(rows, batch_size=32)
    quick = speed(model, rows, seconds=seconds)
    found = Probe(
        bytes=model_bytes(path),
        load_s=load_s,
        peak_memory_bytes=peak(model.device),
        runtime=model.name,
        threads=int(getattr(model, "threads", 1)),
        labels=list(model.labels),
        outputs=outputs,
        device=model.device,
        **asdict(quick),
    )
    model.close()
    return found


def probe_args(
    path: Path, rows: Path, out: Path, *, task: str | None = None, device: str = "cpu", seconds: float = SECONDS
) -> list[str]:
    """The program's arguments, to be put after ``python -m``."""
    return command("probe", [path], rows, out, task=task, device=device, seconds=seconds)


def read_probe(out: Path, code: int = 0) -> Probe:
    """What the program left in ``out``; ``code`` is its exit code.

    Raises:
        UnsupportedError: it failed, was killed or stopped; the message says which.
        StoreError: the disk is full.
    """
    if code == NO_ROOM:
        raise StoreError("store.disk_full", path=out)
    try:
        said = json.loads((out / "probe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ended(code) from None
    if "error" in said:
        raise UnsupportedError("measure.failed", error=said["error"].rstrip(".。"), why=said.get("why"))
    return Probe(**said, outputs=read_outputs(out))


def ended(code: int) -> UnsupportedError:
    """Why a program of this room left nothing, by its exit code."""
    known = {STOPPED: "measure.stopped", LATE: "measure.late"}
    return UnsupportedError(known.get(code, "measure.killed"), code=code, minutes=MINUTES)


def command(
    module: str, paths: Sequence[Path], rows: Path, out: Path, *, task: str | None, device: str, seconds: float
) -> list[str]:
    """What a program of this room is called with; :func:`arguments` reads it there."""
    said = [f"modelnook.measure.{module}", *map(str, paths), "--rows", str(rows), "--out", str(out)]
    return [*said, "--seconds", str(seconds), "--device", device, *(["--task", task] if task else [])]


def arguments(module: str, seconds: float) -> argparse.ArgumentParser:
    """What the programs of this room are told, beside the folders."""
    parser = argparse.ArgumentParser(prog=f"python -m modelnook.measure.{module}")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=seconds)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The program. Errors that a person can mend go into ``probe.json`` as ``{"error": text}``; the exit code is 1."""
    parser = arguments("probe", SECONDS)
    parser.add_argument("path", type=Path)
    said = parser.parse_args(argv)
    return within_room(said.out, lambda: _measured(said))


def within_room(out: Path, work: Callable[[], int]) -> int:
    """What a program's work comes to, which writes into ``out``; where there is no room for that, ``NO_ROOM``."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with writing(out):
            return work()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return NO_ROOM


def _measured(said: argparse.Namespace) -> int:
    rows = read_rows(said.rows)
    try:
        found = measure(said.path, rows, task=said.task, device=said.device, seconds=said.seconds)
    except ModelnookError as error:
        _write(said.out, {"error": str(error), "why": error.values.get("error")})
        return 1
    except MemoryError:
        raise
    except Exception as error:
        # Of a library: in its words here, with its trace in the log.
        _write(said.out, {"error": failed_in(error) or f"{type(error).__name__}: {first_line(error)}"})
        raise
    write_outputs(said.out, found.outputs)
    _write(said.out, {**found.figures(), "labels": found.labels})
    return 0


def _write(out: Path, data: dict[str, Any]) -> None:
    (out / "probe.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
