"""The hub stand-in's writing routes: repositories, LFS uploads, commits."""

import asyncio
import base64
import hashlib
import json
from typing import Any

import yaml
from aiohttp import web

from tests.standins.hub_repos import File, Repo, as_file
from tests.standins.hub_state import HubState, answer, commit_of, refuse


def add_write_routes(app: web.Application, hub: HubState) -> None:
    """Register everything that changes something."""
    writes = Writes(hub)
    repo = "/api/{kind:models|datasets}/{owner}/{name}"
    app.router.add_post("/api/repos/create", writes.create)
    app.router.add_delete("/api/repos/delete", writes.delete)
    app.router.add_put(repo + "/settings", writes.settings)
    app.router.add_post("/api/validate-yaml", writes.validate_yaml)
    app.router.add_post(repo + "/preupload/{rev}", writes.preupload)
    app.router.add_post(repo + "/commit/{rev}", writes.commit)
    app.router.add_post(repo + "/tag/{rev}", writes.tag)
    app.router.add_delete(repo + "/tag/{tag}", writes.untag)
    app.router.add_post("/{kind:datasets}/{owner}/{name}.git/info/lfs/objects/batch", writes.batch)
    app.router.add_post("/{owner}/{name}.git/info/lfs/objects/batch", writes.batch)
    app.router.add_put("/_lfs/{sha}", writes.put_object)
    app.router.add_put("/_lfs/{sha}/{part}", writes.put_part)
    app.router.add_post("/_lfs/{sha}/complete", writes.complete)
    app.router.add_post("/_lfs/{sha}/verify", writes.verify)


