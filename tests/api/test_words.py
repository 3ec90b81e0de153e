"""What a person who writes plain Python is told of words that are nearly right, and what they print."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.cards import MAKERS, text
from modelnook.cards.typed import typed
from modelnook.domain.errors import DataError, NotFoundError, UsageError
from modelnook.domain.shown import Shown
from modelnook.messages import LANGUAGES
from modelnook.testing.models import tiny_model, tiny_rows


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_argument_that_is_nearly_right(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    with pytest.raises(UsageError, match=r"'epochs'|“epochs”"):
        mn.finetune("pip:none", [], epoch=3)
    assert pickle.loads(pickle.dumps(mn.finetune)) is mn.finetune


def test_a_table_alone_is_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pd = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="no rows in the table") as caught:
        mn.finetune(pd.DataFrame({"text": [], "label": []}))
    assert "path" not in caught.value.hint
    with pytest.raises(UsageError, match=r"modelnook\.finetune\(data=train\)"):
        mn.finetune("auto")


def test_a_name_without_its_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("text,label\na,b\n")
    with pytest.raises(NotFoundError, match=r"Did you mean 'reviews\.csv'"):
        mn.finetune("auto", "reviews")
    with pytest.raises(NotFoundError, match="neither a table nor a path"):
        mn.finetune("auto", "others")


def test_print_shows_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.domain.table import Table

    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    for value in (mn.runs(), mn.ps(), mn.list(), Table(("a", "b"), ((1, 2),))):
        assert str(value) == typed(text(value))
        assert "%model" not in str(value)
    assert repr(mn.runs()) == "<RunList 'Runs: 0'>"


@pytest.mark.parametrize("target", [m for m in MAKERS if not m.startswith(("builtins", "modelnook.verbs"))])
def test_every_value_with_a_card_prints_it(target: str) -> None:
    from importlib import import_module

    module, _, name = target.rpartition(".")
    kind: Any = getattr(import_module(module), name)
    # An error is its sentences; what was written or sent is used as the path or reference that it is.
    own = ("ModelnookError", "Exported", "Publication")
    assert issubclass(kind, Shown) or name in own


def test_a_dry_run_says_how_the_rows_were_read(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny")
    lines = [f"{text}很好,{label}" for text, label in zip(*tiny_rows(40).values(), strict=True)]
    (tmp_path / "rows.csv").write_bytes("\n".join(["text,label", *lines]).encode("gb18030"))
    planned = mn.finetune(str(tmp_path / "tiny"), tmp_path / "rows.csv", dry_run=True)
    assert planned.warnings[0].code == "data.read_as"
    assert "GB18030" in str(planned)


def test_a_label_that_the_model_lacks_is_told_before_a_job_starts(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny", labels=("ham", "spam"))
    rows = [{"text": "free money", "label": "spam"}, {"text": "see you", "label": "bad"}]
    with pytest.raises(DataError, match=r"Row 1 has the label 'bad'.*leave them out.*Known: ham, spam"):
        mn.evaluate(str(tmp_path / "tiny"), rows)
    assert not len(mn.runs())
