"""Every example of a docstring is run; a docstring of what a person calls says all that the house asks of one."""

from __future__ import annotations

import ast
import builtins
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.standins.stage import Stage, _kept, _site, _writer, stage  # noqa: F401

from modelnook.domain import errors

ROOT = Path(__file__).parents[2] / "python" / "modelnook"
STAGED = re.compile(r"\bmn\.|import modelnook as mn|from modelnook\.api import")
"""A person's examples: they begin with the names of the stage; the others with those of their module."""

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Example(NamedTuple):
    """A docstring with ``>>>``: its module, what it belongs to, the text, its line."""

    module: str
    name: str
    text: str
    line: int


def examples(staged: bool) -> Iterator[Example]:
    """Read from the files: nothing is imported before it is run."""
    for path in sorted(ROOT.rglob("*.py")):
        if ">>> " not in (source := path.read_text(encoding="utf-8")):
            continue
        module = ".".join(("modelnook", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for name, node in _within(ast.parse(source), ""):
            text = ast.get_docstring(node) or ""
            wanted = doctest.DocTestParser().get_examples(text)
            person = any(STAGED.search(example.source) for example in wanted)
            if person == staged and any(not example.options.get(doctest.SKIP) for example in wanted):
                yield Example(module, name, text, getattr(node, "lineno", 0))


def _within(node: Any, above: str) -> Iterator[tuple[str, Any]]:
    yield above, node
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.ClassDef):
            yield from _within(inner, f"{above}.{inner.name}".lstrip("."))


def run(example: Example, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(example.text, names, example.name, example.module, example.line)
    said: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert not said, "".join(said)


def _id(example: Example) -> str:
    return f"{example.module}:{example.name}"


@pytest.mark.parametrize("example", list(examples(staged=False)), ids=_id)
def test_an_example_of_the_house_runs(example: Example) -> None:
    run(example, dict(vars(importlib.import_module(example.module))))


@pytest.mark.slow
@pytest.mark.parametrize("example", list(examples(staged=True)), ids=_id)
def test_an_example_of_a_person_runs(example: Example, stage: Stage) -> None:  # noqa: F811
    run(example, stage)


def called() -> Iterator[tuple[str, Any]]:
    """What a person calls: the verbs, those below a verb, and the methods of what they hold."""
    from modelnook import api
    from modelnook.model import Model
    from modelnook.run import Run
    from modelnook.run_list import RunList

    yield from ((name, getattr(api, name)) for name in api.__all__ if name != "push")
    for kind in (Model, Run, RunList):
        for name, method in vars(kind).items():
            if not name.startswith("_") and inspect.isfunction(method):
                yield f"{kind.__name__}.{name}", method


SECTION = re.compile(r"^(Args|Returns|Raises):\n((?:    .*\n?|\n)+)", re.MULTILINE)
NAMED = re.compile(r"^    (\w[\w, ]*):", re.MULTILINE)


@pytest.mark.parametrize(("name", "function"), list(called()), ids=[name for name, _ in called()])
def test_what_a_person_calls_is_told_whole(name: str, function: Any) -> None:
    text = inspect.getdoc(function) or ""
    assert doctest.DocTestParser().get_examples(text), "it has an example"
    assert re.match(r"\S.*[.?]$", text.splitlines()[0]), "its first line is a sentence"
    said = {kind: ", ".join(NAMED.findall(body)).split(", ") for kind, body in SECTION.findall(text)}
    assert {"self", *said.get("Args", [])} == {"self", *inspect.signature(function).parameters}, "every argument"
    for error in said.get("Raises", []):
        assert issubclass(getattr(errors, error, None) or getattr(builtins, error), BaseException)
