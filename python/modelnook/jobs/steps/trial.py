"""What a trial's model comes to as a folder: its precision lowered where the space says so, its size, its latency."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelnook.jobs.steps.context import Context, Rows
from modelnook.jobs.steps.probing import prober
from modelnook.quantize.once import Once
from modelnook.store.files import folder_bytes
from modelnook.tasks.spec import Spec
from modelnook.tune import MEASURED

__all__ = ["Made", "rounded"]

SECONDS = 2.0
"""For which each model's speed is measured, in a clean process."""

DIGITS = {"size": 3, "latency": 2}
"""To which a measure is told: latencies of one model differ by some percent, and such trials are no choice."""


@dataclass
class Made:
    """Measures what trials made, on the validation rows, as the verb ``quantize`` does.

    Args:
        objectives: what the study counts.
        quantized: whether precision is a knob.
        place: this process's number among those that measure at the same time.
    """

    context: Context
    spec: Spec
    rows: Rows
    objectives: tuple[str, ...]
    quantized: bool
    place: int = 0

    def __post_init__(self) -> None:
        asked = self.spec.as_rows(self.rows)
        self.asked = asked
        self.once = Once(self.spec.name, asked, lambda event: None)
        # Measuring takes seconds: it goes on to its end where the person stops the run meanwhile.
        self.probe = prober(self.context, SECONDS, stop=lambda: False, place=self.place)

    @property
    def needed(self) -> bool:
        """Whether there is anything to make or measure of a trained model."""
        return self.quantized or any(name in MEASURED for name in self.objectives)

    def __call__(self, folder: Path, knobs: Mapping[str, Any], metrics: Mapping[str, float]) -> dict[str, float]:
        """Lower the folder's precision as its knobs say; its metrics as it is then, with ``size`` and ``latency``.

        Raises:
            UnsupportedError: no backend can do the model, or it doesn't answer.
        """
        option = str(knobs.get("quantize") or "none")
        found = dict(metrics)
        if option != "none":
            made = folder.with_name(f"{folder.name}.{option.replace(':', '-')}")
            shutil.rmtree(made, ignore_errors=True)
            self.once(folder, made, option)
            shutil.rmtree(folder)
            made.rename(folder)
        if option != "none" or "latency" in self.objectives:
            probe = self.probe(folder, self.asked)
            if option != "none":
                found = self.spec.score(self.spec.truth(self.rows, probe.labels), probe.outputs, probe.labels)
            found["latency"] = rounded("latency", probe.p50_ms)
        found["size"] = rounded("size", folder_bytes(folder))
        return found


def rounded(name: str, value: float) -> float:
    """A measure to as many digits as can be told apart.

    >>> rounded("latency", 12.34), rounded("size", 91_234_567)
    (12.0, 91200000.0)
    """
    return round(float(value), DIGITS[name] - 1 - math.floor(math.log10(value))) if value > 0 else 0.0
