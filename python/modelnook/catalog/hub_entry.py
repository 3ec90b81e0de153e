"""The hub's answers as catalogue entries, and a query as the hub wants it asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from modelnook.catalog.base import Query
from modelnook.catalog.folder import task_of
from modelnook.catalog.hub_files import RepoFile, risks
from modelnook.catalog.papers import every, first, licence, lineage, number
from modelnook.catalog.words import concepts, language_code
from modelnook.domain.model import RELATIONS, ModelInfo

__all__ = [
    "LISTED",
    "ROW",
    "asked",
    "brings_code",
    "entry",
    "evaluations",
    "evaluations_in",
    "files_of",
    "flagged",
    "listed",
    "tree_files",
]

_PAGE = 100
_LONGEST = 65_536
_KINDS = ("permissive", "copyleft", "noncommercial", "other", "unknown", "commercial")
_SORTS = {"relevance": "downloads", "downloads": "downloads", "likes": "likes", "updated": "lastModified"}
ROW = (
    "author cardData config createdAt downloads gated lastModified library_name likes pipeline_tag private safetensors "
    "sha tags"
).split()
# For a list of thousands: what the tags say as well is left out, it is most of an answer.
LISTED = [name for name in ROW if name not in ("author", "cardData", "config", "createdAt", "private")] + ["gguf"]
_TAGGED = {"safetensors": "safetensors", "onnx": "onnx", "gguf": "gguf", "openvino": "openvino", "pytorch": "pickle"}
_LANGUAGES = frozenset(
    "af am ar as az be bg bn bo br bs ca ceb cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha haw he hi hr "
    "ht hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt multilingual my ne nl "
    "no nb nn ny om or pa pl ps pt ro ru rw sa sd si sk sl sm sn so sq sr st su sv sw ta te tg th ti tk tl tn tr ts "
    "tt ug uk ur uz vi wo xh yi yo yue zh zu".split()
)
_NO_NUMBERS = ("I64", "I32", "BOOL")


def asked(query: Query) -> dict[str, Any]:
    """The parameters of a list of models: one page, since that is what a deadline of seconds allows."""
    said, task, languages = _meant(query)
    tags = [language_code(query.language)] if query.language else languages
    tags += [tag for tag, kind in _TAGGED.items() if kind == (query.format or "").lower()][:1]
    if query.license and query.license not in _KINDS:
        tags.append(f"license:{query.license.lower()}")
    # What only we can filter or sort needs more rows to choose from.
    ours_alone = query.license in _KINDS or query.sort == "size"
    params: dict[str, Any] = {
        "search": said,
        "pipeline_tag": task,
        "filter": tags,
        "num_parameters": _range(query.params),
        "sort": _SORTS.get(query.sort) if query.text or query.sort != "relevance" else None,
        "limit": _PAGE if ours_alone else min(_PAGE, max(query.limit, 20)),
        "gated": None if query.gated is None else str(query.gated).lower(),
        "expand": ROW,
    }
    return {name: value for name, value in params.items() if value}


def _meant(query: Query) -> tuple[str, str | None, list[str]]:
    """What the hub is asked for: words, a task, languages. It looks at ids alone: Chinese words go by their meaning."""
    asked = concepts(query.text)
    if not any(c.chinese for c in asked):
        return query.text, query.task, []
    words: list[str] = []
    languages: list[str] = []
    task = query.task
    for concept in asked:
        if concept.chinese and concept.languages:
            languages += concept.languages
        elif concept.chinese and concept.tasks and not task:
            task = concept.tasks[0]
        else:
            words.append(concept.words[0] if concept.chinese and concept.words else concept.text)
    return " ".join(words), task, languages


def listed(rows: Any, source: str) -> list[ModelInfo]:
    """The entries of a list's answer. A row that names no model is left out, and of another a card that is none."""
    from huggingface_hub import ModelInfo as Row

    found = (_read(Row, row, source) for row in (rows if isinstance(rows, list) else ()) if _sane(row))
    return [info for info in found if info is not None]


def _sane(row: Any) -> bool:
    """Whether a row names a model: an id without control characters that doesn't climb out of a folder."""
    id = row.get("id") if isinstance(row, dict) else None
    return isinstance(id, str) and bool(id) and id.isprintable() and ".." not in id.split("/")


def _read(kind: type[Any], row: dict[str, Any], source: str) -> ModelInfo | None:
    for instead in ({}, {"cardData": None}):
        try:
            return entry(kind(**{"siblings": None, **row, **instead}), source)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    return None


