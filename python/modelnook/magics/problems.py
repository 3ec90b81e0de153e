"""A person's mistake as one sentence and a next step, in place of a traceback; the cell still fails."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from modelnook.domain.errors import ModelnookError

__all__ = ["install"]


def install(ipython: Any) -> None:
    """Take over how ModelnookErrors are shown; what other extensions take over stays theirs."""
    if ModelnookError in ipython.custom_exceptions:
        return
    theirs, their_handler = ipython.custom_exceptions, ipython.CustomTB

    def show(
        shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType | None, tb_offset: Any = None
    ) -> Any:
        if not isinstance(error, ModelnookError):
            return their_handler(kind, error, trace, tb_offset=tb_offset)
        lines = _lines(shell, kind, error, trace)
        shell._showtraceback(kind, error, lines)
        return lines

    ipython.set_custom_exc((*theirs, ModelnookError), show)


def _lines(shell: Any, kind: type[BaseException], error: ModelnookError, trace: TracebackType | None) -> list[str]:
    from modelnook.settings import current

    if getattr(error, "debug", False) or current().debug:
        lines: list[str] = shell.InteractiveTB.structured_traceback(kind, error, trace)
        return lines
    return [line for line in (f"\x1b[31m{error.message}\x1b[0m", error.hint) if line]
