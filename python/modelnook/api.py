"""One plain function a verb: domain values in, domain values out. The only door for the faces.

Nothing heavy is imported here; each function imports its engine when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelnook.domain.dataset import Columns, DatasetRef, Split
from modelnook.domain.errors import ConflictError, NotFoundError, UnsupportedError, UsageError, unknown
from modelnook.domain.model import ModelInfo, ModelRef, SearchResult
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import Comparison, Evaluation
from modelnook.domain.table import Table
from modelnook.messages import t
from modelnook.model import Model
from modelnook.run import Run, RunList
from modelnook.settings import current
from modelnook.store import Store

__all__ = [
    "compare",
    "evaluate",
    "finetune",
    "info",
    "list",
    "load",
    "offline",
    "predict",
    "ps",
    "pull",
    "quantize",
    "rename",
    "resume",
    "rm",
    "runs",
    "search",
    "settings",
    "sources",
    "stop",
    "unload",
]

_list = list
WHERE = ("process", "kernel")


def search(
    query: str = "",
    *,
    task: str | None = None,
    license: str | None = None,
    language: str | None = None,
    params: str | None = None,
    fits: str | None = None,
    source: str | None = None,
    sort: str = "relevance",
    limit: int = 20,
) -> SearchResult:
    """Find models in all sources at once.

    Args:
        params: a range of parameter counts, ``"10M-500M"``, ``"<1B"``.
        fits: only what this machine has memory for: to ``run``, for ``lora``, for ``full`` fine-tuning.
        sort: ``relevance``, ``downloads``, ``likes``, ``updated`` or ``size``.

    Raises:
        UsageError: a filter that can't be read.
    """
    from modelnook.catalog.base import Query
    from modelnook.catalog.search import params_range
    from modelnook.catalog.search import search as find

    if fits and fits not in ("run", "lora", "full"):
        raise UsageError("core.bad_value", name="fits", value=fits, allowed="run, lora, full")
    if limit < 1:
        raise UsageError("api.positive", name="limit", value=limit)
    asked = Query(query, task, license, language, params_range(params), sort, 1000 if fits else limit)
    found = find(asked, source)
    items = tuple(_with_memory(i) for i in found.items)
    if fits:
        items = tuple(i for i in items if _fits(i, fits))[:limit]
    return replace(found, items=items)


def _with_memory(info: ModelInfo) -> ModelInfo:
    from modelnook.measure.memory import free, need

    if not info.parameters:
        return replace(info, memory_free=free())
    wants = need(info.parameters, bytes_on_disk=info.bytes)
    return replace(info, memory_run=wants.run, memory_lora=wants.lora, memory_full=wants.full, memory_free=free())


def _fits(info: ModelInfo, what: str) -> bool:
    wanted = getattr(info, f"memory_{what}")
    return wanted is not None and info.memory_free is not None and wanted <= info.memory_free


def info(ref: str) -> ModelInfo:
    """What is known of a model before a byte of weights is taken: size, licence, memory need, risks, layers.

    Raises:
        NotFoundError: no source has it (a near miss is suggested).
    """
    from modelnook.catalog.search import info as look

    found, note = look(ref)
    return replace(_with_memory(found), summary=" ".join(p for p in (found.summary, note) if p))


def pull(ref: str) -> Path:
    """The local folder of a model, downloaded and verified first where it isn't here."""
    from modelnook.catalog.search import fetch, resolve

    return fetch(resolve(ref).ref, lambda event: None)


def load(ref: str, *, task: str | None = None, runtime: str = "auto", device: str = "auto") -> Model:
    """Load a model into this process.

    Raises:
        NotFoundError: no such model.
        UnsupportedError: no runtime here runs its format, or it can't do the task.
    """
    from modelnook.model import load as load_model

    return load_model(ref, task=task, runtime=runtime, device=device)


