"""Writing files so that a reader sees the old content or the new one, never half of it."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelnook.domain.errors import StoreError, UsageError

__all__ = [
    "disk_errors",
    "folder_bytes",
    "marks",
    "place",
    "put_if_absent",
    "read_json",
    "refuse_overlong",
    "remove",
    "replaced",
    "staging",
    "sync",
    "write_bytes",
    "write_json",
]

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into one sentence that names the place."""
    try:
        yield
    except OSError as error:
        codes = {errno.ENOSPC: "full", errno.EDQUOT: "full", errno.EROFS: "read_only"}
        codes |= {errno.EACCES: "forbidden", errno.EPERM: "forbidden"}
        what = codes.get(error.errno or 0)
        if what is None:
            raise
        raise StoreError(f"store.disk_{what}", path=path) from error


def folder(path: Path) -> Path:
    """Make a folder that only this person reads.

    Raises:
        StoreError: the disk is full, read-only or forbidden, or a file is in the way.
    """
    try:
        with disk_errors(path):
            path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
        raise StoreError("store.disk_no_folder", path=path) from error
    return path


def temporary(path: Path, mark: str = "") -> Path:
    """A name beside ``path`` that nobody else uses and every listing skips; ``mark`` is a word of the caller's own."""
    return path.with_name(f".{path.name}.{mark or secrets.token_hex(4)}.tmp")


def marks(path: Path) -> dict[str, Path]:
    """What stands beside ``path`` under a name of :func:`temporary`, by its mark."""
    start, end = f".{path.name}.", ".tmp"
    try:
        names = os.listdir(path.parent)
    except OSError:
        return {}
    found = [n for n in names if n.startswith(start) and n.endswith(end) and len(n) > len(start) + len(end)]
    return {name[len(start) : -len(end)]: path.with_name(name) for name in found}


def refuse_overlong(path: Path) -> None:
    """Refuse a place that a person chose, which the disk has no room to name.

    What stands there while it is written has a longer name, and a folder has files in it.

    Raises:
        UsageError: its name or the whole path is too long.
    """
    try:
        # The root alone has no name, and nothing stands beside it.
        os.lstat((temporary(path) if path.name else path) / ("x" * 60))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            shown = f"{str(path)[:60]}…"
            raise UsageError("store.too_long", path=shown, length=len(str(path))) from None


def write_bytes(path: Path, data: bytes, *, durable: bool = False, mode: int = PRIVATE_FILE) -> None:
    """Replace a file in one step.

    Args:
        mode: who may read it, where that isn't this person alone; the umask bounds it.
        durable: also survive a power cut (fsync), for what can't be made again.

    Raises:
        StoreError: the disk is full, read-only or forbidden; the old content stands.
    """
    folder(path.parent)
    temp = temporary(path)
    with disk_errors(path):
        try:
            descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temp, path)
            if durable:
                sync(path.parent)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise


def sync(path: Path) -> None:
    """Bring a file or folder to the disk; a folder where that can be, unlike on Windows and some network systems."""
    whole = path.is_dir()
    if whole and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if not whole or error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(handle)


def write_json(path: Path, value: Any, *, durable: bool = False, indent: int | None = 1) -> None:
    """Replace a JSON file in one step. See :func:`write_bytes`."""
    write_bytes(path, json.dumps(value, ensure_ascii=False, indent=indent).encode() + b"\n", durable=durable)


def read_json(path: Path) -> Any:
    """A JSON file's value, or None where it is absent or unreadable."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def put_if_absent(path: Path, data: bytes) -> bool:
    """Create a file whole, only where there is none; True for the one writer that did.

    A hard link is atomic and refuses an existing name on every local and network file system that has links;
    elsewhere exclusive creation is used, where a reader may see the file before its content.
    """
    folder(path.parent)
    temp = temporary(path)
    with disk_errors(path):
        try:
            temp.write_bytes(data)
            os.link(temp, path)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            return _exclusive(path, data)
        finally:
            temp.unlink(missing_ok=True)


def _exclusive(path: Path, data: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    except FileExistsError:
        return False
    with open(descriptor, "wb") as file:
        file.write(data)
    return True


@contextmanager
def staging(target: Path, mark: str = "") -> Iterator[Path]:
    """A new folder beside ``target`` to fill; the caller renames it, whatever is left is removed.

    Args:
        mark: a word of the caller's own, by which it finds what was left where its process was killed.

    Raises:
        StoreError: the disk is full, read-only or forbidden, or holds no folders of anybody's there (``/proc``).
    """
    folder(target.parent)
    temp = temporary(target, mark)
    with disk_errors(target):
        if mark:
            shutil.rmtree(temp, ignore_errors=True)
        folder(temp)
        try:
            yield temp
        finally:
            shutil.rmtree(temp, ignore_errors=True)


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` to fill, which takes its place when the block ends well, and is removed else.

    Raises:
        OSError: as the disk tells it; the caller knows what couldn't be written.
    """
    temp = temporary(target)
    try:
        temp.mkdir(parents=True)
        yield temp
        place(temp, target)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def place(made: Path, target: Path) -> None:
    """Give a folder the name ``target``; another one of that name goes only once this one stands there."""
    old = temporary(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(target, old)
    except FileNotFoundError:
        os.rename(made, target)
        return
    try:
        os.rename(made, target)
    except OSError:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a folder: out of sight in one step, then its files."""
    temp = temporary(path)
    try:
        os.rename(path, temp)
    except FileNotFoundError:
        return
    shutil.rmtree(temp, ignore_errors=True)


def folder_bytes(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
