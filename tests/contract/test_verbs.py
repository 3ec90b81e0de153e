"""The table of verbs and the plain functions say the same; every verb can be explained in both languages."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from modelnook import rpc
from modelnook.messages import LANGUAGES, room
from modelnook.verbs import GROUPS, VERBS, Verb, parse, split
from modelnook.verbs.verb import DOORS

ALL = list(VERBS.values())
VALUE = {"data": "rows.csv", "inputs": "rows.csv", "pairs": "text=a"}


def parameters(verb: Verb) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(verb.load()).parameters)


@pytest.mark.parametrize("verb", ALL, ids=lambda v: v.name)
def test_a_row_has_the_arguments_of_its_function(verb: Verb) -> None:
    known = parameters(verb)
    assert {a.name for a in verb.args} == {
        "values" if p.kind is p.VAR_KEYWORD else name for name, p in known.items()
    }, "the row and the function name different arguments"
    for arg in verb.args:
        parameter = known.get(arg.name)
        if parameter is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        needed = parameter.default is parameter.empty
        assert arg.required == needed, f"{arg.name}: required"
        if not needed:
            assert arg.default == parameter.default, f"{arg.name}: default"


@pytest.mark.parametrize("verb", ALL, ids=lambda v: v.name)
def test_after_the_first_two_arguments_all_are_named(verb: Verb) -> None:
    free = [p for p in parameters(verb).values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(free) <= 2


@pytest.mark.parametrize("verb", ALL, ids=lambda v: v.name)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_word_of_a_verb_is_explained(verb: Verb, lang: str) -> None:
    texts = room(lang, "verbs")
    assert verb.key in texts
    for arg in verb.args:
        assert f"{verb.key}.{arg.name}" in texts or f"arg.{arg.name}" in texts, arg.name


@pytest.mark.parametrize("verb", ALL, ids=lambda v: v.name)
def test_the_example_is_understood(verb: Verb) -> None:
    class Anything:
        def expand(self, word: str) -> str:
            return word

        def data(self, word: str) -> Any:
            return [word]

    assert verb.example.startswith(f"%model {verb.name}")
    call = parse(split(verb.example.removeprefix("%model ")), scope=Anything())
    assert call.verb is verb
    if "terminal" in verb.doors:
        parse(split(verb.example_at("terminal").removeprefix("modelnook ")), door="terminal")


@pytest.mark.parametrize("verb", ALL, ids=lambda v: v.name)
def test_a_row_is_whole(verb: Verb) -> None:
    assert set(verb.doors) <= set(DOORS)
    assert " " in verb.name or verb.group in GROUPS
    assert verb.runs in ("here", "job")
    assert verb.action in ("read", "write", "execute")
    assert verb.body in ("", "inputs", "knobs", "options", "prompt")
    assert (verb.runs == "job") == any(a.name == "background" for a in verb.args)
    flags = [a.flag for a in verb.args]
    assert len(flags) == len(set(flags))


def test_the_python_door_has_the_same_verbs() -> None:
    import modelnook

    public = {n for n, v in VERBS.items() if " " not in n and "python" in v.doors}
    assert public <= set(modelnook.__all__)


@pytest.mark.parametrize("name", rpc.METHODS)
def test_a_method_is_a_function_with_an_action(name: str) -> None:
    method = rpc.METHODS[name]
    module, _, function = method.function.partition(":")
    import importlib

    known = inspect.signature(getattr(importlib.import_module(module), function)).parameters
    assert method.action in ("read", "write", "execute")
    assert {n for n, _ in method.fixed} <= set(known)


def test_the_doors_agree_on_what_rpc_has() -> None:
    said = {n for n, v in VERBS.items() if "rpc" in v.doors}
    assert said <= set(rpc.METHODS)
    for name in said:
        assert rpc.METHODS[name].action == VERBS[name].action or name == "compare"
