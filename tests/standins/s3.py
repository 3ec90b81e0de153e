"""An S3 server on loopback: moto's, which keeps conditional writes as AWS does, or made to ignore them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Self

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

__all__ = ["S3Server"]

_SKEWED = (
    b"<Error><Code>RequestTimeTooSkewed</Code>"
    b"<Message>The difference between the request time and the current time is too large.</Message></Error>"
)
_BEGUN = b"2010-11-10T20:48:33.000Z"


class S3Server:
    """``with S3Server() as s3``: an endpoint with one bucket, ``team``.

    moto says of every upload in parts that it began in 2010; ``begun`` is when, instead. ``parts`` are the paths and
    ranges of files that were asked for in parts, each of which takes ``sleep`` seconds.

    ``late`` makes it a store whose clock is another than the asking machine's.

    Args:
        conditional: False makes it a lesser store, which never hears that a write was conditional.
    """

    def __init__(self, *, conditional: bool = True) -> None:
        app = DomainDispatcherApplication(create_backend_app)
        self.lost: Callable[[str, str], bool] = lambda method, path: False
        self.begun: datetime | None = None
        self.parts: list[tuple[str, str]] = []
        self.sleep = 0.0
        self.late = False
        self._server: BaseWSGIServer = make_server("127.0.0.1", 0, self._wrapped(app, conditional), threaded=True)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.url = f"http://127.0.0.1:{self._server.port}"

    def _wrapped(self, app: Any, conditional: bool) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
        def call(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            if not conditional:
                environ.pop("HTTP_IF_NONE_MATCH", None)
            if self.lost(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
                list(app(environ, lambda *args: lambda data: None))
                start("500 Lost", [])
                return [b""]
            if self.late:
                start("403 Forbidden", [("Content-Type", "application/xml")])
                return [_SKEWED]
            if environ.get("HTTP_RANGE"):
                self.parts.append((environ["PATH_INFO"], environ["HTTP_RANGE"]))
                time.sleep(self.sleep)
            answer: Iterable[bytes] = app(environ, start)
            if self.begun and "uploads" in environ["QUERY_STRING"]:
                return [b"".join(answer).replace(_BEGUN, self.begun.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode())]
            return answer

        return call

    @property
    def environ(self) -> dict[str, str]:
        """What points the AWS clients here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __enter__(self) -> Self:
        import urllib.request

        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        for method, path in (("POST", "/moto-api/reset"), ("PUT", "/team")):
            urllib.request.urlopen(urllib.request.Request(self.url + path, method=method), timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
