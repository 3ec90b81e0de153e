"""What traced programs have in common, whatever runs them: a model made ready, what it is traced with, what fails."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.messages import t
from modelnook.runtime.driven import complete
from modelnook.runtime.folder import max_length
from modelnook.runtime.silence import by_values, first_line, mute_telemetry, operation, silence
from modelnook.runtime.transformers import load_trained
from modelnook.tasks.text import as_text

__all__ = ["FAILURES", "Traced", "feeds", "tracing"]

FAILURES = ("convert.untraceable", "convert.failed")
"""The messages where a model can't be traced, see :func:`tracing`."""

TEXTS = ["a short text", "a second text that is a little longer than the first one"]
MOST_ROWS = 2


class Traced:
    """A trained model that is ready for an exporter: ``module`` and the ``inputs`` to trace it with.

    Args:
        rows: some of the person's rows, see :meth:`modelnook.tasks.spec.Spec.as_rows`.
        attention: how it is traced: ``eager``, as the products that it is made of, or ``sdpa``, as one operation, where
            the model has that.
    """

    def __init__(self, source: Path, task: str, rows: Sequence[Any], attention: str = "eager") -> None:
        self.source = source
        self.heavy, self.model, self.processor = load_trained(source, task)
        self.architecture = (self.model.config.architectures or [type(self.model).__name__])[0]
        _set_attention(self.model, attention)
        self.module = self.heavy.traced(self.model)
        self.inputs = _sample(self.heavy, self.model, self.processor, rows)

    def feeds(self, rows: Sequence[Any]) -> list[dict[str, torch.Tensor]]:
        """The program's inputs for each of some rows."""
        return feeds(self.heavy, self.processor, rows, max_length(self.source), tuple(self.inputs))


def _set_attention(model: Any, wanted: str) -> None:
    change = getattr(model, "set_attn_implementation", None)
    if change is None:
        return
    try:
        change(wanted)
    except ValueError:
        # An architecture that only has its own.
        change("eager")


def _sample(task: Any, model: Any, processor: Any, rows: Sequence[Any]) -> dict[str, Any]:
    """Inputs to trace a model with: two texts of unlike lengths, or what the task makes of two rows of another kind."""
    if hasattr(processor, "vocab_size"):
        pairs = any(isinstance(row, Mapping) for row in task.spec().worded(rows[:1], task.learnt))
        found = processor(TEXTS, TEXTS[::-1] if pairs else None, padding=True, return_tensors="pt")
        kinds = pairs or _kinds(task, model, processor)
        wanted = ("input_ids", "attention_mask", *(("token_type_ids",) if kinds else ()))
        return {name: found[name] for name in wanted if name in found}
    encoded = task.encode(processor, task.spec().as_columns(rows[:MOST_ROWS]), 0)
    batch = task.collate(processor, encoded)
    return {name: value for name, value in batch.items() if isinstance(value, torch.Tensor) and name != "labels"}


def feeds(
    task: Any, tokenizer: Any, rows: Sequence[Any], length: int, names: Sequence[str]
) -> list[dict[str, torch.Tensor]]:
    """A program's inputs for each row by itself, of shape (1, tokens): what static calibration sees."""
    if not task.spec.whole():
        encoded = task.encode(tokenizer, task.spec().as_columns(rows), length)
        parts = (
            {name: values[at : at + 1] for name, values in encoded.items()} for at in range(len(task.lengths(encoded)))
        )
        return [complete(task.collate(tokenizer, part), names) for part in parts]
    found = []
    for row in task.spec().worded(list(rows), task.learnt):
        texts = (row["text"], row.get("text_pair")) if isinstance(row, Mapping) else (row,)
        inputs = tokenizer(
            *([as_text(text)] for text in texts), truncation=True, max_length=length, return_tensors="pt"
        )
        found.append({name: inputs[name] for name in names})
    return found


def _kinds(task: Any, model: Any, processor: Any) -> bool:
    """Whether a pair that the program may be asked later has tokens of two kinds, also where these rows are single
    texts, which are all of one kind: what a model assumes where nothing is said.
    """
    told = "token_type_ids" in getattr(processor, "model_input_names", ())
    return bool(told and "text_pair" in task.spec.optional and getattr(model.config, "type_vocab_size", 0) > 1)


@contextmanager
def tracing(architecture: str, codes: tuple[str, str] = FAILURES, **values: Any) -> Iterator[None]:
    """Around an exporter: nothing is printed or sent, and what fails names the operation.

    Args:
        codes: the message for an operation that can't be traced, and the one for any other failure; they are given
            ``values``, the architecture, and the operation or what was said.

    Raises:
        UnsupportedError: the operation that can't be traced, or what else is in the way.
    """
    mute_telemetry()
    # torch.onnx tells each of its steps with print.
    with silence(), redirect_stdout(io.StringIO()), torch.inference_mode():
        try:
            yield
        except (MemoryError, KeyboardInterrupt, OSError):
            raise
        except Exception as error:
            named, other = codes
            op = operation(error)
            if op is None:
                name = by_values(error)
                said = t("convert.by_values", name=name) if name else first_line(error)
                raise UnsupportedError(other, architecture=architecture, error=said, **values) from error
            raise UnsupportedError(named, architecture=architecture, op=op, **values) from error
