"""The list of verbs and the page of one verb, written from the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelnook.messages import t
from modelnook.verbs.parse import COMMON, command
from modelnook.verbs.table import GROUPS, VERBS
from modelnook.verbs.verb import Arg, Verb

__all__ = ["Page", "overview", "usage"]


@dataclass(frozen=True, slots=True)
class Page:
    """A help page: a title, a line on top, sections of (word, sentence) rows, a line at the end."""

    title: str
    lead: str
    sections: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    foot: str = ""


def overview(door: str = "magic") -> Page:
    """All the verbs of a door, in their groups."""
    sections = []
    for group in GROUPS:
        rows = [(verb.name, verb.summary) for verb in VERBS.values() if verb.group == group and door in verb.doors]
        if rows:
            sections.append((t(f"verbs.group.{group}"), tuple(rows)))
    start = command(None, door)
    return Page(f"{start} {t('verbs.word.verb')}", t("verbs.lead"), tuple(sections), t("verbs.foot", start=start))


def usage(verb: Verb, door: str = "magic") -> Page:
    """One verb: how it is typed, what its words and options mean, an example."""
    args = verb.at(door)
    line = " ".join([command(verb, door), *_shape(args)])
    sections = []
    bare = tuple((_word(a), verb.about(a, door)) for a in args if a.positional and a.kind != "data")
    options = tuple(
        (_option(a, door), _about(verb, a, door)) for a in args if not a.positional or a.kind in ("data", "inputs")
    )
    options += tuple(
        (f"{n} NAME" if c == "output" else n, t(f"verbs.common.{c}")) for n, c in COMMON[door].items() if n != "-h"
    )
    subs = tuple((v.name, v.summary) for v in VERBS.values() if v.name.startswith(f"{verb.name} ") and door in v.doors)
    for key, rows in (("words", bare), ("options", options), ("subs", subs)):
        if rows:
            sections.append((t(f"verbs.section.{key}"), rows))
    return Page(line, verb.summary, tuple(sections), t("verbs.example", example=verb.example_at(door)))


def _shape(args: Iterable[Arg]) -> list[str]:
    shape = [_word(a) if a.required else f"[{_word(a)}]" for a in args if a.positional]
    return [*shape, "[--…]"] if any(not a.positional for a in args) else shape


def _word(arg: Arg) -> str:
    """How a positional argument is written in the first line of its help."""
    if arg.kind == "assign":
        return "NAME=VALUE …"
    if arg.kind == "inputs":
        return f"TEXT … | {arg.flag} ROWS"
    if arg.kind == "data":
        return f"{arg.flag} ROWS"
    return arg.name.upper() + (" …" if arg.many else "")


def _common(flag: str) -> str:
    return f"{flag} NAME" if flag == "-o" else flag


def _option(arg: Arg, door: str) -> str:
    if arg.kind == "flag":
        return arg.flag
    file = ".csv" if door == "terminal" and arg.kind in ("data", "inputs") else ""
    return f"{arg.flag} {arg.example or arg.name.upper()}{file}"


def _about(verb: Verb, arg: Arg, door: str) -> str:
    said = [verb.about(arg, door)]
    allowed = arg.words()
    if allowed and arg.kind not in ("int", "float"):
        said.append(t("verbs.choices", known=", ".join(allowed)))
    if arg.default not in (None, False, ""):
        said.append(t("verbs.default", value=arg.default))
    return " ".join(said)
