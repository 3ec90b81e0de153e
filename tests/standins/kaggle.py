"""A stand-in for Kaggle's models on loopback: the calls that kagglesdk makes, downloads by redirect with Range."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.standins.sending import Throttle, send
from tests.standins.serving import LoopbackServer

SERVICE = "/api/v1/models.ModelApiService"


@dataclass
class Variation:
    """A model's variation: its versions' files."""

    license: str = "Apache 2.0"
    tags: tuple[str, ...] = ()
    base: str = ""
    versions: dict[int, dict[str, bytes]] = field(default_factory=dict)

    def facts(self, slug: str, framework: str) -> dict[str, Any]:
        newest = max(self.versions)
        size = sum(map(len, self.versions[newest].values()))
        more: dict[str, Any] = {}
        if self.base and "://" not in self.base:
            owner, model, kind, variation = self.base.split("/")
            told = {"owner": {"slug": owner}, "modelSlug": model, "framework": kind, "instanceSlug": variation}
            more["baseModelInstanceInformation"] = told
        elif self.base:
            more["externalBaseModelUrl"] = self.base
        return {
            "id": 1,
            **more,
            "slug": slug,
            "framework": framework,
            "versionNumber": newest,
            "licenseName": self.license,
            "totalUncompressedBytes": size,
        }


class KaggleStandIn(LoopbackServer):
    """`variations` are owner/model/framework/variation -> what it holds; `page` files come at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.variations: dict[str, Variation] = {}
        self.token: str | None = None
        self.wrong: set[str] = set()
        self.page = 2
        self.throttle = Throttle()

    def add_version(self, id: str, files: Mapping[str, bytes], *, tags: tuple[str, ...] = ()) -> None:
        """A variation, or the next version of it."""
        held = self.variations.setdefault(id, Variation(tags=tags))
        held.versions[len(held.versions) + 1] = dict(files)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(f"{SERVICE}/ListModels", self._list)
        app.router.add_post(f"{SERVICE}/GetModelInstance", self._instance)
        app.router.add_post(f"{SERVICE}/ListModelInstanceVersionFiles", self._files)
        app.router.add_post(f"{SERVICE}/DownloadModelInstanceVersion", self._download)
        app.router.add_get("/_store/{version}/{id:.+}", self._stored)

    async def _list(self, request: web.Request) -> web.Response:
        asked = await request.json()
        words = (asked.get("search") or "").lower()
        models: dict[str, dict[str, Any]] = {}
        for id, variation in self.variations.items():
            owner, model, framework, slug = id.split("/")
            if words in id.lower():
                known = {"ref": f"{owner}/{model}", "title": model, "instances": [], "tags": []}
                row = models.setdefault(f"{owner}/{model}", known)
                row["tags"] += [{"ref": tag.lower(), "name": tag} for tag in variation.tags]
                row["instances"].append(variation.facts(slug, framework))
        return web.json_response({"models": list(models.values()), "nextPageToken": ""})

    async def _instance(self, request: web.Request) -> web.Response:
        asked, variation = await self._asked(request)
        return web.json_response(variation.facts(asked["instanceSlug"], asked["framework"]))

    async def _files(self, request: web.Request) -> web.Response:
        asked, variation = await self._asked(request)
        files = sorted(self._version(variation, asked).items())
        start = int(asked.get("pageToken") or 0)
        rows = [{"name": name, "size": len(content)} for name, content in files[start : start + self.page]]
        more = str(start + self.page) if start + self.page < len(files) else ""
        return web.json_response({"files": rows, "nextPageToken": more})

    async def _download(self, request: web.Request) -> web.Response:
        asked, variation = await self._asked(request)
        if asked["path"] not in self._version(variation, asked):
            raise web.HTTPNotFound
        # Another origin by name, so that a client that sends its login there is caught.
        where = f"http://localhost:{self.port}/_store/{asked['versionNumber']}/{self._id(asked)}/{asked['path']}"
        return web.Response(status=302, headers={"Location": where})

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            return web.Response(status=403)
        parts = request.match_info["id"].split("/", 4)
        content = self.variations["/".join(parts[:4])].versions[int(request.match_info["version"])][parts[4]]
        digest = base64.b64encode(hashlib.md5(content).digest()).decode()
        headers = {"Accept-Ranges": "bytes", "x-goog-hash": f"crc32c=AAAAAA==,md5={digest}"}
        if parts[4] in self.wrong:
            content = bytes(len(content))
        return await send(request, content, headers, self.throttle)

    async def _asked(self, request: web.Request) -> tuple[dict[str, Any], Variation]:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized
        asked = await request.json()
        if self._id(asked) not in self.variations:
            raise web.HTTPNotFound
        return asked, self.variations[self._id(asked)]

    def _id(self, asked: dict[str, Any]) -> str:
        names = {id.lower().replace("-", ""): id for id in self.variations}
        framework = asked["framework"].removeprefix("MODEL_FRAMEWORK_").replace("_", "")
        id = f"{asked['ownerSlug']}/{asked['modelSlug']}/{framework}/{asked['instanceSlug']}"
        return names.get(id.lower().replace("-", ""), id)

    def _version(self, variation: Variation, asked: dict[str, Any]) -> dict[str, bytes]:
        version = int(asked.get("versionNumber") or max(variation.versions))
        if version not in variation.versions:
            raise web.HTTPNotFound
        return variation.versions[version]
