"""The plan before the start: what is left open is decided from rows, lengths, parameters and memory. No torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from modelnook.catalog.folder import parameters_of, tensors_of
from modelnook.domain.errors import DataError, UnsupportedError, UsageError
from modelnook.domain.event import Warned
from modelnook.domain.knobs import OWNERS
from modelnook.domain.shown import Shown
from modelnook.finetune import METHODS
from modelnook.finetune.averaged import reads_mean
from modelnook.finetune.choice import choose_method
from modelnook.finetune.costs import Costs, disk, partners
from modelnook.finetune.lengths import Lengths, lengths_for
from modelnook.measure import effort
from modelnook.measure.effort import Batch, Shape, shape_of
from modelnook.measure.memory import free, need, on_gpu
from modelnook.runtime import folder
from modelnook.tasks.heads import base_in
from modelnook.tasks.spec import Columns, Spec

__all__ = [
    "KNOBS",
    "SIZES",
    "Plan",
    "plan",
    "plan_for",
]

SIZES = ("quick", "balanced", "best")
KNOBS = ("size", "epochs", "learning_rate", "batch_size", "max_length", "warmup", "weight_decay", "patience")
"""Those of every method that the plan decides where they are left open."""

PATIENCE = 3
"""Evaluations without a better one after which training ends, where the epochs are the plan's own."""

RATE_FACTORS = {"lora": 10.0, "dora": 10.0, "qlora": 10.0, "rslora": 3.0, "head": 20.0, "last-k": 2.0}
"""Method -> its learning rate as a multiple of full fine-tuning's, where that isn't 1."""

UNKNOWN_WARN, UNKNOWN_STOP = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Plan(Shown):
    """What will be done, all of it decided.

    Attributes:
        reason: why this method; ``warnings``: what a person should know.
        rows, held_out: rows to train on, rows that validate.
        tokens_lost: the share of tokens that truncation cuts off.
        memory, disk: bytes of memory at the peak, bytes written at most.
        seconds: (from, to), by what this machine took for the like (``known``), else by arithmetic; None where
            nothing tells.
        expected: seconds of the training alone, by arithmetic.
        base: the model to start from, where one is needed.
        micro: rows of a batch that go through the model at once, as many as memory holds.
        packing: whether several rows make one sequence.
        checks: tokens that go through the model at once where it is evaluated.
    """

    method: str
    reason: str
    epochs: float
    learning_rate: float
    batch_size: int
    max_length: int
    warmup: float
    weight_decay: float
    patience: int
    rows: int
    steps: int
    tokens_lost: float
    memory: int
    memory_free: int | None
    warnings: tuple[Warned, ...] = ()
    track: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    classes: int = 0
    held_out: int = 0
    seconds: tuple[float, float] | None = None
    disk: int = 0
    disk_free: int | None = None
    expected: float | None = None
    known: bool = False
    task: str = ""
    base: str = ""
    micro: int = 0
    packing: bool = False
    checks: int = 0

    def knobs(self) -> dict[str, Any]:
        """The part that goes into the recipe."""
        names = ("epochs", "learning_rate", "batch_size", "max_length", "warmup", "weight_decay", "patience")
        return {name: getattr(self, name) for name in names} | ({"packing": True} if self.packing else {})

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Read :meth:`to_dict`'s form; warnings were said once and are left out, and so are unknown keys."""
        known = {name: value for name, value in data.items() if name in cls.__dataclass_fields__}
        pair = known.get("seconds")
        known |= {"warnings": (), "track": tuple(known.get("track") or ()), "seconds": tuple(pair) if pair else None}
        return cls(**known)


def check_unknown(unknown: float) -> list[Warned]:
    """A warning where over 5% of the tokens are unknown to the vocabulary.

    Raises:
        DataError: over half are.
    """
    percent = round(100 * unknown)
    if unknown > UNKNOWN_STOP:
        raise DataError("train.unknown_tokens", percent=percent)
    if unknown > UNKNOWN_WARN:
        return [Warned.of("train.some_unknown", percent=percent)]
    return []


