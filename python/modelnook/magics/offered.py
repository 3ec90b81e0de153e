"""The words that an option takes beside those of its row: columns and roles, metrics, licences, kinds of sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from modelnook.magics.scope import Namespace
from modelnook.verbs import Arg, Verb

__all__ = ["columns", "data_word", "named", "pairs"]


def data_word(args: Iterable[Arg], given: Mapping[str, str], bare: list[str]) -> str:
    """What the line names as its rows: after ``--data`` or as a bare word; empty where it names none.

    Args:
        given: option -> its word.
        bare: the words that belong to no option.
    """
    places = [arg.flag for arg in args if arg.positional]
    at = places.index("--data") if "--data" in places else len(bare)
    return given.get("--data") or (bare[at] if at < len(bare) else "")


def columns(word: str, scope: Namespace) -> list[str]:
    """The columns of the variable that ``word`` names."""
    held = scope.value(word) if word else None
    if isinstance(held, list) and held:
        held = held[0]
    if not isinstance(held, dict):
        # A Dataset has column_names (a DatasetDict has them by split); a DataFrame has columns.
        held = getattr(held, "column_names", getattr(held, "columns", None))
        if held is None or isinstance(held, dict):
            return []
    # A line's braces stand for a variable.
    return [str(name).replace("{", "{{").replace("}", "}}") for name in held]


def pairs(word: str, task: str, names: list[str]) -> tuple[int, list[str]]:
    """How much of a ``role=column,role=column`` stays as it is typed, and what the rest may become."""
    kept = max(word.rfind("="), word.rfind(",")) + 1
    if word[kept - 1 : kept] == "=":
        return kept, names
    taken = {part.partition("=")[0].strip() for part in word[:kept].split(",")}
    return kept, [f"{role}=" for role in _of_tasks(lambda spec: (*spec.roles, *spec.read), task) if role not in taken]


def named(verb: Verb, arg: Arg, task: str) -> list[str]:
    """What a register knows for an option that takes other words as well."""
    if arg.name in ("metric", "metrics"):
        return _of_tasks(lambda spec: spec.metrics, task)
    if arg.name in ("license", "data_license"):
        return _licences(verb)
    if (verb.name, arg.name) == ("sources add", "kind"):
        from modelnook.api.places import kinds

        return kinds()
    return []


def _of_tasks(read: Callable[..., Iterable[str]], task: str) -> list[str]:
    from modelnook.tasks import TASKS

    specs = [TASKS.load(name, light=True)() for name in ([task] if task in TASKS else TASKS)]
    return list(dict.fromkeys(word for spec in specs for word in read(spec)))


def _licences(verb: Verb) -> list[str]:
    from modelnook.catalog.index_query import KINDS
    from modelnook.catalog.licences import known
    from modelnook.publish.licences import INTERNAL

    return [*known(), *((*KINDS, "commercial") if verb.name == "search" else (INTERNAL,))]
