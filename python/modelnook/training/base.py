"""What the loop is told and what it answers: plain values, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Place", "TrainConfig", "TrainResult", "Trainable"]


class Trainable(Protocol):
    """The part of a fine-tuning method that the loop needs."""

    def trainable_state(self, model: Any) -> dict[str, Any]:
        """What a checkpoint keeps: name -> tensor."""

    def load_trainable(self, model: Any, state: dict[str, Any]) -> None:
        """Put a checkpoint's tensors back."""


@dataclass(frozen=True, slots=True)
class Place:
    """A process's number (``rank``) among ``count`` that train one model; they meet at a port of this machine."""

    rank: int
    count: int
    port: int


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: passes over the rows; a fraction ends within one.
        learning_rate: the peak, reached after ``warmup`` (a share of all steps), then falling linearly to zero.
        batch_size: rows an optimizer step; kept by accumulation where memory doesn't hold them at once.
        max_length: tokens a row, for the record (rows come encoded), and a sequence's where rows are packed.
        weight_decay: AdamW's, on matrices only: biases and norms have none.
        clip: the gradient norm's ceiling.
        eval_every: steps between evaluations; 0: after each epoch. The last step is always evaluated.
        patience: evaluations without a better ``metric`` after which training ends; 0: never.
        metric: what "best" means; None: the task's primary metric.
        checkpoint_every_s: seconds between checkpoints at least; 0: none in mid-run.
        precision: ``auto``, ``bf16`` or ``fp32``; ``auto`` is bf16 where the device multiplies it natively.
        max_seconds: a budget of wall time, over all resumes; None: none.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        threads: CPU threads at most; None: what ``MODELNOOK_THREADS`` says, else this process's cores. See
            :class:`~modelnook.training.threads.Threads` for when there are fewer.
        micro: rows that go through the model at once, to begin with; 0: the batch.
        eval_tokens: tokens that go through the model at once in an evaluation; 0: as many as are quick.
        packing: whether several rows stand in one sequence of ``max_length`` tokens; batches are then made without
            regard to length.
    """

    epochs: float = 3.0
    learning_rate: float = 5e-5
    batch_size: int = 16
    max_length: int = 128
    seed: int = 0
    warmup: float = 0.1
    weight_decay: float = 0.0
    clip: float = 1.0
    eval_every: int = 0
    patience: int = 0
    metric: str | None = None
    checkpoint_every_s: float = 60.0
    precision: str = "auto"
    max_seconds: float | None = None
    device: str = "auto"
    threads: int | None = None
    micro: int = 0
    eval_tokens: int = 0
    packing: bool = False


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How it went. The model that was passed in holds the best weights by validation, else the last.

    Attributes:
        steps: optimizer steps done, over all resumes.
        best_step: the step whose weights were kept; None without validation rows.
        metrics: of the validation rows at ``best_step``; without such rows the mean training loss of the last epoch.
        stopped: whether ``stop()`` ended it; ``reason`` says ``finished``, ``stopped``, ``patience`` or ``budget``.
        rows_per_s: training rows a second, evaluation and checkpoints left out.
        seconds: training, evaluation and checkpoints together, over all resumes.
        eval_outputs: float32 of shape (validation rows, …) in their order, or None.
        micro_batch: rows that went through the model at once; below the batch size where memory was short.
    """

    steps: int
    epochs: float
    best_step: int | None
    metrics: dict[str, float]
    stopped: bool
    reason: str
    rows_per_s: float
    seconds: float
    eval_outputs: Any = None
    micro_batch: int = 0
    precision: str = "fp32"
    device: str = "cpu"
    first_step_s: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)
