"""What a person sees of the loop: progress some times a second, a curve of bounded length, speed and time left."""

from __future__ import annotations

import math
import time

import torch

from modelnook.domain.errors import UsageError
from modelnook.domain.event import Emit, MetricLogged, Progress

__all__ = ["Reporter"]

POINTS = 2000
"""Points of a curve at most; longer runs log every so many steps."""

INTERVAL_S = 0.25
"""Seconds between two progress events at least."""


class Reporter:
    """Turns steps into events.

    Args:
        total: optimizer steps of the run; ``per_epoch``: of one epoch; ``done``: before this process (a resume).
        tokens: unpadded tokens of the whole run, evals: evaluations still to come, each of ``eval_tokens``.
    """

    def __init__(
        self,
        emit: Emit,
        *,
        total: int,
        per_epoch: int,
        epochs: float,
        done: int,
        tokens: int,
        evals: int,
        eval_tokens: int,
    ) -> None:
        self.emit = emit
        self.total, self.per_epoch, self.epochs = total, per_epoch, epochs
        self.every = max(1, math.ceil(total / POINTS))
        self.tokens_left = tokens * (1 - done / max(1, total))
        self.evals_left, self.eval_tokens = evals, eval_tokens
        self.began = time.perf_counter()
        self.train_s = self.eval_s = 0.0
        self.rows = self.tokens = 0
        self.first = (0.0, 0)
        """Seconds and tokens of the first step: it makes ready what the others find, and tells nothing of them."""
        self.evals = 0
        self.first_step_s: float | None = None
        self.mean_loss = math.nan
        self._losses: list[torch.Tensor] = []
        self._shown = -math.inf

    @property
    def rows_per_s(self) -> float:
        """Training rows a second, evaluation left out."""
        return self.rows / self.train_s if self.train_s > 0 else 0.0

    def step(self, step: int, loss: torch.Tensor, *, rows: int, tokens: int, seconds: float, rate: float) -> None:
        """After optimizer step number ``step`` (1-based).

        Raises:
            UsageError: the loss isn't a number any more.
        """
        if self.first_step_s is None:
            self.first_step_s = time.perf_counter() - self.began
            self.first = (seconds, tokens)
        self.train_s += seconds
        self.rows += rows
        self.tokens += tokens
        self.tokens_left -= tokens
        self._losses.append(loss)
        if step % self.every == 0 or step == self.total or step == 1:
            self.mean_loss = float(torch.stack(self._losses).mean())
            self._losses.clear()
            if not math.isfinite(self.mean_loss):
                raise UsageError("train.diverged", step=step, rate=f"{rate:.2g}")
            values = {"loss": self.mean_loss, "learning_rate": rate}
            self.emit(MetricLogged(step, values, epoch=step / self.per_epoch))
        self.progress("training", step)

    def evaluated(self, step: int, metrics: dict[str, float], seconds: float) -> None:
        """After an evaluation that took ``seconds``."""
        self.eval_s += seconds
        self.evals += 1
        self.evals_left = max(0, self.evals_left - 1)
        values = {f"eval_{name}": value for name, value in metrics.items()}
        self.emit(MetricLogged(step, values, epoch=step / self.per_epoch))

    def progress(self, phase: str, step: int, *, force: bool = False) -> None:
        """Say where it stands, unless that was said a moment ago."""
        now = time.perf_counter()
        if not force and step < self.total and now - self._shown < INTERVAL_S:
            return
        self._shown = now
        self.emit(
            Progress(
                phase,
                step=step,
                total=self.total,
                epoch=step / self.per_epoch,
                epochs=self.epochs,
                rows_per_s=self.rows_per_s or None,
                eta_s=self._eta(),
                loss=self.mean_loss if math.isfinite(self.mean_loss) else None,
            )
        )

    def _eta(self) -> float | None:
        if not self.tokens:
            return None
        first_s, first = self.first if self.tokens > self.first[1] else (0.0, 0)
        a_token = (self.train_s - first_s) / (self.tokens - first)
        # An evaluation that wasn't measured yet is a forward pass, a third of a training step.
        a_eval = self.eval_s / self.evals if self.evals else self.eval_tokens * a_token / 3
        return max(0.0, self.tokens_left) * a_token + self.evals_left * a_eval
