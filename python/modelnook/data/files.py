"""Files and URLs as rows: csv, tsv, json, jsonl, parquet, arrow, xlsx, each also compressed."""

from __future__ import annotations

import difflib
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import DataError, MissingPackage, NotFoundError, OfflineError
from modelnook.domain.event import Warned
from modelnook.messages import t
from modelnook.settings import current

if TYPE_CHECKING:
    from modelnook.data.frame import Rows

__all__ = ["ENDINGS", "check_named", "is_url", "looks_like_file", "named_like", "read_file", "redacted"]

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".xlsx": "xlsx",
}
_PACKED = (".gz", ".bz2", ".xz", ".zip")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://|[a-z0-9]{2,}::", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/]*@")
_QUERY = re.compile(r"[?#].*?(?=::[a-z0-9+.-]+://|$)", re.IGNORECASE | re.DOTALL)  # a signature may hold any sign
_CACHES = ("filecache", "simplecache", "blockcache")  # fsspec's; they wrap an address and have no name of their own
_ON_THIS_MACHINE = ("file", "local", "memory", "zip", "tar", "filecache", "simplecache", "blockcache")


def is_url(text: str) -> bool:
    """Whether it is for fsspec: ``s3://…``, ``https://…``, ``zip://member::archive.zip``."""
    return bool(_URL.match(text))


def looks_like_file(text: str) -> bool:
    """Whether a word can only be meant as a file or URL: one line, no blank, one of our endings.

    >>> looks_like_file("reviews.csv.gz"), looks_like_file("see reviews.csv")
    (True, False)
    """
    return len(text) < 4096 and not re.search(r"\s", text) and _endings(text)[0] in ENDINGS


def redacted(text: str) -> str:
    """A path or URL as it may be printed and recorded: no user, password, token or signature in any part of a chain.

    >>> redacted("simplecache::https://me:word@example.org/x.csv?sig=a/b")
    'simplecache::https://example.org/x.csv'
    """
    return _USER.sub("", _QUERY.sub("", text)) if "://" in text else text


def named_like(text: str) -> str | None:
    """The one table whose name without its ending a word is: ``reviews`` for ``reviews.csv``."""
    if not text or len(text) >= 4096 or is_url(text):
        return None
    path = Path(os.path.expanduser(text))
    found = [name for name in _tables(path.parent) if name.split(".")[0] == path.name]
    return text[: len(text) - len(path.name)] + found[0] if len(found) == 1 else None


def check_named(text: str) -> None:
    """Refuse a word that must be a file and plainly is none.

    Raises:
        NotFoundError: not there; a near miss, or what its folder has, is told.
    """
    path = Path(os.path.expanduser(text))
    if (
        not is_url(text)
        and not text.startswith("hub:")
        and _endings(text)[0] not in ENDINGS
        and not os.path.exists(path)
    ):
        _missing(path, text)


def read_file(data: str | Path, part: str = "train") -> Rows:
    """Rows of a file or URL. ``part`` chooses where a json file holds several splits.

    Raises:
        NotFoundError: not there (a near miss in its folder is suggested).
        DataError: an ending or a content that isn't a table's, or an empty one.
        OfflineError: a URL while offline.
    """
    from modelnook.data import parse

    text = str(data)
    shown = redacted(text)
    ending, packing = _endings(text)
    if ending not in ENDINGS and not (packing == ".zip" and not ending):
        _refuse(text, shown, ending)
    blob = _fetch(text, shown) if is_url(text) else _load(Path(os.path.expanduser(text)), shown)
    notes: list[Warned] = []
    if packing:
        blob, ending = _unpack(blob, packing, ending, shown)
    if not blob:
        raise DataError("data.empty", data=shown)
    kind = ENDINGS[ending]
    name = re.split(r"[\\/]", shown.rstrip("/"))[-1].split(".")[0]
    if kind in ("csv", "tsv", "json"):
        from modelnook.data.encoding import to_utf8

        blob, encoding = to_utf8(blob, shown)
        if encoding != "utf-8":
            notes.append(Warned.of("data.read_as", path=shown, encoding=encoding.upper()))
    about: dict[str, Any] = {"name": name, "notes": notes}
    if kind == "json":
        return parse.json_rows(blob, shown, part, **about)
    if kind == "xlsx":
        return parse.xlsx_rows(blob, shown, **about)
    if kind in ("csv", "tsv"):
        return parse.csv_rows(blob, shown, tabs=kind == "tsv", **about)
    return parse.binary_rows(blob, kind, shown, **about)


