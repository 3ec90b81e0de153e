"""The loop on a small model: it learns, stops, goes on to the same weights, shrinks its batches, keeps the best."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
import torch

from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.domain.event import Event, MetricLogged, Progress, Warned
from modelnook.finetune.full import Full
from modelnook.settings import Settings
from modelnook.tasks.text_classification_heavy import TextClassificationTask
from modelnook.testing.models import tiny_rows
from modelnook.training.base import TrainConfig, TrainResult
from modelnook.training.checkpoint import Checkpoints
from modelnook.training.loop import train
from modelnook.training.threads import Threads, others_cores

CONFIG = TrainConfig(epochs=3, batch_size=8, learning_rate=3e-3, threads=1, checkpoint_every_s=0, precision="fp32")


class Setup:
    """A fresh model and encoded rows, the same each time."""

    def __init__(self, folder: Path, rows: int = 72) -> None:
        torch.manual_seed(1)
        self.task = TextClassificationTask(("ham", "spam"))
        self.model, self.tokenizer = self.task.load(str(folder))
        self.rows = self.task.encode(self.tokenizer, tiny_rows(rows), 16)
        self.checks = self.task.encode(self.tokenizer, tiny_rows(40, seed=9), 16)
        self.method = Full()
        self.method.prepare(self.model, self.task)
        self.events: list[Event] = []

    def train(
        self,
        config: TrainConfig = CONFIG,
        stop: Callable[[], bool] = lambda: False,
        checkpoints: Path | None = None,
        checks: bool = True,
    ) -> TrainResult:
        kept = Checkpoints(checkpoints, emit=self.events.append) if checkpoints else None
        return train(
            self.model,
            self.task,
            self.tokenizer,
            self.rows,
            self.checks if checks else None,
            config,
            self.method,
            self.events.append,
            stop,
            kept,
        )

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def logged(self, name: str) -> dict[int, float]:
        found = [e for e in self.events if isinstance(e, MetricLogged) and name in e.values]
        return {e.step: e.values[name] for e in found}

    def warned(self) -> list[str]:
        return [e.code for e in self.events if isinstance(e, Warned)]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def after(steps: int) -> Callable[[], bool]:
    """A stop that says yes after so many steps."""
    asked = iter(range(10_000))
    return lambda: next(asked) >= steps - 1


def test_learns_and_says_how(setup: Setup) -> None:
    result = setup.train(replace(CONFIG, epochs=8))
    assert result.reason == "finished"
    assert result.steps == 8 * 9
    assert result.metrics["accuracy"] > 0.9
    losses = setup.logged("loss")
    assert list(losses) == list(range(1, 73))
    assert losses[72] < 0.5 * losses[1]
    assert set(setup.logged("eval_accuracy")) == set(range(9, 73, 9))
    assert result.eval_outputs.shape == (40, 2)
    progress = [e for e in setup.events if isinstance(e, Progress)]
    assert progress[0].step == 0
    assert progress[-1].eta_s == pytest.approx(0.0, abs=0.5)
    assert result.rows_per_s > 0


def test_the_outputs_are_the_kept_models(setup: Setup) -> None:
    from modelnook.training.evaluation import outputs_of

    result = setup.train(replace(CONFIG, learning_rate=2e-2, epochs=4))
    setup.model.to("cpu")
    now = outputs_of(setup.model, setup.task, setup.tokenizer, setup.checks, device=torch.device("cpu"))
    np.testing.assert_allclose(now, result.eval_outputs, rtol=1e-4, atol=1e-5)


def test_the_best_weights_are_kept(setup: Setup, tmp_path: Path) -> None:
    result = setup.train(replace(CONFIG, learning_rate=3e-2, epochs=5, eval_every=2), checkpoints=tmp_path)
    scores = setup.logged("eval_accuracy")
    assert result.metrics["accuracy"] == max(scores.values())
    assert scores[result.best_step or 0] == result.metrics["accuracy"]


def test_no_better_for_a_while_ends_it(setup: Setup) -> None:
    result = setup.train(replace(CONFIG, learning_rate=1e-9, epochs=30, patience=2, metric="accuracy"))
    assert result.reason == "patience"
    assert result.steps < 30 * 9


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("at", [1, 9, 14])
def test_a_stopped_run_goes_on_to_the_same_weights(folder: Path, tmp_path: Path, at: int, precision: str) -> None:
    config = replace(CONFIG, eval_every=5, precision=precision)
    whole = Setup(folder)
    expected = whole.train(config, checkpoints=tmp_path / "a")
    first = Setup(folder)
    stopped = first.train(config, after(at), checkpoints=tmp_path / "b")
    assert stopped.stopped
    assert stopped.steps == at
    assert stopped.metrics["accuracy"] >= 0
    second = Setup(folder)
    torch.manual_seed(99)
    result = second.train(config, checkpoints=tmp_path / "b")
    assert same(whole.weights(), second.weights())
    assert result.metrics == expected.metrics
    assert result.best_step == expected.best_step
    np.testing.assert_array_equal(result.eval_outputs, expected.eval_outputs)


def test_a_killed_run_goes_on_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill() -> bool:
        if len(setup.logged("loss")) == 16:
            raise Killed
        return False

    config = replace(CONFIG, checkpoint_every_s=1e-9)
    whole = Setup(folder)
    whole.train(config)
    setup = Setup(folder)
    with pytest.raises(Killed):
        setup.train(config, kill, checkpoints=tmp_path)
    again = Setup(folder)
    again.train(config, checkpoints=tmp_path)
    assert 0 < min(again.logged("loss")) <= 16
    assert same(whole.weights(), again.weights())


def test_a_damaged_checkpoint_is_passed_over_and_that_is_said(folder: Path, tmp_path: Path) -> None:
    whole = Setup(folder)
    whole.train()
    first = Setup(folder)
    first.train(CONFIG, after(8), checkpoints=tmp_path)
    second = Setup(folder)
    second.train(CONFIG, after(8), checkpoints=tmp_path)
    steps = sorted(tmp_path.glob("step-*"))
    assert [s.name for s in steps] == ["step-00000008", "step-00000016"]
    file = steps[1] / "state.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    third = Setup(folder)
    third.train(checkpoints=tmp_path)
    assert third.warned() == ["train.checkpoint_damaged"]
    assert min(third.logged("loss")) == 9
    assert same(whole.weights(), third.weights())


def test_where_all_checkpoints_are_damaged_it_begins_anew_and_keeps_its_own(folder: Path, tmp_path: Path) -> None:
    whole = Setup(folder)
    whole.train()
    for _ in range(2):
        Setup(folder).train(CONFIG, after(8), checkpoints=tmp_path)
    for step in tmp_path.glob("step-*"):
        (step / "meta.json").write_text("{}")
    again = Setup(folder)
    again.train(CONFIG, after(4), checkpoints=tmp_path)
    assert again.warned() == ["train.checkpoint_damaged", "train.checkpoints_lost"]
    assert min(again.logged("loss")) == 1
    assert [step.name for step in tmp_path.glob("step-*")] == ["step-00000004"], "a later damaged one is not the newer"
    last = Setup(folder)
    last.train(checkpoints=tmp_path)
    assert min(last.logged("loss")) == 5
    assert same(whole.weights(), last.weights())


def test_checkpoints_of_other_rows_are_passed_over(folder: Path, tmp_path: Path) -> None:
    Setup(folder).train(CONFIG, after(3), checkpoints=tmp_path)
    other = Setup(folder, rows=64)
    assert other.train(checkpoints=tmp_path).steps == 24
    assert other.warned() == ["train.checkpoint_other"]


def test_a_disk_that_is_full_costs_the_checkpoint_and_not_the_run(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    result = setup.train(replace(CONFIG, checkpoint_every_s=1e-9), checkpoints=tmp_path / "file" / "below")
    assert result.reason == "finished"
    assert "train.checkpoint_failed" in setup.warned()


def test_memory_that_runs_out_makes_smaller_parts_of_the_same_batch(folder: Path) -> None:
    config = replace(CONFIG, epochs=1)
    whole = Setup(folder)
    whole.model.config.hidden_dropout_prob = 0.0
    for module in whole.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    expected = whole.train(config)
    small = Setup(folder)
    for module in small.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    forward = small.model.forward

    def short_of_memory(input_ids: torch.Tensor, **more: Any) -> Any:
        if small.model.training and len(input_ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(input_ids=input_ids, **more)

    small.model.forward = short_of_memory
    result = small.train(config)
    assert result.micro_batch == 2
    assert small.warned() == ["train.smaller_batch"] * 2
    assert result.metrics["loss"] == pytest.approx(expected.metrics["loss"], rel=1e-2)
    one, other = whole.weights(), small.weights()
    assert all(torch.allclose(one[name], other[name], atol=2e-3) for name in one)
    assert Setup(folder).train(replace(config, micro=2)).micro_batch == 2, "where it is known before"


def test_rows_that_validate_go_through_as_many_at_a_time_as_memory_holds(folder: Path) -> None:
    config = replace(CONFIG, epochs=1)
    expected = Setup(folder).train(config)
    small, seen = Setup(folder), list[int]()
    forward = small.model.forward

    def noted(input_ids: torch.Tensor, **more: Any) -> Any:
        if not small.model.training:
            seen.append(input_ids.numel())
        return forward(input_ids=input_ids, **more)

    small.model.forward = noted
    result = small.train(replace(config, eval_tokens=40))
    assert max(seen) <= 40
    assert result.metrics["loss"] == pytest.approx(expected.metrics["loss"], rel=1e-4)
    np.testing.assert_allclose(result.eval_outputs, expected.eval_outputs, rtol=1e-3, atol=1e-4)


def test_a_batch_that_had_to_shrink_stays_small_after_a_resume(folder: Path, tmp_path: Path) -> None:
    def short(setup: Setup, most: int) -> None:
        forward = setup.model.forward

        def limited(input_ids: torch.Tensor, **more: Any) -> Any:
            if setup.model.training and len(input_ids) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(input_ids=input_ids, **more)

        setup.model.forward = limited

    whole, first, second = Setup(folder), Setup(folder), Setup(folder)
    for setup in (whole, first, second):
        short(setup, 2)
    expected = whole.train(checkpoints=tmp_path / "a")
    assert first.train(stop=after(4), checkpoints=tmp_path / "b").micro_batch == 2
    result = second.train(checkpoints=tmp_path / "b")
    assert (result.micro_batch, expected.micro_batch) == (2, 2)
    assert second.warned() == [], "it is not tried with the whole batch again"
    assert same(whole.weights(), second.weights())


def test_not_even_one_row_fits(setup: Setup) -> None:
    def never(**_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    setup.model.forward = never
    with pytest.raises(UnsupportedError) as caught:
        setup.train()
    assert caught.value.code == "train.out_of_memory"


def test_a_loss_that_is_no_number_stops_it(setup: Setup) -> None:
    with torch.no_grad():
        setup.model.classifier.weight.fill_(float("nan"))
    with pytest.raises(UsageError) as caught:
        setup.train()
    assert caught.value.code == "train.diverged"


def test_a_budget_of_time_ends_it_with_a_model(setup: Setup) -> None:
    result = setup.train(replace(CONFIG, max_seconds=0.0))
    assert (result.steps, result.reason, result.stopped) == (1, "budget", False)
    assert "accuracy" in result.metrics


def test_without_validation_rows_the_last_weights_and_the_loss(setup: Setup) -> None:
    result = setup.train(checks=False)
    assert list(result.metrics) == ["loss"]
    assert result.best_step is None
    assert result.eval_outputs is None


def test_a_curve_is_bounded(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelnook.training.report.POINTS", 5)
    setup.train()
    assert list(setup.logged("loss")) == [1, 6, 12, 18, 24, 27]


def test_threads_make_way_for_other_programs_unless_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr("modelnook.training.threads.LOOK_S", 0.0)
    monkeypatch.setattr(Settings, "threads", 4)
    monkeypatch.delenv("MODELNOOK_THREADS", raising=False)
    busy = iter([0.1, 1.1, 2.6, 0.0, 0.0, 0.0, 0.0])
    try:
        threads = Threads(None, lambda: next(busy))
        assert [threads.look() and threads.count for _ in range(7)] == [False, 3, 1, False, False, 4, False]
        # What is over after a second costs no thread; what stays does.
        passing = iter([0.5, 0.1, 0.5, 0.5])
        threads = Threads(None, lambda: next(passing))
        assert [threads.look() and threads.count for _ in range(4)] == [False, False, False, 3]
        monkeypatch.setenv("MODELNOOK_THREADS", "2")
        fixed = Threads(2, lambda: 5.0)
        assert not fixed.look()
        assert fixed.count == 2
    finally:
        torch.set_num_threads(before)


def test_cores_that_give_way_are_not_taken_for_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Times(NamedTuple):
        user: float
        nice: float
        idle: float

    now, told = [100.0], [Times(0.0, 0.0, 0.0)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: told)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(os, "times", lambda: SimpleNamespace(user=0.0, system=0.0))
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: [0])
    # Where the system shares among sessions, what they use beyond what is left over is not given way.
    for niceness, among, seen in ((0, False, 0.2), (0, True, 0.4), (10, False, 0.9), (10, True, 0.9)):
        monkeypatch.setattr(psutil.Process, "nice", lambda self, niceness=niceness: niceness)
        monkeypatch.setattr("modelnook.training.threads._among_sessions", lambda among=among: among)
        now[0], told[0] = now[0] + 1, Times(0.0, 0.0, 0.0)
        others = others_cores()
        now[0], told[0] = now[0] + 2, Times(0.4, 1.4, 0.2)
        assert others() == pytest.approx(seen)
