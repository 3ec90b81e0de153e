"""Words: what a model's name is found by, and what a person's words mean.

A name is cut at its punctuation and between letters and a version (``Qwen2.5-7B`` -> ``qwen2.5 qwen 2.5 7b``);
Chinese, which has no spaces, into single characters and pairs. What is typed is cut in the same way; words that mean a
task or a language (``情感``, ``ner``, ``german``) are known from ``synonyms.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

__all__ = ["Concept", "concepts", "grams", "language_code", "languages_named", "name_words", "task_named"]

_HAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_CHUNK = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+(?:\.\d[^\W_{_HAN}]*)*")
_IS_HAN = re.compile(rf"[{_HAN}]")
_VERSIONED = re.compile(r"([^\W\d_]{3,})(\d[\w.]*)")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# Shorter parts of a name in camel case (De-BER-Ta) say nothing.
_CAMEL_AT_LEAST = 4
_LONGEST_PHRASE = 4


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing that is asked for.

    ``text`` as typed, in small letters; ``parts`` that stand for it when all are there (``sst 2`` for ``sst2``);
    ``words`` that mean the same; ``tasks`` and ``languages`` that it names; ``near``: tasks that are wider than it.
    """

    text: str
    parts: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    @property
    def chinese(self) -> bool:
        """Whether it is written in characters."""
        return bool(_IS_HAN.match(self.text))

    def said_in(
        self, hay: str, words: frozenset[str], task: str | None = None, languages: tuple[str, ...] = ()
    ) -> bool:
        """Whether an entry that no index holds answers to it.

        Args:
            hay: what is said of it, in small letters.
            words: the words of that.
        """
        return (
            self.text in hay
            or (len(self.parts) > 1 and words.issuperset(self.parts))
            or not words.isdisjoint(self.words)
            or task in self.tasks
            or any(language in self.languages for language in languages)
        )


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("synonyms.json").read_text(encoding="utf-8"))
    return table


def language_code(said: str) -> str:
    """A language as the index writes it: ``zh`` for ``zh-CN``, ``zho``, ``Chinese``, ``中文``.

    >>> language_code("zh-CN"), language_code("Chinese"), language_code("中文"), language_code("en")
    ('zh', 'zh', 'zh', 'en')
    """
    name = said.strip().lower()
    known: dict[str, str] = _table()["languages"]
    return known.get(name) or known.get(name.partition("-")[0]) or name.partition("-")[0]


def languages_named(tags: Iterable[str]) -> tuple[str, ...]:
    """The languages that a site's tags name in full.

    >>> languages_named(["English", "Keras"])
    ('en',)
    """
    known: dict[str, str] = _table()["languages"]
    return tuple(dict.fromkeys(code for tag in tags if (code := known.get(tag.strip().lower()))))


@cache
def _tasks() -> frozenset[str]:
    meanings: dict[str, dict[str, list[str]]] = _table()["meanings"]
    return frozenset(chain.from_iterable((*m.get("tasks", ()), *m.get("near", ())) for m in meanings.values()))


def task_named(tag: str) -> str | None:
    """The task that a site's tag names in full, if it does.

    >>> task_named("Image Classification"), task_named("Images")
    ('image-classification', None)
    """
    name = "-".join(tag.lower().split())
    return name if name in _tasks() else None


@lru_cache(maxsize=100_000)
def _chunk_words(chunk: str) -> tuple[str, ...]:
    lower = chunk.lower()
    if _IS_HAN.match(lower):
        return tuple(grams(lower))
    found = [lower]
    versioned = _VERSIONED.fullmatch(lower)
    if versioned:
        found += versioned.groups()
    if not chunk.islower() and not chunk.isupper():
        parts = _CAMEL.findall(chunk)
        if len(parts) > 1:
            found += [p.lower() for p in parts if len(p) >= _CAMEL_AT_LEAST]
    return tuple(found)


def grams(run: str) -> list[str]:
    """Characters and pairs of a run of them.

    >>> grams("中文")
    ['中', '文', '中文']
    """
    return [*run, *(run[at : at + 2] for at in range(len(run) - 1))]


def name_words(name: str) -> list[str]:
    """The words that a model's name or a tag is found by, each once.

    >>> name_words("Qwen/Qwen2.5-7B-Instruct")
    ['qwen', 'qwen2.5', '2.5', '7b', 'instruct']
    >>> name_words("TinyLlama/TinyLlama-1.1B")
    ['tinyllama', 'tiny', 'llama', '1.1b']
    """
    # Of millions of names: no loop of Python's own.
    return list(dict.fromkeys(chain.from_iterable(map(_chunk_words, _CHUNK.findall(name)))))


@lru_cache(maxsize=1000)
def concepts(text: str) -> tuple[Concept, ...]:
    """What a person's words mean, one after another; words that say nothing are left out where others remain.

    >>> [(c.text, c.languages or c.words[:1]) for c in concepts("中文情感")]
    [('中文', ('zh',)), ('情感', ('sentiment',))]
    >>> concepts("sst2")[0].parts
    ('sst', '2')
    """
    chunks: list[str] = []
    for chunk in _CHUNK.findall(text.lower()):
        chunks += _cut(chunk) if _IS_HAN.match(chunk) else [chunk]
    stop = set(_table()["stop"])
    said = [c for c in chunks if c not in stop] or chunks
    found: list[Concept] = []
    at = 0
    while at < len(said):
        for size in range(min(_LONGEST_PHRASE, len(said) - at), 0, -1):
            phrase = " ".join(said[at : at + size])
            if size == 1 or phrase in _table()["meanings"]:
                found.append(_concept(phrase, size > 1))
                at += size
                break
    return tuple(dict.fromkeys(found))


def _cut(run: str) -> list[str]:
    """A run of characters, cut at the longest words that have a meaning; the rest stays together."""
    known: dict[str, Any] = _table()["meanings"]
    stop = set(_table()["stop"])
    found: list[str] = []
    rest, at = "", 0
    while at < len(run):
        word = next((run[at : at + n] for n in range(6, 0, -1) if run[at : at + n] in known), "")
        word = word or next((run[at : at + n] for n in range(3, 0, -1) if run[at : at + n] in stop), "")
        if word:
            found += [rest, word] if rest else [word]
            rest, at = "", at + len(word)
        else:
            rest, at = rest + run[at], at + 1
    return found + ([rest] if rest else [])


def _concept(text: str, phrase: bool) -> Concept:
    said: dict[str, list[str]] = _table()["meanings"].get(text, {})
    versioned = _VERSIONED.fullmatch(text)
    parts = tuple(text.split()) if phrase else versioned.groups() if versioned else ()
    more = {name: tuple(said.get(name, ())) for name in ("words", "tasks", "near", "languages")}
    return Concept(text, parts, **more)
