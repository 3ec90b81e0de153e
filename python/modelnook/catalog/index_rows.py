"""A catalogue entry as a row of the index: its compact form, and the tokens that it is found by.

Tokens of the full-text table, one namespace each: ``word`` of the name, ``~word`` of anything else that is said, and
one a filter: ``t=task k=kind of licence u=commercial i=licence g=language f=format d=gated p=size P=size``. Sizes are
half octaves of the number of parameters, ``P`` holds eight of them, so that any range is a few tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from modelnook.catalog.licences import licence_of
from modelnook.catalog.words import language_code, name_words
from modelnook.domain.model import RELATIONS, ModelInfo, Risk
from modelnook.messages import t

__all__ = [
    "Facts",
    "by_rank",
    "decoded",
    "extra_of",
    "fact_tokens",
    "facts_of",
    "filter_token",
    "moment",
    "name_tokens",
    "rank_of",
    "size_range",
    "size_tokens",
    "spoken",
    "tag_tokens",
]

Facts = tuple[str | None, str | None, tuple[str, ...], tuple[str, ...], str | None, bool, bool]
"""What many entries share: task, licence, languages, formats, architecture, gated, brings code of its own."""

# Said of nearly every model of the hub, or said by another column.
_NOISE = frozenset(
    "region:us region:eu autotrain_compatible endpoints_compatible has_space safetensors onnx gguf pytorch".split()
)
_TOLD = ("license:", "base_model:", "region:", "doi:", "deploy:", "diffusers:")
_MOST_TAGS, _MOST_WORDS = 24, 32
_FINE, _COARSE = 2, 8
# Fields of an entry that have no column: kept as JSON, which entries of the hub's list don't need.
_EXTRA = ("bytes", "summary", "metrics", "labels", "run", "path", "digest", "bases")


def facts_of(info: ModelInfo) -> Facts:
    """The shared part of an entry."""
    code = bool(info.risks) and any(r.code == "remote_code" for r in info.risks)
    return (info.task, info.license, info.language, info.formats, info.architecture, info.gated, code)


def spoken(info: ModelInfo) -> tuple[str, ...]:
    """The tags worth keeping."""
    kept = [tag for tag in info.tags if tag not in _NOISE and not tag.startswith(_TOLD)]
    return tuple(kept[:_MOST_TAGS])


def name_tokens(info: ModelInfo) -> str:
    """The words of an id, and of a name of its own."""
    words = name_words(info.id)
    if info.name and info.name not in info.id:
        words += [w for w in name_words(info.name) if w not in words]
    return " ".join(words)


def fact_tokens(facts: Facts) -> list[str]:
    """Filters and words of what many entries share."""
    task, licence, languages, formats, architecture, gated, _ = facts
    terms = licence_of(licence)
    found = ["d=gated" if gated else "d=open", f"k={terms.kind}"]
    if task:
        found.append(f"t={filter_token(task)}")
    if licence:
        found.append(f"i={filter_token(licence)}")
    if terms.commercial in ("yes", "conditions"):
        found.append("u=commercial")
    found += [f"g={filter_token(language_code(language))}" for language in languages[:_MOST_WORDS]]
    found += [f"f={filter_token(form)}" for form in formats]
    if architecture:
        found += [f"~{w}" for w in name_words(architecture)]
    return list(dict.fromkeys(found))


def tag_tokens(tags: Iterable[str]) -> list[str]:
    """Words of the tags."""
    found: dict[str, None] = {}
    for tag in tags:
        if not tag.startswith("arxiv:"):
            found.update((f"~{word}", None) for word in name_words(tag.removeprefix("dataset:")))
    return list(found)[:_MOST_WORDS]


def filter_token(said: str) -> str:
    """A filter's value without anything that would divide a token."""
    return "_".join(said.lower().split())[:60].replace('"', "")


@lru_cache(maxsize=10_000)
def size_tokens(parameters: int | None) -> str:
    """The buckets of a number of parameters.

    >>> size_tokens(110_000_000)
    'p=53 P=6'
    """
    if not parameters or parameters < 1:
        return ""
    fine = int(math.log2(parameters) * _FINE)
    return f"p={fine} P={fine // _COARSE}"


def size_range(low: float, high: float) -> list[str]:
    """The buckets that hold every number from low to high; their edges hold others too."""
    first = int(math.log2(max(low, 1.0)) * _FINE)
    last = int(math.log2(min(max(high, 1.0), 2.0**60)) * _FINE)
    found: list[str] = []
    at = first
    while at <= last:
        if at % _COARSE == 0 and at + _COARSE - 1 <= last:
            found.append(f"P={at // _COARSE}")
            at += _COARSE
        else:
            found.append(f"p={at}")
            at += 1
    return found


def extra_of(info: ModelInfo) -> str | None:
    """What has no column of its own, as JSON."""
    said: dict[str, Any] = {}
    if info.summary or info.metrics or info.labels or info.bytes or info.run or info.path or info.digest or info.bases:
        said = {name: value for name in _EXTRA if (value := getattr(info, name))}
    if info.revision and len(info.revision) != 40:  # a commit of the hub's is asked again before anything is taken
        said["revision"] = info.revision
    if info.name and info.name != info.id.rpartition("/")[2]:
        said["name"] = info.name
    if info.ref != f"{info.source}:{info.id}":
        said["ref"] = info.ref
    return json.dumps(said, ensure_ascii=False) if said else None


def moment(updated: str | None) -> int | None:
    """Seconds since 1970 of an ISO time.

    >>> moment("2026-01-01T00:00:00Z"), moment("nonsense")
    (1767225600, None)
    """
    if not updated:
        return None
    try:
        when = datetime.fromisoformat(updated)
    except ValueError:
        return None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def decoded(source: str, row: tuple[Any, ...], facts: list[Any], tags: list[str], base: str | None) -> ModelInfo:
    """An entry from its row: ``(id, downloads, likes, parameters, updated, relation, extra)``."""
    id, downloads, likes, parameters, updated, relation, extra = row
    task, licence, languages, formats, architecture, gated, code = facts
    said = json.loads(extra) if extra else {}
    for name in ("labels", "bases"):
        said[name] = tuple(said.get(name) or ())
    when = datetime.fromtimestamp(updated, UTC).isoformat() if updated is not None else None
    return ModelInfo(
        **{
            "ref": f"{source}:{id}",
            "id": id,
            "source": source,
            "name": id.rpartition("/")[2],
            "task": task,
            "license": licence,
            "language": tuple(languages),
            "parameters": parameters,
            "formats": tuple(formats),
            "architecture": architecture,
            "downloads": downloads,
            "likes": likes,
            "base_model": base,
            "relation": RELATIONS[relation - 1] if relation else None,
            "risks": (Risk("remote_code", t("catalog.risk_remote_code")),) if code else (),
            "updated": when,
            "tags": tuple(tags),
            "gated": gated,
            **said,
        }
    )


def by_rank(infos: Iterable[ModelInfo]) -> Iterator[ModelInfo]:
    """Entries as the index wants them: the most used first."""
    yield from sorted(infos, key=rank_of)


def rank_of(info: ModelInfo) -> tuple[int, int]:
    """What the order of rows is by."""
    return (-(info.downloads or 0), -(info.likes or 0))
