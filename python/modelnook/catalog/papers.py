"""What a model's papers say: the head of its card and its ``config.json``. Anybody may have written them.

Only what is needed is read, and only in the form that it has in honest ones; the rest is left out. No YAML library is
asked: its tags, anchors and nested values are what a card would attack with.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from modelnook.domain.model import RELATIONS

__all__ = [
    "card_head",
    "config_in",
    "every",
    "facts",
    "first",
    "front_matter",
    "json_in",
    "licence",
    "lineage",
    "number",
    "sane_config",
]

_LONGEST = 65_536
# A value that begins so is no plain one: a tag, an anchor, an alias, a mapping, a block.
_NOT_PLAIN = ("!", "&", "*", "{", "|", ">", "%", "@", "`")


def front_matter(path: Path) -> dict[str, Any]:
    """:func:`card_head` of a file; empty without one."""
    try:
        return card_head(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def card_head(text: str) -> dict[str, Any]:
    """The simple keys of a model card's YAML head: texts, and lists of texts, which is all that is needed.

    >>> card_head("---\\nlicense: mit  # ours\\nlanguage: [en, zh]\\nbase_model:\\n- a/b\\n---\\n# Card")
    {'license': 'mit', 'language': ['en', 'zh'], 'base_model': ['a/b']}
    >>> card_head("---\\nlicense: !!python/object/apply:os.system [ls]\\n---")
    {'license': None}
    """
    if not text.startswith("---"):
        return {}
    head: dict[str, Any] = {}
    key = ""
    # What would move a terminal's cursor or hide the rest of a line isn't a value.
    told = text[3:_LONGEST].partition("\n---")[0]
    said = "".join(c for c in told if c == "\n" or unicodedata.category(c)[0] != "C")
    for line in said.splitlines():
        if line.startswith(("- ", "  - ")) and key:
            if not isinstance(head.get(key), list):
                head[key] = []
            item = _plain(line.strip()[2:])
            head[key] += [item] if item else []
        elif ":" in line and not line.startswith((" ", "#", "-")):
            key, _, value = line.partition(":")
            key = key.strip()
            head[key] = _value(value)
    return head


def _value(text: str) -> str | list[str] | None:
    text = text.partition(" #")[0].strip()
    if text.startswith("[") and text.endswith("]"):
        return [item for part in text[1:-1].split(",") if (item := _plain(part)) and "[" not in item]
    return _plain(text)


def _plain(text: str) -> str | None:
    text = text.strip()
    return None if text.startswith(_NOT_PLAIN) else text.strip(" '\"") or None


def every(value: Any) -> tuple[str, ...]:
    """The texts of a value that should be one or a list of them.

    >>> every("en"), every(["en", {"x": 1}, 2]), every({"x": 1}), every(None)
    (('en',), ('en', '2'), (), ())
    """
    values = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(str(v) for v in values if v and isinstance(v, (str, int, float)) and not isinstance(v, bool))


def first(value: Any) -> str | None:
    """The first of :func:`every`."""
    return next(iter(every(value)), None)


def number(value: Any) -> int | None:
    """A value that should be a whole number, if it is one.

    >>> number(3), number("3"), number(True)
    (3, None, None)
    """
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def lineage(bases: Iterable[str], relation: str | None = None) -> dict[str, Any]:
    """What a model comes from and how, as fields of its entry; of several without a word it is a merge.

    >>> lineage(["a/b", "c/d"])
    {'base_model': 'a/b', 'bases': ('a/b', 'c/d'), 'relation': 'merge'}
    """
    found = tuple(dict.fromkeys(bases))
    several = len(found) > 1
    how = relation if relation in RELATIONS else "merge" if several else None
    return {"base_model": next(iter(found), None), "bases": found if several else (), "relation": how}


def licence(card: dict[str, Any]) -> str | None:
    """The licence that a card names; terms of their own are called "other" there, and named beside it.

    >>> licence({"license": "other", "license_name": "llama3"}), licence({"license": ["mit"]}), licence({})
    ('llama3', 'mit', None)
    """
    said = first(card.get("license"))
    return first(card.get("license_name")) or said if said == "other" else said


def facts(card: dict[str, Any]) -> dict[str, Any]:
    """What a card's head tells of licence, languages and lineage, as fields of an entry."""
    bases, relation = every(card.get("base_model")), first(card.get("base_model_relation"))
    return {"license": licence(card), "language": every(card.get("language")), **lineage(bases, relation)}


def config_in(text: bytes) -> dict[str, Any]:
    """A ``config.json``; keys that others rely on are left out where they have another form than theirs.

    >>> config_in(b'{"architectures": "BertModel", "id2label": ["a"], "model_type": "bert"}')
    {'model_type': 'bert'}
    """
    try:
        return sane_config(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def json_in(path: Path) -> dict[str, Any]:
    """An object of JSON in a model's folder, such as its tokenizer's settings; empty where none can be read."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def sane_config(said: Any) -> dict[str, Any]:
    """What :func:`config_in` keeps of a configuration that was read already."""
    if not isinstance(said, dict):
        return {}
    return {name: value for name, value in said.items() if name not in _FORMS or _FORMS[name](value)}


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _labels(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, (str, int, float)) for v in value.values())


def _text(value: Any) -> bool:
    return isinstance(value, str)


_FORMS: dict[str, Callable[[Any], bool]] = {
    "architectures": _texts,
    "auto_map": lambda value: isinstance(value, dict),
    "id2label": _labels,
    "model_type": _text,
    "modelnook_task": _text,
    "problem_type": _text,
}
