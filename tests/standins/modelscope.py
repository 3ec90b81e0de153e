"""A stand-in for ModelScope on loopback: lists, a model's facts, its files with checksums, downloads with Range."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.standins.sending import Throttle, send
from tests.standins.serving import LoopbackServer


class ModelScopeStandIn(LoopbackServer):
    """`models` are id -> (facts, revision -> files); `token` closes it to strangers."""

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, tuple[dict[str, Any], dict[str, dict[str, bytes]]]] = {}
        self.token: str | None = None
        self.wrong: set[str] = set()
        self.throttle = Throttle()

    def add_model(self, id: str, files: Mapping[str, bytes], *, revision: str = "master", **facts: Any) -> None:
        """A model, or another revision of it."""
        held = self.models.setdefault(id, ({"id": id, "downloads": 0, "likes": 0, "tasks": [], "tags": []}, {}))
        held[0].update(facts)
        held[1][revision] = dict(files)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/openapi/v1/models", self._list)
        app.router.add_get("/openapi/v1/models/{owner}/{name}", self._facts)
        app.router.add_get("/api/v1/models/{owner}/{name}/repo/files", self._files)
        app.router.add_get("/api/v1/models/{owner}/{name}/repo", self._file)

    async def _list(self, request: web.Request) -> web.Response:
        words = request.query.get("search", "").lower()
        rows = [facts for id, (facts, _) in self.models.items() if words in id.lower()]
        rows.sort(key=lambda facts: -facts["downloads"])
        page, size = int(request.query.get("page_number", 1)), int(request.query.get("page_size", 10))
        shown = rows[(page - 1) * size : page * size]
        data = {"models": shown, "total_count": len(rows), "page_number": page, "page_size": size}
        return _answer({"success": True, "data": data})

    async def _facts(self, request: web.Request) -> web.Response:
        facts, _ = self._model(request)
        return _answer({"success": True, "data": facts})

    async def _files(self, request: web.Request) -> web.Response:
        _, revisions = self._model(request)
        files = revisions.get(request.query.get("Revision", "master"))
        if files is None:
            return _refusal(404, "revision not found")
        rows = [
            {"Path": name, "Name": name, "Size": len(content), "Sha256": _sha256(content), "Type": "blob"}
            for name, content in files.items()
        ]
        return _answer({"Code": 200, "Success": True, "Data": {"Files": rows}})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        _, revisions = self._model(request)
        name = request.query["FilePath"]
        content = revisions[request.query.get("Revision", "master")].get(name)
        if content is None:
            return _refusal(404, "file not found")
        if name in self.wrong:
            content = bytes(len(content))
        return await send(request, content, {"Accept-Ranges": "bytes"}, self.throttle)

    def _model(self, request: web.Request) -> tuple[dict[str, Any], dict[str, dict[str, bytes]]]:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized(text=json.dumps({"Code": 401, "Message": "unauthorized"}))
        id = f"{request.match_info['owner']}/{request.match_info['name']}"
        if id not in self.models:
            raise web.HTTPNotFound(text=json.dumps({"Code": 404, "Message": f"no model {id}"}))
        return self.models[id]


def _answer(data: Any) -> web.Response:
    return web.json_response(data)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"Code": status, "Success": False, "Message": message}, status=status)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
