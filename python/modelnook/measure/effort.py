"""What a training will take, before it starts: memory, and time. Arithmetic on a model's shape; no weight is read.

Memory follows what the loop holds at its peak (``training/loop.py``): the process itself, weights, what AdamW keeps of
those that are trained, the rows, a checkpoint in the writing, and the larger of a training batch and an evaluation
batch, which take the same room one after the other. A layer's activations are those of Korthikanti et al., "Reducing
Activation Recomputation in Large Transformer Models", 2022 (arXiv:2205.05198), section 4.1: at two bytes a number
11 sh + 5 as² for attention, 19 sh for the MLP with its inner width of 4 h (sh of them the mask), 4 sh for the norms;
its masks of one byte are of two here.

Time follows Kaplan et al., "Scaling Laws for Neural Language Models", 2020 (arXiv:2001.08361), section 2.1: a token
takes 2 operations a weight and 4 a pair of tokens and width in the forward pass, twice that backward; beside them what
a step costs whatever its batch. The machine's pace is measured on a matrix product, a few milliseconds.
"""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from modelnook.catalog.folder import Tensor, parameters_of
from modelnook.domain.knobs import LORA, own_knobs
from modelnook.settings import current

__all__ = ["EVALUATION", "SAFE", "Batch", "Shape", "Work", "bytes_of", "pace", "read_at_once", "shape_of", "work_of"]

PROCESS = 550_000_000
"""An interpreter with PyTorch, transformers and what a job keeps of its rows' checks (measured, CPU build)."""

PEFT = 110_000_000
"""What peft adds to it, and the kernels for its narrow matrices at every length of a batch."""

SCORING, A_WEIGHT, TERMS = 50_000_000, 270, 0.4
"""What measuring the trained model imports, bytes of its linear baseline for each term and class, and different terms
a token of the rows (measured: 0.3 to 0.4); they come once the training's memory has been given back."""

FLOAT, HALF = 4, 2

EVALUATION, EVALUATED = 8192, 64
"""Tokens of an evaluation batch, and its rows, at most (``training/evaluation.py``)."""

PIECE = 1 << 26
"""Numbers of a layer over the vocabulary that are held at once (``tasks/language_modelling_heavy.py``)."""

SAFE = 0.9
"""The share of the free memory that is taken: no error says that a CPU's ran out, the system kills the process."""

WORTH_IT = 0.7
"""The share of used rows up to which only those of the table are trained (``training/vocabulary.py``)."""

LIST = 36
"""Bytes of a token in a row's list: a pointer, and an int beyond the small ones that Python shares."""

STEP_S = 0.0012
"""Seconds that a layer costs in a step beside its multiplications (measured: MiniLM, batches of few tokens)."""

UPDATE_S = 2.5e-9
"""Seconds that AdamW takes for a number (40 bytes pass through memory for it)."""

PACE_S = 0.005
"""Seconds for which the machine's pace is measured."""

REACHED = 0.7
"""The pace of a training as a share of that of small matrix products on all cores."""

HALVES = 1.6
"""How much quicker than float32 a processor that multiplies bfloat16 natively is in a training."""