def plan_for(
    spec: Spec,
    model_path: Path,
    columns: Columns,
    *,
    method: str = "auto",
    knobs: Mapping[str, Any] | None = None,
    lengths: Lengths | None = None,
    held_out: int = 0,
    timed: bool = True,
    base: str = "",
) -> Plan:
    """The plan of a task on training rows; what ``knobs`` leaves out is decided.

    Args:
        columns: role -> values of the rows to train on.
        knobs: those of :data:`KNOBS` and of methods that were given, and ``max_seconds``.
        lengths: of these rows, where they have been measured.
        held_out: how many rows validate.
        timed: whether it is told how long it takes, and a budget of time is part of what decides.
        base: how a person named the model.

    Raises:
        UsageError, DataError: see :func:`plan`.
        UnsupportedError: a model of another kind than the task needs, or one without floats to train.
    """
    how = folder.without_floats(model_path)
    if how:
        raise UnsupportedError("train.no_floats", ref=base or model_path, how=how)
    said = folder.config(model_path)
    packing = bool((knobs or {}).get("packing"))
    spec.check_base(base_in(base or str(model_path), model_path, said), columns, packing=packing)
    tensors = tensors_of(model_path)
    gpu = on_gpu()
    return plan(
        lengths=lengths or lengths_for(spec, model_path, columns),
        rows=len(next(iter(columns.values()))),
        classes=len(spec.labels(columns)),
        parameters=parameters_of(tensors),
        memory_free=free(),
        gpu=gpu and "qlora" in METHODS.available(),
        method=method,
        windows=spec.windows,
        methods=spec.methods,
        keeps_end=spec.keeps_end,
        own={name: (knobs or {})[name] for name in OWNERS if (knobs or {}).get(name) is not None},
        shape=shape_of(tensors, said),
        averaged=reads_mean(model_path),
        stacked=_stacked(name for name, _, _ in tensors),
        held_out=held_out,
        output_share=spec.output_share,
        pace=effort.pace() if timed else None,
        on_cpu=not gpu,
        budget=(knobs or {}).get("max_seconds") if timed else None,
        packing=packing,
        **{name: value for name, value in (knobs or {}).items() if name in KNOBS and value is not None},
    )


def plan(
    *,
    lengths: Lengths,
    rows: int,
    classes: int,
    parameters: int,
    memory_free: int | None = None,
    method: str = "auto",
    size: str = "balanced",
    epochs: float | str | None = None,
    learning_rate: float | str | None = None,
    batch_size: int | str = "auto",
    max_length: int | str = "auto",
    windows: bool = False,
    keeps_end: bool = False,
    warmup: float | None = None,
    weight_decay: float | None = None,
    patience: int | None = None,
    methods: Sequence[str] = ("full", "lora", "last-k"),
    gpu: bool = False,
    own: Mapping[str, Any] | None = None,
    shape: Shape | None = None,
    averaged: bool = False,
    stacked: bool = True,
    held_out: int = 0,
    output_share: float = 0.0,
    pace: float | None = None,
    budget: float | None = None,
    on_cpu: bool = True,
    packing: bool = False,
) -> Plan:
    """Fill in what a person left open. What they gave is checked and kept.

    Args:
        windows: whether what is longer than ``max_length`` is read in several parts (:attr:`Spec.windows`).
        keeps_end: see :attr:`Spec.keeps_end`.
        methods, gpu, budget, stacked: see :func:`choose_method`.
        own: the settings of methods that were given.
        shape: of the model; without it the memory is a rough one, and the time isn't told.
        averaged: see :class:`Costs`.
        output_share: see :attr:`Spec.output_share`.
        pace: operations a second that this machine reaches.
        on_cpu: whether ``memory_free`` is the machine's, and not a GPU's.

    Raises:
        UsageError: a value out of its range, an unknown size.
        DataError: texts that the vocabulary can't read.
    """
    if size not in SIZES:
        raise UsageError("core.bad_value", name="size", value=size, allowed=", ".join(SIZES))
    batch = _given("batch_size", batch_size, 1) or _batch_size(rows)
    if lengths.whole and max_length != "auto":
        raise UsageError("train.never_cut", max_length=max_length)
    asked = int(_given("max_length", max_length, 2) or _max_length(lengths, size, keeps_end))
    longest = min(asked, lengths.limit)
    own = own or {}
    through = replace(
        _through(lengths, rows, held_out, int(batch), longest, windows=windows),
        words=0 if output_share else lengths.words(rows),
        output_share=output_share,
        classes=classes,
        packed=longest if packing else 0,
    )
    trained = through.rows

    def passes_of(method: str) -> float:
        return _given("epochs", epochs, 0) or _epochs(trained, int(batch), classes, size, method)

    costs = Costs(shape, through, passes_of, own, pace, on_cpu, averaged)
    rough = need(parameters, batch_tokens=int(batch * lengths.mean(longest)))
    chosen, reason = choose_method(
        need=costs.need(rough, memory_free),
        parameters=parameters,
        memory_free=memory_free,
        wanted=method,
        size=size,
        rows_a_class=rows / max(1, classes),
        methods=methods,
        gpu=gpu,
        own=own,
        budget=budget,
        took=costs.seconds if costs.timed else None,
        stacked=stacked,
    )
    passes = passes_of(chosen)
    rate = _given("learning_rate", learning_rate, 0) or _learning_rate(parameters, chosen, classes)
    waits = _patience(patience, epochs, chosen)
    lost = 0.0 if windows else lengths.lost(longest)
    at_once, memory = costs.at_once(chosen, rough, memory_free)
    warnings = [
        *check_unknown(lengths.unknown),
        *_cut(asked, longest, lost),
        *_tight(at_once.size, int(batch), memory, memory_free if on_cpu else None),
    ]
    return Plan(
        method=chosen,
        reason=reason,
        epochs=passes,
        learning_rate=rate,
        batch_size=int(batch),
        max_length=longest,
        warmup=0.1 if warmup is None else warmup,
        weight_decay=0.0 if weight_decay is None else weight_decay,
        patience=waits,
        rows=rows,
        steps=max(1, round(passes * math.ceil(trained * (partners(rows) if chosen == "few-shot" else 1) / batch))),
        tokens_lost=lost,
        memory=memory,
        memory_free=memory_free,
        warnings=tuple(warnings),
        held_out=held_out,
        disk=disk(chosen, parameters),
        expected=costs.seconds(chosen) if costs.timed else None,
        seconds=costs.range(chosen, waits, budget),
        micro=at_once.size,
        packing=packing,
        checks=at_once.checks,
    )


