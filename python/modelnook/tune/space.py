"""What is searched: one line a knob, or the same as Python objects.

::

    learning_rate=1e-5..3e-4:log      a range, on a logarithmic scale
    learning_rate=0.25x..4x:log       the same around what the plan would take
    epochs=1..4                       whole numbers where both ends are
    method=lora|full                  one of these
    lora_r=4|8|16                     used where the method has it
    model=pip:a|local:b               candidates from the catalogue
    quantize=none|int8|int8:openvino  what is made of the trained model, and measured: a scheme, or one of a backend

    {"learning_rate": (1e-5, 3e-4, "log"), "epochs": (1, 4), "method": ["lora", "full"]}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any

from modelnook.domain.errors import UsageError, unknown
from modelnook.domain.knobs import OWNERS

__all__ = ["KNOBS", "OF_METHOD", "PRESETS", "Choice", "Knob", "Range", "Space", "space_of"]

ALIASES = {"lora_r": "rank", "r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout", "lr": "learning_rate",
           "base": "model"}  # fmt: skip
"""Other names by which these knobs go, in peft and elsewhere."""


@dataclass(frozen=True, slots=True)
class Knob:
    """What a knob may be: ``kind`` is ``float``, ``int`` or ``name``; its ends are allowed values."""

    kind: str
    low: float = 0.0
    high: float = float("inf")
    times: bool = False
    """Whether ``0.5x`` (times what the plan takes) is understood."""


KNOBS = {
    "learning_rate": Knob("float", 1e-9, 1.0, times=True),
    "epochs": Knob("float", 0.01, 1000),
    "batch_size": Knob("int", 1, 65536),
    "max_length": Knob("int", 4, 1 << 20),
    "weight_decay": Knob("float", 0.0, 10.0),
    "warmup": Knob("float", 0.0, 0.9),
    "method": Knob("name"),
    "rank": Knob("int", 1, 4096),
    "alpha": Knob("int", 1, 8192),
    "dropout": Knob("float", 0.0, 0.9),
    "layers": Knob("int", 1, 200),
    "model": Knob("name"),
    "quantize": Knob("name"),
}

OF_METHOD = {name: methods for name, methods in OWNERS.items() if name in KNOBS}
"""Knobs that only some methods have: they are asked for after the method."""

PRESETS = {
    "quick": "learning_rate=0.25x..4x:log",
    "balanced": "learning_rate=0.2x..5x:log epochs=2..6 batch_size=8|16|32 weight_decay=0..0.1",
    "thorough": "method=full|last-k|lora learning_rate=0.1x..8x:log epochs=2..8 batch_size=8|16|32|64 "
    "weight_decay=0..0.1 warmup=0..0.2 lora_r=4|8|16|32 layers=1|2|3",
}
"""The spaces that have a name."""

RANGE = re.compile(r"(?P<low>[^.\s][^x]*?)(?P<lowx>x?)\.\.(?P<high>[^x:]+?)(?P<highx>x?)(?::(?P<scale>\w+))?")
WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two ends, both among them. ``times``: ends are factors of what the plan takes."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    times: bool = False

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and self.low <= value <= self.high and not (self.whole and value % 1)

    def __str__(self) -> str:
        x = "x" if self.times else ""
        return f"{self.low:g}{x}..{self.high:g}{x}{':log' if self.log else ''}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these."""

    values: tuple[Any, ...]

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return "|".join(f"{v:g}" if isinstance(v, float) else str(v) for v in self.values)


@dataclass(frozen=True, slots=True)
class Space(Mapping[str, Range | Choice]):
    """Knob -> what it may be, in the order in which they were given."""

    knobs: tuple[tuple[str, Range | Choice], ...]

    def __getitem__(self, name: str) -> Range | Choice:
        return dict(self.knobs)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.knobs))

    def __len__(self) -> int:
        return len(self.knobs)

    def __str__(self) -> str:
        return " ".join(f"{name}={values}" for name, values in self.knobs)

    def to_dict(self) -> dict[str, Any]:
        """JSON, as a recipe keeps it."""
        return {name: asdict(values) for name, values in self.knobs}

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, Any]]) -> Space:
        """Read :meth:`to_dict`'s form."""
        return cls(
            tuple(
                (name, Choice(tuple(said["values"])) if "values" in said else Range(**said))
                for name, said in data.items()
            )
        )


