"""A forge on loopback: the real ``git http-backend`` behind HTTP, and beside it what git leaves to others, Git LFS.

It is searched as GitHub and Gitee are, below ``/_api``; `bare_list` answers as Gitee does.

with GitStandIn(tmp_path) as forge:
    commit = forge.add_repo("alice/tiny", {"config.json": b"{}", "w.safetensors": weights}, lfs={"w.safetensors"})
"""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from aiohttp import web

from tests.standins.sending import Throttle, send
from tests.standins.serving import LoopbackServer

BACKEND = Path("/usr/lib/git-core/git-http-backend")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"
KEY = {"X-Lfs-Key": "only-for-this-object"}


class GitStandIn(LoopbackServer):
    """See the module. `token` closes it to strangers; `lost` are LFS objects that it has lost."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.objects: dict[str, bytes] = {}
        self.lost: set[str] = set()
        self.token: str | None = None
        self.bare_list = False
        self.throttle = Throttle()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/_api/search/repositories", self._search)
        app.router.add_get("/_api/repos/{owner}/{name}/git/trees/{commit}", self._tree)
        app.router.add_post("/{repo:.+}.git/info/lfs/objects/batch", self._batch)
        app.router.add_get("/_lfs/{oid}", self._object)
        app.router.add_route("*", "/{repo:.+}.git/{tail:.*}", self._git)

    def add_repo(
        self, id: str, files: Mapping[str, bytes], *, lfs: Collection[str] = (), filters: bool = True, tag: str = ""
    ) -> str:
        """Make a repository, or another commit of it; gives the commit. `filters` lets blobs be left out."""
        work, bare = self.folder / "work" / id, self.folder / "served" / f"{id}.git"
        if not work.exists():
            work.mkdir(parents=True)
            self._run("init", "-q", "-b", "main", cwd=work)
            self._run("init", "-q", "--bare", "-b", "main", str(bare), cwd=work)
            self._run("config", "uploadpack.allowFilter", str(filters).lower(), cwd=bare)
        for name, content in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            if name in lfs:
                oid = hashlib.sha256(content).hexdigest()
                self.objects[oid] = content
                content = POINTER.format(oid=oid, size=len(content)).encode()
            (work / name).write_bytes(content)
        if lfs:
            rows = "".join(f"{name} filter=lfs diff=lfs merge=lfs -text\n" for name in sorted(lfs))
            (work / ".gitattributes").write_text(rows)
        self._run("add", "-A", cwd=work)
        self._run("commit", "-q", "-m", "said", cwd=work)
        if tag:
            self._run("tag", "-a", tag, "-m", tag, cwd=work)
        self._run("push", "-q", "--tags", str(bare), "main", cwd=work)
        return self._run("rev-parse", "HEAD", cwd=work)

    def _run(self, *words: str, cwd: Path) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        nobody = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(["git", *who, *words], cwd=cwd, capture_output=True, text=True, check=True, env=nobody)
        return done.stdout.strip()

    def _closed(self, request: web.Request) -> bool:
        said = base64.b64encode(f"oauth2:{self.token}".encode()).decode()
        return self.token is not None and request.headers.get("Authorization") != f"Basic {said}"

    async def _search(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"message": "Bad credentials"}, status=401)
        served = self.folder / "served"
        ids = [path.relative_to(served).as_posix().removesuffix(".git") for path in sorted(served.glob("*/*.git"))]
        rows = [
            {
                "full_name": id,
                "description": f"What {id} is for",
                "default_branch": "main",
                "stargazers_count": len(id.partition("/")[0]),
                "pushed_at": "2026-01-02T03:04:05Z",
                "license": "MIT" if self.bare_list else {"spdx_id": "MIT"},
                "topics": ["pytorch"],
            }
            for id in ids
            if all(word in id for word in request.query["q"].lower().split())
        ][: int(request.query["per_page"])]
        return web.json_response(rows if self.bare_list else {"total_count": len(rows), "items": rows})

    async def _tree(self, request: web.Request) -> web.Response:
        id, commit = "{owner}/{name}".format(**request.match_info), request.match_info["commit"]
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"message": "Bad credentials"}, status=401)
        names = self._run("ls-tree", "--name-only", commit, cwd=self.folder / "served" / f"{id}.git").splitlines()
        return web.json_response({"tree": [{"path": name, "type": "blob"} for name in names]})

    async def _git(self, request: web.Request) -> web.StreamResponse:
        if self._closed(request):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        if not (self.folder / "served" / f"{request.match_info['repo']}.git").is_dir():
            return web.Response(status=404)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder / "served"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        }
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(BACKEND, env=environment, stdin=pipe, stdout=pipe)
        out, _ = await child.communicate(await request.read())
        head, _, body = out.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        return await send(request, body, headers, self.throttle) if status == 200 else web.Response(status=status)

    async def _batch(self, request: web.Request) -> web.Response:
        if self._closed(request):
            return web.Response(status=401)
        rows = []
        for asked in (await request.json())["objects"]:
            oid = asked["oid"]
            if oid in self.objects and oid not in self.lost:
                # Another origin by name, so that a client that sends its login there is caught.
                href = f"http://localhost:{self.port}/_lfs/{oid}"
                rows.append({**asked, "actions": {"download": {"href": href, "header": KEY}}})
            else:
                rows.append({**asked, "error": {"code": 404, "message": "Object does not exist"}})
        answer = {"transfer": "basic", "objects": rows}
        return web.Response(text=json.dumps(answer), content_type="application/vnd.git-lfs+json")

    async def _object(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers or any(request.headers.get(k) != v for k, v in KEY.items()):
            return web.Response(status=403)
        return await send(request, self.objects[request.match_info["oid"]], {"Accept-Ranges": "bytes"}, self.throttle)


def can_serve() -> bool:
    """Whether git and its HTTP server are here."""
    return BACKEND.exists() and shutil.which("git") is not None