def _stacked(names: Iterable[str]) -> bool:
    """Whether weights of these names are those of several layers, one on the other; True where nothing tells."""
    names = list(names)
    numbers = [int(found[1]) for name in names if (found := re.search(r"\.(\d+)\.", name))]
    return not names or max(numbers, default=0) > 0


def _through(lengths: Lengths, rows: int, held_out: int, size: int, longest: int, *, windows: bool) -> Batch:
    """What goes through the model. Of rows that are read in several parts each part is trained on as a row is."""
    parts = lengths.parts(longest) if windows else 1.0
    mean = lengths.mean(1 << 30) / parts if windows else lengths.mean(longest)
    held_out = round(held_out * parts)
    return Batch(round(rows * parts), size, mean, lengths.longest(longest), held_out)


def _cut(asked: int, longest: int, lost: float) -> Iterator[Warned]:
    """What a person should know of texts that are cut off."""
    if asked > longest:
        yield Warned.of("train.length_capped", asked=asked, limit=longest)
    if lost >= 0.01:
        yield Warned.of("train.truncated", percent=round(100 * lost), max_length=longest)


def _tight(micro: int, batch: int, memory: int, free: int | None) -> Iterator[Warned]:
    """What a person should know of memory that hardly holds the training, or doesn't."""
    if micro < batch:
        yield Warned.of("train.smaller_batch", micro=micro, batch=batch)
    if free is not None and memory > free:
        yield Warned.of("train.short_memory", need=f"{memory / 1e9:.1f}", free=f"{free / 1e9:.1f}")


def _given(name: str, value: float | str | None, above: float) -> float | None:
    """A person's own value, checked; None where it is left open."""
    if value is None or value == "auto":
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not number >= above or number == 0 or not math.isfinite(number):
        raise UsageError("train.bad_number", name=name, value=value)
    return number


def _patience(given: int | None, epochs: float | str | None, method: str) -> int:
    """What a person gave is kept, their epochs too: those are trained to the end."""
    if given is not None:
        return int(given)
    if epochs not in (None, "auto"):
        return 0
    # An epoch of a head is a moment, and little changes in one.
    return 2 * PATIENCE if method == "head" else PATIENCE


def _batch_size(rows: int) -> int:
    return 16 if rows >= 256 else 8


def _max_length(lengths: Lengths, size: str, keeps_end: bool) -> int:
    """All but the longest texts fit whole, up to a ceiling: time grows with it, what a text's end says doesn't."""
    if lengths.whole:
        return lengths.limit
    ceiling = {"quick": 64, "balanced": 128, "best": 256}[size] * (4 if keeps_end else 1)
    wanted = lengths.at(0.99) if lengths.at(0.99) <= ceiling else lengths.at(0.95)
    return min(ceiling, lengths.limit, max(16, 8 * math.ceil(wanted / 8)))


def _epochs(rows: int, batch: int, classes: int, size: str, method: str) -> float:
    """Enough steps to learn every class, fewer passes over more rows; many where a pass costs next to nothing."""
    pairs = method == "few-shot"
    if pairs:
        rows *= partners(rows)
    if method == "head":
        return {"quick": 10.0, "balanced": 20.0, "best": 40.0}[size]
    steps = {"quick": 100, "balanced": 220, "best": 600}[size] * math.sqrt(max(2, classes) / 2) / (2 if pairs else 1)
    most = {"quick": 5, "balanced": 10, "best": 20}[size]
    least = {"quick": 1, "balanced": 2, "best": 3}[size]
    return float(min(most, max(least, round(steps / math.ceil(rows / batch)))))


def _learning_rate(parameters: int, method: str, classes: int) -> float:
    """Small encoders take, and need, larger steps than base-sized ones, and so do many classes.

    MiniLM, 2,000 rows of trec's six classes: 1e-4 reached 0.956, 3e-4 0.920; 3,000 rows of clinc150's 150 classes:
    0.687 and 0.908.
    """
    full = 1e-4 if parameters < 40e6 else 7e-5 if parameters < 80e6 else 3e-5 if parameters < 200e6 else 1e-5
    many = 1.0 + max(0.0, math.log10(max(1, classes) / 6))
    return float(f"{full * many * RATE_FACTORS.get(method, 1.0):.1e}")