def _endings(text: str) -> tuple[str, str]:
    """``(".csv", ".gz")``; the second is empty where it isn't packed."""
    if is_url(text):
        text = next((p for p in redacted(text).split("::") if p.lower() not in _CACHES), text)
    name = re.split(r"[\\/]", text)[-1].lower()
    packing = next((p for p in _PACKED if name.endswith(p)), "")
    stem = name.removesuffix(packing)
    dot = stem.rfind(".")
    return (stem[dot:] if dot >= 0 else ""), packing


def _refuse(text: str, shown: str, ending: str) -> None:
    if not is_url(text):
        path = Path(os.path.expanduser(text))
        if not os.path.exists(path):
            _missing(path, shown)
        if path.is_dir():
            raise _folder(path, shown)
    known = "csv tsv json jsonl parquet arrow xlsx"
    raise DataError("data.ending", path=shown, ending=ending or "-", known=known.replace(" ", ", "))


def _load(path: Path, shown: str) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        _missing(path, shown)
    except IsADirectoryError:
        raise _folder(path, shown) from None
    except OSError as error:
        raise DataError("data.unreadable", path=shown, error=error.strerror or error) from error
    raise AssertionError  # _missing always raises


def _folder(path: Path, shown: str) -> DataError:
    known = ", ".join(_tables(path))
    return DataError("data.folder", path=shown, known=known) if known else DataError("data.folder_bare", path=shown)


def _missing(path: Path, shown: str) -> None:
    folder = path.parent
    # What is too long to be the name of a file isn't there either; Path would raise.
    if not os.path.isdir(folder):
        raise NotFoundError("data.no_folder", path=shown, folder=folder)
    names = _tables(folder)
    if near := named_like(shown):
        raise NotFoundError("data.no_file_near", path=shown, near=near)
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if close:
        near = shown[: len(shown) - len(path.name)] + close[0]
        raise NotFoundError("data.no_file_near", path=shown, near=near)
    known = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
    if not known:
        raise NotFoundError("data.no_file_here", path=shown, folder=folder.absolute())
    raise NotFoundError("data.no_file", path=shown, folder=folder.absolute(), known=known)


def _tables(folder: Path) -> list[str]:
    try:
        return sorted(f.name for f in folder.iterdir() if _endings(f.name)[0] in ENDINGS or f.suffix == ".zip")
    except OSError:
        return []


def _fetch(url: str, shown: str) -> bytes:
    last = url.split("::")[-1]  # of a chain, the part that is really opened; a plain path is a file here
    outside = "://" in last and last.partition("://")[0].lower() not in _ON_THIS_MACHINE
    if current().offline and outside:
        raise OfflineError("data.offline", path=shown)
    try:
        import fsspec
    except ModuleNotFoundError:
        raise _package("fsspec", shown) from None
    try:
        with fsspec.open(url, "rb", expand=False) as file:  # a "?" is a query here, and no pattern
            content: bytes = file.read()
            return content
    except FileNotFoundError as error:
        cause: BaseException | None = error  # fsspec says "not found" also where it couldn't connect
        while cause is not None and not type(cause).__module__.startswith("aiohttp"):
            cause = cause.__cause__
        if cause is not None and not hasattr(cause, "status"):
            raise OfflineError("data.unreachable", path=shown, error=type(cause).__name__) from None
        raise NotFoundError("data.no_url", path=shown) from None
    except ImportError as error:  # a protocol whose own package is missing: fsspec's sentence names it
        raise DataError("data.unreadable", path=shown, error=error) from error
    except Exception as error:
        # Each protocol has its own errors, and their texts may hold the signed URL: only the kind is told.
        raise OfflineError("data.unreachable", path=shown, error=type(error).__name__) from error


def _unpack(blob: bytes, packing: str, ending: str, shown: str) -> tuple[bytes, str]:
    import bz2
    import gzip
    import lzma
    import zipfile

    try:
        if packing != ".zip":
            opened: dict[str, Any] = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}
            return opened[packing](blob), ending
        import io

        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            members = [n for n in archive.namelist() if _endings(n)[0] in ENDINGS and "__MACOSX" not in n]
            if len(members) != 1:
                known = ", ".join(members[:10]) or "-"
                example = f"zip://{members[0] if members else 'rows.csv'}::{shown}"
                raise DataError("data.zip", path=shown, known=known, example=example)
            return archive.read(members[0]), _endings(members[0])[0]
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError("data.unreadable", path=shown, error=error) from error


def _package(package: str, shown: str) -> MissingPackage:
    return MissingPackage("core.missing_package", family=t("what.file"), name=shown, package=package, extra="data")
