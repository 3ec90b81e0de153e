"""The addresses of a server: who asks, for what, and every error in one form."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Coroutine
from importlib.resources import files
from typing import Any, ClassVar, TypeVar

from tornado import web

from modelnook.domain.errors import ConflictError, InternalError, ModelnookError, RefusedError, UsageError
from modelnook.messages import t
from modelnook.serve.served import Served

__all__ = ["Answering", "application", "whole"]

MOST = 64 * 2**20
"""Bytes that a request may have."""
_OPTIONS = ("max_new_tokens",)
_SHOWN = 80
"""Letters of an address or a value that an error repeats."""

_Answer = TypeVar("_Answer")


def application(served: Served, token: str) -> web.Application:
    """The server's routes, for :class:`tornado.httpserver.HTTPServer`."""
    from modelnook.serve.openai import ROUTES

    own = [(r"/", Page), (r"/health", Health), (r"/predict", Predict)]
    return web.Application([*own, *ROUTES, (r".*", Missing)], served=served, token=token)


@web.stream_request_body
class Answering(web.RequestHandler):
    """A route that asks for the token, reads a JSON object and answers with JSON.

    Bodies come in parts, so that nothing of a stranger's is held, and that no form is seen in what ``curl`` calls one.
    """

    open: ClassVar[bool] = False
    """Whether it answers without the token."""

    _work: asyncio.Task[Any] | None = None

    def initialize(self) -> None:
        """Begin with an empty body."""
        self._parts: list[bytes] = []
        self._bytes = 0

    @property
    def served(self) -> Served:
        """The model."""
        served: Served = self.settings["served"]
        return served

    def prepare(self) -> None:
        """See that whoever asks may, before anything is read."""
        said = self.request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if self.open or hmac.compare_digest(said.encode(), self.settings["token"].encode()):
            return
        self.set_header("WWW-Authenticate", "Bearer")
        self._tell(401, RefusedError("serve.token"))

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, or throw it away where it is nobody's or too long."""
        self._bytes += len(chunk)
        if self._bytes > MOST:
            self._parts = []
        elif not self._finished and not self.open:
            self._parts.append(chunk)

    def body(self) -> dict[str, Any]:
        """What was sent.

        Raises:
            UsageError: it is no JSON object, or too long.
        """
        if self._bytes > MOST:
            raise UsageError("serve.too_long", bytes=self._bytes, most=MOST)
        try:
            given = json.loads(b"".join(self._parts) or b"{}", parse_constant=_no_number)
            # A half of a letter, as an escape may give it, is no text.
            json.dumps(given, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise UsageError("serve.bad_json", error=str(error)[:_SHOWN]) from None
        if not isinstance(given, dict):
            raise UsageError("serve.not_object", given=type(given).__name__)
        return given

    async def for_client(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """What some work gives; it ends when the client goes away."""
        self._work = asyncio.ensure_future(work)
        try:
            answer: _Answer = await self._work
        except asyncio.CancelledError:
            raise web.Finish from None
        return answer

    def on_connection_close(self) -> None:
        """The client went away."""
        if self._work is not None:
            self._work.cancel()
        super().on_connection_close()

    def answer(self, value: Any) -> None:
        """Finish with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(value, ensure_ascii=False))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error in the one form, whoever raised it."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, ConflictError):
            self.set_header("Retry-After", "1")
            self._tell(503, error)
        elif isinstance(error, ModelnookError):
            self._tell(413 if error.code == "serve.too_long" else error.status, error)
        elif isinstance(error, web.HTTPError) and status_code in (404, 405):
            self._tell(status_code, self.nowhere())
        elif isinstance(error, web.HTTPError):
            self._tell(status_code, UsageError("serve.unread", reason=error.reason or status_code))
        else:
            self._tell(500, InternalError("core.internal", error=f"{type(error).__name__}: {error}"))

    def nowhere(self) -> UsageError:
        """There is no such address, or it isn't asked so."""
        return UsageError("serve.http", method=self.request.method, path=self.request.path[:_SHOWN])

    def _tell(self, status: int, error: ModelnookError) -> None:
        """An error; below ``/v1/`` in OpenAI's form."""
        told: dict[str, Any] = dict(error.to_dict())
        if self.request.path.startswith("/v1/"):
            kind = "invalid_request_error" if status < 500 else "server_error"
            told = {"error": {"message": f"{error.message} {error.hint}".strip(), "type": kind, "code": error.code}}
        self.set_status(status)
        self.answer(told)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A trace in the log for our bugs only, not for what a caller did wrong."""
        if not (isinstance(value, ModelnookError) and value.status < 500):
            super().log_exception(typ, value, tb)


class Predict(Answering):
    """``POST /predict``."""

    async def post(self) -> None:
        """Answer every input."""
        given = self.body()
        for name in given:
            if name not in ("inputs", *_OPTIONS):
                raise UsageError("serve.field", name=name[:_SHOWN], known=", ".join(("inputs", *_OPTIONS)))
        if "inputs" not in given:
            raise UsageError("serve.no_inputs")
        most = self.served.most_tokens
        options = {name: whole(given, name, most) for name in _OPTIONS if given.get(name) is not None}
        if options:
            self.served.must("text-generation", "text2text-generation")
        found = await self.for_client(self.served.predict(given["inputs"], **options))
        self.answer({"model": self.served.name, "predictions": found})


def whole(given: dict[str, Any], name: str, most: int) -> int:
    """A number of tokens.

    Raises:
        UsageError: anything but a whole number from 1 to ``most``.
    """
    value = given[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UsageError("serve.whole", name=name, value=shown(value), most=most)
    return value


def shown(value: Any) -> str:
    """A value as an error repeats it."""
    return str(value)[:_SHOWN] if isinstance(value, (int, float, str, bool)) else type(value).__name__


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


class Health(Answering):
    """``GET /health``."""

    open = True

    def get(self) -> None:
        """Say that it is there."""
        self.answer({"status": "ok", "model": self.served.name})


class Page(Answering):
    """``GET /``."""

    open = True

    def get(self) -> None:
        """A page to try the model on; it asks for the token itself."""
        page = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
        words = {name: t(f"serve.page.{name}") for name in ("token", "inputs", "ask", "what", "where")}
        # Who has no token learns neither its labels nor where it lies.
        said = {name: value for name, value in self.served.said.items() if name != "labels"}
        about = {"name": self.served.name, **said, "words": words}
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'")
        # A name may hold anything, "</script>" too.
        self.finish(page.replace("ABOUT", json.dumps(about, ensure_ascii=False).replace("<", "\\u003c")))


class Missing(Answering):
    """Every other address."""

    open = True

    def prepare(self) -> None:
        """Say what there is."""
        self._tell(404, self.nowhere())
