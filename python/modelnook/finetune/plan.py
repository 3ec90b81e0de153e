"""The plan before the start: what is left open is decided from rows, lengths, parameters and memory. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelnook.catalog.folder import parameters_of, tensors_of
from modelnook.domain.errors import DataError, UsageError
from modelnook.domain.event import Warned
from modelnook.finetune import METHODS
from modelnook.finetune.lengths import Lengths, lengths_for
from modelnook.measure.memory import Need, free, need, on_gpu
from modelnook.messages import t
from modelnook.tasks.base import Columns, Spec

__all__ = [
    "KNOBS",
    "SIZES",
    "Plan",
    "choose_method",
    "partners",
    "plan",
    "plan_for",
]

SIZES = ("quick", "balanced", "best")
KNOBS = ("size", "epochs", "learning_rate", "batch_size", "max_length")

OWNERS = {"rank": "lora", "alpha": "lora", "dropout": "lora", "layers": "last-k"}
"""A method's own setting -> the method that ``auto`` is where somebody gives it."""

FEW = 16
"""Rows a class up to which few-shot training is chosen."""

RATE_FACTORS = {"lora": 10.0, "dora": 10.0, "qlora": 10.0, "rslora": 3.0, "head": 20.0, "last-k": 2.0}
"""Method -> its learning rate as a multiple of full fine-tuning's, where that isn't 1."""

UNKNOWN_WARN, UNKNOWN_STOP = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, all of it decided. ``reason`` says why this method, ``warnings`` what a person should know.

    ``tokens_lost`` is the share of tokens that truncation cuts off, ``memory`` bytes the training needs at its peak,
    ``disk`` those that it writes at most. ``rows`` are trained on, ``held_out`` rows validate. ``seconds`` (from, to)
    is told where this machine has trained the like.
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

    def knobs(self) -> dict[str, Any]:
        """The part that goes into the recipe."""
        names = ("epochs", "learning_rate", "batch_size", "max_length", "warmup", "weight_decay", "patience")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Read :meth:`to_dict`'s form; warnings were said once and are left out."""
        return cls(**{**data, "warnings": (), "track": tuple(data["track"])})


def check_unknown(unknown: float) -> list[Warned]:
    """A warning where over 5% of the tokens are unknown to the vocabulary.

    Raises:
        DataError: over half are.
    """
    percent = round(100 * unknown)
    if unknown > UNKNOWN_STOP:
        raise DataError("train.unknown_tokens", percent=percent)
    if unknown > UNKNOWN_WARN:
        return [Warned("train.some_unknown", t("train.some_unknown", percent=percent))]
    return []


def choose_method(
    *,
    need: Need,
    parameters: int,
    memory_free: int | None,
    wanted: str = "auto",
    size: str = "balanced",
    rows_a_class: float = math.inf,
    methods: Sequence[str] = ("full", "lora", "last-k"),
    gpu: bool = False,
    own: Iterable[str] = (),
) -> tuple[str, str]:
    """``(method, the reason in one sentence)``.

    Args:
        need, memory_free: bytes.
        methods: those that the task has been tested with. ``quick`` takes ``last-k`` where that is among them: with
            MiniLM it took half to a third of the time of ``full``, within two points of it on trec, bbc-news,
            clinc150 and spam-assassin. With 8 rows of each of trec's classes ``few-shot`` was 4 to 9 points ahead.
        gpu: whether the free memory is a GPU's that methods for GPUs alone can use.
        own: settings that were given and that only some methods have.
    """
    if wanted != "auto":
        return wanted, t("train.reason_asked", method=wanted)
    values = {"need": _gigabytes(need.full), "free": _gigabytes(memory_free or 0)}
    if memory_free is not None and need.lora > 0.8 * memory_free and gpu and "qlora" in methods:
        return "qlora", t("train.reason_four_bits", need=_gigabytes(need.lora), free=values["free"])
    for name in own:
        if OWNERS[name] in methods:
            return OWNERS[name], t("train.reason_own", method=OWNERS[name], name=name)
    if memory_free is not None and need.full > 0.8 * memory_free:
        return "lora", t("train.reason_memory", **values)
    if parameters > 1_000_000_000:
        return "lora", t("train.reason_size", parameters=f"{parameters / 1e9:.1f}")
    if rows_a_class <= FEW and "few-shot" in methods:
        return "few-shot", t("train.reason_few", rows=round(rows_a_class))
    if size == "quick" and "last-k" in methods:
        return "last-k", t("train.reason_quick")
    return "full", t("train.reason_full", **values)


