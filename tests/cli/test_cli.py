"""The terminal's door: cards on stdout, progress and errors on stderr, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelnook import __version__, api, messages
from modelnook.cli import main
from modelnook.cli.command import _here
from modelnook.messages import LANGUAGES, t
from modelnook.testing.models import tiny_model, tiny_rows
from modelnook.verbs import VERBS


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_alone_it_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--help",), ("help",)):
        code, out, err = said(capsys, *words)
        assert code == 0
        assert "modelnook VERB --help" in out
        assert "%model" not in out
        assert not err
        assert "load " not in out.replace("unload", "")


@pytest.mark.parametrize("verb", [v for v in VERBS.values() if "terminal" in v.doors], ids=lambda v: v.name)
def test_every_verb_explains_itself(verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, *verb.name.split(), "--help")
    assert code == 0
    assert out.startswith(f"modelnook {verb.name}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"modelnook {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("finetun",), 2, "Did you mean 'finetune'?"),
        (("finetune", "x", "--data", "t.csv", "--epochs", "-1"), 2, "--epochs must be more than 0"),
        (("runs", "shw"), 2, "Did you mean 'show'?"),
        (("runs", "show", "nosuchrun"), 1, "nosuchrun"),
        (("runs", "rm", "topics"), 2, "Did you mean 'runs delete'?"),
        (("runs", "card", "topics"), 2, "Did you mean 'runs show'?"),
        (("runs", "cancel", "topics"), 2, "Did you mean 'runs stop'?"),
        (("train", "reviews.csv"), 2, "Did you mean 'finetune'?"),
        (("delete", "x"), 2, "Did you mean 'rm'?"),
        (("models",), 2, "Did you mean 'list'?"),
        (("upload", "x"), 2, "Did you mean 'publish'?"),
        (("sources", "rm", "x"), 2, "Did you mean 'sources remove'?"),
        (("cache", "purge"), 2, "Did you mean 'cache rm'?"),
        (("runs", "script"), 2, "Did you mean 'runs code'?"),
        (("runs", "logs"), 2, "Did you mean 'runs log'?"),
        (("logs",), 2, "Did you mean 'runs log'?"),
        (("predict", "topics", "reviews.csv"), 2, "modelnook predict topics --data reviews.csv"),
        (("evaluate", "topics", "--data", "nosuch"), 1, "There is no file 'nosuch'"),
        (("info", "./nosuch"), 1, "where the notebook or terminal is"),
        (("sources", "remove", "hub"), 1, "comes with modelnook"),
        (("stop",), 1, "modelnook runs lists what ran."),
    ],
)
def test_errors_are_sentences_on_stderr(
    words: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, out, err = said(capsys, *words)
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert "%model" not in err


def test_a_name_without_its_ending_and_a_path_without_its_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("text,label\na,b\n")
    (tmp_path / "my reviews.csv").write_text("text,label\na,b\n")
    assert "Did you mean 'reviews.csv'?" in said(capsys, "finetune", "x", "--data", "reviews")[2]
    for words in (("x", "--data", "my", "reviews.csv"), ("x", "my", "reviews.csv")):
        code, _, err = said(capsys, "finetune", *words)
        assert code == 2
        assert '"my reviews.csv"' in err


def test_what_ps_names_can_be_ended_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.jobs import warm

    assert said(capsys, "unload")[1] == "Nothing was loaded.\n"
    monkeypatch.setattr(warm, "end", lambda home: 1)
    assert said(capsys, "unload")[1] == "Unloaded: the imports kept for the next job\n"


def test_a_home_that_is_no_folder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_HOME", __file__)
    code, _, err = said(capsys, "runs")
    assert (code, err.splitlines()) == (
        1,
        [
            f"'{__file__}' can't be written: something on its way is no folder.",
            "Set MODELNOOK_HOME to a folder that you can write to.",
        ],
    )


def test_json_is_to_dict(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "runs", "--json")
    assert code == 0
    assert json.loads(out)["items"] == []
    _, out, _ = said(capsys, "settings", "--json")
    assert json.loads(out)["language"] == "auto"


def test_a_frame_as_json_and_as_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    frame = pd.DataFrame({"label": ["a", "b"], "score": [0.5, float("nan")]})
    monkeypatch.setattr(api, "predict", lambda ref_or_model, inputs: frame)
    _, out, _ = said(capsys, "predict", "x", "some", "text", "--json")
    assert json.loads(out) == {"columns": ["label", "score"], "rows": [["a", 0.5], ["b", None]]}
    _, out, _ = said(capsys, "predict", "x", "some", "text")
    assert "label" in out


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_answers_are_kept_with_their_inputs(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.api import models

    runtime = SimpleNamespace(
        predict=lambda rows, **options: [{"label": row.upper(), "score": 0.5, "scores": {"a": 0.5}} for row in rows]
    )
    loaded: list[str] = []

    def load(ref: str) -> Any:
        loaded.append(ref)
        return SimpleNamespace(task="text-classification", runtime=runtime, note="x is in pip as well.")

    monkeypatch.setattr(models, "answering", load)
    path = tmp_path / f"answers.{ending}"
    words = ("predict", "x", 'one, "two"', "好", "--output", str(path))
    code, out, _ = said(capsys, *words)
    assert (code, out) == (0, f"x is in pip as well.\nKept in {path}: 2 answers.\n")
    if ending == "csv":
        import pandas as pd

        kept = pd.read_csv(path).to_dict("records")
        assert json.loads(kept[0].pop("scores")) == {"a": 0.5}
    else:
        kept = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert kept[0].pop("scores") == {"a": 0.5}
    assert kept[0] == {"label": 'ONE, "TWO"', "score": 0.5, "input": 'one, "two"'}
    assert kept[1]["input"] == "好"
    before = path.read_bytes()
    code, _, err = said(capsys, *words)
    assert code == 1
    assert "already" in err
    assert (path.read_bytes(), len(loaded)) == (before, 1), "it is refused before a model is loaded"
    assert said(capsys, *words, "--overwrite")[0] == 0
    assert [p.name for p in tmp_path.glob("*answers*")] == [path.name]
    assert said(capsys, *words[:-1], str(tmp_path / "answers.xlsx"))[0] == 2


def test_debug_lets_the_traceback_through() -> None:
    with pytest.raises(Exception, match="nosuchrun"):
        main(["runs", "show", "nosuchrun", "--debug"])


def test_an_interrupt_has_its_own_code(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "runs", interrupted)
    assert said(capsys, "runs") == (130, "", "Interrupted.\n")


@pytest.mark.parametrize(
    ("hint", "here"),
    [
        ("Next: %model evaluate {ref} --data test", "Next: modelnook evaluate {ref} --data test.csv"),
        ("%model finetune x --data train --text body", "modelnook finetune x --data train.csv --text body"),
        ("modelnook finetune x --data train.csv", "modelnook finetune x --data train.csv"),
        ("Name the column with label=…", "Name the column with --label …"),
        ("Give rows with data=…, or allow more: max_drop=…", "Give rows with --data …, or allow more: --max-drop …"),
        ("For 1.5 points: max_drop=0.015.", "For 1.5 points: --max-drop 0.015."),
        ('Give more with budget="10m".', "Give more with --budget 10m."),
        (
            'Use backend="torchao" or to="q8_0", recover=\'never\'',
            "Use --backend torchao or --to q8_0, --recover never",
        ),
        (
            'Use split="random", or say task="text-classification".',
            "Use --split random, or say --task text-classification.",
        ),
        ('Name it: task="fill-mask" (--task fill-mask).', 'Name it: task="fill-mask" (--task fill-mask).'),
    ],
)
def test_hints_are_commands_that_work_here(hint: str, here: str) -> None:
    assert _here(hint) == here


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_hint_names_an_option_as_python_does(lang: str) -> None:
    """But for what the terminal hasn't, and what was typed: that is told as it was."""
    options = {arg.name for verb in VERBS.values() if "terminal" in verb.doors for arg in verb.args}
    for file in (Path(messages.__file__).parent / lang).glob("*.json"):
        written = file.read_text(encoding="utf-8").replace('\\"', '"')
        for said in re.findall(r"(?<![\w-])\w+=(?:[\"'][^{\"'\s]+[\"']|…)", written):
            if said.partition("=")[0] in options:
                assert _here(said).startswith("--"), f"{file.name}: {said}"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_card_names_what_only_python_has(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    for key in ("more_models", "more_runs"):
        assert ".to_" in t(f"cards.{key}")
        assert not re.search(r"\.to_|or$|或", _here(t(f"cards.{key}")))
    assert ".to_" not in _here(t("cards.warnings", n=2, where=".to_dict()"))


def test_what_is_no_hint_is_printed_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    written = "run %model info x --data train, then df.to_dict() with label=…"
    frame = pd.DataFrame({"text": [written]})
    monkeypatch.setattr(api, "predict", lambda ref_or_model, inputs: frame)
    assert json.loads(said(capsys, "predict", "x", "a", "--json")[1])["rows"] == [[written]]
    monkeypatch.setattr("modelnook.records.code", lambda run="last": written)
    assert said(capsys, "runs", "code", "x")[1] == f"{written}\n"


class Waiting:
    """A run that goes on for two looks."""

    def __init__(self, state: str = "finished") -> None:
        self.states = ["queued", "running", state]
        self.note = ""

    @property
    def record(self) -> Any:
        live = len(self.states) > 1
        progress = {"phase": "training", "step": 3, "total": 9} if self.states[0] == "running" else None
        said = {"name": "topics", "kind": "quantize", "wandb": None, "progress": progress}
        return SimpleNamespace(live=live, state=self.states[0], **said)

    def wait(self, on_update: Any, every: float) -> Waiting:
        while len(self.states) > 1:
            self.states.pop(0)
            on_update(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        return {"state": self.record.state}


@pytest.mark.parametrize(("state", "code"), [("finished", 0), ("stopped", 130)])
def test_a_waiting_run_tells_where_it_stands(
    state: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "quantize", lambda ref, background: Waiting(state))
    got, out, err = said(capsys, "quantize", "topics", "--json")
    assert got == code
    assert json.loads(out) == {"state": state}
    assert err.splitlines() == ["topics · starting", "topics · training · 3/9"]


def test_in_the_background_nothing_waits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "quantize", lambda ref, background: Waiting())
    code, out, err = said(capsys, "quantize", "topics", "--background", "--json")
    assert (code, json.loads(out), err) == (0, {"state": "queued"}, "")


def test_as_a_module_and_into_a_closed_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modelnook", "runs", "--limit", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "takes a whole number" in done.stderr
    shell = f"{sys.executable} -m modelnook --help | head -1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert done.stdout == "modelnook VERB\n"
    assert done.stderr == ""


def test_the_terminal_is_light() -> None:
    code = (
        "import sys; from modelnook.cli import main; main(['runs']); "
        "print([m for m in ('torch', 'pandas', 'IPython', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_from_a_table_to_answers(tmp_path: Path) -> None:
    """What the README shows for a terminal: train on a file, then ask the model."""
    tiny_model(tmp_path / "tiny")
    rows = tiny_rows(96)
    lines = [f"{text},{label}" for text, label in zip(rows["text"], rows["label"], strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]))

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "modelnook", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)

    trained = ran("finetune", "./tiny", "--data", "./rows.csv", "--epochs", "1", "--name", "spam", "--json")
    assert trained.returncode == 0, trained.stderr
    run = json.loads(trained.stdout)
    assert (run["kind"], run["state"], run["model"], run["data"]["rows"]) == (
        "finetune", "finished", "local:spam@1", 96,
    )  # fmt: skip
    assert 0 <= run["metrics"]["accuracy"] <= 1
    first, *then = trained.stderr.splitlines()
    assert first.startswith("Logged for W&B offline")
    assert "spam · starting" in then
    answered = ran("predict", "spam", "free money", "see you at lunch", "--json")
    assert answered.returncode == 0, answered.stderr
    frame = json.loads(answered.stdout)
    assert frame["columns"] == ["label", "score", "scores", "input"]
    assert [row[3] for row in frame["rows"]] == ["free money", "see you at lunch"]
    assert [row[0] in ("ham", "spam") for row in frame["rows"]] == [True, True]


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        ("标签是什么".encode("gb18030"), "标签是什么"),
        ("\ufeffa\r\nb\n".encode(), "a\nb\n"),
        ("plain é".encode(), "plain é"),
        (b"\xff\xfea", None),
    ],
)
def test_what_is_piped_in_is_read_as_files_are(blob: bytes, text: str | None) -> None:
    code = "from modelnook.cli.command import _piped; import sys; sys.stdout.buffer.write(_piped().encode())"
    if text is None:
        code = "from modelnook.cli import main; sys = __import__('sys'); sys.exit(main(['predict', 'x']))"
    done = subprocess.run([sys.executable, "-c", code], input=blob, capture_output=True, check=False)
    if text is None:
        assert done.returncode == 2
        assert "UTF-8" in done.stderr.decode()
    else:
        assert done.stdout.decode() == text, done.stderr
