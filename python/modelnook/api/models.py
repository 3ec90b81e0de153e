"""Verbs over the models that are here: load, use, tidy up."""

from __future__ import annotations

import builtins
import os
from typing import Any

from modelnook.api.reading import spec_of
from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.domain.model import ModelRef, SearchResult
from modelnook.domain.table import Table
from modelnook.messages import t
from modelnook.model import Model
from modelnook.store import Store

__all__ = ["list", "load", "predict", "ps", "rename", "rm", "unload"]

EARLIER = 6
"""Earlier revisions that are named where models are listed."""


def load(ref: str, *, task: str | None = None, runtime: str = "auto", device: str = "auto") -> Model:
    """Load a model into this process; it stays until it is closed.

    Args:
        ref: the model.
        task: what it is to do, where its files don't tell.
        runtime: ``auto``, ``transformers``, ``onnx``, ``openvino`` …
        device: ``auto``, ``cpu``, ``cuda`` …

    Returns:
        The :class:`~modelnook.model.Model`; the same one where it is loaded already.

    Raises:
        NotFoundError: no such model.
        UnsupportedError: no runtime here runs its format, or it can't do the task.
        UsageError: not a reference, no such source or runtime.
        MissingPackage: the runtime's package isn't installed.
        OfflineError: it must be fetched and there is no network.

    >>> with mn.load("spam") as model:
    ...     model.predict("win free money")["label"].tolist()
    ['spam']
    """
    from modelnook.model import load as load_model

    return load_model(ref, task=task, runtime=runtime, device=device)


