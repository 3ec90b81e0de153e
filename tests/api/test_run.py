"""``run``: a model writes, at every door, and what is written is shown as it comes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.cli import main
from modelnook.cli.command import INTERRUPTED
from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.testing.models import tiny_model, tiny_translator, tiny_writer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_writer(tmp_path_factory.mktemp("writing") / "writer"))


class Heard(io.StringIO):
    """Standard output that knows what was written at a time; at one piece the person interrupts."""

    def __init__(self, most: int = 10_000) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.most = most

    def write(self, text: str) -> int:
        self.pieces.append(text)
        if len(self.pieces) == self.most:
            raise KeyboardInterrupt
        return super().write(text)


def test_the_text_is_predicts_and_says_why_it_ended(writer: str) -> None:
    text = mn.run(writer, "good room", max_new_tokens=12)
    assert text == mn.predict(writer, ["good room"], max_new_tokens=12)["text"][0]
    assert isinstance(text, str)
    assert (text.ended, text.to_dict()) == ("length", {"text": str(text), "ended": "length"})
    with mn.load(writer) as model:
        assert "".join(model.stream("good room", max_new_tokens=12)) == text
        assert mn.run(model, "good room", max_new_tokens=12) == text


def test_a_temperature_draws_and_a_seed_draws_again(writer: str) -> None:
    def drawn(seed: int) -> str:
        return str(mn.run(writer, "good", max_new_tokens=24, temperature=5.0, seed=seed))

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) > 1


def test_a_conversation_is_answered(tmp_path: Path) -> None:
    folder = str(tiny_writer(tmp_path / "talker", chat=True))
    turn = {"role": "user", "content": "good room"}
    assert mn.run(folder, [turn], max_new_tokens=12) == mn.run(folder, "good room", max_new_tokens=12)
    with pytest.raises(UsageError, match="type list"):
        mn.run(folder, ["good", "room"])


def test_a_model_whose_answer_comes_whole(tmp_path: Path) -> None:
    folder = str(tiny_translator(tmp_path / "translator"))
    assert mn.run(folder, "good room") == mn.predict(folder, ["good room"])["text"][0]


def test_what_cannot_be_is_said(writer: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="doesn't write") as caught:
        mn.run(str(tiny_model(tmp_path / "judge", ("ham", "spam"))), "good")
    assert "predict" in caught.value.hint
    with pytest.raises(UsageError, match="type int"):
        mn.run(writer, 3)
    with pytest.raises(UsageError, match="temperature"):
        mn.run(writer, "good", temperature=0)


def test_a_terminal_shows_pieces(writer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = mn.run(writer, "good room", max_new_tokens=12)
    monkeypatch.setattr(sys, "stdout", heard := Heard())
    assert main(["run", writer, "good", "room", "--max-new-tokens", "12"]) == 0
    assert heard.getvalue().startswith(f"{text}\n")
    assert "--max-new-tokens gives more" in heard.getvalue()
    assert len(heard.pieces) > 3, "as it comes"
    monkeypatch.setattr(sys, "stdout", heard := Heard())
    assert main(["run", writer, "good room", "--max-new-tokens", "12", "--json"]) == 0
    assert json.loads(heard.getvalue()) == text.to_dict()


def test_what_is_piped_is_one_prompt(writer: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    prompt = "good room\n\nbad bed"
    monkeypatch.setattr("modelnook.cli.command._piped", lambda: prompt + "\n")
    assert main(["run", writer, "--max-new-tokens", "12"]) == 0
    assert capsys.readouterr().out.startswith(str(mn.run(writer, prompt, max_new_tokens=12)))


def test_an_interrupt_keeps_what_was_written(writer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mn.run(writer, "good room", max_new_tokens=60)
    monkeypatch.setattr(sys, "stdout", heard := Heard(most=2))
    assert main(["run", writer, "good room", "--max-new-tokens", "60"]) == INTERRUPTED
    said, _, last = heard.getvalue().rstrip().rpartition("\n")
    assert "Interrupted" in last
    assert 0 < len(said.rstrip()) < len(whole)
    assert whole.startswith(said.rstrip())
