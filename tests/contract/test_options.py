"""Hints name arguments as Python has them; in a line, and in the sidebar, they are options."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import modelnook
from modelnook.messages import LANGUAGES
from modelnook.verbs import options

MESSAGES = Path(modelnook.__file__).parent / "messages"
TYPED = Path(__file__).parents[2] / "src/views/parts/typed.ts"
ARGUMENT = re.compile(r"(?<![\w(-])[a-z_]+=(?:…|True|[\"'{])(?![^(（]*[(（]--)")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_hint_is_left_with_an_argument_of_python(lang: str) -> None:
    left = {}
    for file in sorted((MESSAGES / lang).glob("*.json")):
        for code, said in json.loads(file.read_text(encoding="utf-8")).items():
            # What is formatted has its braces doubled.
            hint = said[1].replace("{{", "{").replace("}}", "}") if isinstance(said, list) else ""
            hint = options.as_options(re.sub(r"\{(\w+)\}", r"\1", hint))
            if ARGUMENT.search(re.sub(r"--columns \S+", "", hint)):
                left[f"{file.stem}.{code}"] = hint
    assert not left


def test_the_sidebar_says_the_same() -> None:
    text = TYPED.read_text(encoding="utf-8")
    found = dict(re.findall(r"const ([A-Z]+) =\s+/(.*)/g;", text))
    patterns = {name: getattr(options, f"_{name}").pattern.replace('\\"', '"') for name in found}
    assert found == patterns
    assert len(found) == 4