class Writes:
    def __init__(self, hub: HubState) -> None:
        self.hub = hub

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        person = self.hub.person(request)
        owner = body.get("organization") or (person.name if person else "")
        self.hub.may_write(request, owner)
        kind, id_ = f"{body.get('type') or 'model'}s", f"{owner}/{body['name']}"
        url = f"{request.url.origin()}/{'' if kind == 'models' else kind + '/'}{id_}"
        made = {"url": url, "name": id_, "id": id_}
        if (kind, id_) in self.hub.repos:
            return answer({"error": "You already created this repo", "url": url}, status=409)
        repo = self.hub.repos[kind, id_] = Repo(id_, kind, private=body.get("visibility") == "private")
        repo.commit({".gitattributes": as_file(".gitattributes", "*.safetensors filter=lfs\n")}, "initial commit")
        return answer(made)

    async def delete(self, request: web.Request) -> web.Response:
        body = await request.json()
        person = self.hub.person(request)
        owner = body.get("organization") or (person.name if person else "")
        self.hub.may_write(request, owner)
        if self.hub.repos.pop((f"{body.get('type') or 'model'}s", f"{owner}/{body['name']}"), None) is None:
            refuse(404, "Repository not found", "RepoNotFound")
        return answer({})

    async def settings(self, request: web.Request) -> web.Response:
        repo = self.hub.writable(request)
        body = await request.json()
        repo.gated = body.get("gated", repo.gated)
        if "visibility" in body or "private" in body:
            repo.private = body.get("private", body.get("visibility") == "private")
        return answer({})

    async def validate_yaml(self, request: web.Request) -> web.Response:
        try:
            head = (await request.json())["content"].split("---")[1:2]
            yaml.safe_load(head[0] if head else "")
        except yaml.YAMLError as error:
            return answer({"errors": [{"message": str(error)}], "warnings": []}, status=400)
        return answer({"errors": [], "warnings": []})

    async def preupload(self, request: web.Request) -> web.Response:
        repo = self.hub.writable(request)
        there = commit_of(repo, request).files
        rows = []
        for file in (await request.json())["files"]:
            path = file["path"]
            lfs = as_file(path, b"x" * min(file["size"], 1)).lfs or file["size"] > 10_000_000
            row = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if path in there:
                row["oid"] = there[path].sha256 if there[path].lfs else there[path].oid
            rows.append(row)
        return answer({"files": rows})

    async def batch(self, request: web.Request) -> web.Response:
        self.hub.writable(request)
        objects = []
        for wanted in (await request.json())["objects"]:
            row: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.hub.blobs:
                row["actions"] = self._actions(f"{request.url.origin()}/_lfs/{wanted['oid']}", wanted["size"])
            objects.append(row)
        return answer({"transfer": "multipart" if self.hub.part_size else "basic", "objects": objects})

    def _actions(self, url: str, size: int) -> dict[str, Any]:
        verify = {"href": f"{url}/verify"}
        part = self.hub.part_size
        if part is None or size <= part:
            return {"upload": {"href": url}, "verify": verify}
        count = -(-size // part)
        header = {f"{n + 1:05}": f"{url}/{n + 1}" for n in range(count)} | {"chunk_size": str(part)}
        return {"upload": {"href": f"{url}/complete", "header": header}, "verify": verify}

    async def put_object(self, request: web.Request) -> web.Response:
        self._keep(request.match_info["sha"], await request.read())
        return web.Response()

    async def put_part(self, request: web.Request) -> web.Response:
        part = int(request.match_info["part"])
        self.hub.parts[request.match_info["sha"], part] = await request.read()
        return web.Response(headers={"ETag": f'"{part}"'})

    async def complete(self, request: web.Request) -> web.Response:
        sha = request.match_info["sha"]
        numbers = [part["partNumber"] for part in (await request.json())["parts"]]
        self._keep(sha, b"".join(self.hub.parts.pop((sha, number)) for number in numbers))
        return answer({})

    def _keep(self, sha: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != sha:
            refuse(400, "Content does not match its oid")
        self.hub.blobs[sha] = data

    async def verify(self, request: web.Request) -> web.Response:
        body = await request.json()
        if len(self.hub.blobs.get(body["oid"], b"")) != body["size"]:
            refuse(404, "Object not found or of another size")
        return answer({})

    async def commit(self, request: web.Request) -> web.Response:
        repo = self.hub.writable(request)
        ref = request.match_info["rev"]
        lines = [json.loads(line) for line in (await request.text()).splitlines() if line]
        header = next(line["value"] for line in lines if line["key"] == "header")
        parent = header.get("parentCommit")
        if parent and parent != repo.at(ref).sha:
            refuse(412, "A commit has happened since. Please refresh and try again.")
        changes: dict[str, File | None] = {}
        if self.hub.xet is not None:
            await asyncio.to_thread(self._bring, [line["value"] for line in lines if line["key"] == "lfsFile"])
        for line in lines:
            changes |= self._change(line["key"], line["value"])
        made = repo.commit(changes, header["summary"], ref=ref)
        url = f"{request.url.origin()}/{repo.id}/commit/{made.sha}"
        return answer({"success": True, "commitOid": made.sha, "commitUrl": url})

    def _bring(self, values: list[dict[str, Any]]) -> None:
        """Take what was uploaded by Xet."""
        for value in values:
            if value["oid"] not in self.hub.blobs and value["oid"] in self.hub.xet.hashes():
                self.hub.blobs[value["oid"]] = self.hub.xet.content(value["oid"])

    def _change(self, key: str, value: dict[str, Any]) -> dict[str, File | None]:
        if key == "file":
            return {value["path"]: File(base64.b64decode(value["content"]), lfs=False)}
        if key == "lfsFile":
            if value["oid"] not in self.hub.blobs:
                refuse(400, f"LFS object {value['oid']} was not uploaded")
            return {value["path"]: File(self.hub.blobs[value["oid"]], lfs=True)}
        if key == "deletedFile":
            return {value["path"]: None}
        return {value["path"].rstrip("/") + "/": None} if key == "deletedFolder" else {}

    async def tag(self, request: web.Request) -> web.Response:
        repo = self.hub.writable(request)
        name = (await request.json())["tag"]
        if name in repo.refs:
            refuse(409, f"Reference already exists: {name}")
        repo.refs[name] = commit_of(repo, request).sha
        return answer({})

    async def untag(self, request: web.Request) -> web.Response:
        repo = self.hub.writable(request)
        if request.match_info["tag"] == "main" or repo.refs.pop(request.match_info["tag"], None) is None:
            refuse(404, "Reference not found", "RevisionNotFound")
        return answer({})