def predict(
    ref_or_model: str | Model,
    inputs: Any,
    *,
    batch_size: int | str = "auto",
    text: str | None = None,
    columns: dict[str, str] | None = None,
    max_new_tokens: int | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Any:
    """Run a model on a text, a list of texts, a column, a table or a file.

    Args:
        ref_or_model: a reference, or a loaded model.
        inputs: the texts, or the rows.
        batch_size: rows at once; ``auto`` by their lengths.
        text: the column of the texts, where its name doesn't tell.
        columns: role -> column, where a model has other or more inputs than ``text``.
        max_new_tokens: how long the answer of a model that writes may be, in tokens.
        output: a file, ``.csv`` or ``.jsonl``, that takes the answers with their inputs.
        overwrite: replace that file where it is there.

    Returns:
        A DataFrame, one row an input with the input's index: of a classifier ``label, score`` (the label's
        probability) and ``scores`` (label -> probability); regression ``value``; tokens ``entities``; question
        answering ``answer, start, end, score``; what writes ``text``; an encoder ``vector``.

    Raises:
        UsageError: ``output`` has another ending, or is an address or a folder.
        ConflictError: it is there already.
        StoreError: nobody can write there.
        NotFoundError: no such model, file or column.
        DataError: inputs that can't be read, or lack what the model needs.
        RefusedError: a data set of the hub whose terms must be accepted first, or that would run a script.
        UnsupportedError: a model that must be trained before it can answer, or that nothing here runs.
        MissingPackage: what runs the model or reads the inputs isn't installed.

    >>> answers = mn.predict("spam", ["win free money", "the report is for lunch"])
    >>> answers["label"].tolist(), sorted(answers["scores"][0])
    (['spam', 'ham'], ['ham', 'spam'])
    """
    from modelnook.api.answers import Answers
    from modelnook.api.answers_file import check, write
    from modelnook.data.inputs import inputs as read_inputs
    from modelnook.tasks.answered import expected

    if output:
        check(output, overwrite=overwrite)
    model = ref_or_model if isinstance(ref_or_model, Model) else answering(ref_or_model)
    spec = spec_of(model.task)
    given = {**(columns or {}), **({"text": text} if text else {})}
    rows, index = read_inputs(
        inputs, spec.inputs, given, optional=spec.optional, forms=spec.shapes(asked=True), features=spec.features
    )
    options = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
    expected(len(rows))
    answers = model.runtime.predict(rows, batch_size=batch_size, **options)
    names = None if answers else builtins.list(spec.predicts)
    # Of a model that a person holds it was said when they loaded it.
    note = "" if ref_or_model is model else model.note
    told = Answers.of(answers, rows, index if answers else None, names, note)
    if output:
        write(told, output, overwrite=overwrite)
    return told


_BODIES = ("feature-extraction", "fill-mask", "sentence-similarity")
"""Tasks of models that are there to be fine-tuned: they have no head that answers."""


def answering(ref: str) -> Model:
    """The model, loaded for this call; an encoder says that it must be trained before it can answer."""
    from modelnook.model import load as load_model

    try:
        return load_model(ref, held=False)
    except UnsupportedError as error:
        if error.values.get("task") in _BODIES:
            raise UnsupportedError("api.no_answers", ref=ref) from None
        raise


def list() -> SearchResult:
    """The models made or imported here, each by its newest revision.

    Returns:
        A :class:`~modelnook.domain.model.SearchResult`; earlier revisions are named in its ``hint``.

    Raises:
        StoreError: the store is of a newer modelnook.

    >>> [model.ref for model in mn.list()]
    ['local:spam@1']
    """
    every = tuple(Store().models.every())
    newest = {info.name: info.ref for info in reversed(every)}
    items = tuple(info for info in every if newest[info.name] == info.ref)
    earlier = [f"{info.name}@{info.revision}" for info in every if newest[info.name] != info.ref]
    told = [*earlier[:EARLIER], *(["…"] if len(earlier) > EARLIER else [])]
    hint = t("api.earlier", models=", ".join(told), count=len(earlier)) if earlier else ""
    return SearchResult(items, "", (), len(items), hint)


def rm(ref: str) -> str:
    """Remove a local model, or one revision of it; gives what was removed. Its number is never used again.

    What :func:`load` gave of it answers until it is closed.

    Args:
        ref: ``name``, or ``name@2``.

    Raises:
        NotFoundError: no such model or revision.
        UsageError: a model that wasn't made here.

    >>> mn.rm("spam@1")
    'local:spam@1'
    """
    from modelnook.model import moved

    parsed = _local(ref)
    store = Store()
    revisions = [parsed.revision] if parsed.revision else store.models.revisions(parsed.id)
    store.models.remove(parsed.id, parsed.revision)
    moved(dict.fromkeys(f"local:{parsed.id}@{number}" for number in revisions))
    store.index.put_models("local", store.models.all(), replace=True)
    return str(ModelRef("local", parsed.id, parsed.revision))


def rename(ref: str, name: str) -> str:
    """Give a local model another name; gives its new reference. The runs that made it go on naming it.

    Args:
        ref: the model; all its revisions go along.
        name: the new name.

    Raises:
        NotFoundError: no such model.
        ConflictError: the name is taken, or a run that made the model is still being worked on.
        UsageError: not a name, one revision alone, or a model that wasn't made here.

    >>> mn.rename("spam", "mails")
    'local:mails'
    """
    from modelnook.model import moved
    from modelnook.store.renaming import rename as rename_model

    parsed = _local(ref)
    if parsed.revision is not None:
        raise UsageError("api.rename_whole", ref=ref, model=parsed.id, name=name)
    store = Store()
    known = rename_model(store, parsed.id, name)
    moved({old: store.models.info(name, ModelRef.parse(new).revision) for old, new in known.items()})
    store.index.put_models("local", store.models.all(), replace=True)
    return f"local:{name}"


def _local(ref: str) -> ModelRef:
    parsed = ModelRef.parse(ref)
    if parsed.source not in (None, "local"):
        raise UsageError("api.only_local", ref=ref)
    return parsed


def ps() -> Table:
    """What is loaded in this process; what is served, trains, waits or keeps imports for the next job on this machine.

    Returns:
        A :class:`~modelnook.domain.table.Table`: ``state, name, what, device, memory`` (bytes), ``pid``.

    Raises:
        StoreError: the store is of a newer modelnook.

    >>> model = mn.load("spam")
    >>> mn.ps().to_frame()[["state", "name"]].values.tolist()
    [['loaded', 'local:spam@1']]
    """
    from modelnook.jobs import warm
    from modelnook.model import loaded

    store = Store()
    from modelnook.store.servers import Servers

    here = [("loaded", m.ref, m.runtime.name, m.runtime.device, m.info.bytes, os.getpid()) for m in loaded()]
    live = store.runs(state="running", limit=50) + store.runs(state="queued", limit=50)
    jobs = [(r.shown_state, r.name, r.kind, r.device, _resident(r.pid), r.pid) for r in live]
    waiting = warm.pid(store.home)
    idle = [("warm", "", t("jobs.warm"), None, _resident(waiting), waiting)] if waiting else []
    served = [
        ("served", said["ref"], f"{said['host']}:{said['port']}", said["device"], _resident(said["pid"]), said["pid"])
        for said in Servers(store.home).live()
    ]
    return Table(("state", "name", "what", "device", "memory", "pid"), (*here, *served, *jobs, *idle))


def _resident(pid: int | None) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else None
    except psutil.Error:
        return None


def unload(ref: str | None = None) -> builtins.list[str]:
    """Give back the memory of a loaded model; without a reference, of all, and of what waits for the next job.

    Servers are stopped: of the model those of other processes too, else those that this one started.

    Args:
        ref: the model.

    Returns:
        The references, and ``warm`` where a process with imports for the next job was ended.

    Raises:
        NotFoundError: no such model.
        UsageError: not a reference.

    >>> model = mn.load("spam")
    >>> mn.unload("spam")
    ['local:spam@1']
    """
    from modelnook.catalog.search import resolve
    from modelnook.jobs import warm
    from modelnook.model import loaded
    from modelnook.model import unload as drop
    from modelnook.serving import end_servers, serving

    ended = ref is None and warm.end(Store().home)
    # One that was removed since is in memory all the same, and found nowhere else.
    if ref and ref not in [model.ref for model in loaded()] + [server.ref for server in serving()]:
        ref = str(resolve(ref).ref)
    gone = [*drop(ref), *end_servers(ref)]
    return [*dict.fromkeys(gone), *(["warm"] if ended else [])]
