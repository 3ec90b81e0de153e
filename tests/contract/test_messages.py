"""The message catalogue is whole: both languages, every key that the code asks for, none that nobody asks for."""

from __future__ import annotations

import ast
import json
import re
import string
from functools import cache
from pathlib import Path

import pytest

from modelnook.domain import errors
from modelnook.messages import pair, t

ROOT = Path(__file__).parents[2] / "python" / "modelnook"
ROOMS = sorted(p.stem for p in (ROOT / "messages" / "en").glob("*.json"))
KEY = re.compile(r"[a-z_]+(\.[A-Za-z0-9_@-]+)+")

# What reads every key that there is: the front end has its own test, and the table of verbs is looked at below.
READ_WHOLE = {"ui", "verbs"}


def entries(lang: str, name: str) -> dict[str, str | list[str]]:
    said: dict[str, str | list[str]] = json.loads(
        (ROOT / "messages" / lang / f"{name}.json").read_text("utf-8"), object_pairs_hook=once
    )
    return said


def once(pairs: list[tuple[str, str | list[str]]]) -> dict[str, str | list[str]]:
    """JSON takes the last of two entries of a name without a word."""
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
    return dict(pairs)


def fields(text: str) -> set[str]:
    return {name.split(".")[0].split("[")[0] for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", ROOMS)
def test_both_languages_say_the_same(name: str) -> None:
    assert (ROOT / "messages" / "zh" / f"{name}.json").exists()
    en, zh = entries("en", name), entries("zh", name)
    assert set(en) == set(zh)
    for key, said in en.items():
        assert isinstance(said, list) == isinstance(zh[key], list), key
        both = (said, zh[key]) if isinstance(said, str) else ("".join(said), "".join(zh[key]))
        assert fields(str(both[0])) == fields(str(both[1])), key
        assert all(both) or key == "", key


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_unknown_has_a_name(lang: str) -> None:
    nodes = [node for path in ROOT.rglob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    named = [c for c in calls if c.args and getattr(c.func, "id", "") in ("Registry", "unknown")]
    families = {c.args[0].value for c in named if isinstance(c.args[0], ast.Constant)}
    assert {"knob", "space"} < families
    assert families <= set(entries(lang, "what"))


def test_no_language_has_a_room_of_its_own() -> None:
    assert sorted(p.stem for p in (ROOT / "messages" / "zh").glob("*.json")) == ROOMS


@cache
def asked() -> re.Pattern[str]:
    """Every key that the code may ask for: strings of a key's form, and f-strings with anything in their fields."""
    found = {r"core\.bytes_short"}  # the catalogue's own example
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and KEY.fullmatch(node.value):
                found.add(re.escape(node.value))
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                parts = [re.escape(str(v.value)) if isinstance(v, ast.Constant) else r"[^.]+" for v in node.values]
                if str(node.values[0].value).partition(".")[0] in ROOMS:
                    found.add("".join(parts))
    return re.compile("|".join(found))


def calls() -> list[tuple[str, str]]:
    """``(key, file)`` of every ``t("…")``, ``pair("…")`` and ``SomeError("…")``."""
    makers = {"t", "pair", *(n for n in errors.__all__ if n[0].isupper())}
    found = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                keys = _strings(node.args[0]) if name in makers else ()
                found += [(key, str(path.relative_to(ROOT))) for key in keys]
    return found


def _strings(node: ast.expr) -> list[str]:
    """A literal, or both branches of ``a if x else b``."""
    if isinstance(node, ast.IfExp):
        return _strings(node.body) + _strings(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def test_every_key_that_is_asked_for_is_there() -> None:
    missing = []
    for key, path in calls():
        name, _, rest = key.partition(".")
        if name not in ROOMS or rest not in entries("en", name):
            missing.append(f"{key} ({path})")
    assert not missing


@pytest.mark.parametrize("name", [r for r in ROOMS if r not in READ_WHOLE])
def test_every_entry_is_asked_for(name: str) -> None:
    assert not [k for k in entries("en", name) if not asked().fullmatch(f"{name}.{k}")]


def test_every_entry_of_the_verbs_is_theirs() -> None:
    from modelnook.verbs import DOORS, GROUPS, VERBS

    known = {f"group.{g}" for g in GROUPS}
    for verb in VERBS.values():
        known |= {verb.key, *(f"{head}.{a.name}" for a in verb.args for head in ("arg", verb.key, *DOORS))}
    rest = [k for k in entries("en", "verbs") if k not in known]
    # Here an f-string of one field, such as a verb's summary, must not swallow the rest.
    literal = {key.partition(".")[2] for key, _ in calls()}
    assert not [k for k in rest if k not in literal and not re.fullmatch(r"(section|common|word)\..+", k)]


@pytest.mark.parametrize("name", ROOMS)
def test_an_error_says_what_to_do(name: str) -> None:
    for lang in ("en", "zh"):
        for key, said in entries(lang, name).items():
            if isinstance(said, list):
                assert len(said) == 2, key
                assert said[1], key


def test_one_thing_is_told_as_one() -> None:
    def said(count: int) -> str:
        return t("task.empty_text", lang="en", count=count, row=3)

    assert said(1) == "1 text is empty (in row 3); it is trained on as it is."
    assert said(2) == "2 texts are empty (the first in row 3); they are trained on as they are."
    assert t("data.copies", lang="en", count="1", rows=9, percent=11).endswith("is a copy of another.")
    assert pair("task.words_and_tags", lang="en", row=1, words=1, tags=2)[0] == "Row 1 has 1 word and 2 tags."
    assert t("task.empty_text", lang="zh", count=1, row=3).startswith("有 1 行文本为空")


def test_a_form_for_one_has_another_for_several() -> None:
    for name in ROOMS:
        for said in entries("en", name).values():
            for text in [said] if isinstance(said, str) else said:
                specs = [spec for _, _, spec, _ in string.Formatter().parse(text) if spec]
                assert all(spec.count("|") == 1 for spec in specs if "|" in spec), text
                assert name != "ui" or not specs, f"the sidebar fills names alone: {text}"
