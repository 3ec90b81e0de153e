"""Methods that leave most of the body as it is, and so compute what it gives for each row only once.

The layers that aren't trained give the same for a row in every epoch. Their output is computed before training, without
dropout, and kept; in training a stand-in for the first of them gives it back and the others are passed through.

``head`` trains what follows the last layer (pooler and classifier), on one vector a row where the head reads only the
first token. ``last-k`` trains the last layers as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress, Warned
from modelnook.domain.knobs import own_knobs
from modelnook.finetune.averaged import averaged
from modelnook.finetune.base import Framed, Method
from modelnook.finetune.full import save_pretrained
from modelnook.measure.memory import free
from modelnook.tasks.base import Task, in_order
from modelnook.training.batches import eval_batches
from modelnook.training.device import native_bf16
from modelnook.training.evaluation import TOKENS, take, to_device
from modelnook.training.stack import layer_stack

__all__ = ["Head", "LastK"]

Rows = dict[str, list[Any]]

MOST_MEMORY = 0.4
"""Share of the free memory that the kept outputs may take; above it the frozen layers run in every step."""

SAMPLE = 8


class Recall(nn.Module):
    """Stands in for a frozen layer: the first gives back what is held, the rest pass it on."""

    def __init__(self, layer: nn.Module, held: list[torch.Tensor] | None, as_tuple: bool) -> None:
        super().__init__()
        # In a list, so that its weights aren't the model's while it stands aside.
        self.layer, self.held, self.as_tuple = [layer], held, as_tuple

    def __getattr__(self, name: str) -> Any:
        """What the model asks its layers for, e.g. their kind of attention."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["layer"][0], name)

    def forward(self, hidden: torch.Tensor, *args: Any, **more: Any) -> Any:
        """The signature of the layer."""
        found = hidden if self.held is None else self.held[0].to(hidden.dtype)
        return (found,) if self.as_tuple else found


class Recalled:
    """A task whose rows have ``hidden``, the frozen layers' output (tokens, width), beside what they had."""

    def __init__(self, task: Task, held: list[torch.Tensor]) -> None:
        self.task, self.held = task, held

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def collate(self, processor: Any, rows: Rows) -> dict[str, Any]:
        """The batch, and ``hidden`` padded to (rows, longest, width)."""
        batch = self.task.collate(processor, {name: v for name, v in rows.items() if name != "hidden"})
        left = getattr(processor, "padding_side", "right") == "left"
        batch["hidden"] = nn.utils.rnn.pad_sequence(
            rows["hidden"], batch_first=True, padding_side="left" if left else "right"
        )
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> Any:
        """See :meth:`Task.loss`."""
        return self.task.loss(model, self._hold(batch))

    def outputs(self, model: Any, batch: dict[str, Any]) -> Any:
        """See :meth:`Task.outputs`."""
        return self.task.outputs(model, self._hold(batch))

    def check(self, model: Any, batch: dict[str, Any]) -> Any:
        """See :meth:`Task.check`."""
        return self.task.check(model, self._hold(batch))

    def _hold(self, batch: dict[str, Any]) -> dict[str, Any]:
        self.held[0] = batch["hidden"]
        return {name: value for name, value in batch.items() if name != "hidden"}


