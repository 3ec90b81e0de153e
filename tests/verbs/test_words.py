"""A typed line as words."""

from __future__ import annotations

import pytest

from modelnook.verbs import split
from modelnook.verbs.words import tokens


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  a   b ", ["a", "b"]),
        ("it's fine", ["it's", "fine"]),
        ("'a b' \"c d\"", ["a b", "c d"]),
        ('--name="a b"', ["--name=a b"]),
        ('ds["a b"].x', ['ds["a b"].x']),
        ("ds['train'][:10]", ["ds['train'][:10]"]),
        ("{ds['a b']} x", ["{ds['a b']}", "x"]),
        ("a [b c", ["a", "[b", "c"]),
        ("C:\\data\\x.csv", ["C:\\data\\x.csv"]),
        ("价格 “很 好”", ["价格", "“很", "好”"]),
        ("''", [""]),
    ],
)
def test_split(line: str, words: list[str]) -> None:
    assert split(line) == words


def test_tokens_know_where_they_stand() -> None:
    found = tokens("finetune  pip:x --na")
    assert [(t.text, t.start) for t in found] == [("finetune", 0), ("pip:x", 10), ("--na", 16)]
    assert tokens("x 'open")[-1].open == "'"
