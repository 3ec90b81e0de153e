"""The one training loop: every method and task goes through it.

What makes it quick is said where it is done: batches of rows alike in length (``batches``), fused AdamW
(``optimizer``), bfloat16 where the processor multiplies it (``precision``, ``halves``), an embedding table cut to the
tokens that occur (``vocabulary``), dropout and attention for a CPU (``dropout``, ``attention``), memory that stays
(``memory``).
What makes it safe: checkpoints from which it goes on to the same weights (``checkpoint``), a stop after any step,
batches that shrink where memory runs out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Warned
from modelnook.tasks.base import Task
from modelnook.training.base import Trainable, TrainConfig, TrainResult
from modelnook.training.batches import train_batches
from modelnook.training.checkpoint import Checkpoints
from modelnook.training.cpu import quick_on_cpu
from modelnook.training.device import is_out_of_memory, pick_device, rng_state, set_rng_state
from modelnook.training.evaluation import outputs_of, take, to_device
from modelnook.training.keeper import Best, Keeper
from modelnook.training.optimizer import Optimizer, decay_left
from modelnook.training.precision import Precision
from modelnook.training.report import Reporter
from modelnook.training.threads import Threads
from modelnook.training.vocabulary import Vocabulary

if TYPE_CHECKING:
    from modelnook.training.ranks import Ranks

__all__ = ["train"]

Rows = dict[str, list[Any]]


def train(
    model: Any,
    task: Task,
    processor: Any,
    train_rows: Rows,
    eval_rows: Rows | None,
    config: TrainConfig,
    method: Trainable,
    emit: Emit,
    stop: Callable[[], bool] = lambda: False,
    checkpoints: Checkpoints | None = None,
    truth: Any = None,
    ranks: Ranks | None = None,
) -> TrainResult:
    """Train ``model`` in place; goes on from the newest of ``checkpoints`` if it holds one.

    Args:
        train_rows: as :meth:`Task.encode` gives them, with ``labels``.
        eval_rows: the same, or None: then the last weights are kept.
        truth: what the outputs of these are scored against (:meth:`Spec.truth`); their ``labels`` without it.
        stop: asked after each step; True ends training, evaluates and leaves a usable model.
        ranks: this process's part, where several train the model; all but the first neither evaluate nor save.

    Raises:
        UsageError: the loss became NaN (``train.diverged``).
        UnsupportedError: memory doesn't hold a single row (``train.out_of_memory``).
    """
    device = pick_device(config.device)
    model.to(device)
    if ranks is not None:
        ranks.align(model)
    vocabulary = Vocabulary(model if task.cuts_vocabulary else None, train_rows, eval_rows)
    rows, checks = vocabulary.renumber(train_rows), eval_rows and vocabulary.renumber(eval_rows)
    truth = eval_rows.get("labels") if truth is None and eval_rows else truth
    if ranks is not None and not ranks.first:
        checks = None
    loop = _Loop(model, task, processor, rows, checks, truth, config, method, emit, stop, checkpoints, device, ranks)
    try:
        with quick_on_cpu(model, device):
            return loop.run()
    finally:
        loop.precision.restore()
        vocabulary.restore(decay_left(config, loop.total, loop.step))


class _Loop:
    """The state of one run. ``step`` counts optimizer steps done; everything follows from it and the seed."""

    def __init__(
        self,
        model: Any,
        task: Task,
        processor: Any,
        rows: Rows,
        checks: Rows | None,
        truth: Any,
        config: TrainConfig,
        method: Trainable,
        emit: Emit,
        stop: Callable[[], bool],
        checkpoints: Checkpoints | None,
        device: torch.device,
        ranks: Ranks | None,
    ) -> None:
        self.began = time.perf_counter()
        self.model, self.task, self.processor = model, task, processor
        self.rows, self.checks, self.truth, self.config = rows, checks, truth, config
        self.emit, self.stop, self.device = emit, stop, device
        self.ranks = ranks
        self.trained = [p for p in model.parameters() if p.requires_grad] if ranks else []
        # Where several train, those that use the other cores are its own.
        self.threads = Threads(config.threads, (lambda: 0.0) if ranks else None)
        self.made_way = False
        self.spec = task.spec()
        self.metric = "loss" if task.checks_by_loss else config.metric or self.spec.metrics[0]
        self.lengths = task.lengths(rows)
        self.per_epoch = math.ceil(len(self.lengths) / config.batch_size)
        self.total = max(1, round(config.epochs * self.per_epoch))
        self.eval_every = config.eval_every or self.per_epoch
        self.micro = min(config.micro or config.batch_size, config.batch_size)
        self.step = 0
        self.evaluated = -1
        """The step after which the validation rows were scored last."""
        self.best: Best | None = None
        self.over = False
        """Whether the training had ended before this process, which is to score what it came to."""
        self.loss = math.nan
        """The mean of the last steps before this process."""
        self.undefined = False
        """Whether it was said that the metric can't be computed."""
        self.epoch_batches: tuple[int, list[list[int]]] = (-1, [])
        self.precision = Precision(model, device, config.precision, self._probe)
        self.optimizer = Optimizer(
            model,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup=config.warmup,
            clip=config.clip,
            total=self.total,
            masters=self.precision.halves.masters if self.precision.halves else None,
        )
        self.keeper = Keeper(model, method, self.optimizer, self.precision, checkpoints, emit)

    def run(self) -> TrainResult:
        """Train from where the checkpoints left off, to the end or until told to stop."""
        torch.manual_seed(self.config.seed)
        reason = self._resume()
        if self.ranks is not None:
            self._join(self.ranks)
        self.report = self._reporter()
        self.report.mean_loss = self.loss
        self.report.progress("training", self.step, force=True)
        self.model.train()
        while self.step < self.total and reason == "finished":
            self._train_step()
            due = self.step % self.eval_every == 0 and self.step < self.total
            # Asked once a step, after what takes longest in it: whoever ends it waits for one evaluation, not for two.
            reason = "patience" if due and self._evaluate(going_on=True) else self._end_reason()
            if due and reason == "finished":
                self.report.progress("training", self.step, force=True)
            if self.ranks is not None:
                reason = self.ranks.agree(reason)
            if reason == "finished":
                if self.step < self.total and self.keeper.due(self.config.checkpoint_every_s):
                    self._checkpoint()
                self._make_way()
        if reason in ("stopped", "budget"):
            self._checkpoint()
        return self._result(reason)

    def _join(self, ranks: Ranks) -> None:
        """Random numbers are each process's own; checkpoints are the first one's to write."""
        ranks.part_ways(self.config.seed, self.step)
        if not ranks.first:
            self.keeper.checkpoints = None

    def _probe(self) -> None:
        """Compute the loss of two rows, to learn whether the model can."""
        self.task.loss(self.model, self._collated(self._batch(0)[:2]))

    def _collated(self, index: list[int]) -> dict[str, Any]:
        rows = take(self.rows, index)
        if self.config.packing:
            return to_device(self.task.pack(self.processor, rows, self.config.max_length), self.device)
        return to_device(self.task.collate(self.processor, rows), self.device)

    def _train_step(self) -> None:
        began = time.perf_counter()
        index = self._batch(self.step)
        loss = self._gradients(index)
        if self.ranks is not None:
            loss = self.ranks.add(self.trained, loss)
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
            lengths = [1] * len(self.lengths) if self.config.packing else self.lengths
            batches = train_batches(lengths, self.config.batch_size, self.config.seed, epoch)
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
        mine = index if self.ranks is None else self.ranks.share(index)
        for start in range(0, len(mine), self.micro):
            part = mine[start : start + self.micro]
            batch = self._collated(part)
            with self.precision.context():
                loss = self.task.loss(self.model, batch)
            if len(part) < len(index):
                loss = loss * (self.task.weight(take(self.rows, part)) / self.task.weight(take(self.rows, index)))
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        return torch.zeros((), device=self.device) if total is None else total

    def _shrink(self, index: list[int]) -> None:
        self.model.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.micro <= 1 or len(index) <= 1:
            longest = max(self.lengths[i] for i in index)
            raise UnsupportedError("train.out_of_memory", tokens=longest)
        self.micro = max(1, min(self.micro, len(index)) // 2)
        self.emit(Warned.of("train.smaller_batch", micro=self.micro, batch=self.config.batch_size))

    def _make_way(self) -> None:
        """Leave cores to other programs; said once: it is slower, and its last bits are not those of a quiet run."""
        if self.threads.look() and not self.made_way:
            self.made_way = True
            self.emit(Warned.of("train.busy_machine", threads=self.threads.count, most=self.threads.most))

    def _end_reason(self) -> str:
        if self.step >= self.total or (self.ranks is not None and not self.ranks.first):
            return "finished"
        if self.stop():
            return "stopped"
        limit = self.config.max_seconds
        return "budget" if limit is not None and time.perf_counter() - self.began >= limit else "finished"

    def _evaluate(self, *, going_on: bool) -> bool:
        """Score the validation rows, keep weights that are better; True where patience is at its end."""
        if self.checks is None:
            return False
        self.report.progress("evaluating", self.step, force=True)
        began = time.perf_counter()
        outputs, metrics = self._checked(self.checks)
        self.evaluated = self.step
        self.report.evaluated(self.step, metrics, time.perf_counter() - began)
        if self.best is None or self._beats(metrics, self.best.metrics):
            self.best = Best(self.step, metrics, outputs)
            if going_on:
                self.keeper.save_best(self.step, metrics)
            return False
        self.best.waited += 1
        return going_on and 0 < self.config.patience <= self.best.waited

    def _checked(self, checks: Rows) -> tuple[Any, dict[str, float]]:
        """``(outputs, metrics)``; no outputs where the task only measures a loss in mid-training."""
        by_loss = self.task.checks_by_loss
        outputs = outputs_of(
            self.model,
            self.task,
            self.processor,
            checks,
            device=self.device,
            context=self.precision.context,
            check=by_loss,
            tokens=self.config.eval_tokens,
        )
        if by_loss:
            return None, self.task.check_score(outputs)
        return outputs, self.spec.score(self.truth, outputs, self.task.labels)

    def _beats(self, new: dict[str, float], old: dict[str, float]) -> bool:
        """In the metric, any number more than none; of equals, the one with the lower loss."""
        value, before = (found.get(self.metric, math.nan) for found in (new, old))
        if math.isnan(value) and not self.undefined:
            self.undefined = True
            self.emit(Warned.of("train.metric_undefined", metric=self.metric))
        if value == before or (math.isnan(value) and math.isnan(before)):
            return new.get("loss", 0.0) < old.get("loss", 0.0)
        return math.isnan(before) or self.spec.better(self.metric, value, before)

    def _checkpoint(self, ended: str | None = None) -> None:
        best = {"step": self.best.step, "metrics": self.best.metrics, "waited": self.best.waited} if self.best else None
        seconds = time.perf_counter() - self.began
        meta = {"micro": self.micro, "best": best, "ended": ended, "loss": self.report.mean_loss, "seconds": seconds}
        self.keeper.save(self.step, {**self._identity(), **meta}, goes_on=ended is None)

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in to be gone on from."""
        return {"total": self.total, "rows": len(self.lengths)}

    def _resume(self) -> str:
        """Go on from the newest checkpoint; gives why training has ended, ``finished`` where it goes on."""
        found = self.keeper.resume(self._identity())
        if found is None:
            return "finished"
        # Memory may be shorter than it was: what ended the run may have been that.
        self.step, self.micro = found.step, min(found.meta["micro"], self.micro)
        best, ended = found.meta["best"], found.meta.get("ended")
        self.best = Best(best["step"], best["metrics"], waited=best["waited"]) if best else None
        self.loss = found.meta.get("loss", math.nan)
        # A budget is the run's, however often it goes on.
        self.began -= found.meta.get("seconds", 0.0)
        if ended:
            # It was scored before it was saved.
            self.over, self.evaluated = True, self.step
        return ended or "finished"

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
            eval_tokens=sum(self.task.lengths(self.checks)) if self.checks else 0,
        )

    def _result(self, reason: str) -> TrainResult:
        if self.evaluated != self.step:
            self._evaluate(going_on=False)
        ends = reason in ("finished", "patience") and not self.over
        if ends and self.keeper.affordable(self.config.checkpoint_every_s):
            self._checkpoint(reason)
        if self.best is not None and self.best.step != self.step:
            self._load_best(self.best)
        elif self.best is not None and self.over and self.checks is not None:
            self.best.outputs = self._checked(self.checks)[0]
        return TrainResult(
            steps=self.step,
            epochs=self.step / self.per_epoch,
            best_step=self.best.step if self.best else None,
            metrics=dict(self.best.metrics) if self.best else {"loss": self.report.mean_loss},
            stopped=reason == "stopped",
            reason=reason,
            rows_per_s=self.report.rows_per_s,
            seconds=time.perf_counter() - self.began,
            eval_outputs=self.best.outputs if self.best else None,
            micro_batch=self.micro,
            precision=self.precision.name,
            device=str(self.device),
            first_step_s=self.report.first_step_s,
        )

    def _load_best(self, best: Best) -> None:
        """The best weights; where the disk lost them, those of the last step with their own figures."""
        kept = self.keeper.load_best(best.step)
        if kept is None:
            self.best = None
            self._evaluate(going_on=False)
        elif best.outputs is None or kept.step != best.step:
            assert self.checks is not None
            self.best = Best(kept.step, dict(kept.meta["metrics"]), self._checked(self.checks)[0])
