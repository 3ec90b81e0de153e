"""The verb that trains."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modelnook.api.rows import (
    base_and_rows,
    default_name,
    given_columns,
    read_table,
    read_unlabelled,
    read_validation,
    spec_of,
    without,
)
from modelnook.domain.dataset import Split
from modelnook.domain.errors import UsageError, unknown
from modelnook.domain.recipe import Recipe
from modelnook.messages import t
from modelnook.settings import current
from modelnook.store import Store

__all__ = ["finetune", "knobs_of", "plan", "seconds", "task_of", "trackers"]


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
        data: DataFrame, Dataset, list of dicts, path or URL.
        eval_data: validation rows; without them a part is split off as ``split`` says.
        drop: columns to leave out, ``"id,name"``: what a model must not learn from, or can't.
        unlabelled: further rows without a label, in any form of ``data``; those that the model and a second one agree
            on are trained on as well, and the better model is kept.
        task: what the model is to do; without it the columns tell.
        method: ``auto``, ``full``, ``lora``, ``head`` …
        size: ``quick``, ``balanced`` or ``best``: how much time it may take. What follows is decided by it where it is
            left out.
        epochs: passes over the rows. Given, all of them are done; otherwise training ends early where it doesn't help.
        warmup: the share of the steps in which the learning rate rises.
        weight_decay: AdamW's, on matrices.
        patience: evaluations without a better one after which training ends; 0: never.
        precision: ``auto`` (bfloat16 where the device multiplies it natively), ``bf16`` or ``fp32``.
        packing: of ``text-generation``: several rows stand in one sequence of ``max_length`` tokens, each by itself,
            and batches are made without regard to length; otherwise of rows alike in length, which is as fast.
        rank, alpha, dropout: of LoRA and its kin: the width of the matrices that are trained, how much they weigh, and
            the share of their inputs that is dropped. With the method ``auto`` it is LoRA then.
        layers: of ``last-k``, which ``auto`` is then: how many of the last layers are trained.
        mix, temperature: of ``few-shot``, which ``auto`` is then: the contrastive loss's share, and its temperature.
        budget: the most time for training, ``"10m"``.
        processes: how many train together, each with a share of every batch; ``auto`` is one a GPU.
        track: ``auto``, ``offline``, ``none`` or a list of trackers.
        again: train anew where the same recipe on the same data has been run.
        on: ``process`` (default), ``kernel``, or a Ray cluster: ``ray://HOST:PORT``, ``ray://auto``.

    Returns:
        A finished :class:`~modelnook.run.Run`; with ``background=True`` at once; with ``dry_run=True`` the
        :class:`~modelnook.finetune.plan.Plan`.

    Raises:
        ModelnookError: each says what was asked, why not, and the next step.
    """
    from modelnook.api.bases import by_itself, can_start, check_method, choose_base
    from modelnook.api.dry_run import told
    from modelnook.api.knobs import further
    from modelnook.catalog.search import resolve
    from modelnook.data.checks import looked_at, reading
    from modelnook.data.read import read, validation_part
    from modelnook.data.split import split as divide
    from modelnook.domain.knobs import OWNERS
    from modelnook.finetune import alone
    from modelnook.finetune.estimate import with_unlabelled
    from modelnook.jobs import executor
    from modelnook.jobs.submit import submit

    ref, data = base_and_rows("finetune", ref, data)
    place = executor(on)
    if unlabelled is not None and not place.here:
        raise UsageError("jobs.unlabelled_elsewhere", on=place.on)
    store = Store()
    given = given_columns(text, label, columns)
    eval_data = validation_part(data) if eval_data is None else eval_data
    data = without(read(data), drop)
    found = None if ref == "auto" or alone(method) else resolve(ref)
    task = task or task_of(data, given, found)
    spec = spec_of(task)
    task = spec.name
    check_method(method, spec, on)
    knobs = knobs_of(size, epochs, learning_rate, batch_size, max_length, budget, metric, spec)
    more = {"warmup": warmup, "weight_decay": weight_decay, "patience": patience, "rank": rank, "alpha": alpha}
    more |= {"dropout": dropout, "layers": layers, "mix": mix, "temperature": temperature}
    knobs |= further(method, spec, precision, packing, **more)
    own = next((name for name in OWNERS if name in knobs and method == "auto"), None)
    if processes != "auto":
        if not isinstance(processes, int) or processes < 1:
            raise UsageError("api.positive", name="processes", value=processes)
        if processes > 1 and place.on != "process":
            raise UsageError("train.one_process", processes=processes, on=on)
        knobs["processes"] = processes
    chosen = ""
    if alone(method):
        knobs, chosen = by_itself(method, knobs, ref)
    table = read_table(store, data, spec, given)
    values = table.values()
    found_odd = spec.check(values)
    extra = read_unlabelled(store, unlabelled, spec, table, method) if unlabelled is not None else None
    if found is None and not alone(method):
        ref, chosen = choose_base(spec, values, packing=packing)
        found = resolve(ref)
    if found is not None:
        can_start(found, spec, values, packing=packing)
    made = name or store.free_name(default_name(found.ref, "ft") if found else method, task)
    store.check_name(made, task)
    held = read_validation(store, eval_data, spec, given, drop, values) if eval_data is not None else None
    parts = None
    if held is None:
        train, validation = divide(table.rows, table.columns, Split.parse(split), seed)
        parts = {"train": train, "validation": validation}
        knobs |= {"split": split}
    if dry_run:
        validating = len(parts["validation"]) if parts else len(held.rows) if held else 0
        planned = plan(found, spec, values, parts, knobs, method, held_out=validating)
        start = str(found.ref) if found else ""
        looked = looked_at(spec, table.rows, table.columns, parts or {}, held.values() if held else None)
        odd = (*looked, *planned.warnings, *found_odd)
        planned = replace(planned, warnings=odd, track=trackers(track), task=task, base=start)
        if extra is not None:
            reason = t("train.reason_unlabelled", reason=planned.reason, rows=f"{extra.rows:,}")
            planned = replace(planned, reason=reason)
        said = told(planned, store, found, table, validating, spec.labels(values), knobs)
        return with_unlabelled(said, extra.rows, knobs.get("max_seconds")) if extra is not None else said
    recipe = Recipe(
        "finetune",
        str(found.ref) if found else "",
        data=table.ref,
        eval_data=held.ref if held else None,
        unlabelled=extra,
        task=task,
        method=method,
        knobs=knobs,
        seed=seed,
        name=made,
        track=trackers(track),
        device="auto" if found else "cpu",
        threads=current().threads,
    )
    note = chosen or (found.note if found else "")
    if own is not None:
        owner = next(name for name in OWNERS[own] if name in spec.methods)
        note = f"{note} {t('train.method_own', method=owner, name=own)}".strip()
    notes = (*reading(table.rows, table.columns), *found_odd)
    primary = metric or spec.metrics_for(values)[0]
    run = submit(store, recipe, split=parts, primary_metric=primary, again=again, on=on, warnings=notes, note=note)
    return run if background else run.wait()


def task_of(rows: Any, given: dict[str, str], found: Any) -> str:
    """The task that a table's columns tell.

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


def knobs_of(
    size: str,
    epochs: float | None,
    learning_rate: float | None,
    batch_size: int | str,
    max_length: int | str,
    budget: str | float | None,
    metric: str | None,
    spec: Any,
) -> dict[str, Any]:
    """What a person said of a training, checked."""
    from modelnook.finetune.plan import SIZES

    if size not in SIZES:
        raise UsageError("core.bad_value", name="size", value=size, allowed=", ".join(SIZES))
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


def seconds(text: str | float) -> float:
    """Read a time as people write it; a number alone is minutes.

    >>> seconds("90s"), seconds("1h30m"), seconds("10"), seconds(10)
    (90.0, 5400.0, 600.0, 600.0)

    Raises:
        UsageError: no time, or none at all.
    """
    text = str(text)
    said = f"{text}m" if re.fullmatch(r"\d+(\.\d+)?", text) else text.strip()
    parts = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?", said)
    total = sum(float(p or 0) * scale for p, scale in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0.0
    if not total:
        raise UsageError("api.bad_time", value=text)
    return total


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
