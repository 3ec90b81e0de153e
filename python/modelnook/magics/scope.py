"""The notebook's variables as words know them: ``{name}`` in a line, a bare word after ``--data``.

Only names, attributes and constant subscripts are looked up; no other code in a line is ever run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from modelnook.data.files import named_like
from modelnook.domain.errors import NotFoundError, UsageError, unknown
from modelnook.domain.model import is_path
from modelnook.messages import t
from modelnook.verbs import Value

__all__ = ["Namespace"]

_ENDINGS = (
    "csv",
    "tsv",
    "txt",
    "json",
    "jsonl",
    "parquet",
    "arrow",
    "feather",
    "xlsx",
    "gz",
    "zip",
    "bz2",
    "xz",
    "zst",
)
_PATH = re.compile(rf"[/\\]|\.({'|'.join(_ENDINGS)})$", re.IGNORECASE)
_ADDRESS = re.compile(r"hub:|[a-z0-9]+://")


class Namespace:
    """A kernel's variables; ``hidden`` are those that IPython made."""

    def __init__(self, variables: Mapping[str, Any], hidden: Iterable[str] = ()) -> None:
        self._variables = variables
        self._hidden = frozenset(hidden)

    def names(self) -> list[str]:
        """The person's own variables that may hold rows or models."""
        return sorted(
            name
            for name, value in self._variables.items()
            if not name.startswith("_")
            and name not in self._hidden
            and not isinstance(value, ModuleType | type)
            and not callable(value)
        )

    def data(self, word: str) -> Any:
        """The rows in a variable (``train``, ``ds["train"]``, ``df.body``), or the path that the word is.

        Raises:
            NotFoundError: no such variable; the near miss is suggested, or how rows are read.
        """
        if is_path(word) or _PATH.search(word) or _ADDRESS.match(word):
            return word
        if word.isidentifier() and word not in self._variables:
            if near := named_like(word):
                raise NotFoundError("core.near", what=t("what.variable"), name=word, near=near)
            if not self.names():
                raise NotFoundError("faces.no_rows_yet", name=word)
        return self.value(word)

    def expand(self, word: str) -> str:
        """``word`` with its ``{expressions}`` replaced; a word that is one stands for the object itself.

        ``{{`` and ``}}`` are braces.
        """
        if "{" not in word and "}}" not in word:
            return word
        parts: list[str] = []
        at = 0
        while at < len(word):
            if word[at : at + 2] in ("{{", "}}"):
                parts.append(word[at])
                at += 2
            elif word[at] == "{" and (end := word.find("}", at)) > 0:
                value = self.value(word[at + 1 : end])
                if at == 0 and end == len(word) - 1:
                    return Value(value)
                parts.append(Value(value))
                at = end + 1
            else:
                parts.append(word[at])
                at += 1
        return "".join(parts)

    def value(self, expression: str) -> Any:
        """What a name, its attributes and its constant subscripts stand for.

        Raises:
            NotFoundError: no such variable, attribute, column or key.
            UsageError: anything else than such an expression.
        """
        try:
            node = ast.parse(expression.strip(), mode="eval").body
        except SyntaxError:
            node = None
        if node is None:
            raise UsageError("faces.not_simple", expression=expression)
        return self._of(node, expression)

    def _of(self, node: ast.AST, said: str) -> Any:
        if isinstance(node, ast.Name):
            if node.id not in self._variables:
                raise unknown("variable", node.id, self.names(), NotFoundError)
            return self._variables[node.id]
        if isinstance(node, ast.Attribute):
            held = self._of(node.value, said)
            return _got(lambda: getattr(held, node.attr), node.attr, held)
        if isinstance(node, ast.Subscript):
            key = _constant(node.slice, said)
            held = self._of(node.value, said)
            return _got(lambda: held[key], key, held)
        raise UsageError("faces.not_simple", expression=said)


def _constant(node: ast.AST, said: str) -> Any:
    if isinstance(node, ast.Slice):
        parts = (None if part is None else _constant(part, said) for part in (node.lower, node.upper, node.step))
        return slice(*parts)
    try:
        return ast.literal_eval(node)  # type: ignore[arg-type]
    except ValueError:
        raise UsageError("faces.not_simple", expression=said) from None


def _got(get: Callable[[], Any], key: Any, held: Any) -> Any:
    try:
        return get()
    except (AttributeError, LookupError, TypeError):
        raise unknown("column", str(key), _members(held), NotFoundError) from None


def _members(held: Any) -> list[str]:
    """What can be asked of a table or a dict, for the near miss."""
    for name in ("columns", "column_names", "keys"):
        found = getattr(held, name, None)
        if found is not None:
            return [str(member) for member in (found() if callable(found) else found)]
    return [name for name in dir(held) if not name.startswith("_")]