def predict(
    ref_or_model: str | Model,
    inputs: Any,
    *,
    batch_size: int | str = "auto",
    text: str | None = None,
) -> Any:
    """Run a model on a text, a list of texts, a column, a table or a file.

    Returns:
        A DataFrame, one row an input with the input's index; for classification ``label, score, scores``.
    """
    import pandas

    from modelnook.data.inputs import inputs as read_inputs
    from modelnook.model import load as load_model

    model = ref_or_model if isinstance(ref_or_model, Model) else load_model(ref_or_model, held=False)
    rows, index = read_inputs(inputs, _spec(model.task).roles[:1], {"text": text} if text else {})
    answers = model.runtime.predict(rows, batch_size=batch_size)
    columns = None if answers else _list(_spec(model.task).predicts)
    return pandas.DataFrame(answers, index=index if answers else None, columns=columns)


def _spec(task: str | None) -> Any:
    from modelnook.tasks import TASKS

    return TASKS.load(task or "", light=True)()


@dataclass(frozen=True, slots=True)
class _Table:
    """A person's data, read: rows, the roles of its columns, and its snapshot."""

    rows: Any
    columns: Columns
    ref: DatasetRef


def _read(store: Store, data: Any, roles: Sequence[str], given: dict[str, str], *, part: str = "train") -> _Table:
    from modelnook.data.columns import find
    from modelnook.data.read import read
    from modelnook.data.snapshot import snapshot

    rows = read(data, part=part)
    columns = find(rows, roles, given)
    return _Table(rows, columns, snapshot(rows, columns, store.home))


def _given(text: str | None, label: str | None, columns: Any) -> dict[str, str]:
    given = dict(columns or {})
    given |= {role: name for role, name in (("text", text), ("label", label)) if name}
    return given


def finetune(
    ref: str,
    data: Any,
    *,
    eval_data: Any = None,
    split: str = "random",
    task: str | None = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    metric: str | None = None,
    method: str = "auto",
    size: str = "balanced",
    epochs: float | None = None,
    learning_rate: float | None = None,
    batch_size: int | str = "auto",
    max_length: int | str = "auto",
    seed: int = 0,
    name: str | None = None,
    budget: str | None = None,
    track: str | Sequence[str] = "auto",
    dry_run: bool = False,
    again: bool = False,
    background: bool = False,
    on: str = "process",
) -> Any:
    """Train a model on a table of examples, in a job of its own.

    Args:
        ref: the model to start from.
        data: DataFrame, Dataset, list of dicts, path or URL.
        eval_data: validation rows; without them a part is split off as ``split`` says.
        method: ``auto``, ``full``, ``lora`` …
        size: ``quick``, ``balanced`` or ``best``: how much time it may take.
        budget: the most time for training, ``"10m"``.
        track: ``auto``, ``offline``, ``none`` or a list of trackers.
        again: train anew where the same recipe on the same data has been run.
        on: ``process`` (default) or ``kernel``.

    Returns:
        A finished :class:`~modelnook.run.Run`; with ``background=True`` at once; with ``dry_run=True`` the
        :class:`~modelnook.finetune.plan.Plan`.

    Raises:
        ModelnookError: each says what was asked, why not, and the next step.
    """
    from modelnook.catalog.search import resolve
    from modelnook.data.split import split as divide
    from modelnook.finetune import METHODS
    from modelnook.jobs.submit import submit

    store = Store()
    task = task or "text-classification"
    spec = _spec(task)
    if method != "auto":
        METHODS[method]
    if on not in WHERE:
        raise UsageError("core.bad_value", name="on", value=on, allowed=", ".join(WHERE))
    knobs = _knobs(size, epochs, learning_rate, batch_size, max_length, budget, metric, spec)
    found = resolve(ref)
    made = name or _default_name(found.ref, "ft")
    store.models.check(made, task)
    given = _given(text, label, columns)
    table = _read(store, data, spec.roles, given)
    values = {role: table.rows.column(column) for role, column in table.columns.to_dict().items()}
    spec.check(values)
    held = _read(store, eval_data, spec.roles, given, part="test") if eval_data is not None else None
    parts = None
    if held is None:
        train, validation = divide(table.rows, table.columns, Split.parse(split), seed)
        parts = {"train": train, "validation": validation}
        knobs |= {"split": split}
    if dry_run:
        return _plan(found, table, parts, knobs, method)
    recipe = Recipe(
        "finetune",
        str(found.ref),
        data=table.ref,
        eval_data=held.ref if held else None,
        task=task,
        method=method,
        knobs=knobs,
        seed=seed,
        name=made,
        track=_trackers(track),
        threads=current().threads,
    )
    run = submit(store, recipe, split=parts, primary_metric=metric or spec.metrics[0], again=again, on=on)
    return run if background else run.wait()


