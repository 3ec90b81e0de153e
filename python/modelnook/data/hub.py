"""``hub:owner/name``: a data set of the hub, and what keeps one from being read, each in a sentence."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modelnook.data.files import redacted
from modelnook.domain.errors import (
    DataError,
    MissingPackage,
    ModelnookError,
    NotFoundError,
    OfflineError,
    RefusedError,
    StoreError,
    UsageError,
)
from modelnook.messages import t
from modelnook.settings import current

__all__ = ["hub_name", "load"]

_HUB = re.compile(r"hub:(?P<id>[^\s:@]+/[^\s:@]+)(?::(?P<config>[^\s:@]+))?(?:@(?P<revision>\S+))?")
_CONFIGS = re.compile(r"[Aa]vailable[^\[]*\[(.+?)\]")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ADDRESS = re.compile(r"\S+://\S+")
_SAYS_NOTHING = "An error occurred while generating the dataset"


def hub_name(data: str) -> tuple[str, str | None] | None:
    """``(id, revision)`` of a data set on the hub, None for another name.

    >>> hub_name("hub:owner/name:zh@v1"), hub_name("reviews.csv")
    (('owner/name', 'v1'), None)
    """
    found = _HUB.fullmatch(data)
    return (found["id"], found["revision"]) if found else None


def load(name: str) -> Any:
    """The ``DatasetDict`` of ``hub:owner/name``.

    Raises:
        UsageError: no such name, or none of the data set's configurations.
        NotFoundError: it isn't there, or its owner shows it to others only.
        RefusedError: its terms must be accepted first, or a script of its own would have to run.
        DataError: its files can't be read.
        OfflineError: the network is off, or the hub doesn't answer.
        StoreError: the disk is full.
    """
    found = _HUB.fullmatch(name)
    if found is None:
        raise UsageError("data.bad_hub", name=name)
    if current().hub_offline:
        raise OfflineError("data.offline", path=name)
    try:
        import datasets
    except ModuleNotFoundError:
        raise MissingPackage(
            "core.missing_package", family=t("what.file"), name=name, package="datasets", extra="all"
        ) from None
    try:
        with _nothing_told(datasets.config):
            return datasets.load_dataset(found["id"], found["config"], revision=found["revision"])
    except Exception as error:  # a data set fails in as many ways as there are formats
        if any(isinstance(cause, MemoryError) for cause in _causes(error)):
            raise
        raise _told(error, name, found["id"], f"{datasets.config.HF_ENDPOINT}/datasets/{found['id']}") from error


def _told(error: Exception, name: str, id: str, page: str) -> ModelnookError:
    """What an error of ``datasets`` or of the hub's client means; some are told apart by their words alone."""
    import datasets

    said = str(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if any(isinstance(cause, OSError) and cause.errno in _FULL for cause in _causes(error)):
        return StoreError("store.disk_full", path=datasets.config.HF_DATASETS_CACHE)
    if "is a gated dataset" in said:
        return RefusedError("data.hub_gated", name=name, page=page)
    if isinstance(error, datasets.exceptions.DatasetNotFoundError) or status in (401, 403, 404):
        return NotFoundError("data.no_hub", name=name)
    if status or any(_unanswered(cause) for cause in _causes(error)):
        why = f"HTTP {status}" if status else type(error).__name__
        return OfflineError("data.unreachable", path=name, error=why)
    if "scripts are no longer supported" in said or "trust_remote_code" in said:
        return RefusedError("data.hub_script", name=name, id=id)
    if isinstance(error, ValueError) and (configs := _CONFIGS.search(said)):
        return UsageError("data.hub_config", name=name, known=configs[1].replace("'", ""), id=id)
    return DataError("data.hub_unreadable", name=name, error=_first_line(error), page=page)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _unanswered(error: BaseException) -> bool:
    """Whether the hub didn't answer: also while a file is downloaded, or looked for in the cache instead."""
    import httpx
    from huggingface_hub.errors import LocalEntryNotFoundError

    return isinstance(error, ConnectionError | httpx.TransportError | LocalEntryNotFoundError)


def _first_line(error: Exception) -> str:
    lines = [line for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line.strip()]
    line = next((line for line in lines if line != _SAYS_NOTHING), type(error).__name__)
    return _ADDRESS.sub(lambda found: redacted(found[0]), line)[:200]


@contextmanager
def _nothing_told(config: Any) -> Iterator[None]:
    """Inside the block ``datasets`` reports no download to its makers, asks no second server for a converted copy."""
    names = ("HF_UPDATE_DOWNLOAD_COUNTS", "USE_PARQUET_EXPORT")
    before = {name: getattr(config, name) for name in names if hasattr(config, name)}
    for name in before:
        setattr(config, name, False)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)
