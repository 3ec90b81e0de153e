"""``python tools/typescript.py``: writes src/data/types.ts from the frozen dataclasses of modelnook.domain.

``--check`` writes nothing and ends with 1 where the file is stale. What a field of the type ``dict`` holds has no
dataclass: its shape is written by hand in src/data/parts.ts and named in :data:`SHAPES`; answers of RPC functions alone
stand in src/data/answers.ts.
"""

from __future__ import annotations

import sys
import types
import typing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from modelnook.domain import event, model, run, table

__all__ = ["SHAPES", "TARGET", "Shape", "properties", "text"]

TARGET = Path(__file__).parents[1] / "src" / "data" / "types.ts"
_HEAD = "// Made by tools/typescript.py from modelnook.domain: change the dataclasses, not this file."
_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", Any: "unknown"}
_WIDTH = 80


@dataclass(frozen=True)
class Shape:
    """A dataclass under its name in TypeScript.

    ``finer`` says more of a field than Python's annotation, ``more`` is what ``to_dict`` adds, ``spread`` is the field
    whose own JSON ``to_dict`` puts in its place.
    """

    cls: type
    name: str
    finer: dict[str, str] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)
    spread: str = ""


SHAPES = (
    Shape(table.Table, "Table"),
    Shape(model.Risk, "Risk"),
    Shape(model.Terms, "Terms"),
    Shape(model.ModelInfo, "ModelInfo", more={"license_kind": "LicenceKind"}),
    Shape(model.SearchResult, "SearchResult"),
    Shape(event.Failed, "ErrorInfo"),
    Shape(event.Progress, "Progress"),
    Shape(
        run.RunRecord,
        "Run",
        finer={
            "state": "RunState",
            "data": "RunData | null",
            "plan": "RunPlan | null",
            "progress": "Standing | null",
            "wandb": "WandbLink | null",
            "error": "ErrorInfo | null",
            "report": "Report | null",
            "environment": "Environment | null",
        },
    ),
    Shape(run.Comparison, "Comparison", spread="table"),
)
_PARTS = ("Environment", "LicenceKind", "Report", "RunData", "RunPlan", "Standing", "WandbLink")


def text() -> str:
    """The whole file, in prettier's form."""
    names = {shape.cls: shape.name for shape in SHAPES}
    blocks = [_HEAD, _imports(), _union("RunState", [f"'{state}'" for state in run.STATES])]
    return "\n\n".join([*blocks, *(_type(shape, names) for shape in SHAPES)]) + "\n"


def properties(shape: Shape, names: dict[type, str]) -> dict[str, str]:
    """Property -> type, as the JSON of one value has them; those of ``spread`` are left to its own type."""
    hints = typing.get_type_hints(shape.cls)
    own = {f.name: shape.finer.get(f.name) or _of(hints[f.name], names) for f in fields(shape.cls)}
    own.pop(shape.spread, None)
    return own | shape.more


def _imports() -> str:
    names = ",\n  ".join(_PARTS)
    return f"import type {{\n  {names}\n}} from './parts';"


def _type(shape: Shape, names: dict[type, str]) -> str:
    base = f"{names[typing.get_type_hints(shape.cls)[shape.spread]]} & " if shape.spread else ""
    lines = [f"  {name}: {kind};" for name, kind in properties(shape, names).items()]
    return "\n".join([f"export type {shape.name} = {base}{{", *lines, "};"])


def _union(name: str, kinds: list[str]) -> str:
    line = f"export type {name} = {' | '.join(kinds)};"
    if len(line) <= _WIDTH:
        return line
    broken = f"export type {name} =\n  {' | '.join(kinds)};"
    return (
        broken
        if max(map(len, broken.splitlines())) <= _WIDTH
        else f"export type {name} =" + "".join(f"\n  | {kind}" for kind in kinds) + ";"
    )


def _of(hint: Any, names: dict[type, str], *, inside: bool = False) -> str:
    """The type of a value; ``inside`` a dict a number may be null, for NaN and infinities are."""
    if hint in names:
        return names[hint]
    if hint in _PLAIN:
        return "number | null" if inside and hint is float else _PLAIN[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if _is_union(hint):
        return " | ".join(_of(a, names) for a in args)
    if origin is dict:
        return f"Record<{_of(args[0], names)}, {_of(args[1], names, inside=True)}>"
    if origin is tuple and args[-1] is Ellipsis:
        item = _of(args[0], names, inside=inside)
        return f"({item})[]" if _is_union(args[0]) else f"{item}[]"
    if origin is tuple:
        return f"[{', '.join(_of(a, names, inside=inside) for a in args)}]"
    raise TypeError(f"no TypeScript for {hint!r}: say it in the shape's 'finer'")


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


def main() -> int:
    """Write the file, or say that it is stale."""
    made = text()
    if "--check" in sys.argv:
        return int(TARGET.read_text(encoding="utf-8") != made)
    TARGET.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
