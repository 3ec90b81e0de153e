"""Verbs over runs."""

from __future__ import annotations

from dataclasses import replace

from modelnook.domain.errors import ConflictError, NotFoundError, UsageError, unknown
from modelnook.run import Run, RunList
from modelnook.store import Store

__all__ = ["rerun", "resume", "run_of", "runs", "stop", "sync"]


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
    """
    from modelnook.domain.run import STATES

    if state is not None and state not in STATES:
        raise unknown("state", state, STATES)
    store = Store()
    found = store.runs(state=state, kind=kind, model=model, query=query, limit=limit)
    return RunList(tuple(found), store, store.index.count(shown=kind is None))


def run_of(run: str | Run = "last") -> Run:
    """The handle of a run by id, prefix, name or ``last``.

    Raises:
        UsageError: neither a name nor a handle.
        NotFoundError: no such run.
    """
    if isinstance(run, Run):
        return run
    if not isinstance(run, str):
        raise UsageError("api.not_a_run", kind=type(run).__name__)
    store = Store()
    return Run(store, store.find(run).id)


def stop(run: str | Run | None = None) -> Run:
    """Ask a run to stop after its step, evaluate and keep the model; the newest live one by default."""
    if run is None:
        store = Store()
        live = store.runs(state="running", limit=1) or store.runs(state="queued", limit=1)
        if not live:
            raise ConflictError("api.nothing_runs")
        run = Run(store, live[0].id)
    return run_of(run).stop()


def resume(run: str | Run = "last", *, background: bool = False) -> Run:
    """Go on with a stopped, failed or crashed run from its last checkpoint."""
    return run_of(run).resume(background=background)


def sync(run: str | Run | None = None) -> Run:
    """Upload a run that was logged offline to W&B; the newest that has something to upload by default."""
    from modelnook.jobs.sync import newest
    from modelnook.jobs.sync import sync as upload

    return upload(newest(Store()) if run is None else run_of(run))


def rerun(
    run: str | Run = "last", *, method: str | None = None, name: str | None = None, background: bool = False
) -> Run:
    """Do a run's recipe anew, as a run of its own.

    Args:
        method: train with another one, on the same rows: what keeps a baseline that won, ``tfidf`` or ``trees``.
        name: of the model that it makes; without it a revision of the run's own, which the name then means.

    Raises:
        UsageError: a run that trained nothing, or whose task isn't tested with the method.
    """
    from modelnook.api.bases import otherwise
    from modelnook.jobs.submit import submit

    handle = run_of(run)
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
