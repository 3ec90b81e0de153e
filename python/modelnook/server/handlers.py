"""One handler for all methods: who asks, may they, what for; errors as ``{code, message, hint}``."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web

from modelnook.domain.errors import InternalError, ModelnookError, UsageError
from modelnook.messages import t
from modelnook.server.answers import Answers

__all__ = ["MethodHandler"]

_LONGEST_BODY = 1_000_000


class MethodHandler(ExtensionHandlerMixin, APIHandler):
    """``POST modelnook/api/METHOD``: a JSON object of arguments in, the result's JSON out."""

    auth_resource = "modelnook"
    SUPPORTED_METHODS = ("POST", "OPTIONS")

    _work: asyncio.Task[str] | None = None
    _gone = False

    @property
    def answers(self) -> Answers:
        """What answers."""
        answers: Answers = self.settings["modelnook_answers"]
        return answers

    @web.authenticated
    async def post(self, method: str) -> None:
        """Answer one call. The work ends when the client goes away."""
        params = self._arguments()
        action = self.answers.action(method, params)
        if not await self._may(action):
            self._refuse(403, "server.forbidden", action=action, method=method)
            return
        # A waiting client is no sign that somebody works here: the server may still end itself when idle.
        self._track_activity = method != "events"
        self._work = asyncio.ensure_future(self.answers.answer(method, params))
        try:
            self.finish(await self._work)
        except asyncio.CancelledError:
            if not self._gone:
                raise web.HTTPError(503) from None

    async def _may(self, action: str) -> bool:
        """Ask the authorizer with the method's own action: ``@authorized`` keeps the action of its first call."""
        allowed = self.authorizer.is_authorized(self, self.current_user, action, self.auth_resource)
        return bool(await ensure_async(allowed))  # type: ignore[arg-type]

    def _arguments(self) -> dict[str, Any]:
        if len(self.request.body) > _LONGEST_BODY:
            raise UsageError("server.too_long", bytes=len(self.request.body), most=_LONGEST_BODY)
        try:
            given = json.loads(self.request.body or b"{}")
            # Halves of characters, which JSON can escape, are no text that a file or a list could hold.
            json.dumps(given, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise UsageError("server.bad_json", error=error) from None
        if not isinstance(given, dict):
            raise UsageError("server.not_object", given=type(given).__name__)
        return given

    def on_connection_close(self) -> None:
        """The client went away."""
        self._gone = True
        if self._work:
            self._work.cancel()
        super().on_connection_close()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error in the one form, whoever raised it."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, ModelnookError):
            self._finish_error(error.status, error.to_dict())
        elif isinstance(error, web.HTTPError):
            self._refuse(error.status_code, _code(error), detail=error.log_message or _phrase(error.status_code))
        else:
            self._finish_error(500, InternalError("core.internal", error=_described(error)).to_dict())

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A trace in the server's log for our bugs only, not for what a caller did wrong."""
        if not (isinstance(value, ModelnookError) and value.status < 500):
            super().log_exception(typ, value, tb)

    def _refuse(self, status: int, code: str, **values: object) -> None:
        self._finish_error(status, ModelnookError(code, **values).to_dict())

    def _finish_error(self, status: int, error: dict[str, str]) -> None:
        self.set_status(status)
        self.finish(json.dumps(error, ensure_ascii=False))


def _code(error: web.HTTPError) -> str:
    if error.status_code == 405:
        return "server.only_post"
    if error.status_code == 403:
        return "server.no_xsrf" if "_xsrf" in (error.log_message or "") else "server.not_logged_in"
    return "server.http"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return str(status)


def _described(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}" if error else t("server.unknown")
