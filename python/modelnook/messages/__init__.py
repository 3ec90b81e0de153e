"""The one message catalogue, in English and Simplified Chinese.

``t("store.disk_full", path=p)`` looks up ``disk_full`` in ``messages/LANG/store.json`` (flat JSON, one file a
room, read on first use) and fills its ``{placeholders}``. An error's entry is a list of two sentences,
``[message, hint]``; :func:`pair` reads it. The language is that of :func:`modelnook.settings.language`.
``{count:text is|texts are}`` is the first form where the count is one, and the second for any other.

>>> t("core.bytes_short", n=3, lang="en")
'3 B'
"""

from __future__ import annotations

import json
import string
from functools import cache
from importlib.resources import files

__all__ = ["LANGUAGES", "pair", "t"]

LANGUAGES = ("en", "zh")


class _Forms(string.Formatter):
    def format_field(self, value: object, format_spec: str) -> str:
        one, several, many = format_spec.partition("|")
        if several:
            return one if str(value) == "1" else many
        return format(value, format_spec)


_FORMS = _Forms()


@cache
def room(lang: str, name: str) -> dict[str, str | list[str]]:
    """The entries of one room in one language; empty where the room has no file."""
    source = files(__package__).joinpath(lang, f"{name}.json")
    try:
        entries: dict[str, str | list[str]] = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return entries


def _entry(key: str, lang: str | None) -> str | list[str]:
    if lang is None:
        from modelnook.settings import language

        lang = language()
    name, _, rest = key.partition(".")
    entry = room(lang, name).get(rest)
    if entry is None:
        entry = room("en", name).get(rest, key)
    return entry


def t(key: str, /, *, lang: str | None = None, **values: object) -> str:
    """The text of ``key`` with its placeholders filled; an unknown key is shown as it is."""
    entry = _entry(key, lang)
    text = entry if isinstance(entry, str) else entry[0]
    return _FORMS.vformat(text, (), values) if values else text


def pair(key: str, /, *, lang: str | None = None, **values: object) -> tuple[str, str]:
    """The ``(message, hint)`` of an error's entry."""
    entry = _entry(key, lang)
    message, hint = (entry, "") if isinstance(entry, str) else (entry[0], entry[1])
    return _FORMS.vformat(message, (), values), _FORMS.vformat(hint, (), values)


def has(key: str) -> bool:
    """Whether the catalogue has an English entry for ``key``."""
    name, _, rest = key.partition(".")
    return rest in room("en", name)
