"""``inputs``: what ``predict`` is given, one text, image or sound or many in any form, as a list."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelnook.data.columns import find, find_form
from modelnook.data.files import looks_like_file
from modelnook.data.media import MEDIA_ROLES, blobs, encoded, listed
from modelnook.data.read import kind_of, read
from modelnook.data.snapshot import TEXT_ROLES
from modelnook.domain.dataset import Columns
from modelnook.domain.errors import DataError
from modelnook.messages import t

__all__ = ["inputs"]


def inputs(
    data: Any,
    roles: Sequence[str] = ("text",),
    columns: Mapping[str, str | None] | None = None,
    *,
    optional: Sequence[str] = (),
    forms: Sequence[Sequence[str]] = (),
    features: bool = False,
) -> tuple[list[Any], Any]:
    """``(inputs, index)``: one input a row, and what to put beside the answers (a DataFrame's or Series' index).

    An input is the value of the one role, or with several roles a dict of role -> value. A missing text is an empty
    one: every row gets its answer. ``optional`` roles are taken where a table has a column of their name. ``forms`` are
    the sets of roles of which a table may have any; then ``roles`` are those of an input that is no table. With
    ``features`` every column is part of the input.

    Raises:
        NotFoundError, DataError: as :func:`modelnook.data.read.read` and :func:`modelnook.data.columns.find` say.

    >>> inputs("a fine film"), inputs(["one", None])
    ((['a fine film'], None), (['one', ''], None))
    >>> inputs([{"review": "good", "stars": 5}])
    (['good'], None)
    """
    if features:
        return _whole(data)
    if len(roles) == 1 and roles[0] in MEDIA_ROLES:
        return _media(data, roles[0], columns)
    # A text may well begin with "hub:" or hold an address: only what can be nothing else is looked up.
    if isinstance(data, str) and not (looks_like_file(data) or re.fullmatch(r"hub:[^\s/]+/\S+", data)):
        return [data], None
    kind = kind_of(data)
    if kind == "frame" and not len(data):
        return [], data.index
    if kind == "series" and len(roles) == 1:
        return _cells(data.tolist(), roles[0]), data.index
    if kind in ("records", "other") and _is_plain(data) and len(roles) == 1:
        return _cells(list(data), roles[0]), None
    if isinstance(data, Mapping) and any(isinstance(v, str) for v in data.values()):
        data = [data]  # one row, whatever else it holds: a column is never a text
    rows = read(data, part="test")
    found = find_form(rows, forms or (roles,), columns, optional=optional).to_dict()
    if len(found) == 1 and roles[0] in found:
        return _cells(rows.column(found[roles[0]]), roles[0]), rows.index
    values = {role: rows.column(column) for role, column in found.items()}
    return [dict(zip(values, cells, strict=True)) for cells in zip(*values.values(), strict=True)], rows.index


def _whole(data: Any) -> tuple[list[dict[str, Any]], Any]:
    """A table's rows, or one row, as dicts of column -> value."""
    if isinstance(data, Mapping) and not any(hasattr(v, "__len__") and not isinstance(v, str) for v in data.values()):
        data = [data]
    rows = read(data, part="test")
    rows = rows.decoded(rows.names)
    values = {name: rows.column(name) for name in rows.names}
    return [dict(zip(values, cells, strict=True)) for cells in zip(*values.values(), strict=True)], rows.index


def _media(data: Any, role: str, columns: Mapping[str, str | None] | None) -> tuple[list[bytes], Any]:
    """One image or sound, a list, array or Series of them, or a table with a column of them; as the bytes of files."""
    series = kind_of(data) == "series"
    cells = data.tolist() if series else listed(data, role)
    if cells is not None:
        return _present(blobs(cells, role, role), role), data.index if series else None
    rows = read(data, part="test")
    column = find(rows, (role,), columns)[role]
    return _present(encoded(rows, Columns.of(**{role: column})).column(column), role), rows.index


def _present(found: Sequence[bytes | None], role: str) -> list[bytes]:
    missing = next((row for row, blob in enumerate(found) if blob is None), None)
    if missing is not None:
        raise DataError("task.missing_input", row=missing, role=role)
    return [blob for blob in found if blob is not None]


def _is_plain(data: Any) -> bool:
    """A list, tuple, array or generator of texts, also an empty one."""
    if isinstance(data, (Mapping, bytes, os.PathLike)) or not hasattr(data, "__iter__"):
        return False
    return not hasattr(data, "__len__") or not any(isinstance(v, Mapping) for v in data)


def _cells(values: list[Any], role: str) -> list[Any]:
    return _texts(values) if role in TEXT_ROLES else values


def _texts(values: list[Any]) -> list[str]:
    odd = next((i for i, v in enumerate(values) if isinstance(v, (Mapping, list, tuple, bytes))), None)
    if odd is not None:
        raise DataError("data.record", data=t("data.a_list"), row=odd, kind=type(values[odd]).__name__)
    # NaN is not equal to itself, and None, NaT and NA print as words that no person wrote.
    empty = ("NoneType", "NAType", "NaTType")
    return ["" if type(v).__name__ in empty or (isinstance(v, float) and v != v) else str(v) for v in values]
