"""What every fine-tuning method must keep: inherit :class:`MethodSuite`, give a name, and run it with pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.event import Event, MetricLogged
from modelnook.finetune import METHODS
from modelnook.tasks import TASKS
from modelnook.testing.models import tiny_model, tiny_rows
from modelnook.training.base import TrainConfig

__all__ = ["MethodSuite"]


class MethodSuite:
    """Set ``name``; override ``task``, ``rows`` and ``folder`` where text classification doesn't fit."""

    name: str
    task = "text-classification"
    epochs = 6.0
    learning_rate = 3e-3
    """High: the model is small and random."""

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        """Role -> values, learnable."""
        return tiny_rows(96)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A small model."""
        return tiny_model(tmp_path / "base")

    @pytest.fixture
    def method(self) -> Any:
        """The method with its own defaults."""
        return METHODS.load(self.name)()

    def ready(self, method: Any, folder: Path, rows: dict[str, list[Any]]) -> tuple[Any, Any, Any]:
        """``(task, prepared model, tokenizer)``, the same for each call."""
        import torch

        torch.manual_seed(0)
        task = TASKS.load(self.task)(TASKS.load(self.task, light=True)().labels(rows))
        model, tokenizer = task.load(str(folder))
        return task, method.prepare(model, task), tokenizer

    def fit(self, method: Any, ready: tuple[Any, Any, Any], rows: dict[str, list[Any]], **more: Any) -> list[Event]:
        """Train; gives the events."""
        import torch

        from modelnook.training.loop import train

        task, model, tokenizer = ready
        encoded = task.encode(tokenizer, rows, 16)
        events: list[Event] = []
        framed = method.frame(model, task, tokenizer, encoded, encoded, torch.device("cpu"), events.append)
        options: dict[str, Any] = {"epochs": self.epochs, "batch_size": 8, "threads": 1, "checkpoint_every_s": 0}
        options |= {"learning_rate": self.learning_rate, **more}
        config = TrainConfig(**options)
        train(model, framed.task, tokenizer, framed.train, framed.evaluation, config, method, events.append)
        return events

    def state(self, method: Any, model: Any) -> dict[str, Any]:
        """A copy of what is trained, on the CPU wherever the model is."""
        return {name: value.detach().cpu().clone() for name, value in method.trainable_state(model).items()}

    def test_is_named_as_its_row(self, method: Any) -> None:
        assert method.name == self.name

    def test_something_is_trained_and_kept(self, method: Any, folder: Path, rows: dict[str, list[Any]]) -> None:
        _, model, _ = self.ready(method, folder, rows)
        trained = {name for name, p in model.named_parameters() if p.requires_grad}
        assert trained
        assert set(method.trainable_state(model)) == trained

    def test_learns(self, method: Any, folder: Path, rows: dict[str, list[Any]]) -> None:
        events = self.fit(method, self.ready(method, folder, rows), rows)
        losses = [e.values["eval_loss"] for e in events if isinstance(e, MetricLogged) and "eval_loss" in e.values]
        assert losses[-1] < 0.8 * losses[0], losses

    def test_a_state_put_back_gives_the_same_model(self, method: Any, folder: Path, rows: dict[str, list[Any]]) -> None:
        import torch

        ready = self.ready(method, folder, rows)
        before = self.state(method, ready[1])
        self.fit(method, ready, rows, epochs=1.0)
        after = self.state(method, ready[1])
        assert any(not torch.equal(after[name], before[name]) for name in before)
        method.load_trainable(ready[1], before)
        assert all(torch.equal(value, before[name]) for name, value in self.state(method, ready[1]).items())

    def test_the_saved_folder_stands_alone(
        self, method: Any, folder: Path, rows: dict[str, list[Any]], tmp_path: Path
    ) -> None:
        import torch

        task, model, tokenizer = ready = self.ready(method, folder, rows)
        self.fit(method, ready, rows, epochs=1.0)
        batch = task.collate(tokenizer, task.encode(tokenizer, rows, 16))
        out = tmp_path / "out"
        method.save(model, tokenizer, out)
        model.to("cpu").eval()
        with torch.inference_mode():
            expected = task.outputs(model, batch)
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {f.name for f in out.iterdir()}
        assert str(folder) not in (out / "config.json").read_text() + (out / "tokenizer_config.json").read_text()
        again = TASKS.load(self.task)()
        loaded, _ = again.load(str(out))
        assert again.labels == task.labels
        loaded.eval()
        with torch.inference_mode():
            torch.testing.assert_close(task.outputs(loaded, batch), expected, rtol=1e-3, atol=1e-4)
