"""What every task must keep: inherit :class:`TaskSuite`, give a name and the fixtures, and run it with pytest."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.errors import DataError
from modelnook.tasks import TASKS

__all__ = ["TaskSuite"]

HEAVY = ("torch", "transformers", "pandas", "sklearn")


class TaskSuite:
    """Set ``name``; give fixtures ``rows`` (role -> values, two dozen rows or more) and ``folder`` (a model's).

    ::

        class TestMine(TaskSuite):
            name = "text-classification"

            @pytest.fixture
            def rows(self):
                return tiny_rows(32)

            @pytest.fixture
            def folder(self, tmp_path):
                return tiny_model(tmp_path / "base")
    """

    name: str
    methods: tuple[str, ...] = ()
    """The methods that this architecture takes, where those aren't all of the task's."""

    @pytest.fixture
    def spec(self) -> Any:
        """The light half."""
        return TASKS.load(self.name, light=True)()

    @pytest.fixture
    def loaded(self, spec: Any, rows: dict[str, list[Any]], folder: Path) -> tuple[Any, Any, Any]:
        """``(task, model, tokenizer)``."""
        task = TASKS.load(self.name)(spec.labels(rows))
        task.learnt = spec.learn(rows)
        return (task, *task.load(str(folder)))

    @pytest.fixture
    def asked(self, spec: Any, rows: dict[str, list[Any]]) -> list[Any]:
        """What ``predict`` is given; the rows themselves, unless a task is asked with something else."""
        return spec.as_rows(rows)  # type: ignore[no-any-return]

    def test_is_named_as_its_row(self, spec: Any) -> None:
        assert spec.name == self.name
        assert TASKS.load(self.name).spec is type(spec)

    def test_light_half_imports_nothing_heavy(self) -> None:
        code = (
            "import sys; from modelnook.tasks import TASKS; "
            f"TASKS.load({self.name!r}, light=True)(); print([m for m in {HEAVY!r} if m in sys.modules])"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "[]"

    def test_good_rows_pass(self, spec: Any, rows: dict[str, list[Any]]) -> None:
        assert any(set(form) <= set(rows) for form in spec.shapes())
        for warning in spec.check(rows):
            assert warning.message

    def test_three_rows_are_too_few(self, spec: Any, rows: dict[str, list[Any]]) -> None:
        with pytest.raises(DataError) as caught:
            spec.check({role: values[:3] for role, values in rows.items()})
        assert caught.value.hint

    def test_encodes_within_the_length(self, loaded: Any, rows: dict[str, list[Any]]) -> None:
        task, _, tokenizer = loaded
        encoded = task.encode(tokenizer, rows, 8)
        assert all(0 < len(ids) <= 8 for ids in encoded.get("input_ids", ()))
        assert all(length > 0 for length in task.lengths(encoded))
        assert {len(values) for values in encoded.values()} == {len(task.lengths(encoded))}

    def test_encodes_without_the_target(self, loaded: Any, rows: dict[str, list[Any]]) -> None:
        task, _, tokenizer = loaded
        inputs = {role: values for role, values in rows.items() if role not in task.spec.targets}
        assert "labels" not in task.encode(tokenizer, inputs, 16)

    def test_loss_is_a_finite_number_with_gradients(self, loaded: Any, rows: dict[str, list[Any]]) -> None:
        task, model, tokenizer = loaded
        loss = task.loss(model, task.collate(tokenizer, task.encode(tokenizer, rows, 16)))
        assert loss.ndim == 0
        assert math.isfinite(loss.item())
        loss.backward()
        assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())

    def test_padding_changes_nothing(self, loaded: Any, rows: dict[str, list[Any]]) -> None:
        import torch

        task, model, tokenizer = loaded
        encoded = task.encode(tokenizer, {r: v for r, v in rows.items() if r not in task.spec.targets}, 32)
        model.eval()
        with torch.inference_mode():
            together = task.outputs(model, task.collate(tokenizer, encoded))
            for i in range(4):
                alone = task.outputs(model, task.collate(tokenizer, {k: v[i : i + 1] for k, v in encoded.items()}))
                torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-3, atol=1e-4)

    def test_scores_and_predictions_have_the_promised_names(
        self, loaded: Any, rows: dict[str, list[Any]], asked: list[Any]
    ) -> None:
        import torch

        task, model, tokenizer = loaded
        encoded = task.encode(tokenizer, rows, 16)
        model.eval()
        with torch.inference_mode():
            outputs = task.outputs(model, task.collate(tokenizer, encoded))
        outputs = task.merge(encoded, outputs.numpy() if isinstance(outputs, torch.Tensor) else outputs)
        spec = task.spec()
        scores = spec.score(spec.truth(rows, task.labels), outputs, task.labels)
        assert spec.metrics_for(rows)[0] in scores
        assert set(scores) <= set(spec.metrics)
        assert all(isinstance(value, float) for value in scores.values())
        predicted = task.answer(model, tokenizer, asked, max_new_tokens=4) or spec.answers(outputs, task.labels, asked)
        assert len(predicted) == len(asked)
        assert set(predicted[0]) == set(spec.predicts)

    @pytest.mark.slow
    def test_trains_with_every_method_that_it_names(
        self, spec: Any, rows: dict[str, list[Any]], folder: Path, tmp_path: Path
    ) -> None:
        import torch

        from modelnook.domain.recipe import Recipe
        from modelnook.finetune import METHODS, alone
        from modelnook.finetune.engine import fit
        from modelnook.measure.outputs import finite
        from modelnook.runtime import runtime

        columns: Any = rows
        for method in self.methods or spec.methods:
            if METHODS[method].gpu and not torch.cuda.is_available():
                continue
            knobs = {"epochs": 1, "learning_rate": 1e-3, "checkpoint_every_s": 0}
            recipe = Recipe("finetune", str(folder), task=self.name, method=method, knobs=knobs, threads=1)
            out, checkpoints = tmp_path / method, tmp_path / f"{method}-checkpoints"
            done = fit(recipe, folder, columns, columns, out, checkpoints, lambda event: None)
            assert done.params["method"] == method
            assert finite(done.outputs)
            if alone(method):
                assert runtime(out).labels == done.labels
                continue
            again = TASKS.load(self.name)()
            again.load(str(out))
            assert again.labels == done.labels
