"""A loopback HTTP server in a thread: request log, fault rules, stop and start on one port."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web

KEPT_BODY = 65_536


@dataclass
class Logged:
    """One request as it came in, and the status that it got (0: not answered yet, or the connection was cut)."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    status: int
    label: str = ""

    @property
    def line(self) -> str:
        """`METHOD /path` and the label, what most assertions look at."""
        return f"{self.method} {self.path} {self.label}".rstrip()

    @property
    def json(self) -> Any:
        """The body read as JSON, None where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def values(self, name: str) -> list[str]:
        """All values of one query parameter."""
        return [value for key, value in self.query if key == name]


@dataclass
class Fault:
    """What to do with the next `times` requests whose `METHOD /path?query label` matches; None means always."""

    match: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    times: int | None = None
    delay: float = 0.0
    cut: bool = False
    proceed: bool = False
    hits: int = 0

    def takes(self, line: str) -> bool:
        """Count and accept the request if it matches and the rule is not used up."""
        if (self.times is not None and self.hits >= self.times) or not re.search(self.match, line):
            return False
        self.hits += 1
        return True


class LoopbackServer:
    """Base of the stand-ins: subclasses add routes; state lives in the object and survives stop/start."""

    def __init__(self) -> None:
        self.requests: list[Logged] = []
        self.faults: list[Fault] = []
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def add_routes(self, app: web.Application) -> None:
        """Register the protocol's routes."""
        raise NotImplementedError

    def label(self, body: bytes) -> str:
        """What a request is beyond its URL, e.g. a GraphQL operation; rules and look-ups match on it too."""
        return ""

    @property
    def url(self) -> str:
        """The server's address; kept over stop and start."""
        return f"http://127.0.0.1:{self.port}"

    def fail(
        self,
        match: str,
        status: int = 500,
        *,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        times: int | None = None,
        delay: float = 0.0,
        cut: bool = False,
    ) -> Fault:
        """Answer matching requests with this status, or cut their connection; `delay` waits first."""
        rule = Fault(match, status, dict(headers or {}), body, times, delay, cut)
        self.faults.append(rule)
        return rule

    def slow(self, match: str, seconds: float, *, times: int | None = None) -> Fault:
        """Answer matching requests properly, but late."""
        rule = Fault(match, delay=seconds, times=times, proceed=True)
        self.faults.append(rule)
        return rule

    def heal(self) -> None:
        """Drop all fault rules."""
        self.faults.clear()

    def seen(self, pattern: str) -> list[Logged]:
        """The logged requests whose `METHOD /path` matches the pattern."""
        return [request for request in self.requests if re.search(pattern, request.line)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen: on a free port the first time, on the same one afterwards."""
        if self._thread is not None:
            return
        listener = _listen(self.port)
        self.port = listener.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(listener, ready), daemon=True)
        self._thread.start()
        ready.wait(10)

    def stop(self) -> None:
        """Refuse connections from now on and cut the open ones."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._thread = None

    def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        loop = self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        app = web.Application(client_max_size=1 << 30, middlewares=[self._middleware])
        self.add_routes(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        loop.run_until_complete(runner.setup())
        loop.run_until_complete(web.SockSite(runner, listener).start())
        ready.set()
        loop.run_forever()
        running = asyncio.all_tasks(loop)
        for task in running:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*running, return_exceptions=True))
        loop.run_until_complete(runner.cleanup())
        loop.close()

    @property
    def _middleware(self) -> Any:
        @web.middleware
        async def log_and_fail(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
            body = b"" if request.method in ("GET", "HEAD") else (await request.read())[:KEPT_BODY]
            entry = _logged(request, body, self.label(body))
            self.requests.append(entry)
            try:
                response = await self._faulty(request, entry.label) or await handler(request)
                entry.status = response.status
                return response
            except web.HTTPException as answer:
                entry.status = answer.status
                raise

        return log_and_fail

    async def _faulty(self, request: web.Request, label: str) -> web.StreamResponse | None:
        line = f"{request.method} {request.rel_url} {label}"
        rule = next((rule for rule in list(self.faults) if rule.takes(line)), None)
        if rule is None:
            return None
        await asyncio.sleep(rule.delay)
        if rule.proceed:
            return None
        if rule.cut:
            cut(request)
        return web.Response(status=rule.status, headers=rule.headers, text=rule.body)


def cut(request: web.Request) -> None:
    """Drop the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("cut by the stand-in")


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def _logged(request: web.Request, body: bytes, label: str) -> Logged:
    headers = {key.lower(): value for key, value in request.headers.items()}
    query = tuple(parse_qsl(request.query_string, keep_blank_values=True))
    return Logged(request.method, request.path, query, headers, body, 0, label)
