"""Batches: every row once, the same for a seed, little padding."""

from __future__ import annotations

import numpy as np

from modelnook.training.batches import eval_batches, train_batches
from modelnook.training.optimizer import rate

LENGTHS = np.random.default_rng(0).integers(4, 60, 1003).tolist()


def test_every_row_comes_once_and_one_batch_at_most_is_short() -> None:
    batches = train_batches(LENGTHS, 16, seed=3, epoch=1)
    assert sorted(i for b in batches for i in b) == list(range(1003))
    assert sorted({len(b) for b in batches}) == [1003 % 16, 16]
    assert len(batches) == 63


def test_the_seed_and_the_epoch_decide() -> None:
    assert train_batches(LENGTHS, 16, 3, 1) == train_batches(LENGTHS, 16, 3, 1)
    assert train_batches(LENGTHS, 16, 3, 1) != train_batches(LENGTHS, 16, 3, 2)
    assert train_batches(LENGTHS, 16, 3, 1) != train_batches(LENGTHS, 16, 4, 1)


def test_little_is_padding() -> None:
    def padded(batches: list[list[int]]) -> int:
        return sum(len(b) * max(LENGTHS[i] for i in b) for b in batches)

    assert padded(train_batches(LENGTHS, 16, 0, 0)) < 1.1 * sum(LENGTHS)
    assert padded(list(eval_batches(LENGTHS, 64))) < 1.1 * sum(LENGTHS)


def test_evaluation_batches_hold_a_bounded_number_of_tokens() -> None:
    batches = list(eval_batches([5000, 10, 10, 900], 64, tokens=1000))
    assert sorted(i for b in batches for i in b) == [0, 1, 2, 3]
    assert batches[0] == [0]


def test_the_rate_rises_and_falls() -> None:
    rates = [rate(step, 100, 0.1) for step in range(100)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] == 1 / 90
    assert rate(0, 1, 0.1) == 1.0
