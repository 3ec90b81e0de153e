"""The addresses of a server: who asks, for what, and every error in one form."""

from __future__ import annotations

import hmac
import json
from importlib.resources import files
from typing import Any, ClassVar

from tornado import web

from modelnook.domain.errors import ConflictError, InternalError, ModelnookError, RefusedError, UsageError
from modelnook.messages import t
from modelnook.serve.served import Served

__all__ = ["Answering", "application"]

MOST = 64 * 2**20
"""Bytes that a request may have."""
_OPTIONS = ("max_new_tokens",)


def application(served: Served, token: str) -> web.Application:
    """The server's routes, for :class:`tornado.httpserver.HTTPServer`."""
    from modelnook.serve.openai import ROUTES

    own = [(r"/", Page), (r"/health", Health), (r"/predict", Predict)]
    return web.Application([*own, *ROUTES, (r".*", Missing)], served=served, token=token)


class Answering(web.RequestHandler):
    """A route that asks for the token, reads a JSON object and answers with JSON."""

    open: ClassVar[bool] = False
    """Whether it answers without the token."""

    @property
    def served(self) -> Served:
        """The model."""
        served: Served = self.settings["served"]
        return served

    def prepare(self) -> None:
        """See that whoever asks may."""
        if self.open:
            return
        said = self.request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(said.encode(), self.settings["token"].encode()):
            self.set_header("WWW-Authenticate", "Bearer")
            self.set_status(401)
            self.finish(self.told(RefusedError("serve.token")))

    def body(self) -> dict[str, Any]:
        """What was sent.

        Raises:
            UsageError: it is no JSON object.
        """
        try:
            given = json.loads(self.request.body or b"{}")
        except ValueError as error:
            raise UsageError("serve.bad_json", error=error) from None
        if not isinstance(given, dict):
            raise UsageError("serve.not_object", given=type(given).__name__)
        return given

    def answer(self, value: Any) -> None:
        """Finish with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(value, ensure_ascii=False))

    def told(self, error: ModelnookError) -> dict[str, Any]:
        """An error's JSON."""
        return error.to_dict()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error in the one form, whoever raised it."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, ConflictError):
            status_code = 503
            self.set_header("Retry-After", "1")
        elif isinstance(error, ModelnookError):
            status_code = error.status
        elif isinstance(error, web.HTTPError):
            error = UsageError("serve.http", method=self.request.method, path=self.request.path)
        else:
            error = InternalError("core.internal", error=f"{type(error).__name__}: {error}")
        self.set_status(status_code)
        self.answer(self.told(error))

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
                raise UsageError("serve.field", name=name, known=", ".join(("inputs", *_OPTIONS)))
        if "inputs" not in given:
            raise UsageError("serve.no_inputs")
        options = {name: whole(given, name) for name in _OPTIONS if given.get(name) is not None}
        if options:
            self.served.must("text-generation", "text2text-generation")
        self.answer({"model": self.served.name, "predictions": await self.served.predict(given["inputs"], **options)})


def whole(given: dict[str, Any], name: str) -> int:
    """A number of tokens.

    Raises:
        UsageError: anything but a whole number above 0.
    """
    value = given[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError("serve.whole", name=name, value=json.dumps(value))
    return value


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
        self.set_status(404)
        self.answer(self.told(UsageError("serve.http", method=self.request.method, path=self.request.path)))
