"""What backends that trace a model into a program share: sample inputs, rows to calibrate on, what can't be traced."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.folder import max_length
from modelnook.runtime.silence import mute_telemetry, operation, silence
from modelnook.runtime.transformers import load_trained
from modelnook.tasks.text import as_text

__all__ = ["Traced", "feeds", "prepared", "sample_inputs", "tracing"]

SAMPLE = ["a short text", "a second text that is a little longer than the first one"]


class Traced:
    """A trained model that is ready for an exporter: ``module`` and the ``inputs`` to trace it with."""

    def __init__(self, source: Path, task: str, rows: Sequence[Any]) -> None:
        self.source = source
        self.heavy, self.model, self.tokenizer = load_trained(source, task)
        if self.heavy.spec.windows:
            raise UnsupportedError("quantize.in_parts", task=task, next="torchao")
        self.architecture = (self.model.config.architectures or [type(self.model).__name__])[0]
        asked = self.heavy.spec().worded(rows[:1], self.heavy.learnt)
        self.model.set_attn_implementation("eager")
        self.module = self.heavy.traced(self.model)
        self.inputs = sample_inputs(self.tokenizer, source, any(isinstance(row, Mapping) for row in asked))

    def feeds(self, rows: Sequence[Any]) -> list[dict[str, torch.Tensor]]:
        """The program's inputs for each of some rows."""
        return feeds(self.heavy, self.tokenizer, rows, max_length(self.source), tuple(self.inputs))


def prepared(held: Traced | None, source: Path, task: str, rows: Sequence[Any]) -> Traced:
    """The model of ``source`` ready to be traced: the one that is held, where it is of the same folder and task."""
    if held is not None and held.source == source and held.heavy.spec.name == task:
        return held
    return Traced(source, task, rows)


def sample_inputs(tokenizer: Any, source: Path, pairs: bool) -> dict[str, torch.Tensor]:
    """Two texts (or pairs) of unlike length, as int64 of shape (2, longest).

    Raises:
        UnsupportedError: a model of images or sounds.
    """
    if not hasattr(tokenizer, "vocab_size"):
        raise UnsupportedError("quantize.only_texts", path=source, next="torchao")
    inputs = tokenizer(SAMPLE, SAMPLE[::-1] if pairs else None, padding=True, return_tensors="pt")
    # Single texts are all of one kind, which is what a model assumes where nothing is said.
    wanted = ("input_ids", "attention_mask", *(("token_type_ids",) if pairs else ()))
    return {name: inputs[name] for name in wanted if name in inputs}


def feeds(
    task: Any, tokenizer: Any, rows: Sequence[Any], length: int, names: Sequence[str]
) -> list[dict[str, torch.Tensor]]:
    """A program's inputs for each row by itself, of shape (1, tokens): what static calibration sees."""
    found = []
    for row in task.spec().worded(list(rows), task.learnt):
        texts = (row["text"], row.get("text_pair")) if isinstance(row, Mapping) else (row,)
        inputs = tokenizer(
            *([as_text(text)] for text in texts), truncation=True, max_length=length, return_tensors="pt"
        )
        found.append({name: inputs[name] for name in names})
    return found


@contextmanager
def tracing(source: Path, architecture: str, other: str) -> Iterator[None]:
    """Around an exporter: nothing is printed or sent, and what fails names the operation and the backend to try next.

    Raises:
        UnsupportedError: the operation that can't be traced.
    """
    mute_telemetry()
    # torch.onnx tells each of its steps with print.
    with silence(), redirect_stdout(io.StringIO()), torch.inference_mode():
        try:
            yield
        except (MemoryError, KeyboardInterrupt, OSError):
            raise
        except Exception as error:
            raise UnsupportedError(
                "quantize.untraceable", path=source, architecture=architecture, op=operation(error), next=other
            ) from error