def plan_for(
    spec: Spec,
    model_path: Path,
    columns: Columns,
    *,
    method: str = "auto",
    knobs: Mapping[str, Any] | None = None,
    lengths: Lengths | None = None,
) -> Plan:
    """The plan of a task on training rows; what ``knobs`` leaves out is decided.

    Args:
        columns: role -> values of the rows to train on.
        knobs: ``size epochs learning_rate batch_size max_length``, those that were given.
        lengths: of these rows, where they have been measured.

    Raises:
        UsageError, DataError: see :func:`plan`.
    """
    tensors = tensors_of(model_path)
    return plan(
        lengths=lengths or lengths_for(spec, model_path, columns),
        rows=len(next(iter(columns.values()))),
        classes=len(spec.labels(columns)),
        parameters=parameters_of(tensors),
        memory_free=free(),
        gpu=on_gpu() and "qlora" in METHODS.available(),
        method=method,
        windows=spec.windows,
        methods=spec.methods,
        keeps_end=spec.keeps_end,
        own=[name for name in OWNERS if (knobs or {}).get(name) is not None],
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
    methods: Sequence[str] = ("full", "lora", "last-k"),
    gpu: bool = False,
    own: Iterable[str] = (),
) -> Plan:
    """Fill in what a person left open. What they gave is checked and kept.

    Args:
        windows: whether what is longer than ``max_length`` is read in several parts (:attr:`Spec.windows`).
        keeps_end: see :attr:`Spec.keeps_end`.
        methods, gpu, own: see :func:`choose_method`.

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
    needed = need(parameters, batch_tokens=int(batch * lengths.mean(longest)))
    chosen, reason = choose_method(
        need=needed,
        parameters=parameters,
        memory_free=memory_free,
        wanted=method,
        size=size,
        rows_a_class=rows / max(1, classes),
        methods=methods,
        gpu=gpu,
        own=own,
    )
    passes = _given("epochs", epochs, 0) or _epochs(rows, int(batch), classes, size, chosen)
    rate = _given("learning_rate", learning_rate, 0) or _learning_rate(parameters, chosen, classes)
    warnings = check_unknown(lengths.unknown)
    if asked > longest:
        said = t("train.length_capped", asked=asked, limit=longest)
        warnings.append(Warned("train.length_capped", said))
    lost = 0.0 if windows else lengths.lost(longest)
    if lost >= 0.01:
        said = t("train.truncated", percent=round(100 * lost), max_length=longest)
        warnings.append(Warned("train.truncated", said))
    return Plan(
        method=chosen,
        reason=reason,
        epochs=passes,
        learning_rate=rate,
        batch_size=int(batch),
        max_length=longest,
        warmup=0.1,
        weight_decay=0.0,
        patience=3 if size == "best" else 0,
        rows=rows,
        steps=max(1, round(passes * math.ceil(rows * (partners(rows) if chosen == "few-shot" else 1) / batch))),
        tokens_lost=lost,
        memory=needed.of(chosen),
        memory_free=memory_free,
        warnings=tuple(warnings),
    )


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


def partners(rows: int) -> int:
    """How often few-shot training pairs each row in an epoch: a thousand pairs, where there are fewer rows."""
    return max(1, min(20, math.ceil(1000 / rows)))


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
    if method == "few-shot":
        rows *= partners(rows)
    if method == "head":
        return {"quick": 10.0, "balanced": 20.0, "best": 40.0}[size]
    steps = {"quick": 100, "balanced": 220, "best": 600}[size] * math.sqrt(max(2, classes) / 2)
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


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f}"