_NUMBERED = re.compile(r"\.\d+\.")
"""In the name of a weight that is in one of several layers."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A model in numbers: all its weights, those of its tables of tokens, its layers, their widths and heads.

    ``linear`` is the sum of both sides of every matrix in the layers: what LoRA adds for each of its rank. ``again`` is
    what a token is multiplied with beside all weights, where layers share theirs: they are held once, and gone through
    once a layer.
    """

    parameters: int
    tables: int
    vocabulary: int
    layers: int
    width: int
    inner: int
    heads: int
    linear: int
    again: int = 0

    @property
    def body(self) -> int:
        """The weights that every token is multiplied with, each once."""
        return max(1, self.parameters - self.tables)

    @property
    def deeper(self) -> Shape:
        """The same with a layer more."""
        more = 1 + 1 / self.layers
        return replace(
            self,
            parameters=round(self.parameters + self.body / self.layers),
            layers=self.layers + 1,
            linear=round(self.linear * more),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes through a model: rows and their tokens.

    Attributes:
        rows, size: rows to train on; rows a batch.
        mean, longest: tokens of a row after truncation.
        held_out: rows that validate.
        words: different tokens in all rows; 0 where nobody counted.
        output_share: the share of the tokens that are outputs as well, over the whole vocabulary.
        classes: that are told apart.
        checks: tokens that go through the model at once where it is evaluated.
        packed: tokens of a sequence in which several rows are trained on; 0: each row is one.
    """

    rows: int
    size: int
    mean: float
    longest: int
    held_out: int = 0
    words: int = 0
    output_share: float = 0.0
    classes: int = 0
    checks: int = EVALUATION
    packed: int = 0

    @property
    def sequences(self) -> tuple[int, int]:
        """How many are trained on at once, and how long they are."""
        if not self.packed:
            return self.size, self.longest
        length = min(max(self.packed, self.longest), self.size * self.longest)
        return math.ceil(self.size * self.longest / length), length


@dataclass(frozen=True, slots=True)
class Work:
    """A training in numbers: floating-point operations, steps, and seconds that steps cost beside them."""

    operations: float
    steps: int
    beside: float

    def seconds(self, pace: float) -> float:
        """About how long it takes at so many operations a second."""
        return self.operations / pace + self.beside


def shape_of(tensors: Iterable[Tensor], config: Mapping[str, Any]) -> Shape:
    """The shape of a folder's model; what its config doesn't say is taken as it is in an encoder of that size."""
    tensors = list(tensors)
    said = {**config, **_inside(config)}
    parameters = parameters_of(tensors)
    vocabulary = int(said.get("vocab_size") or 0)
    matrices = [dims for _, _, dims in tensors if len(dims) == 2]
    tables = sum(a * b for a, b in matrices if vocabulary and a == vocabulary)
    width = _first(said, "hidden_size", "d_model", "dim", "n_embd", "hidden_dim")
    # Encoders have about 64 of width a layer and 12 width² weights in each.
    width = width or max(8, round((0.6 * max(1, parameters) * 64 / 12) ** (1 / 3)))
    layers = _first(said, "num_hidden_layers", "n_layer", "n_layers", "encoder_layers", "num_layers")
    layers = (layers or max(1, width // 64)) + _first(said, "decoder_layers", "num_decoder_layers")
    inner = _first(said, "intermediate_size", "d_ff", "ffn_dim", "encoder_ffn_dim", "n_inner") or 4 * width
    heads = _first(said, "num_attention_heads", "n_head", "n_heads", "encoder_attention_heads", "num_heads")
    linear = sum(
        sum(dims)
        for name, _, dims in tensors
        if len(dims) == 2 and dims[0] != vocabulary and min(dims) >= width and "embed" not in name
    )
    # ALBERT's groups of layers that share their weights, and the layers of each.
    groups, in_each = _first(said, "num_hidden_groups") or layers, _first(said, "inner_group_num") or 1
    stacked = sum(math.prod(dims) for name, _, dims in tensors if groups < layers and _NUMBERED.search(name))
    return Shape(
        parameters, tables, vocabulary, layers * in_each, width, inner, heads or max(1, width // 64),
        linear or layers * (8 * width + 2 * (width + inner)), round((layers / groups - 1) * stacked),
    )  # fmt: skip


def bytes_of(
    method: str, shape: Shape, batch: Batch, *, knobs: Mapping[str, Any] | None = None, saves: bool = True
) -> int:
    """What a training on the CPU takes at its peak; within 15% of what was measured (``benchmarks/plan.py``).

    Args:
        method: of fine-tuning.
        knobs: the method's own (``rank``, ``layers``), where they were given.
        saves: whether there are checkpoints in mid-training.
    """
    knobs, wide = knobs or {}, HALF if native_bf16() else FLOAT
    adapted = method in LORA
    trained = _trained(method, shape, batch, knobs)
    held = FLOAT * shape.parameters
    if wide == HALF:
        # Copies of all but the tables that are only looked up; float32 buffers for the gradients of the trained ones,
        # see training/halves.py.
        held += HALF * (shape.parameters if batch.output_share else shape.body)
    # Gradients and their buffers, two moments.
    held += trained * (FLOAT + (HALF if wide == HALF else 0) + 2 * FLOAT)
    if method in ("full", "few-shot"):
        table = _table(shape, batch)
        held += table * (FLOAT + 2 * FLOAT) + (FLOAT * table if table < shape.tables else 0)
        # A table that is the output layer's as well is multiplied: its gradient is bfloat16 at first.
        held += HALF * table if wide == HALF and batch.output_share else 0
    rows = batch.rows + batch.held_out
    held += int(LIST * rows * batch.mean) * (2 if method in ("full", "few-shot") else 1)
    share = _share(method, shape, knobs)
    # Written after each epoch but the last: what is saved stands in memory twice meanwhile, beside what a step left.
    saved = 2 * FLOAT * (trained + (shape.tables if method in ("full", "few-shot") else 0)) if saves else 0
    passing = saved + max(
        _activations(shape, batch, wide, share, adapted) * (2 if method == "few-shot" else 1),
        _evaluated(shape, batch, wide),
    )
    if method in ("head", "last-k"):
        held += _kept(method, shape, batch, wide, knobs)
    training = PROCESS + (PEFT if adapted else 0) + held + passing
    from modelnook.classic.words import features_for

    terms = min(features_for(batch.classes), TERMS * batch.rows * batch.mean)
    scoring = SCORING + A_WEIGHT * terms * (batch.classes if batch.classes > 2 else min(1, batch.classes))
    return int(max(training, PROCESS + scoring + FLOAT * shape.parameters))


def work_of(
    method: str, shape: Shape, batch: Batch, epochs: float, *, knobs: Mapping[str, Any] | None = None, pairs: int = 1
) -> Work:
    """The work of a training.

    Args:
        pairs: how often few-shot training pairs each row in an epoch.
    """
    knobs = knobs or {}
    forward = 2.0 * (shape.body + shape.again) + 4.0 * shape.layers * shape.width * batch.mean
    forward += 2.0 * shape.vocabulary * shape.width * batch.output_share
    share = _share(method, shape, knobs)
    tokens, checks = batch.rows * batch.mean, batch.held_out * batch.mean
    # What is frozen is run once, or in every step where adapters stand in it: forward, and backward without weights.
    a_token = {"full": 3.0, "few-shot": 6.0}.get(method, 2.3 if method in LORA else 3.0 * share)
    once = (1 - share) * forward * (tokens + checks) if method in ("head", "last-k") else 0.0
    passes = math.ceil(epochs)
    operations = once + forward * (epochs * tokens * pairs * a_token + passes * checks * (share or 0.0))
    steps = max(1, round(epochs * math.ceil(batch.rows * pairs / batch.size)))
    layers = max(0.5, share * shape.layers) * (1.6 if method in LORA else 1.0)
    trained = _trained(method, shape, batch, knobs)
    trained += _table(shape, batch) if method in ("full", "few-shot") else 0
    return Work(operations, steps, steps * (STEP_S * layers + UPDATE_S * trained))


def _trained(method: str, shape: Shape, batch: Batch, knobs: Mapping[str, Any]) -> int:
    """How many weights are trained, the tables of tokens left out."""
    if method in LORA:
        return int(own_knobs(method, knobs)["rank"]) * shape.linear
    if method == "head":
        return shape.width * shape.width
    return int(shape.body * _share(method, shape, knobs))


def _share(method: str, shape: Shape, knobs: Mapping[str, Any]) -> float:
    """The share of the layers that a step goes through."""
    if method == "head":
        return 0.0
    if method == "last-k":
        return min(1.0, int(own_knobs(method, knobs)["layers"]) / shape.layers)
    return 1.0


def _table(shape: Shape, batch: Batch) -> int:
    """Numbers of the table of tokens that are trained: those that occur, where that is worth it."""
    used = batch.words / shape.vocabulary if shape.vocabulary and batch.words else 1.0
    return int(shape.tables * used) if used <= WORTH_IT and not batch.output_share else shape.tables


def _activations(shape: Shape, batch: Batch, wide: int, share: float, adapted: bool) -> int:
    count, length = batch.sequences
    tokens = count * length
    a_layer = tokens * wide / HALF * (20 * shape.width + 4 * shape.inner)
    a_layer += wide / HALF * 6 * count * shape.heads * length**2
    if adapted:
        # Each matrix's input once more, with dropout, and its mask.
        a_layer += tokens * 4.6 * wide * (5 * shape.width + shape.inner)
    # In float32 whatever else is: the words' log-probabilities, gradients of those and of the scores.
    outputs = _outputs(shape, batch, tokens) * 3 * FLOAT
    return int(a_layer * shape.layers * share) + outputs


def _evaluated(shape: Shape, batch: Batch, wide: int) -> int:
    if not batch.held_out:
        return 0
    # A row that is longer than the batch may be goes alone.
    most = max(batch.checks, batch.longest)
    passing = min(most, EVALUATED * batch.longest) * _read(shape, wide)
    rows = min(EVALUATED, batch.held_out)
    return passing + _outputs(shape, batch, min(most, rows * batch.longest)) * 2 * FLOAT


def _outputs(shape: Shape, batch: Batch, tokens: int) -> int:
    """Numbers of the layer over the vocabulary that are held at once, of so many tokens."""
    words = max(1, shape.vocabulary)
    return min(math.ceil(batch.output_share * tokens), max(1, PIECE // words)) * words


def _read(shape: Shape, wide: int) -> int:
    """Bytes that a token takes in a model that is only asked."""
    return wide * (2 * shape.inner + 8 * shape.width)


def read_at_once(shape: Shape, free: int) -> int:
    """How many tokens may go through a model in float32 at once, where so many bytes are free."""
    return int(SAFE * free / _read(shape, FLOAT))


def _kept(method: str, shape: Shape, batch: Batch, wide: int, knobs: Mapping[str, Any]) -> int:
    """What the frozen layers give for every row; while they are made, the padded batches stand beside the copies."""
    if _share(method, shape, knobs) == 1.0:
        return 0
    rows = batch.rows + batch.held_out
    return int(rows * shape.width * (FLOAT if method == "head" else 2 * wide * batch.mean))


def _inside(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a config that describes the body, where it stands apart."""
    found = config.get("text_config") or config.get("vision_config") or {}
    return found if isinstance(found, Mapping) else {}


def _first(said: Mapping[str, Any], *names: str) -> int:
    return next((int(said[name]) for name in names if isinstance(said.get(name), int)), 0)


def native_bf16() -> bool:
    """Whether a training on this CPU multiplies bfloat16; asked of PyTorch where that is loaded."""
    if "torch" in sys.modules:
        from modelnook.training.device import native_bf16 as asked

        return asked("cpu")
    return _said_bf16()


@cache
def _said_bf16() -> bool:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags.split()))


@cache
def pace() -> float:
    """Floating-point operations a second that a training here reaches, by one product of matrices; some milliseconds.

    On a CPU it is NumPy's, so that it is the same where a plan alone is wanted and PyTorch isn't loaded.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return _gpu_pace(torch)
    import numpy as np

    # So small that one core does it in ten microseconds: whatever else runs on the cores, some are undisturbed.
    a = np.ones((64, 64), np.float32)
    out, best = np.empty_like(a), math.inf
    end = time.perf_counter() + PACE_S
    while (began := time.perf_counter()) < end or best == math.inf:
        np.matmul(a, a, out=out)
        best = min(best, time.perf_counter() - began)
    return 2 * len(a) ** 3 / best * current().threads * REACHED * (HALVES if native_bf16() else 1.0)


def _gpu_pace(torch: Any) -> float:
    a = torch.ones(
        (2048, 2048), device="cuda", dtype=torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    )
    a @ a
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(4):
        a @ a
    torch.cuda.synchronize()
    return float(4 * 2 * len(a) ** 3 / (time.perf_counter() - began) * REACHED)