class LastK(Method):
    """Knob: ``layers``, how many of the last ones are trained beside the head."""

    name = "last-k"
    options: ClassVar[tuple[str, ...]] = ("layers",)

    def prepare(self, model: Any, task: Task) -> Any:
        """The last layers, and what follows them, need gradients; nothing else does. Of a sentence encoder the mean
        of the tokens is read, see :mod:`modelnook.finetune.averaged`: that layer is one of them, or is frozen.

        Raises:
            UnsupportedError: no stack of layers of which some are to be trained; a head that isn't made for the labels,
                so that nothing would be new.
        """
        if not task.new_head:
            raise UnsupportedError("train.no_head_method", method=self.name, task=task.spec.name)
        stack = layer_stack(averaged(model))
        if stack is None and int(own_knobs(self.name, self.knobs)["layers"]):
            raise UnsupportedError("train.no_layers", architecture=type(model).__name__)
        self.stack = nn.ModuleList() if stack is None else stack
        count = len(self.stack)
        self.first = count - min(int(own_knobs(self.name, self.knobs)["layers"]), count)
        self.originals = list(self.stack)
        body = model.base_model
        inside = {id(p) for p in body.parameters()}
        pooler = getattr(body, "pooler", None)
        trained = [p for p in model.parameters() if id(p) not in inside]
        trained += [p for part in self.originals[self.first :] for p in part.parameters()]
        trained += list(pooler.parameters()) if isinstance(pooler, nn.Module) else []
        chosen = {id(p) for p in trained}
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in chosen)
        return model

    def frame(
        self, model: Any, task: Task, processor: Any, train: Rows, evaluation: Rows | None, device: Any, emit: Emit
    ) -> Framed:
        """See :meth:`Method.frame`: the frozen layers' outputs are computed here, once."""
        if not self.first:
            return Framed(task, train, evaluation)
        lengths = task.lengths(train) + (task.lengths(evaluation) if evaluation else [])
        # Asked once: what an earlier training on these rows holds is memory that this one doesn't need.
        if not self.once(("fits", self.first), partial(self._fits, model, task, processor, train, lengths)):
            emit(Warned.of("train.not_kept", method=self.name))
            return Framed(task, train, evaluation)
        model.to(device)
        emit(Progress("preparing", 0, len(lengths)))
        cut = self._cut_to_first(model, task, processor, train, device)
        held: list[torch.Tensor] = [torch.empty(0)]
        done = 0
        made: list[Rows] = []
        for part, rows in (("train", train), ("evaluation", evaluation)):
            if rows is not None:
                make = partial(self._held, model, task, processor, rows, device, cut, emit, done, len(lengths))
                hidden, self.as_tuple = self.once(("hidden", part, self.first, cut), make)
                made.append({**(_firsts(rows) if cut else rows), "hidden": hidden})
                done += len(hidden)
        for at in range(self.first):
            self.stack[at] = Recall(self.originals[at], None if at else held, self.as_tuple)
        return Framed(Recalled(task, held), made[0], made[1] if evaluation is not None else None)

    def save(self, model: Any, processor: Any, folder: Path) -> None:
        """See :meth:`Method.save`; the layers that stood aside come back first."""
        for at, layer in enumerate(self.originals):
            self.stack[at] = layer
        save_pretrained(model, processor, folder)

    def _fits(self, model: Any, task: Task, processor: Any, rows: Rows, lengths: Sequence[int]) -> bool:
        left = free()
        width = int(getattr(model.config, "hidden_size", 0) or getattr(model.config, "dim", 768))
        most = len(lengths) * width * 4 if self.first == len(self.originals) else sum(lengths) * width * 4
        return left is None or most < MOST_MEMORY * left

    def _run(self, model: Any, task: Task, processor: Any, rows: Rows, index: list[int], device: Any) -> Any:
        """``(hidden (rows, tokens, width), outputs)`` of a batch."""
        seen: list[Any] = []
        handle = self.originals[self.first - 1].register_forward_hook(
            lambda module, inputs, output: seen.append(output)
        )
        try:
            batch = to_device(task.collate(processor, take(rows, index)), device)
            outputs = task.outputs(model, {name: value for name, value in batch.items() if name != "labels"})
        finally:
            handle.remove()
        self.as_tuple = isinstance(seen[-1], tuple)
        # A layer that is passed many times ends with its last pass.
        return (seen[-1][0] if self.as_tuple else seen[-1]), outputs

    def _cut_to_first(self, model: Any, task: Task, processor: Any, rows: Rows, device: Any) -> bool:
        """Whether the head reads the first token alone: outputs from that token's vector are those of the whole row."""
        right = getattr(processor, "padding_side", "right") == "right"
        if self.first != len(self.originals) or "input_ids" not in rows or not right or "owner" in rows:
            return False
        model.eval()
        index = list(range(min(SAMPLE, len(rows["input_ids"]))))
        with torch.inference_mode():
            hidden, outputs = self._run(model, task, processor, rows, index, device)
            if not isinstance(outputs, torch.Tensor):
                return False
            held = [hidden[:, :1]]
            short = Recalled(task, held)
            kept = {**_firsts(take(rows, index)), "hidden": list(hidden[:, :1].cpu())}
            for at in range(self.first):
                self.stack[at] = Recall(self.originals[at], None if at else held, self.as_tuple)
            try:
                again = short.outputs(model, to_device(short.collate(processor, kept), device))
            except (RuntimeError, IndexError):
                return False
            finally:
                for at, layer in enumerate(self.originals):
                    self.stack[at] = layer
        return again.shape == outputs.shape and torch.allclose(again, outputs, rtol=1e-3, atol=1e-4)

    def _held(self, *arguments: Any) -> tuple[list[torch.Tensor], bool]:
        """Each row's vectors, and whether the layers give them in a tuple."""
        hidden = self._hidden(*arguments)
        return hidden, self.as_tuple

    def _hidden(
        self,
        model: Any,
        task: Task,
        processor: Any,
        rows: Rows,
        device: Any,
        cut: bool,
        emit: Emit,
        done: int,
        total: int,
    ) -> list[torch.Tensor]:
        """Each row's vectors, on the CPU: shape (tokens, width), in bfloat16 where that is computed in natively."""
        model.eval()
        lengths = task.lengths(rows)
        dtype = torch.bfloat16 if native_bf16(device.type) and not cut else torch.float32
        left = getattr(processor, "padding_side", "right") == "left"
        # Rows of one length have no padding, whatever number of vectors the model makes of them.
        padded = len(set(lengths)) > 1
        pieces = []
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=native_bf16(device.type)):
            for index in eval_batches(lengths, 64, self.tokens or TOKENS):
                hidden = self._run(model, task, processor, rows, index, device)[0].to("cpu", dtype)
                own = [1 if cut else lengths[i] if padded else len(hidden[0]) for i in index]
                pieces.append((index, [_own(row, size, left) for row, size in zip(hidden, own, strict=True)]))
                done += len(index)
                emit(Progress("preparing", done, total))
        # Tensors made in inference mode can't be used in training: copies can.
        return [row.clone() for row in in_order(pieces, len(lengths))]


class Head(LastK):
    """The quickest method: the body's features are computed once, and what reads them is trained."""

    name = "head"
    options: ClassVar[tuple[str, ...]] = ()


def _own(row: torch.Tensor, length: int, left: bool) -> torch.Tensor:
    """A row of a padded batch without its padding."""
    return row[-length:] if left else row[:length]


def _firsts(rows: Rows) -> Rows:
    """Rows cut to their first token."""
    return {
        name: [v[:1] for v in values] if name in ("input_ids", "token_type_ids") else values
        for name, values in rows.items()
    }