def space_of(said: Any, methods: Sequence[str] = (), options: Iterable[str] | None = None) -> Space:
    """The space that a person means: a preset's name, lines of ``knob=values``, or a mapping.

    Args:
        methods: those that the task can be trained with.
        options: knobs of methods (``rank`` …) that any of those takes; others are refused. None: not asked.

    Raises:
        UsageError: an unknown preset or knob (a near miss is suggested), a range that is empty or runs backwards, a
            value that the knob can't have, a method that the task doesn't know.

    >>> str(space_of("learning_rate=1e-5..3e-4:log; lora_r=4|8"))
    'learning_rate=1e-05..0.0003:log rank=4|8'
    >>> space_of({"epochs": (1, 4)})["epochs"]
    Range(low=1.0, high=4.0, log=False, whole=True, times=False)
    """
    preset = isinstance(said, str) and "=" not in said
    if preset:
        if said.strip() not in PRESETS:
            raise unknown("space", said.strip(), PRESETS)
        said = PRESETS[said.strip()]
    if not isinstance(said, (Mapping, str)) and (not isinstance(said, Iterable) or hasattr(said, "columns")):
        raise unknown("space", str(said) if isinstance(said, Real) else type(said).__name__, PRESETS)
    pairs = [(str(name), values) for name, values in said.items()] if isinstance(said, Mapping) else _pairs(said)
    found: dict[str, Range | Choice] = {}
    for given, value in pairs:
        name = ALIASES.get(given, given)
        if name not in KNOBS:
            raise unknown("knob", given, {**KNOBS, **ALIASES})
        if name in found:
            raise UsageError("tune.twice", name=given)
        found[name] = _values(name, value)
    if preset and methods:
        found = _possible(found, methods, options)
    for method in _choices(found.get("method")):
        if methods and method not in methods:
            raise UsageError("train.not_for_task", method=method, task="?", known=", ".join(methods))
    if not found:
        raise UsageError("tune.empty")
    return Space(tuple(found.items()))


def _possible(found: dict[str, Range | Choice], methods: Sequence[str], options: Iterable[str] | None) -> Any:
    """A preset without what the task can't do."""
    left = tuple(m for m in _choices(found.get("method")) if m in methods)
    if len(left) > 1:
        found["method"] = Choice(left)
    else:
        found.pop("method", None)
    kept = set(options if options is not None else KNOBS)
    return {n: v for n, v in found.items() if n not in OF_METHOD or n in kept}


def _choices(values: Range | Choice | None) -> tuple[Any, ...]:
    return values.values if isinstance(values, Choice) else ()


def _pairs(said: Any) -> list[tuple[str, str]]:
    lines = re.split(r"[\s,;]+", said) if isinstance(said, str) else list(said)
    pairs = []
    for line in filter(None, lines):
        name, sign, value = str(line).partition("=")
        if not sign or not value:
            raise UsageError("tune.bad_line", line=line)
        pairs.append((name.strip().removeprefix("--").replace("-", "_"), value.strip()))
    return pairs


def _values(name: str, said: Any) -> Range | Choice:
    knob, said = KNOBS[name], _plain(said)
    if isinstance(said, (Range, Choice)):
        made = said
    elif isinstance(said, str):
        made = _text(name, knob, said)
    elif isinstance(said, tuple) and knob.kind != "name":
        made = _tuple(name, said)
    elif isinstance(said, (list, tuple)):
        made = Choice(tuple(said))
    elif hasattr(said, "choices"):
        made = Choice(tuple(map(_plain, said.choices)))
    elif hasattr(said, "low") and hasattr(said, "high"):
        # Optuna's own distributions.
        made = Range(said.low, said.high, bool(getattr(said, "log", False)), type(said).__name__.startswith("Int"))
    else:
        made = Choice((said,))
    return _checked(name, knob, made)


