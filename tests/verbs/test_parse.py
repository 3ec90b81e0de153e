"""Words into calls: one reading for the magic and the terminal."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from modelnook import cards
from modelnook.domain.errors import UsageError
from modelnook.finetune import METHODS
from modelnook.tasks import TASKS
from modelnook.verbs import VERBS, Value, Verb, overview, parse, split, usage
from modelnook.verbs.said import said
from modelnook.verbs.verb import Arg


def kwargs(line: str, **more: Any) -> dict[str, Any]:
    return parse(split(line), **more).kwargs


@pytest.mark.parametrize("spelling", ["--max-length 128", "--max-length=128", "--max_length 128"])
def test_an_option_is_spelled_in_any_of_its_ways(spelling: str) -> None:
    assert kwargs(f"finetune pip:x --data t.csv {spelling}")["max_length"] == 128


def test_what_is_missing_of_inputs_and_a_file_that_is_no_text() -> None:
    with pytest.raises(UsageError, match="needs texts, or rows with --data") as caught:
        parse(["predict", "topics"], door="terminal")
    assert 'modelnook predict topics "A fine film."' in caught.value.hint
    with pytest.raises(UsageError, match=r"predict topics --data rows\.csv"):
        kwargs("predict topics rows.csv")
    assert kwargs('predict topics "rows.csv"')["inputs"] == ["rows.csv"]


def test_values_have_the_types_of_their_arguments() -> None:
    line = "finetune pip:x --data t.csv --epochs 2.5 --learning-rate 5e-5 --batch-size auto --seed 3 --again"
    assert kwargs(line) == {
        "ref": "pip:x",
        "data": "t.csv",
        "epochs": 2.5,
        "learning_rate": 5e-5,
        "batch_size": "auto",
        "seed": 3,
        "again": True,
    }


def test_every_setting_of_a_training_can_be_typed() -> None:
    said = kwargs(
        "finetune pip:x --data t.csv --warmup 0 --weight-decay 0.01 --patience 2 --precision fp32 --dropout 0.1 "
        "--packing --layers 3 --mix 0.25 --temperature 0.5 --rank 4 --alpha 8"
    )
    assert {n: v for n, v in said.items() if n not in ("ref", "data")} == {
        "warmup": 0, "weight_decay": 0.01, "patience": 2, "precision": "fp32", "dropout": 0.1, "layers": 3, "mix": 0.25,
        "temperature": 0.5, "rank": 4, "alpha": 8, "packing": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("--patiance 2", "--patience"),
        ("--precision fp23", "fp32"),
        ("--layers 0", "--layers"),
        ("--warmup x", "--warmup"),
    ],
)
def test_a_setting_that_is_nearly_right_is_suggested(wrong: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        kwargs(f"finetune pip:x --data t.csv {wrong}")
    assert says in f"{caught.value} {caught.value.hint}"


def test_a_list_and_pairs() -> None:
    said = kwargs("finetune pip:x --data t.csv --track wandb,tensorboard --columns text=body,label=spam")
    assert said["track"] == ["wandb", "tensorboard"]
    assert said["columns"] == {"text": "body", "label": "spam"}
    assert kwargs("finetune pip:x --data t.csv --track none")["track"] == "none"


def test_the_words_that_are_left_are_a_text() -> None:
    assert kwargs("predict spam it's quite good") == {"ref_or_model": "spam", "inputs": ["it's quite good"]}
    assert kwargs("search chinese sentiment --limit 5") == {"query": "chinese sentiment", "limit": 5}
    assert kwargs("predict spam -- --free money")["inputs"] == ["--free money"]


def test_texts_in_quotes_are_inputs_of_their_own() -> None:
    assert kwargs("predict spam \"I hate this\" 'love it'")["inputs"] == ["I hate this", "love it"]
    assert kwargs('predict spam "I hate this"')["inputs"] == ["I hate this"]
    shell = ["predict", "spam", "I hate this", "love it"]
    assert parse(shell, door="terminal").kwargs["inputs"] == ["I hate this", "love it"]
    assert parse(["predict", "spam", "很好", "很差"], door="terminal").kwargs["inputs"] == ["很好", "很差"]


def test_what_is_piped_in_is_the_inputs_where_there_are_no_others() -> None:
    def piped() -> str:
        return "one\n\n two \n"

    assert parse(["predict", "spam"], door="terminal", piped=piped).kwargs["inputs"] == ["one", "two"]
    assert parse(["predict", "spam", "text"], door="terminal", piped=piped).kwargs["inputs"] == ["text"]
    with pytest.raises(UsageError, match="'predict' needs"):
        parse(["predict", "spam"], door="terminal", piped=lambda: "\n")
    assert "inputs" not in parse(["info", "spam"], door="terminal", piped=piped).kwargs


def test_an_object_in_a_word_stays_one() -> None:
    class Made:
        model = "local:topics@1"

    assert parse(["evaluate", Value(Made()), "--data", Value([1, 2])]).kwargs == {
        "ref": "local:topics@1",
        "data": [1, 2],
    }
    assert isinstance(parse(["stop", Value(Made())]).kwargs["run"], Made)


def test_output_and_debug_belong_to_the_magic() -> None:
    call = parse(split("load topics -o m --debug"))
    assert (call.output, call.debug) == ("m", True)
    with pytest.raises(UsageError):
        parse(split("info topics -o m"), door="terminal")
    assert parse(split("info topics --json"), door="terminal").json


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("finetun x", "no verb 'finetun'", "'finetune'"),
        ("finetune --dat x", "no option '--dat'", "'--data'"),
        ("finetune x --data t.csv --epochs -1", "--epochs must be more than 0, not -1", "--epochs 3"),
        ("finetune x --data t.csv --epochs x", "--epochs takes a number, not 'x'", "--epochs 3"),
        ("finetune x --data t.csv --epochs nan", "--epochs takes a number, not 'nan'", "--epochs 3"),
        ("finetune x --data t.csv --seed 1.5", "--seed takes a whole number, not '1.5'", "--seed 1"),
        ("finetune x --data t.csv --max-length 0", "--max-length must be at least 1, not 0", "--max-length 128"),
        ("finetune x --data t.csv --method lroa", "--method does not take 'lroa'", "'lora'"),
        ("finetune x --data", "--data needs a value", "--data train"),
        ("finetune x --data --text b", "--data needs a value", "--data train"),
        ("finetune x --data t.csv --again=perhaps", "--again is a switch", "--again alone"),
        ("finetune x t.csv text", "'text' is not understood", "--text"),
        ("finetune x t.csv more", "can't use the word 'more'", "%model finetune --help"),
        ("finetune pip:x", "'finetune' needs --data", "%model finetune pip:"),
        ("quantize --to int8", "'quantize' needs REF", "%model quantize topics"),
        ("runs shw", "no sub-command 'shw'", "'show'"),
        ("runs --state finishd", "--state does not take 'finishd'", "'finished'"),
        ("settings wandb", "'wandb' sets nothing", "wandb=online"),
        ("finetune x --data t.csv --columns text", "--columns can't read 'text'", "part=column"),
        ("info x -o 1a", "'-o 1a' is not the name of a variable", "-o run"),
        ('predict x "open', 'quote " is not closed', "%%model"),
        ("compare", "'compare' needs REFS", "%model compare"),
    ],
)
def test_what_is_off_is_one_sentence_and_a_next_step(line: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(split(line))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_finetune_alone_chooses_its_base() -> None:
    assert kwargs("finetune --data ./t.csv") == {"data": "./t.csv"}


def test_hints_speak_the_language_of_their_door() -> None:
    with pytest.raises(UsageError) as caught:
        parse(["finetune", "pip:x"], door="terminal")
    assert "modelnook finetune pip:" in caught.value.hint
    assert "--data train.csv" in caught.value.hint
    with pytest.raises(UsageError, match="'load' is for notebooks and Python"):
        parse(["load", "x"], door="terminal")


def test_a_run_after_runs_is_shown() -> None:
    call = parse(["runs", "f0zr4eu3"], door="terminal")
    assert (call.verb.name, call.kwargs) == ("runs show", {"run": "f0zr4eu3"})
    assert parse(["runs", "longone"]).kwargs == {"run": "longone"}
    assert parse(["runs", "stop", "topics"]).verb.name == "runs stop"
    with pytest.raises(UsageError, match="'shw'"):
        parse(["runs", "shw"])


def test_what_was_done_is_said() -> None:
    assert said("rm", "local:badc@1") == "Removed local:badc@1."
    assert said("rename", "local:good") == "Renamed: it is local:good now."
    run = SimpleNamespace(id="f0zr4eu3", record=SimpleNamespace(model="local:x@1"))
    assert said("runs delete", run) == "Deleted run f0zr4eu3; its model local:x@1 stays."
    assert said("runs", run) is None


def test_a_body_is_inputs_or_options() -> None:
    assert kwargs("predict spam", body="it is\n\n  well \n")["inputs"] == ["it is", "well"]
    body = "epochs 3\n--seed=4\n# a remark\nname = my spam\nagain\ntrack none"
    said = kwargs("finetune pip:x --data t.csv", body=body)
    assert said == {
        "ref": "pip:x",
        "data": "t.csv",
        "epochs": 3,
        "seed": 4,
        "name": "my spam",
        "again": True,
        "track": "none",
    }
    with pytest.raises(UsageError, match="takes nothing in the body"):
        kwargs("info x", body="epochs 3")
    with pytest.raises(UsageError, match="Did you mean '--epochs'"):
        kwargs("finetune pip:x --data t.csv", body="epoch 3")


def test_help_asks_for_nothing_else() -> None:
    assert parse(["finetune", "--help"]).help
    assert parse(["finetune", "x", "-h"], door="terminal").help


def test_a_call_spreads_references_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    def note(*args: Any, **kwargs: Any) -> None:
        said.append((args, kwargs))

    monkeypatch.setattr(sys.modules[__name__], "note", note, raising=False)
    many = Verb("many", f"{__name__}:note", (Arg("refs", "refs", positional=True), Arg("data", "data")))
    pairs = Verb("pairs", f"{__name__}:note", (Arg("values", "assign", positional=True),))
    verbs = {"many": many, "pairs": pairs}
    parse(["many", "a", "b", "--data", "t.csv"], verbs=verbs)()
    parse(["pairs", "wandb=online"], verbs=verbs)(more=1)
    assert said == [(("a", "b"), {"data": "t.csv"}), ((), {"wandb": "online", "more": 1})]


def test_help_clips_no_choice() -> None:
    said = " ".join(cards.text(usage(VERBS["finetune"], "terminal")).split())
    assert "…" not in said.replace("[--…]", "")
    assert all(word in said for word in (*METHODS, *TASKS))


@pytest.mark.parametrize("door", ["magic", "terminal"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_help_of_every_verb(door: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    for name, verb in VERBS.items():
        if door in verb.doors:
            page = usage(verb, door)
            assert name in page.title
            assert "verbs." not in repr(page), name
            if door == "terminal":
                assert "%model" not in page.title + page.foot
    listed = [name for _, rows in overview(door).sections for name, _ in rows]
    assert len(listed) == len(set(listed))
    assert set(listed) == {n for n, v in VERBS.items() if " " not in n and door in v.doors}
