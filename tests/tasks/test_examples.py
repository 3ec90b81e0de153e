"""The example of each task's docstring is run, on small models and rows that stand in for a person's."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.tasks.media import records
from tests.tasks.test_multi_label_classification import tagged
from tests.tasks.test_sentence_similarity import matched
from tests.tasks.test_table import loans
from tests.tasks.test_text_regression import priced

import modelnook as mn
from modelnook.tasks import TASKS
from modelnook.testing.media import tiny_audio_model, tiny_audio_rows, tiny_image_model, tiny_image_rows
from modelnook.testing.models import (
    tiny_asked,
    tiny_model,
    tiny_pairs,
    tiny_prompts,
    tiny_rows,
    tiny_tagged,
    tiny_translator,
    tiny_writer,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("untracked")]

SHOWN = re.compile(r"\[(\{[^{}]*\}), …\]")
"""A list of which a docstring shows the first row."""

MEDIA = {"audio": ("new.flac", "new.wav"), "image": ("new.jpg", "other.png")}
"""Role -> the files that examples name; what a file is its content tells."""

Rows = list[dict[str, Any]]


def named(rows: dict[str, list[Any]], **names: str) -> Rows:
    """Rows with a person's own names of the columns."""
    return records({names.get(role, role.removeprefix("feature:")): values for role, values in rows.items()})


def heard() -> Rows:
    rows = tiny_audio_rows(16)
    return records({"audio": rows["audio"], "text": [str(label) for label in rows["label"]]})


STANDINS: dict[str, tuple[Callable[[Path], Path], Callable[[], dict[str, Any]]]] = {
    "audio-classification": (tiny_audio_model, lambda: {"": records(tiny_audio_rows(16)), "samples": [0.1] * 44_100}),
    "automatic-speech-recognition": (tiny_audio_model, lambda: {"": heard()}),
    "fill-mask": (
        tiny_model,
        lambda: {
            "reports": named(tiny_rows(24), text="body"),
            "labelled": named(tiny_rows(24), text="body", label="ward"),
        },
    ),
    "image-classification": (tiny_image_model, lambda: {"": records(tiny_image_rows(16))}),
    "multi-label-classification": (
        tiny_model, lambda: {"ref": "pip:x", "frame": named(tagged(40), text="question", label="topics")},
    ),
    "question-answering": (tiny_model, lambda: {"": records(tiny_asked(24))}),
    "sentence-similarity": (tiny_model, lambda: {"pairs": records(matched(24)), "texts": ["the dog", "a cat"]}),
    "table": (
        tiny_model,
        lambda: {
            "frame": [
                {**row, "id": i, "name": str(i)} for i, row in enumerate(named(loans(60), label="creditability"))
            ],
            "applications": named({n: v for n, v in loans(4).items() if n != "label"}),
        },
    ),
    "text-classification": (tiny_model, lambda: {"frame": named(tiny_rows(24), text="body", label="topic")}),
    "text-generation": (tiny_writer, lambda: {"": records(tiny_prompts(24))}),
    "text-regression": (tiny_model, lambda: {"frame": named(priced(40), text="review", label="stars")}),
    "text2text-generation": (tiny_translator, lambda: {"": records(tiny_pairs(24))}),
    "token-classification": (tiny_model, lambda: {"": records(tiny_tagged(24))}),
}  # fmt: skip
"""Task -> a base's maker, and what stands in for the names of its example; under the empty name, rows that it shows."""


def example(name: str) -> str:
    """The code of a task's docstring."""
    text = inspect.getdoc(inspect.getmodule(TASKS.load(name, light=True))) or ""
    block = re.search(r"^::\n\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    assert block, f"{name} has no example"
    return inspect.cleandoc(block[1])


def test_every_task_has_an_example() -> None:
    assert set(STANDINS) == set(TASKS)


@pytest.mark.parametrize("name", sorted(STANDINS))
def test_the_example_of_a_task_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    make, standins = STANDINS[name]
    base, names = str(make(tmp_path / "base")), standins()
    rows = names.pop("", [])
    for role, files in MEDIA.items():
        for file in files if rows and role in rows[0] else ():
            Path(file).write_bytes(rows[0][role])
    code = example(name)
    for shown in SHOWN.findall(code):
        assert set(ast.literal_eval(shown)) <= set(rows[0]), "the row that it shows has the columns that are trained on"
    runs: list[Any] = []

    def finetune(ref: str, data: Any, **said: Any) -> Any:
        run = mn.finetune(ref if ref.startswith("local:") else base, data, epochs=1, on="kernel", **said)
        assert run.metrics, run.record
        runs.append(run)
        return run

    stage = SimpleNamespace(finetune=finetune, predict=mn.predict)
    exec(compile(SHOWN.sub("ROWS", code), name, "exec"), {"modelnook": stage, "ROWS": rows, **names})
    assert runs
    for run in runs:
        assert run.state == "finished"
    assert runs[0].record.task == name, "the columns, or the call, tell the task"
