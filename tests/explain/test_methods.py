"""Methods of explaining: what each must keep, and what is known of games whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from modelnook.domain.errors import UsageError
from modelnook.explain import EXPLAINERS
from modelnook.explain.base import Question, Shares
from modelnook.explain.units import divided
from modelnook.tasks import TASKS
from modelnook.testing import ExplainerSuite

pytest.importorskip("sklearn")

Worth = Callable[[NDArray[np.bool_]], NDArray[np.float64]]


class TestLinear(ExplainerSuite):
    name = "linear"


class TestOcclusion(ExplainerSuite):
    name = "occlusion"


class TestShapley(ExplainerSuite):
    name = "shapley"

    def test_the_sum_is_the_answer_less_that_to_nothing(self, model: Any) -> None:
        texts = [self.text, "win", "", "win coffee. garden letter! " * 30]
        for one in self.ask(model, texts, most=300):
            assert sum(part.score for part in one.parts) == pytest.approx(one.value - one.base, abs=1e-9)


def shares(
    name: str, text: Any, worth: Worth, most: int = 1000, seed: int = 0, task: str = "text-classification"
) -> Any:
    """A method's shares of a game, and how many answers it was given."""
    row = divided(text, TASKS.load(task, light=True)())
    (whole,) = worth(np.ones((1, len(row.units)), dtype=bool))
    asked = Question(None, None, row, "spam", float(whole), most, seed)  # type: ignore[arg-type]
    game, count, masks = EXPLAINERS.load(name)().play(asked), 0, None
    try:
        masks = next(game)
        while True:
            assert masks.dtype == bool
            assert not masks.all(axis=1).any(), "the whole input has been answered"
            count += len(masks)
            masks = game.send(worth(masks))
    except StopIteration as end:
        return end.value, count


def words(count: int, sentence: int = 9) -> str:
    return " ".join(f"w{i}{'.' if i % sentence == sentence - 1 else ''}" for i in range(count))


@pytest.mark.parametrize("count", [1, 2, 5, 48, 49, 50, 51])
@pytest.mark.parametrize("name", ["occlusion", "shapley"])
def test_the_bound_counts_the_whole_input_too(name: str, count: int) -> None:
    _, asked = shares(name, words(count), lambda stays: stays.sum(axis=1).astype(float), most=50)
    assert asked + 1 <= 50


@pytest.mark.parametrize("count", [1, 2, 6, 40, 400, 5_000])
@pytest.mark.parametrize("name", ["occlusion", "shapley"])
def test_terms_that_add_up_are_found_as_they_are(name: str, count: int) -> None:
    terms = np.random.default_rng(1).normal(size=count)
    found, asked = shares(name, words(count), lambda stays: stays @ terms + 0.5)
    assert asked < 1000
    assert found.base == pytest.approx(0.5)
    expected = [terms[span.start : span.stop].sum() for span in found.spans]
    np.testing.assert_allclose(found.scores, expected, atol=1e-9)
    assert [i for span in found.spans for i in span] == list(range(count)), "every word once"
    if name == "shapley":
        np.testing.assert_allclose(found.errors, 0, atol=1e-9)


def test_words_that_say_the_same_share_what_leaving_one_out_misses() -> None:
    def either(stays: NDArray[np.bool_]) -> NDArray[np.float64]:
        return 3.0 * (stays[:, 0] | stays[:, 1]) + stays[:, 2]

    occlusion, _ = shares("occlusion", words(3), either)
    np.testing.assert_allclose(occlusion.scores, [0, 0, 1])
    shapley, asked = shares("shapley", words(3), either)
    np.testing.assert_allclose(shapley.scores, [1.5, 1.5, 1])
    assert asked == 2**3 - 1


