"""Parts of a benchmark that are measured apart, in sessions as short as one likes, and add up into one table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import machine

__all__ = ["measured", "parts", "unlike"]


def measured(folder: Path | None, name: str, options: dict[str, Any], make: Callable[[], dict[str, Any]]) -> Any:
    """A part, measured now, or in an earlier session with the same options; without a folder it isn't kept.

    Raises:
        SystemExit: it was measured with other options.
    """
    file = folder / f"{name}.json" if folder else None
    if file and file.exists():
        part = json.loads(file.read_text(encoding="utf-8"))
        if part["options"] != json.loads(json.dumps(options)):
            raise SystemExit(f"{file} was measured with {part['options']}: remove it, or give another folder")
        return part
    # The load is that before the work.
    here = machine(packages=("torch", "transformers", "onnxruntime", "openvino", "torchao"))
    part = {"machine": here, "options": options, **make()}
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(part), encoding="utf-8")
    return part


def parts(folder: Path, prefix: str) -> list[dict[str, Any]]:
    """All that was kept, in the order of the names."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob(f"{prefix}*.json"))]


def unlike(found: list[dict[str, Any]]) -> list[str]:
    """In what the machines of the parts differ, their load aside: nothing where one table may hold them all."""
    names = [name for name in found[0]["machine"] if name != "load"] if found else []
    return [name for name in names if any(part["machine"].get(name) != found[0]["machine"][name] for part in found)]