def _knobs(
    size: str,
    epochs: float | None,
    learning_rate: float | None,
    batch_size: int | str,
    max_length: int | str,
    budget: str | None,
    metric: str | None,
    spec: Any,
) -> dict[str, Any]:
    for name, value in (("epochs", epochs), ("learning_rate", learning_rate)):
        if value is not None and not value > 0:
            raise UsageError("api.positive", name=name, value=value)
    for name, whole in (("batch_size", batch_size), ("max_length", max_length)):
        if whole != "auto" and (not isinstance(whole, int) or whole < 1):
            raise UsageError("api.positive", name=name, value=whole)
    if metric is not None and metric not in spec.metrics:
        raise unknown("metric", metric, spec.metrics)
    knobs: dict[str, Any] = {"size": size, "epochs": epochs, "learning_rate": learning_rate}
    knobs |= {"batch_size": batch_size, "max_length": max_length, "metric": metric}
    if budget is not None:
        knobs["max_seconds"] = seconds(budget)
    return knobs


def seconds(text: str) -> float:
    """Read a time as people write it.

    >>> seconds("90s"), seconds("1h30m"), seconds("10")
    (90.0, 5400.0, 600.0)
    """
    import re

    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text) * 60
    parts = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    total = sum(float(p or 0) * scale for p, scale in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0.0
    if not total:
        raise UsageError("api.bad_time", value=text)
    return total


def _plan(found: Any, table: _Table, parts: dict[str, Any] | None, knobs: dict[str, Any], method: str) -> Any:
    from modelnook.catalog.search import fetch
    from modelnook.finetune.plan import measure_lengths, plan
    from modelnook.measure.memory import free

    path = fetch(found.ref, lambda event: None)
    texts = table.rows.column(table.columns["text"])
    names = ("size", "epochs", "learning_rate", "batch_size", "max_length")
    return plan(
        lengths=measure_lengths(path, texts),
        rows=len(parts["train"]) if parts else len(texts),
        classes=len(set(table.rows.column(table.columns["label"]))),
        parameters=found.source.info(found.ref).parameters or 0,
        memory_free=free(),
        method=method,
        **{n: knobs[n] for n in names if knobs[n] is not None},
    )


def _trackers(track: str | Sequence[str]) -> tuple[str, ...]:
    """Rows of TRACKERS that this run goes to."""
    from modelnook.tracking import TRACKERS

    if isinstance(track, str):
        if track == "none":
            return ()
        if track in ("auto", "offline"):
            wanted = ["wandb"] if current().wandb_mode != "none" else []
            names = [n for n in wanted if n in TRACKERS.available()]
            return tuple(f"{n}:offline" if track == "offline" else n for n in names)
        track = track.split(",")
    for name in track:
        TRACKERS[name.partition(":")[0]]
    return tuple(track)


def _default_name(ref: ModelRef, ending: str) -> str:
    import re

    base = re.sub(r"[^\w.-]+", "-", ref.id.rpartition("/")[2]).strip("-._")
    return f"{base}-{ending}"


def evaluate(
    ref: str,
    data: Any = None,
    *,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    background: bool = False,
) -> Any:
    """Score a model: metrics with 95% intervals, beside baselines.

    Args:
        data: rows with labels; without them the validation rows of the run that made it, marked as used before.

    Returns:
        An :class:`~modelnook.domain.run.Evaluation`; its ``run`` is the stored run. With ``background=True`` the Run.
    """
    store = Store()
    recipe, split, primary = _on_rows("evaluate", store, ref, data, _given(text, label, columns), part="test")
    from modelnook.jobs.submit import submit

    run = submit(store, recipe, split=split, primary_metric=primary)
    return run if background else evaluation(run.wait())


def evaluation(run: Run) -> Evaluation:
    """A finished evaluating run as an Evaluation."""
    record = run.record
    report = record.report or {}
    measured = (run.folder.recipe() or Recipe("evaluate", "")).knobs.get("measured_on")
    tables = {n: Table(tuple(d["columns"]), tuple(map(tuple, d["rows"]))) for n, d in report.items() if d}
    return Evaluation(
        run=record.id,
        model=record.base or "",
        metrics=record.metrics,
        intervals=record.intervals,
        baselines=record.baselines,
        primary_metric=record.primary_metric or "",
        data=record.data or {},
        note=t("jobs.used_while_choosing") if measured == "validation" else "",
        per_class=tables.get("per_class"),
        confusion=tables.get("confusion"),
    )


def _on_rows(
    verb: str, store: Store, ref: str, data: Any, given: dict[str, str], *, part: str = "train", roles: Any = None
) -> tuple[Recipe, dict[str, list[int]] | None, str]:
    """The recipe of a verb that works on a made model and rows: given ones, or its run's validation rows."""
    from modelnook.catalog.search import resolve
    from modelnook.jobs.lineage import training_run

    found = resolve(ref)
    entry = found.source.info(found.ref)
    if entry.task is None:
        raise UnsupportedError("api.no_task", ref=ref)
    spec = _spec(entry.task)
    recipe = Recipe(verb, str(found.ref), task=entry.task, name=entry.name, threads=current().threads)
    trained = training_run(store, str(found.ref))
    record = trained.record() if trained else None
    primary = (record.primary_metric if record else None) or spec.metrics[0]
    if data is not None:
        if not given and trained:
            given = _columns_of(trained, data)
        table = _read(store, data, roles or spec.roles, given, part=part)
        return replace(recipe, data=table.ref, knobs={"measured_on": "data"}), None, primary
    made = trained.recipe() if trained else None
    if trained is None or made is None:
        raise NotFoundError("jobs.no_rows", run=entry.run or "-", model=ref)
    rows, split = (made.eval_data, None) if made.eval_data else (made.data, trained.split())
    held = {"validation": split["validation"]} if split else None
    return replace(recipe, data=rows, knobs={"measured_on": "validation"}), held, primary


def _columns_of(trained: Any, data: Any) -> dict[str, str]:
    """The column names of the training run, where the new rows have them too."""
    from modelnook.data.read import read

    recipe = trained.recipe()
    names = set(read(data, part="test").names)
    return {role: c for role, c in (recipe.data.columns if recipe and recipe.data else {}).items() if c in names}


def quantize(
    ref: str,
    *,
    to: str = "int8",
    backend: str = "auto",
    data: Any = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    max_drop: float = 0.01,
    name: str | None = None,
    again: bool = False,
    background: bool = False,
) -> Run:
    """Make a model smaller and faster, measured before and after on the same rows.

    Args:
        to: a scheme: ``int8``.
        backend: ``auto`` measures those that run here; or ``onnx``, ``torchao``.
        data: rows to measure on; without them the validation rows of the run that made the model.
        max_drop: how far the primary metric may fall; 0.01 is one point of accuracy.
        name: default ``NAME-int8``.

    Returns:
        A finished Run with ``.model`` and ``.report``.

    Raises:
        RefusedError: every attempt fell further than ``max_drop``; the numbers are told.
    """
    from modelnook.jobs.submit import submit
    from modelnook.quantize import QUANTIZERS, SCHEMES

    store = Store()
    if to not in SCHEMES:
        raise unknown("scheme", to, SCHEMES)
    if backend != "auto":
        QUANTIZERS.load(backend)
    if not 0 <= max_drop <= 1:
        raise UsageError("api.share", name="max_drop", value=max_drop)
    recipe, split, primary = _on_rows("quantize", store, ref, data, _given(text, label, columns))
    source = ModelRef.parse(recipe.model)
    made = name or _default_name(source, to)
    store.models.check(made, recipe.task)
    if made == source.id and source.source == "local":
        raise ConflictError("store.name_taken", name=made)
    knobs = {**recipe.knobs, "to": to, "backend": backend, "max_drop": max_drop}
    recipe = replace(recipe, name=made, knobs=knobs, track=_trackers("auto"))
    run = submit(store, recipe, split=split, primary_metric=primary, again=again)
    return run if background else run.wait()


def compare(*refs: str, data: Any = None, columns: dict[str, str] | None = None, background: bool = False) -> Any:
    """Models side by side on the same rows: quality, size, latency, and which of them nothing else beats.

    Returns:
        A :class:`~modelnook.domain.run.Comparison`. With ``background=True`` the Run.
    """
    from modelnook.catalog.search import resolve
    from modelnook.jobs.submit import submit

    if len(refs) < 2:
        raise UsageError("api.compare_two", count=len(refs))
    store = Store()
    recipe, split, primary = _on_rows("compare", store, refs[0], data, dict(columns or {}), part="test")
    models = tuple(str(resolve(ref).ref) for ref in refs)
    recipe = replace(recipe, models=models, name=" ".join(r.rpartition(":")[2] for r in models))
    run = submit(store, recipe, split=split, primary_metric=primary)
    return run if background else comparison(run.wait())


def comparison(run: Run) -> Comparison:
    """A finished comparing run as a Comparison."""
    from modelnook.evaluate.compare import table_of

    record = run.record
    table, front = table_of((record.report or {}).get("models") or [], record.primary_metric or "")
    return Comparison(table, front, record.primary_metric or "", record.data or {}, record.id)


def runs(
    *,
    state: str | None = None,
    kind: str | None = None,
    model: str | None = None,
    query: str | None = None,
    limit: int = 100,
) -> RunList:
    """The runs of this machine and, where W&B is online, of the W&B project; newest first."""
    from modelnook.domain.run import STATES

    if state is not None and state not in STATES:
        raise unknown("state", state, STATES)
    store = Store()
    found = store.runs(state=state, kind=kind, model=model, query=query, limit=limit)
    return RunList(tuple(found), store, store.index.count())


def run_of(run: str | Run = "last") -> Run:
    """The handle of a run by id, prefix, name or ``last``."""
    if isinstance(run, Run):
        return run
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


def list() -> SearchResult:
    """The models made or imported here."""
    items = tuple(Store().models.all())
    return SearchResult(items, "", (), len(items))


def rm(ref: str) -> str:
    """Remove a local model, or one revision of it (``name@2``); gives what was removed."""
    parsed = _local(ref)
    store = Store()
    store.models.remove(parsed.id, parsed.revision)
    store.index.put_models("local", store.models.all(), replace=True)
    return str(ModelRef("local", parsed.id, parsed.revision))


def rename(ref: str, name: str) -> str:
    """Give a local model another name; gives its new reference."""
    parsed = _local(ref)
    store = Store()
    store.models.rename(parsed.id, name)
    store.index.put_models("local", store.models.all(), replace=True)
    return f"local:{name}"


def _local(ref: str) -> ModelRef:
    parsed = ModelRef.parse(ref)
    if parsed.source not in (None, "local"):
        raise UsageError("api.only_local", ref=ref)
    return parsed


def ps() -> Table:
    """What is loaded in this process, and what trains or waits on this machine."""
    store = Store()
    rows: _list[tuple[Any, ...]] = []
    from modelnook.model import loaded

    for model in loaded():
        rows.append(("loaded", model.ref, model.runtime.name, model.runtime.device, model.info.bytes, os.getpid()))
    for record in store.runs(state="running", limit=50) + store.runs(state="queued", limit=50):
        rows.append((record.state, record.name, record.kind, record.device, _resident(record.pid), record.pid))
    return Table(("state", "name", "what", "device", "memory", "pid"), tuple(rows))


def _resident(pid: int | None) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else None
    except psutil.Error:
        return None


def unload(ref: str | None = None) -> _list[str]:
    """Give back the memory of a loaded model, or of all."""
    from modelnook.model import unload as drop

    return drop(ref)


def offline(switch: str | None = None) -> bool:
    """Turn the network off (``on``) or back on (``off``); gives whether modelnook is offline."""
    if switch is not None:
        settings(offline=switch)
    return current().offline


def settings(**values: str) -> dict[str, Any]:
    """Show the settings, or keep some: ``settings(wandb="online")``."""
    from modelnook.settings import SAVED, save

    now = save(**values) if values else current()
    shown: dict[str, Any] = {name: now.get(name) for name in SAVED}
    return {**shown, "offline": now.offline, "wandb": now.wandb_mode, "home": str(now.home), "threads": now.threads}


def sources() -> Table:
    """The configured sources: name, kind, address, whether they can be asked, entries known here."""
    from modelnook.catalog import SOURCES
    from modelnook.catalog.search import configured

    addresses = {s["name"]: s.get("url", "") for s in current().sources}
    known = Store().index.counts()
    rows = []
    for name, kind in configured().items():
        missing = SOURCES[kind].missing
        state = f"needs {missing[0]}" if missing else "offline" if kind == "hub" and current().hub_offline else "ready"
        rows.append((name, kind, addresses.get(name, ""), state, known.get(name, 0)))
    return Table(("name", "kind", "url", "state", "models"), tuple(rows))


def add_source(name: str, url: str, *, kind: str = "hub", token_env: str | None = None) -> Table:
    """Add a catalogue source under a name; its token stays in the environment variable ``token_env``."""
    import re

    from modelnook.catalog import SOURCES
    from modelnook.catalog.search import configured
    from modelnook.settings import save

    if not re.fullmatch(r"[a-z0-9-]{2,}", name):
        raise UsageError("api.source_name", name=name)
    if name in configured():
        raise ConflictError("api.source_taken", name=name)
    if kind not in SOURCES or kind in ("local", "pip", "path"):
        raise unknown("source", kind, [k for k in SOURCES if k not in ("local", "pip", "path")])
    save(sources=[*current().sources, {"name": name, "url": url, "kind": kind, "token_env": token_env}])
    return sources()


def remove_source(name: str) -> Table:
    """Forget a source that was added."""
    from modelnook.settings import save

    held = current().sources
    if name not in {s["name"] for s in held}:
        raise unknown("source", name, [s["name"] for s in held])
    save(sources=[s for s in held if s["name"] != name] or None)
    return sources()


def sync(run: str | Run = "last") -> Run:
    """Upload a run that was logged offline to W&B."""
    from modelnook.jobs.sync import sync as upload

    return upload(run_of(run))


def rerun(run: str | Run = "last", *, background: bool = False) -> Run:
    """Do a run's recipe anew, as a run of its own."""
    from modelnook.jobs.submit import submit

    handle = run_of(run)
    recipe = handle.folder.recipe()
    if recipe is None:
        raise NotFoundError("store.no_run", run=handle.id)
    split = handle.folder.split() or None
    new = submit(Store(), replace(recipe, python=""), split=split, primary_metric=handle.primary_metric, again=True)
    return new if background else new.wait()


def complete(kind: str, prefix: str = "") -> _list[str]:
    """Names for tab completion: ``ref``, ``run``, ``source`` … known without a network."""
    from modelnook.catalog.search import configured, source

    store = Store()
    if kind == "run":
        names = [n for pair in store.index.names(50) for n in pair] + ["last"]
    elif kind == "source":
        names = _list(configured())
    else:
        names = store.models.names() + [f"pip:{n}" for n in source("pip").names()] + ["last"]
    return sorted({n for n in names if n and n.startswith(prefix)})
