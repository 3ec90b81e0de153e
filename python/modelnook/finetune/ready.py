"""Before a training: the model loaded, the rows encoded, what is trained marked, the loop's settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError, UsageError, unknown
from modelnook.domain.recipe import Recipe
from modelnook.finetune import METHODS
from modelnook.finetune.base import Method
from modelnook.finetune.loaded import loaded
from modelnook.finetune.plan import KNOBS, Plan
from modelnook.finetune.shared import Shared
from modelnook.settings import current
from modelnook.tasks import TASKS
from modelnook.training.base import Place, TrainConfig

__all__ = ["Columns", "Ready", "joined", "make_ready"]

Columns = dict[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Ready:
    """What is loaded and prepared before training."""

    planned: Plan
    config: TrainConfig
    spec: Any
    task: Any
    model: Any
    processor: Any
    method: Any
    train: dict[str, list[Any]]
    evaluation: dict[str, list[Any]] | None
    truth: Any

    @property
    def device(self) -> Any:
        """Where it is trained, a ``torch.device``."""
        from modelnook.training.device import pick_device

        return pick_device(self.config.device)


def make_ready(
    recipe: Recipe,
    model_path: Path,
    train: Columns,
    evaluation: Columns | None,
    planned: Plan,
    place: Place | None,
    shared: Shared,
    method: Method | None = None,
    labels: Sequence[str] | None = None,
) -> Ready:
    """Load the model, encode the rows, mark what is trained.

    Args:
        method, labels: those of :func:`~modelnook.finetune.engine.fit`.
    """
    from modelnook.training.device import pick_device

    spec = TASKS.load(recipe.task or "", light=True)()
    told = train
    if labels is None:
        told = train if evaluation is None or recipe.eval_data is not None else joined(train, evaluation)
        labels = spec.labels(told)
    config = _config(recipe, planned, spec.metrics_for(told))
    kind = pick_device(config.device).type
    if METHODS[planned.method].gpu and kind != "cuda":
        raise UnsupportedError("train.needs_gpu", method=planned.method)
    if place is not None:
        threads = max(1, (config.threads or current().threads) // place.count)
        config = replace(config, device=f"cuda:{place.rank}" if kind == "cuda" else kind, threads=threads)
    task = TASKS.load(recipe.task or "")(labels)
    task.learnt = spec.learn(train)
    method = method or _method(recipe, planned.method)
    of = (model_path, planned.max_length)
    method.once = partial(_once, shared, of)
    method.tokens = planned.checks
    _seed(recipe.seed)
    task, model, processor = loaded(shared, task, model_path, (recipe.seed, tuple(labels)))
    if planned.packing and not task.can_pack(model):
        raise UnsupportedError("task.no_packing", architecture=type(model).__name__)
    rows: dict[str, Any] = {
        part: shared.once((part, *of), partial(task.encode, processor, columns, planned.max_length))
        for part, columns in (("train", train), ("evaluation", evaluation))
        if columns is not None
    }
    task.taught(model, rows["train"])
    model = method.prepare(model, task)
    truth = spec.truth(evaluation, task.labels) if evaluation is not None else None
    return Ready(planned, config, spec, task, model, processor, method, rows["train"], rows.get("evaluation"), truth)


def joined(train: Columns, evaluation: Columns) -> Columns:
    """Rows of one table that were split: a label that is only in the validation rows is a label of the table."""
    return {role: [*values, *evaluation[role]] for role, values in train.items()}


def _config(recipe: Recipe, planned: Plan, metrics: Sequence[str]) -> TrainConfig:
    """The loop's settings: what was planned, and the recipe's other knobs by the same names."""
    own = {name: value for name, value in recipe.knobs.items() if name in TrainConfig.__dataclass_fields__}
    for name in KNOBS:
        own.pop(name, None)
    metric = recipe.knobs.get("metric")
    if metric is not None and metric not in metrics:
        raise unknown("metric", str(metric), metrics)
    values = {
        **planned.knobs(),
        "micro": planned.micro,
        "eval_tokens": planned.checks,
        **{k: v for k, v in own.items() if v is not None},
    }
    values["metric"] = metric or metrics[0]
    values |= {"seed": recipe.seed, "device": recipe.device, "threads": recipe.threads}
    return TrainConfig(**values)


def _method(recipe: Recipe, name: str) -> Any:
    kind: Any = METHODS.load(name)
    return kind(**{k: recipe.knobs[k] for k in kind.options if recipe.knobs.get(k) is not None})


def _once(shared: Shared, of: tuple[Any, ...], key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """What a method computes of rows and base model alone."""
    return shared.once((*of, *key), make)


def _seed(seed: int) -> None:
    import torch

    if not 0 <= seed < 2**63:
        raise UsageError("train.bad_number", name="seed", value=seed)
    torch.manual_seed(seed)
