"""The one training loop: every method and task goes through it.

What makes it quick is said where it is done: batches of rows alike in length (``batches``), fused AdamW
(``optimizer``), bfloat16 where the processor multiplies it (``device``), an embedding table cut to the tokens that
occur (``vocabulary``), dropout and attention for a CPU (``dropout``, ``attention``), memory that stays (``memory``).
What makes it safe: checkpoints from which it goes on to the same weights (``checkpoint``), a stop after any step,
batches that shrink where memory runs out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Warned
from modelnook.messages import t
from modelnook.tasks.base import Task
from modelnook.training.attention import fast_attention
from modelnook.training.base import Trainable, TrainConfig, TrainResult
from modelnook.training.batches import train_batches
from modelnook.training.checkpoint import Checkpoint, Checkpoints
from modelnook.training.device import (
    autocast,
    is_out_of_memory,
    native_bf16,
    pick_device,
    rng_state,
    set_rng_state,
)
from modelnook.training.dropout import fast_dropout
from modelnook.training.evaluation import outputs_of, take, to_device
from modelnook.training.memory import keep_memory
from modelnook.training.optimizer import Optimizer, decay_left
from modelnook.training.report import Reporter
from modelnook.training.threads import Threads
from modelnook.training.vocabulary import Vocabulary

__all__ = ["train"]

Rows = dict[str, list[Any]]

SAVING_SHARE = 0.02
"""Checkpoints may cost this share of the time at most: they come less often where the disk is slow."""


def train(
    model: Any,
    task: Task,
    tokenizer: Any,
    train_rows: Rows,
    eval_rows: Rows | None,
    config: TrainConfig,
    method: Trainable,
    emit: Emit,
    stop: Callable[[], bool] = lambda: False,
    checkpoints: Checkpoints | None = None,
) -> TrainResult:
    """Train ``model`` in place; goes on from the newest of ``checkpoints`` if it holds one.

    Args:
        train_rows: as :meth:`Task.encode` gives them, with ``labels``.
        eval_rows: the same, or None: then the last weights are kept.
        stop: asked after each step; True ends training, evaluates and leaves a usable model.

    Raises:
        UsageError: the loss became NaN (``train.diverged``).
        UnsupportedError: memory doesn't hold a single row (``train.out_of_memory``).
    """
    device = pick_device(config.device)
    model.to(device)
    vocabulary = Vocabulary(model, train_rows, eval_rows)
    rows, checks = vocabulary.renumber(train_rows), eval_rows and vocabulary.renumber(eval_rows)
    loop = _Loop(model, task, tokenizer, rows, checks, config, method, emit, stop, checkpoints, device)
    try:
        with _quick_on_cpu(model, device):
            return loop.run()
    finally:
        vocabulary.restore(decay_left(config, loop.total, loop.step))


@contextmanager
def _quick_on_cpu(model: Any, device: torch.device) -> Iterator[None]:
    """What a CPU lacks in torch itself; an accelerator has kernels of its own for it."""
    if device.type != "cpu":
        yield
        return
    with keep_memory(), fast_attention(model), fast_dropout(model):
        yield


@dataclass
class _Best:
    """The best evaluation so far. ``outputs`` is None where it was made before a resume."""

    step: int
    metrics: dict[str, float]
    outputs: Any = None
    waited: int = 0


class _Loop:
    """The state of one run. ``step`` counts optimizer steps done; everything follows from it and the seed."""

    def __init__(
        self,
        model: Any,
        task: Task,
        tokenizer: Any,
        rows: Rows,
        checks: Rows | None,
        config: TrainConfig,
        method: Trainable,
        emit: Emit,
        stop: Callable[[], bool],
        checkpoints: Checkpoints | None,
        device: torch.device,
    ) -> None:
        self.model, self.task, self.tokenizer = model, task, tokenizer
        self.rows, self.checks, self.config, self.method = rows, checks, config, method
        self.emit, self.stop, self.checkpoints, self.device = emit, stop, checkpoints, device
        self.threads = Threads(config.threads)
        self.spec = task.spec()
        self.metric = config.metric or self.spec.metrics[0]
        self.lengths = [len(ids) for ids in rows["input_ids"]]
        self.per_epoch = math.ceil(len(self.lengths) / config.batch_size)
        self.total = max(1, round(config.epochs * self.per_epoch))
        self.eval_every = config.eval_every or self.per_epoch
        self.micro = config.batch_size
        self.step = 0
        self.best: _Best | None = None
        self.made_way = False
        self.kept: dict[str, torch.Tensor] = {}
        self.epoch_batches: tuple[int, list[list[int]]] = (-1, [])
        self.optimizer = Optimizer(
            model,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup=config.warmup,
            clip=config.clip,
            total=self.total,
        )

    def run(self) -> TrainResult:
        """Train from where the checkpoints left off, to the end or until told to stop."""
        torch.manual_seed(self.config.seed)
        self._resume()
        self.report = self._reporter()
        self.report.progress("training", self.step, force=True)
        self.model.train()
        began = saved = time.perf_counter()
        reason = "finished"
        while self.step < self.total:
            self._train_step()
            reason = self._end_reason(began)
            if reason != "finished":
                break
            due = self.step % self.eval_every == 0 and self.step < self.total
            if due and self._evaluate(going_on=True):
                reason = "patience"
                break
            saved = self._checkpoint_if_due(saved)
            self._make_way()
        if reason in ("stopped", "budget"):
            self._checkpoint()
        return self._result(reason, began)

    def _train_step(self) -> None:
        began = time.perf_counter()
        index = self._batch(self.step)
        loss = self._gradients(index)
        rate = self.optimizer.learning_rate(self.step)
        self.optimizer.update(self.step)
        self.step += 1
        self.report.step(
            self.step,
            loss,
            rows=len(index),
            tokens=sum(self.lengths[i] for i in index),
            seconds=time.perf_counter() - began,
            rate=rate,
        )

    def _batch(self, step: int) -> list[int]:
        epoch, place = divmod(step, self.per_epoch)
        if self.epoch_batches[0] != epoch:
            batches = train_batches(self.lengths, self.config.batch_size, self.config.seed, epoch)
            self.epoch_batches = (epoch, batches)
        return self.epoch_batches[1][place]

    def _gradients(self, index: list[int]) -> torch.Tensor:
        """The mean loss of a batch, its gradients accumulated; in smaller parts where memory doesn't hold it."""
        state = rng_state(self.device)
        while True:
            try:
                return self._accumulate(index)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Out of the except clause: its traceback holds the tensors that have to go.
            self._shrink(index)
            set_rng_state(self.device, state)

    def _accumulate(self, index: list[int]) -> torch.Tensor:
        total: torch.Tensor | None = None
        for start in range(0, len(index), self.micro):
            part = index[start : start + self.micro]
            batch = to_device(self.task.collate(self.tokenizer, take(self.rows, part)), self.device)
            with autocast(self.device, self.config.precision):
                loss = self.task.loss(self.model, batch)
            if len(part) < len(index):
                loss = loss * (len(part) / len(index))
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return total

    def _shrink(self, index: list[int]) -> None:
        self.model.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.micro <= 1 or len(index) <= 1:
            longest = max(self.lengths[i] for i in index)
            raise UnsupportedError("train.out_of_memory", tokens=longest)
        self.micro = max(1, min(self.micro, len(index)) // 2)
        said = t("train.smaller_batch", micro=self.micro, batch=self.config.batch_size)
        self.emit(Warned("train.smaller_batch", said))

    def _make_way(self) -> None:
        """Leave cores to other programs; said once, for it is slower and its last bits are not those of a quiet run."""
        if self.threads.look() and not self.made_way:
            self.made_way = True
            said = t("train.busy_machine", threads=self.threads.count, most=self.threads.most)
            self.emit(Warned("train.busy_machine", said))

    def _end_reason(self, began: float) -> str:
        if self.step >= self.total:
            return "finished"
        if self.stop():
            return "stopped"
        limit = self.config.max_seconds
        return "budget" if limit is not None and time.perf_counter() - began >= limit else "finished"

    def _evaluate(self, *, going_on: bool) -> bool:
        """Score the validation rows, keep weights that are better; True where patience is at its end."""
        if self.checks is None:
            return False
        self.report.progress("evaluating", self.step, force=True)
        began = time.perf_counter()
        outputs = outputs_of(
            self.model,
            self.task,
            self.tokenizer,
            self.checks,
            device=self.device,
            precision=self.config.precision,
        )
        metrics = self.spec.score(self.checks["labels"], outputs, self.task.labels)
        self.report.evaluated(self.step, metrics, time.perf_counter() - began)
        if self.best is None or self._beats(metrics, self.best.metrics):
            self.best = _Best(self.step, metrics, outputs)
            if going_on and self.checkpoints is not None:
                self.checkpoints.save_best(self.step, self.method.trainable_state(self.model), {"metrics": metrics})
            elif going_on:
                self.kept = {k: v.detach().clone() for k, v in self.method.trainable_state(self.model).items()}
            return False
        self.best.waited += 1
        return going_on and 0 < self.config.patience <= self.best.waited

    def _beats(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """In the metric; of equals, the one with the lower loss."""
        if new.get(self.metric) == old.get(self.metric):
            return new.get("loss", 0.0) < old.get("loss", 0.0)
        return self.spec.better(self.metric, new.get(self.metric, math.nan), old.get(self.metric, math.nan))

    def _checkpoint_if_due(self, saved: float) -> float:
        every = self.config.checkpoint_every_s
        if self.checkpoints is None or every <= 0 or self.step >= self.total:
            return saved
        if time.perf_counter() - saved < max(every, self.checkpoints.last_cost_s / SAVING_SHARE):
            return saved
        self._checkpoint()
        return time.perf_counter()

    def _checkpoint(self) -> None:
        if self.checkpoints is None:
            return
        state = {f"optimizer|{name}": value for name, value in self.optimizer.state().items()}
        state |= {f"rng|{name}": value for name, value in rng_state(self.device).items()}
        best = {"step": self.best.step, "metrics": self.best.metrics, "waited": self.best.waited} if self.best else None
        meta = {"total": self.total, "rows": len(self.lengths), "micro": self.micro, "best": best}
        self.checkpoints.save(self.step, self.method.trainable_state(self.model), state, meta)

    def _resume(self) -> None:
        found = self.checkpoints.latest() if self.checkpoints is not None else None
        if found is None:
            return
        if (found.meta["total"], found.meta["rows"]) != (self.total, len(self.lengths)):
            self.emit(Warned("train.checkpoint_other", t("train.checkpoint_other")))
            return
        self._restore(found)

    def _restore(self, found: Checkpoint) -> None:
        self.method.load_trainable(self.model, found.weights)
        parts: dict[str, dict[str, torch.Tensor]] = {"optimizer": {}, "rng": {}}
        for key, value in found.state.items():
            part, _, name = key.partition("|")
            parts[part][name] = value
        self.optimizer.load_state(parts["optimizer"])
        set_rng_state(self.device, parts["rng"])
        self.step, self.micro = found.step, found.meta["micro"]
        best = found.meta["best"]
        self.best = _Best(best["step"], best["metrics"], waited=best["waited"]) if best else None

    def _reporter(self) -> Reporter:
        evals = 0
        if self.checks is not None:
            evals = math.ceil(self.total / self.eval_every) - self.step // self.eval_every
        return Reporter(
            self.emit,
            total=self.total,
            per_epoch=self.per_epoch,
            epochs=self.config.epochs,
            done=self.step,
            tokens=int(sum(self.lengths) * self.total / self.per_epoch),
            evals=evals,
            eval_tokens=sum(map(len, self.checks["input_ids"])) if self.checks else 0,
        )

    def _result(self, reason: str, began: float) -> TrainResult:
        if reason != "patience":
            self._evaluate(going_on=False)
        if self.best is not None and self.best.step != self.step:
            self._load_best(self.best)
        metrics = dict(self.best.metrics) if self.best else {"loss": self.report.mean_loss}
        bf16 = self.config.precision == "bf16" or (self.config.precision == "auto" and native_bf16(self.device.type))
        return TrainResult(
            steps=self.step,
            epochs=self.step / self.per_epoch,
            best_step=self.best.step if self.best else None,
            metrics=metrics,
            stopped=reason == "stopped",
            reason=reason,
            rows_per_s=self.report.rows_per_s,
            seconds=time.perf_counter() - began,
            eval_outputs=self.best.outputs if self.best else None,
            micro_batch=self.micro,
            precision="bf16" if bf16 else "fp32",
            device=str(self.device),
            first_step_s=self.report.first_step_s,
        )

    def _load_best(self, best: _Best) -> None:
        if self.checkpoints is None:
            self.method.load_trainable(self.model, self.kept)
            return
        kept = self.checkpoints.best()
        if kept is None:
            # The disk lost it: the weights of the last step are what there is, with their own figures.
            self.emit(Warned("train.best_lost", t("train.best_lost", step=best.step)))
            self.best = None
            self._evaluate(going_on=False)
            return
        self.method.load_trainable(self.model, kept.weights)
        if best.outputs is None or kept.step != best.step:
            self.best = _Best(kept.step, dict(kept.meta["metrics"]), self._outputs())

    def _outputs(self) -> Any:
        assert self.checks is not None
        return outputs_of(
            self.model, self.task, self.tokenizer, self.checks, device=self.device, precision=self.config.precision
        )
