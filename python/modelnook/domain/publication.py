"""What publishing a model comes to: what is sent, what was checked, and the reference that it then has."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from modelnook.domain.table import Table, jsonable

__all__ = ["Finding", "Publication"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks like a secret or like a person's data: its kind, where it stands, the most of it masked."""

    kind: str
    where: str
    shown: str


@dataclass(frozen=True, slots=True)
class Publication:
    """A model that was published, or would be (``sent`` is False in a dry run, ``problems`` then say what forbids it).

    ``files`` has the columns ``file, bytes, sha256``; ``card`` is README.md's text; ``checks`` are sentences.
    ``author`` is the name that goes along, where one does.
    """

    ref: str
    model: str
    license: str
    files: Table
    card: str
    sent: bool
    private: bool = True
    alias: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: tuple[str, ...] = ()
    run: str | None = None
    author: str = ""
    tags: tuple[str, ...] = field(default=())

    @property
    def bytes(self) -> int:
        """The bytes of all files."""
        at = self.files.columns.index("bytes")
        return sum(row[at] for row in self.files.rows)

    def __str__(self) -> str:
        return self.ref

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Publication:
        """Read :meth:`to_dict`'s form; unknown keys are left out."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        for name in ("alias", "checks", "problems", "left_out", "tags"):
            known[name] = tuple(known.get(name) or ())
        files = known["files"]
        known["files"] = Table(tuple(files["columns"]), tuple(tuple(row) for row in files["rows"]))
        known["findings"] = tuple(Finding(**found) for found in known.get("findings") or ())
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        data = {n: getattr(self, n) for n in self.__dataclass_fields__}
        data |= {"files": self.files.to_dict(), "findings": [asdict(f) for f in self.findings], "bytes": self.bytes}
        return jsonable(data)  # type: ignore[no-any-return]
