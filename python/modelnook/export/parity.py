"""Whether an export answers as the model that it was made from: the same rows through both, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelnook.convert.floats import requantizes
from modelnook.domain.errors import RefusedError
from modelnook.measure.outputs import finite
from modelnook.runtime import runtime
from modelnook.runtime.folder import needs_card
from modelnook.tasks.spec import Spec
from modelnook.tasks.text_generation import LanguageModelling

__all__ = ["LEAST_EQUAL", "Parity", "answers", "compared"]

LEAST_EQUAL = 0.99
"""Below this share of rows with the same answer an export is refused."""
BATCH = 8


@dataclass(frozen=True, slots=True)
class Parity:
    """``equal`` is the share of rows with the same answer.

    ``max_difference`` is the most that a number of the outputs is off, absolute (of a model that writes, the loss a
    token in nats); None where outputs are texts.
    """

    equal: float
    max_difference: float | None
    rows: int


def answers(path: Path, task: str, rows: Sequence[Any], *, floats: bool = False) -> Any:
    """A folder's outputs, loaded for this and let go.

    Args:
        floats: compute with a GGUF file's weights as numbers. llama.cpp rounds what it multiplies them with as well:
            by that alone a copy of them in floats answers otherwise.
    """
    name = "transformers" if floats and requantizes(path) else "auto"
    model = runtime(path, name=name, task=task, device="auto" if needs_card(path) else "cpu")
    try:
        return model.outputs(rows, batch_size=BATCH)
    finally:
        model.close()


def compared(spec: Spec, before: Any, after: Any, to: str) -> Parity:
    """The two models' outputs on the same rows.

    Raises:
        RefusedError: other answers than the original's on more than one row in a hundred, or no numbers at all.
    """
    found = Parity(float(spec.agree(before, after).mean()), _difference(spec, before, after), len(before))
    if not finite(after):
        raise RefusedError("export.not_finite", format=to, rows=found.rows)
    if found.equal < LEAST_EQUAL:
        raise RefusedError(
            "export.differs",
            format=to,
            equal=f"{100 * found.equal:.1f}",
            least=f"{100 * LEAST_EQUAL:g}",
            rows=found.rows,
            difference="–" if found.max_difference is None else f"{found.max_difference:.2g}",
        )
    return found


def _difference(spec: Spec, before: Any, after: Any) -> float | None:
    import numpy as np

    if isinstance(spec, LanguageModelling):
        sums = [spec.sums(None, outputs, ()) for outputs in (before, after)]
        losses = [values[:, 0] / np.maximum(values[:, 1], 1) for values in sums]
        return float(np.abs(losses[0] - losses[1]).max())
    if spec.name == "question-answering":
        # Places in a text are answers and not numbers; their score is one.
        return float(np.abs(np.asarray(before)[:, 2] - np.asarray(after)[:, 2]).max())
    pairs = [
        (np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64))
        for one, other in zip(before, after, strict=True)
        if not isinstance(one, str)
    ]
    gaps = [float(np.abs(one - other).max()) for one, other in pairs if one.size and one.shape == other.shape]
    return max(gaps, default=0.0) if pairs else None