def _plain(said: Any) -> Any:
    """Numbers as Python's own, an array as a list: a recipe is JSON, which knows no others."""
    if hasattr(said, "tolist"):
        said = said.tolist()
    if isinstance(said, (list, tuple)):
        return tuple(map(_plain, said)) if isinstance(said, tuple) else [*map(_plain, said)]
    if not isinstance(said, Real) or isinstance(said, bool):
        return said
    return int(said) if isinstance(said, Integral) else float(said)


def _tuple(name: str, said: tuple[Any, ...]) -> Range:
    numbers = [v for v in said[:2] if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) != 2 or len(said) > 3 or (len(said) == 3 and said[2] not in ("log", "linear")):
        raise UsageError("tune.bad_values", name=name, value=said, example=_example(name))
    whole = all(isinstance(v, int) for v in numbers)
    return Range(float(said[0]), float(said[1]), said[2:] == ("log",), whole)


def _text(name: str, knob: Knob, said: str) -> Range | Choice:
    spread = RANGE.fullmatch(said) if knob.kind != "name" else None
    if spread is None:
        return Choice(tuple(_value(name, knob, part) for part in said.split("|")))
    if spread["scale"] not in (None, "log", "linear") or bool(spread["lowx"]) != bool(spread["highx"]):
        raise UsageError("tune.bad_values", name=name, value=said, example=_example(name))
    low, high = (_value(name, Knob("float", -1e300), spread[end]) for end in ("low", "high"))
    whole = not spread["lowx"] and all(WHOLE.fullmatch(spread[end]) for end in ("low", "high"))
    return Range(float(low), float(high), spread["scale"] == "log", whole, bool(spread["lowx"]))


def _value(name: str, knob: Knob, said: str) -> Any:
    if knob.kind == "name":
        return said
    try:
        number = float(said)
    except ValueError:
        raise UsageError("tune.bad_values", name=name, value=said, example=_example(name)) from None
    return int(number) if WHOLE.fullmatch(said) else number


def _checked(name: str, knob: Knob, values: Range | Choice) -> Range | Choice:
    if isinstance(values, Choice):
        if not values.values or any(not isinstance(v, (str, Real)) or v == "" for v in values.values):
            raise UsageError("tune.bad_values", name=name, value=str(values), example=_example(name))
        if len(set(values.values)) < len(values.values):
            values = Choice(tuple(dict.fromkeys(values.values)))
        numbers: Sequence[Any] = () if knob.kind == "name" else values.values
    else:
        if not values.low < values.high:
            raise UsageError("tune.reversed", name=name, value=str(values))
        if values.times and not knob.times:
            raise UsageError("tune.bad_values", name=name, value=str(values), example=_example(name))
        if values.log and values.low <= 0:
            raise UsageError("tune.log_of_zero", name=name, value=str(values))
        numbers = () if values.times else (values.low, values.high)
    for number in numbers:
        whole = knob.kind == "int" and isinstance(number, float) and number % 1
        if isinstance(number, (str, bool)) or whole or not knob.low <= number <= knob.high:
            raise UsageError("tune.out_of_range", name=name, value=number, low=f"{knob.low:g}", high=f"{knob.high:g}")
    return values


def _example(name: str) -> str:
    examples = {"learning_rate": "1e-5..3e-4:log", "method": "lora|full", "model": "local:a|pip:b", "epochs": "1..4",
                "quantize": "none|int8"}  # fmt: skip
    fallback = "4|8|16" if KNOBS[name].kind == "int" else "0..0.1"
    return f"{name}={examples.get(name, fallback)}"