def entry(found: Any, source: str) -> ModelInfo:
    """A row of a list, or a repository's own answer, as a catalogue entry; cards are anybody's."""
    card: dict[str, Any] = found.card_data.to_dict() if found.card_data else {}
    tags = every(found.tags)
    config: dict[str, Any] = found.config if isinstance(found.config, dict) else {}
    architectures = every(config.get("architectures"))
    return ModelInfo(
        ref=f"{source}:{found.id}",
        id=found.id,
        source=source,
        revision=found.sha,
        name=found.id.rpartition("/")[2],
        task=first(found.pipeline_tag) or task_of(architectures),
        license=licence(card) or next((tag.partition(":")[2] for tag in tags if tag.startswith("license:")), None),
        language=every(card.get("language")) or tuple(tag for tag in tags if tag in _LANGUAGES),
        parameters=_parameters(found.safetensors) or ((found.gguf or {}).get("total") or None),
        formats=_formats(found, tags),
        architecture=next(iter(architectures), first(config.get("model_type"))),
        downloads=number(found.downloads),
        likes=number(found.likes),
        **lineage(every(card.get("base_model")) or _bases(tags), _relation(card, tags)),
        risks=risks((), code=brings_code(found, config)),
        updated=found.last_modified.isoformat() if found.last_modified else None,
        tags=tags,
        gated=bool(found.gated),
    )


def _formats(found: Any, tags: tuple[str, ...]) -> tuple[str, ...]:
    """By its tags; an endpoint that sets none may still tell what is in the weights' headers."""
    told = {"safetensors": found.safetensors, "gguf": found.gguf}
    return tuple(kind for tag, kind in _TAGGED.items() if tag in tags or told.get(tag))


def _bases(tags: tuple[str, ...]) -> list[str]:
    return [tag.rpartition(":")[2] for tag in tags if tag.startswith("base_model:")]


def _relation(card: dict[str, Any], tags: tuple[str, ...]) -> str | None:
    tagged = next((r for r in RELATIONS for tag in tags if tag.startswith(f"base_model:{r}:")), None)
    return tagged or first(card.get("base_model_relation"))


def files_of(found: Any) -> list[RepoFile]:
    """The files of a repository's answer."""
    return [
        RepoFile(s.rfilename, s.size or 0, s.blob_id or "", s.lfs.sha256 if s.lfs else "") for s in found.siblings or ()
    ]


def evaluations(card: Any) -> dict[str, float]:
    """What a card says that the model reached: metric and data set -> value. Nobody has checked it."""
    results = (card.eval_results if card else None) or ()
    # A name that is a tree of aliases would be written out: only texts are names.
    told = [(first(r.metric_name) or first(r.metric_type), first(r.dataset_name), r.metric_value) for r in results]
    return {
        f"{name} ({rows})": float(value)
        for name, rows, value in told
        if name and isinstance(value, (int, float)) and abs(value) <= sys.float_info.max
    }


def evaluations_in(card: str) -> dict[str, float]:
    """:func:`evaluations` of a card's text; none where the hub's client, which knows their form, isn't installed."""
    if "model-index" not in card[:_LONGEST]:
        return {}
    try:
        from huggingface_hub import ModelCard

        return evaluations(ModelCard(card[:_LONGEST], ignore_metadata_errors=True).data)
    except Exception:
        # Whatever was written there, it is no list of results.
        return {}


def tree_files(entries: Iterable[Any]) -> list[RepoFile]:
    """The files of a repository's tree; folders have no size."""
    return [RepoFile(e.path, e.size, e.blob_id, e.lfs.sha256 if e.lfs else "") for e in entries if hasattr(e, "size")]


def brings_code(found: Any, config: dict[str, Any]) -> bool:
    """Whether transformers would ask to run code of the repository's."""
    return bool(config.get("auto_map")) or "custom_code" in (found.tags or ())


def flagged(found: Any) -> list[str]:
    """The files that the hub's scanners have found something in."""
    status = found.security_repo_status or {}
    return [str(issue.get("path", "")) for issue in status.get("filesWithIssues") or ()]


def _parameters(said: Any) -> int | None:
    """What counts as a parameter: position ids and the like, which are integers, don't."""
    if said is None:
        return None
    counted = sum(n for dtype, n in said.parameters.items() if dtype not in _NO_NUMBERS)
    return counted or said.total or None


def _range(params: tuple[float, float] | None) -> str | None:
    """A range of parameter counts as the hub writes it.

    >>> _range((1e7, 5e8)), _range((0.0, 1e9)), _range((1e9, float("inf")))
    ('min:10M,max:500M', 'max:1B', 'min:1B')
    """
    if params is None:
        return None

    def short(number: float) -> str:
        for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
            if number >= size:
                return f"{number / size:g}{unit}"
        return f"{number:g}"

    low, high = params
    said = [f"min:{short(low)}"] if low > 0 else []
    return ",".join(said + ([f"max:{short(high)}"] if high < float("inf") else [])) or None
