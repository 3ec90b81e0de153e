"""The hub stand-in's reading routes: people, lists, model info, trees, files with Range and redirects."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.standins.hub_repos import EXPANDABLE, IN_PLAIN_LIST, Repo
from tests.standins.hub_state import HubState, answer, commit_of, refuse
from tests.standins.sending import send

SORTS = {"likes", "downloads", "lastModified", "createdAt", "trendingScore"}
UNITS = {"K": 1e3, "M": 1e6, "B": 1e9}


def add_read_routes(app: web.Application, hub: HubState) -> None:
    """Register everything that changes nothing."""
    reads = Reads(hub)
    api = "/api/{kind:models|datasets}"
    repo = api + "/{owner}/{name}"
    app.router.add_get("/api/whoami-v2", reads.whoami)
    app.router.add_get(api, reads.list_repos)
    app.router.add_get(repo, reads.info)
    app.router.add_get(repo + "/revision/{rev}", reads.info)
    app.router.add_get(repo + "/tree/{rev}", reads.tree)
    app.router.add_get(repo + "/tree/{rev}/{path:.*}", reads.tree)
    app.router.add_post(repo + "/paths-info/{rev}", reads.paths_info)
    app.router.add_get(repo + "/commits/{rev}", reads.commits)
    app.router.add_get(repo + "/refs", reads.refs)
    app.router.add_get(repo + "/auth-check", reads.auth_check)
    app.router.add_get("/{kind:datasets}/{owner}/{name}/resolve/{rev}/{path:.+}", reads.resolve)
    app.router.add_get("/{owner}/{name}/resolve/{rev}/{path:.+}", reads.resolve)
    app.router.add_get("/_cdn/{sha}", reads.cdn)


class Reads:
    def __init__(self, hub: HubState) -> None:
        self.hub = hub

    async def whoami(self, request: web.Request) -> web.Response:
        person = self.hub.person(request)
        if person is None:
            refuse(401, "Invalid username or password.")
        orgs = [{"name": name, "roleInOrg": "write"} for name in person.orgs]
        token = {"accessToken": {"displayName": "test", "role": person.role}}
        body = {"type": "user", "name": person.name, "fullname": person.name, "orgs": orgs, "auth": token}
        return answer(body)

    async def list_repos(self, request: web.Request) -> web.Response:
        if not self.hub.can_list:
            refuse(404, "Not Found")
        person, query = self.hub.person(request), request.query
        kind = request.match_info["kind"]
        visible = [r for (k, _), r in self.hub.repos.items() if k == kind]
        visible = [r for r in visible if r.commits and (not r.private or (person and person.owns(r.owner)))]
        if self.hub.can_search:
            visible = [r for r in visible if _passes(r, query)]
        rows = [_list_row(r, query) for r in _ordered(visible, query.get("sort", "trendingScore"))]
        start, size = int(query.get("cursor", 0)), min(int(query.get("limit", 1000)), self.hub.page_size)
        headers = {}
        if start + size < len(rows):
            following = [(k, v) for k, v in query.items() if k != "cursor"] + [("cursor", str(start + size))]
            headers["Link"] = f'<{request.url.origin()}{request.path}?{urlencode(following)}>; rel="next"'
        return answer(rows[start : start + size], headers=headers)

    async def info(self, request: web.Request) -> web.Response:
        repo = self.hub.repo(request)
        commit = commit_of(repo, request)
        query = request.query
        facts = repo.describe(commit, blobs="blobs" in query, security="securityStatus" in query)
        return answer(_expanded(facts, query.getall("expand", [])))

    async def tree(self, request: web.Request) -> web.Response:
        repo = self.hub.repo(request)
        commit = commit_of(repo, request)
        below = request.match_info.get("path", "").rstrip("/")
        deep, expand = _true(request, "recursive"), _true(request, "expand")
        rows: dict[str, dict[str, Any]] = {}
        for path in sorted(commit.files):
            if below and not path.startswith(below + "/"):
                continue
            inner = path[len(below) + 1 :] if below else path
            for folder in _folders(inner) if deep else _folders(inner)[:1]:
                name = f"{below}/{folder}" if below else folder
                rows[name] = {"type": "directory", "oid": commit.sha, "size": 0, "path": name}
            if deep or "/" not in inner:
                rows[path] = repo.entry(path, commit, expand=expand)
        if below and not rows:
            refuse(404, f"{below} does not exist on {request.match_info['rev']}", "EntryNotFound")
        return answer(list(rows.values()))

    async def paths_info(self, request: web.Request) -> web.Response:
        repo = self.hub.repo(request)
        commit = commit_of(repo, request)
        form = await request.post()
        expand = str(form.get("expand", "")).lower() == "true"
        paths = [str(path) for path in form.getall("paths", [])]
        return answer([repo.entry(path, commit, expand=expand) for path in paths if path in commit.files])

    async def commits(self, request: web.Request) -> web.Response:
        repo = self.hub.repo(request)
        until = repo.commits.index(commit_of(repo, request))
        rows = [
            {
                "id": c.sha,
                "title": c.title,
                "message": "",
                "date": c.date.isoformat(),
                "authors": [{"user": repo.owner}],
            }
            for c in repo.commits[until::-1]
        ]
        return answer(rows)

    async def refs(self, request: web.Request) -> web.Response:
        repo = self.hub.repo(request)
        found: dict[str, list[dict[str, str]]] = {"branches": [], "tags": [], "converts": []}
        for name, sha in repo.refs.items():
            kind, folder = ("branches", "heads") if name == "main" else ("tags", "tags")
            found[kind].append({"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": sha})
        return answer(found)

    async def auth_check(self, request: web.Request) -> web.Response:
        self.hub.readable(request)
        return answer({})

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        repo = self.hub.readable(request)
        commit = commit_of(repo, request)
        path = request.match_info["path"]
        if path not in commit.files:
            refuse(404, "Entry not found", "EntryNotFound")
        file = commit.files[path]
        headers = {"X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
        if not file.lfs:
            return await send(request, file.content, headers | {"ETag": f'"{file.oid}"'}, self.hub.throttle)
        self.hub.blobs[file.sha256] = file.content
        # Another origin by name, so that a client that forwards its token there is caught.
        headers["Location"] = f"http://localhost:{request.url.port}/_cdn/{file.sha256}"
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.content))}
        if self.hub.xet is not None and file.sha256 in (hashes := self.hub.xet.hashes()):
            headers["X-Xet-Hash"] = hashes[file.sha256]
            url = f"{request.url.origin()}/api/models/{repo.id}/xet-read-token/{commit.sha}"
            headers["Link"] = f'<{url}>; rel="xet-auth"'
        return web.Response(status=302, headers=headers)

    async def cdn(self, request: web.Request) -> web.StreamResponse:
        sha = request.match_info["sha"]
        if sha not in self.hub.blobs:
            refuse(403, "Access denied")
        content = self.hub.blobs[sha]
        if sha in self.hub.spoiled:
            content = content[:-1] + b"x"
        headers = {"ETag": f'"{sha}"', "Accept-Ranges": "bytes"}
        return await send(request, content, headers, self.hub.throttle)


def _passes(repo: Repo, query: Any) -> bool:
    facts = repo.describe(repo.at("main"))
    tags = set(facts["tags"])
    total = facts.get("safetensors", {}).get("total", 0)
    return (
        all(word in repo.id.lower() for word in query.get("search", "").lower().split())
        and all(wanted in tags for wanted in query.getall("filter", []))
        and query.get("author", repo.owner) == repo.owner
        and query.get("pipeline_tag", facts.get("pipeline_tag")) == facts.get("pipeline_tag")
        and ("gated" not in query or (query["gated"].lower() == "true") == bool(repo.gated))
        and _in_range(total, query.get("num_parameters", ""))
    )


def _in_range(total: int, text: str) -> bool:
    for bound, number, unit in re.findall(r"(min|max):([\d.]+)([KMB]?)", text):
        limit = float(number) * UNITS.get(unit, 1)
        if (total < limit) if bound == "min" else (total > limit):
            return False
    return True


def _ordered(repos: Iterable[Repo], sort: str) -> list[Repo]:
    if sort not in SORTS:
        refuse(400, f"Invalid sort: {sort}")
    return sorted(repos, key=lambda r: r.describe(r.at("main"))[sort], reverse=True)


def _list_row(repo: Repo, query: Any) -> dict[str, Any]:
    facts = repo.describe(repo.at("main"))
    if query.getall("expand", []):
        return _expanded(facts, query.getall("expand"))
    names = {"_id", "id", "modelId", *IN_PLAIN_LIST}
    if "full" in query:
        names |= {"author", "lastModified", "sha", "gated", "siblings"}
    names |= {wanted for wanted in ("cardData", "config") if wanted in query}
    return {name: value for name, value in facts.items() if name in names}


def _expanded(facts: dict[str, Any], names: list[str]) -> dict[str, Any]:
    if unknown := set(names) - EXPANDABLE:
        refuse(400, f"Invalid expand: {', '.join(sorted(unknown))}")
    return {k: v for k, v in facts.items() if k in ("_id", "id", *names)} if names else facts


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _true(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")