def _bent(stays: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each word does depends on all the others."""
    terms = np.random.default_rng(3).normal(size=stays.shape[1])
    found: NDArray[np.float64] = 4 * np.tanh(stays @ terms - 0.5)
    return found


def test_sampled_values_lie_within_their_errors_of_the_exact_ones() -> None:
    exact, _ = shares("shapley", words(12), _bent, most=5000)
    assert not exact.errors.any()
    apart = []
    for seed in range(20):
        sampled, asked = shares("shapley", words(12), _bent, most=600, seed=seed)
        assert asked < 600
        assert sampled.scores.sum() == pytest.approx(exact.scores.sum())
        apart.append((sampled.scores - exact.scores) / np.maximum(sampled.errors, 1e-12))
    inside = np.abs(apart) < 2
    assert 0.85 < inside.mean() <= 1, "about 95% within two standard errors"
    assert math.isfinite(np.abs(apart).max())


def test_a_pair_of_orders_has_less_error_than_two_of_their_own() -> None:
    """Against as many orders that are drawn one by one."""
    exact, _ = shares("shapley", words(12), _bent, most=5000)
    ours, plain = [], []
    for seed in range(30):
        sampled, _ = shares("shapley", words(12), _bent, most=11 * 40 + 1, seed=seed)
        ours.append(((sampled.scores - exact.scores) ** 2).sum())
        draw = np.random.default_rng(seed)
        total = np.zeros(12)
        for _ in range(40):
            stays = np.zeros((13, 12), dtype=bool)
            for place, word in enumerate(draw.permutation(12), 1):
                stays[place:, word] = True
            order = np.argsort(stays.argmax(axis=0))
            total[order] += np.diff(_bent(stays))
        plain.append(((total / 40 - exact.scores) ** 2).sum())
    assert np.mean(ours) < np.mean(plain)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_draws_again(seed: int) -> None:
    def drawn(seed: int) -> Any:
        return shares("shapley", words(30), _bent, most=500, seed=seed)[0].scores.tolist()

    assert drawn(seed) == drawn(seed)
    assert drawn(seed) != drawn(seed + 1)


@pytest.mark.parametrize(("name", "most"), [("occlusion", 120), ("shapley", 400)])
def test_a_word_that_decides_is_found_in_a_long_text(name: str, most: int) -> None:
    def decided(stays: NDArray[np.bool_]) -> NDArray[np.float64]:
        return 5.0 * stays[:, 321]

    found, asked = shares(name, words(700), decided, most=most)
    assert asked < most
    best = int(np.argmax(found.scores))
    assert 321 in found.spans[best]
    assert found.scores[best] == pytest.approx(5)
    assert np.abs(np.delete(found.scores, best)).max() == pytest.approx(0, abs=1e-9)
    assert len(found.spans[best]) * 4 < max(map(len, found.spans)), "what counts is looked at in parts"
    if name == "occlusion":
        assert found.spans[best] == range(321, 322)


@pytest.mark.parametrize("name", ["occlusion", "shapley"])
def test_columns_are_never_taken_together(name: str) -> None:
    row = {f"c{i}": i for i in range(90)}
    found, asked = shares(name, row, lambda stays: stays[:, 7] * 2.0, most=200, task="table")
    assert (len(found.spans), asked < 200) == (90, True)
    assert found.scores[7] == pytest.approx(2)
    with pytest.raises(UsageError) as caught:
        shares(name, row, lambda stays: stays[:, 7] * 2.0, most=60, task="table")
    assert caught.value.code == "explain.too_few"
    least = caught.value.values["least"]
    shares(name, row, lambda stays: stays[:, 7] * 2.0, most=least, task="table")
    with pytest.raises(UsageError):
        shares(name, row, lambda stays: stays[:, 7] * 2.0, most=least - 2, task="table")


def test_shares_are_of_spans_in_order() -> None:
    found, _ = shares("shapley", words(300), lambda stays: stays[:, 5].astype(float))
    assert isinstance(found, Shares)
    assert [span.start for span in found.spans] == sorted(span.start for span in found.spans)
