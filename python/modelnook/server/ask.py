"""``python -m modelnook.server.ask``: one call in a process of its own, for what asks the network.

In: ``{"method": …, "params": {…}}`` on standard input. Out: ``{"result": …}`` or ``{"error": {…}, "status": …}``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

from modelnook import rpc
from modelnook.domain.errors import InternalError, ModelnookError, OfflineError
from modelnook.rpc import METHODS
from modelnook.server.arguments import checked
from modelnook.server.children import Children
from modelnook.server.opened import OpenedStore

__all__ = ["SEARCH_LIVE", "Question", "call", "main"]

SEARCH_LIVE = "search_live"
"""A method of the child's own: a search that leaves sources out, ``{"live": [NAME, …], "params": {…}}``."""


class Question:
    """One call in a child; called on a thread, ended from any other."""

    def __init__(self, opened: OpenedStore, children: Children, method: str, params: dict[str, Any], seconds: float):
        self._opened, self._children = opened, children
        self._method, self._seconds = method, seconds
        self._text = json.dumps({"method": method, "params": params}).encode()
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def __call__(self) -> Any:
        """The answer.

        Raises:
            OfflineError: it took too long.
            ModelnookError: what the child told.
        """
        try:
            child = self._child = self._children.start(self._opened(), "modelnook.server.ask")
        except OSError as error:
            raise InternalError("core.internal", error=error) from error
        if self._cancelled:
            child.kill()
        try:
            out, _ = child.communicate(self._text, self._seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise OfflineError("server.too_slow", method=self._method, seconds=f"{self._seconds:g}") from None
        finally:
            self._children.end(child)
        return _read(out, child.returncode)

    def cancel(self) -> None:
        """The answer is no longer wanted."""
        self._cancelled = True
        if self._child:
            self._child.kill()


def _read(out: bytes, code: int) -> Any:
    try:
        answer = json.loads(out)
    except ValueError:
        raise InternalError("core.internal", error=f"modelnook.server.ask: {code}") from None
    if "error" in answer:
        error = ModelnookError.told(answer["error"])
        error.status = int(answer["status"])
        raise error
    return answer["result"]


def call(method: str, params: dict[str, Any]) -> Any:
    """One method of :mod:`modelnook.rpc`, its arguments' types looked at first: they come from outside.

    Raises:
        ModelnookError: as the method says.
    """
    module, _, name = METHODS[method].function.partition(":")
    return rpc.call(method, checked(getattr(import_module(module), name), params))


def _answer(method: str, params: dict[str, Any]) -> Any:
    if method != SEARCH_LIVE:
        return call(method, params)
    from modelnook.api import finding

    return finding.among(params["live"], **checked(finding.search, params["params"])).to_dict()


def main() -> int:
    """The child's program."""
    asked = json.load(sys.stdin)
    answer: dict[str, Any]
    # A library that prints must not spoil the answer.
    with redirect_stdout(sys.stderr):
        try:
            answer = {"result": _answer(asked["method"], asked["params"])}
        except ModelnookError as error:
            answer = {"error": error.to_dict(), "status": error.status}
        except Exception as error:
            told = InternalError("core.internal", error=f"{type(error).__name__}: {error}")
            answer = {"error": told.to_dict(), "status": told.status}
    json.dump(answer, sys.stdout)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
