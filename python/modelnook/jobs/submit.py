"""From a recipe to a run that is being carried out: reuse, re-attach, start, resume."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

from modelnook import __version__
from modelnook.domain.errors import ConflictError, ModelnookError, UnsupportedError
from modelnook.domain.event import Warned
from modelnook.domain.model import ModelRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs import executor
from modelnook.jobs.base import Executor
from modelnook.messages import t
from modelnook.run import Run
from modelnook.store import Store
from modelnook.store.contents import content
from modelnook.store.runs import RunFolder, new_id, now
from modelnook.tracking.destination import offer, planned

__all__ = ["completed", "resume", "script", "submit"]


def submit(
    store: Store,
    recipe: Recipe,
    *,
    split: dict[str, list[int]] | None = None,
    primary_metric: str | None = None,
    again: bool = False,
    on: str | None = None,
    warnings: tuple[Warned, ...] = (),
    note: str = "",
) -> Run:
    """Start a run, or give the one that did, or does, the same; returns at once.

    Args:
        on: the place to run, where it isn't the recipe's.
        note: what the waiting cell says of it first, unless there is something to say about its login.

    Raises:
        ModelnookError: it can't be started.
    """
    place = executor(on or recipe.on)
    # What a thread of this kernel began, a process goes on with.
    recipe = replace(completed(store, recipe), on="process" if place.on == "kernel" else place.on)
    identity = recipe.identity()
    held = None if again else _same(store, identity, split)
    if held:
        return held
    place.check()
    record = RunRecord(
        id=new_id(),
        name=recipe.name,
        kind=recipe.verb,
        state="queued",
        base=recipe.model or None,
        task=recipe.task,
        method=recipe.method,
        data=recipe.data.to_dict() if recipe.data else None,
        params={k: v for k, v in recipe.knobs.items() if v is not None},
        primary_metric=primary_metric,
        created=now(),
        notebook=recipe.notebook,
        wandb=planned(recipe.track),
        warnings=tuple(w.message for w in warnings),
        sources=tuple(w.source() for w in warnings),
        identity=identity,
        version=__version__,
    )
    run = store.create_run(recipe, record, split)
    _start(store, run, recipe, place)
    return Run(store, run.id, offer(recipe.track) or note)


def completed(store: Store, recipe: Recipe) -> Recipe:
    """A recipe with what this place adds to it; its identity is then that of the run."""
    return replace(
        recipe,
        python=recipe.python or sys.executable,
        notebook=recipe.notebook or notebook(),
        contents=_contents(store, recipe),
    )


def _same(store: Store, identity: str, split: dict[str, list[int]] | None) -> Run | None:
    for record in store.index.runs(identity=identity, limit=5):
        run = store.run(record.id)
        seen = run.seen()
        # A column that divides the rows is no part of their fingerprint.
        if seen is None or (split and run.split() != split):
            continue
        if seen.live:
            return Run(store, seen.id, t("jobs.attached", run=seen.id))
        if seen.kind == "publish":
            # What is there by now is asked of the place.
            return None
        if seen.kind == "pull":
            return _pulled_again(store, seen)
        if seen.state == "finished" and _still_there(store, seen):
            return Run(store, seen.id, t("jobs.reused", run=seen.id))
    return None


def _pulled_again(store: Store, record: RunRecord) -> Run | None:
    """A download that was cut short goes on as the same run; of one that was done, the files are gone again."""
    if not record.resumable:
        return None
    try:
        resume(store, store.run(record.id))
    except ConflictError:
        # Somebody else was faster: their download is joined.
        pass
    return Run(store, record.id, t("jobs.went_on", run=record.id))


def _contents(store: Store, recipe: Recipe) -> tuple[str, ...]:
    """What each local model of a recipe is by: a reference alone may name another one after a rename or rm."""
    refs = [ModelRef.parse(ref) for ref in dict.fromkeys((recipe.model, *recipe.models)) if ref]
    return tuple(held for ref in refs if (held := content(store, ref)) is not None)


def _still_there(store: Store, record: RunRecord) -> bool:
    """Whether the model that a run made is still under the name it was asked to, and no other in its place."""
    if record.model is None:
        return True
    ref = ModelRef.parse(record.model)
    if ref.id != record.name:
        # It was renamed, and who asks again wants a model of the name.
        return False
    try:
        return store.models.info(ref.id, ref.revision).run in (record.id, None)
    except ModelnookError:
        return False


def _start(store: Store, run: RunFolder, recipe: Recipe, place: Executor, *, seen: int = 0) -> None:
    try:
        place.start(store, run, recipe, seen=seen)
    except ModelnookError as error:
        record = run.record()
        if record and not seen:
            run.write(replace(record, state="failed", ended=now(), error=error.to_dict()), epoch=0)
            store.reconcile()
        raise


def resume(store: Store, run: RunFolder) -> None:
    """Start another worker for a run that stopped, failed or crashed, where it was; returns at once.

    Raises:
        ConflictError: it is alive, finished, of a kind without checkpoints, or resumed by another just now.
    """
    record, recipe = run.seen(), run.recipe()
    if record is None or recipe is None or not record.resumable:
        state = t(f"state.{record.state}") if record else "?"
        raise ConflictError("jobs.not_resumable", run=run.id, state=state)
    # Packages are the worker's to check: it has the recipe's interpreter, this process may be the sidebar's server.
    place = executor(recipe.on, without=True)
    place.check()
    if recipe.verb == "tune" and recipe.python and not os.path.exists(recipe.python):
        # The study may have been begun on another machine; its next trials ask for no package of that one.
        recipe = replace(recipe, python=sys.executable)
    seen = run.claim_resume()
    _start(store, run, recipe, place, seen=seen)
    store.index.touch("runs", run.id)


def script(store: Store, run: RunFolder) -> str:
    """The plain script of a training run.

    Raises:
        UnsupportedError: not a training run.
    """
    from modelnook.catalog.search import fetch
    from modelnook.finetune.script import code

    recipe, record = run.recipe(), run.record()
    if recipe is None or record is None or recipe.verb != "finetune":
        raise UnsupportedError("jobs.no_history", run=run.id)
    base = fetch(ModelRef.parse(recipe.model), lambda event: None) if recipe.model else None
    return code(recipe, record, base, store.data, run.path)


def notebook() -> str | None:
    """The notebook that this kernel belongs to, where the front end tells (Lab, Notebook 7, VS Code)."""
    said = os.environ.get("JPY_SESSION_NAME")
    if said:
        return os.path.basename(said)
    shell: Any = sys.modules.get("IPython")
    user = getattr(shell.get_ipython(), "user_ns", {}) if shell and shell.get_ipython() else {}
    path = user.get("__vsc_ipynb_file__")
    return os.path.basename(path) if path else None
