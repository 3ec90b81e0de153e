"""What every method of explaining must keep: inherit :class:`ExplainerSuite`, give a name, and run it with pytest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelnook.classic.base import write
from modelnook.classic.tfidf import Tfidf
from modelnook.domain.explanation import Explained
from modelnook.explain.engine import explained
from modelnook.runtime import runtime as load
from modelnook.runtime.base import Runtime
from modelnook.tasks import TASKS
from modelnook.tasks.answered import counting

__all__ = ["ExplainerSuite", "learnt"]

WORDS = ("room", "table", "window", "garden", "street", "letter", "morning", "coffee")


def learnt(folder: Path, task: str, rows: dict[str, list[Any]]) -> Runtime:
    """A TF-IDF model of role -> values, loaded from a new folder."""
    spec = TASKS.load(task, light=True)()
    labels = spec.labels(rows)
    model = Tfidf.learn(spec, rows, labels)
    assert model is not None
    folder.mkdir()
    write(model, folder, task=task, labels=labels)
    return load(folder)


def planted(count: int = 64) -> dict[str, list[Any]]:
    """Texts of which the one word ``win`` decides the label."""
    texts = [" ".join(WORDS[(i // 2 * k + k) % len(WORDS)] for k in (1, 3, 5)) for i in range(count)]
    return {
        "text": [f"{text} win" if i % 2 else text for i, text in enumerate(texts)],
        "label": [("ham", "spam")[i % 2] for i in range(count)],
    }


class ExplainerSuite:
    """Set ``name``; override ``model`` and ``text`` where a TF-IDF model doesn't fit."""

    name: str
    text = "The garden, a window - and win!  Coffee in the morning."
    word = "win!"
    """What decides the answer to :attr:`text`."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Iterator[Runtime]:
        """A model of which one word is known to decide."""
        made = learnt(tmp_path / "learnt", "text-classification", planted())
        yield made
        made.close()

    def ask(self, model: Runtime, texts: list[str], **more: Any) -> tuple[Explained, ...]:
        """Texts explained."""
        options = {"label": None, "most": 1000, "seed": 0, **more}
        return explained(model, model.spec(), texts, method=self.name, **options)

    def test_what_decides_comes_first(self, model: Runtime) -> None:
        """And speaks as much against the other label."""
        (one,), (other,) = self.ask(model, [self.text]), self.ask(model, [self.text], label="ham")
        assert (one.label, other.label) == ("spam", "ham")
        best = max(one.parts, key=lambda part: part.score)
        worst = min(other.parts, key=lambda part: part.score)
        assert best.token == worst.token == self.word
        assert best.score == pytest.approx(-worst.score, rel=1e-6)

    def test_parts_stand_in_the_text_in_their_order(self, model: Runtime) -> None:
        """None overlaps another one."""
        (one,) = self.ask(model, [self.text])
        assert [self.text[part.start : part.end] for part in one.parts] == [part.token for part in one.parts]
        ends = [0, *(part.end for part in one.parts)]
        assert all(part.start >= end for part, end in zip(one.parts, ends, strict=False))

    def test_the_answer_is_the_models(self, model: Runtime) -> None:
        """To the whole text, and to none."""
        (one,) = self.ask(model, [self.text])
        whole, nothing = model.predict([self.text, ""])
        assert one.score == pytest.approx(whole["score"])
        assert one.label is not None
        assert (one.base < 0) == (nothing["scores"][one.label] < 0.5)

    def test_it_says_the_same_again_and_in_company(self, model: Runtime) -> None:
        """Whatever other inputs stand beside one."""
        texts = [self.text, "win", "", "coffee " * 40]
        together = self.ask(model, texts, most=200)
        assert together == self.ask(model, texts, most=200)
        assert together == tuple(self.ask(model, [text], most=200)[0] for text in texts)

    def test_it_expects_no_fewer_predictions_than_it_makes(self, model: Runtime) -> None:
        """As many, where each word is asked for once."""
        told: dict[str, float] = {"expect": 0.0, "count": 0.0}

        class Listener:
            def expect(self, total: int) -> None:
                told["expect"] += total

            def count(self, answers: float) -> None:
                told["count"] += answers

        with counting(Listener()):
            found = self.ask(model, [self.text, "win", "coffee " * 40], most=200)
        assert told["count"] == pytest.approx(sum(one.predictions for one in found))
        assert told["count"] <= told["expect"] <= 600

    @pytest.mark.parametrize("words", [0, 1, 2, 5_000])
    def test_predictions_have_a_bound(self, model: Runtime, words: int) -> None:
        """Of a text of any length."""
        text = " ".join(f"{WORDS[i % len(WORDS)]}{'.' if i % 11 == 10 else ''}" for i in range(words))
        (one,) = self.ask(model, [text], most=120)
        assert 1 <= one.predictions <= 120
        assert sum(len(part.token.split()) for part in one.parts) == words - one.unread
