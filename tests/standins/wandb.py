"""A stand-in for the W&B server on loopback: what wandb 0.31 and its `wandb-core` ask of one.

GraphQL without a schema: the answer is picked by the operation's name. Artifacts, sweeps and reports aren't spoken;
an unknown operation is refused and noted in ``server.unknown``.

    with WandbStandIn() as server:
        os.environ |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
        run = wandb.init(project="p", id="r1"); run.log({"loss": 1.0}); run.finish()
        assert server.history("r1")[0]["loss"] == 1.0
        server.fail("POST /graphql UpsertBucket", 500, times=1)   # or: server.stop(), server.keys = set()
"""

import base64
import json
import re
from typing import Any

from aiohttp import web

from tests.standins.serving import LoopbackServer
from tests.standins.wandb_runs import WandbRun

__all__ = ["KEY", "WandbRun", "WandbStandIn"]

KEY = "5f" * 20
OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")


class WandbStandIn(LoopbackServer):
    """See the module. `keys` are the API keys that are good (None: any); `entity` is whose they are."""

    def __init__(self, entity: str = "carol") -> None:
        super().__init__()
        self.entity = entity
        self.keys: set[str] | None = None
        self.runs: dict[str, WandbRun] = {}
        self.unknown: list[str] = []

    def history(self, run_id: str) -> list[dict[str, Any]]:
        """What a run logged, row by row."""
        return self.runs[run_id].rows

    def add_run(self, run_id: str, *, project: str = "modelnook", entity: str = "", **facts: Any) -> WandbRun:
        """A run as another person's client would have left it; `facts` are fields of WandbRun."""
        config = {k: {"value": v, "desc": None} for k, v in facts.pop("config", {}).items()}
        rows = [json.dumps({"_step": n} | row) for n, row in enumerate(facts.pop("rows", []))]
        run = WandbRun(run_id, project, entity or self.entity, len(self.runs), config=config, history=rows, **facts)
        self.runs[run_id] = run
        return run

    def label(self, body: bytes) -> str:
        """The GraphQL operation's name."""
        found = OPERATION.search(_query(body))
        return found[1] if found else ""

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/graphql", self._graphql)
        app.router.add_post("/files/{entity}/{project}/{run}/file_stream", self._file_stream)
        app.router.add_put("/_upload/{run}/{name:.+}", self._put_file)
        app.router.add_get("/_upload/{run}/{name:.+}", self._get_file)

    async def _graphql(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return web.json_response({"errors": [{"message": "user is not logged in"}]}, status=401)
        body = await request.json()
        name = self.label(await request.read())
        handler = getattr(self, f"_on_{name}", None)
        if handler is None:
            self.unknown.append(name)
            return web.json_response({"errors": [{"message": f"the stand-in does not know {name}"}]}, status=400)
        return web.json_response({"data": handler(body.get("variables") or {}, body["query"])})

    def _allowed(self, request: web.Request) -> bool:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            secret = base64.b64decode(secret).decode().partition(":")[2]
        return bool(secret) and (self.keys is None or secret in self.keys)

    async def _file_stream(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return web.json_response({"error": "invalid API key"}, status=401)
        run = self.runs.get(request.match_info["run"])
        if run is None:
            return web.json_response({"error": "run not found"}, status=404)
        run.stream(await request.json())
        return web.json_response({"exitcode": None, "limits": {}})

    async def _put_file(self, request: web.Request) -> web.Response:
        self.runs[request.match_info["run"]].files[request.match_info["name"]] = await request.read()
        return web.Response()

    async def _get_file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.runs[request.match_info["run"]].files[request.match_info["name"]])

    # -- who is there and what the server can do

    def _on_Viewer(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        names = ("name", "username", "entity")
        person = {"id": "VXNlcg==", "email": f"{self.entity}@example.org", "flags": "{}", "admin": False}
        nothing: dict[str, Any] = {"edges": []}
        return {
            "viewer": person
            | dict.fromkeys(names, self.entity)
            | {"deletedAt": None, "teams": nothing, "apiKeys": nothing}
        }

    _on_GetViewer = _on_GetDefaultEntity = _on_Viewer

    def _on_ServerFeaturesQuery(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _on_OrganizationCoreWeaveOrganizationID(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        return {"entity": {"organization": None}}

    # -- one run writes

    def _on_UpsertBucket(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        known = [run for run in self.runs.values() if run.facts()["id"] == variables.get("id")]
        run_id = known[0].id if known else variables["name"]
        inserted = run_id not in self.runs
        if inserted:
            entity = variables.get("entity") or self.entity
            self.runs[run_id] = WandbRun(run_id, variables.get("project") or "uncategorized", entity, len(self.runs))
        run = self.runs[run_id]
        run.upsert(variables)
        if not known:
            run.state = "running"
        return {"upsertBucket": {"bucket": run.facts(), "inserted": inserted}}

    def _on_RunResumeStatus(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        run = self._find(variables, "name")
        entity = {"id": "RW50", "name": variables.get("entity") or self.entity}
        bucket = run.resume_status() if run else None
        return {"model": {"id": "TW9k", "name": variables.get("project"), "entity": entity, "bucket": bucket}}

    def _on_CreateRunFiles(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        run = variables["run"]
        files = [{"name": name, "uploadUrl": f"{self.url}/_upload/{run}/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}

    # -- wandb.Api reads

    def _on_GetProjects(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        names = sorted({run.project for run in self.runs.values()})
        shared = {"entityName": self.entity, "createdAt": "2026-01-01T00:00:00Z", "isBenchmark": False, "user": None}
        edges = [{"node": {"id": name, "name": name, **shared}, "cursor": name} for name in names]
        return {"models": {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}}

    def _on_Runs(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        project = variables["project"]
        if not any(run.project == project for run in self.runs.values()):
            return {"project": None}
        wanted = json.loads(variables.get("filters") or "{}")
        found = [run for run in self.runs.values() if run.project == project and run.matches(wanted)]
        order = variables.get("order") or "+created_at"
        found.sort(key=lambda run: (run.created_at, run.number), reverse=order.startswith("-"))
        start, size = int(variables.get("cursor") or 0), variables.get("perPage") or 50
        page = found[start : start + size]
        edges = [{"node": run.node(query), "cursor": str(start + n + 1)} for n, run in enumerate(page)]
        info = {"endCursor": str(start + len(page)), "hasNextPage": start + size < len(found)}
        runs = {"edges": edges, "pageInfo": info}
        return {"project": {"internalId": "1", "runCount": len(found), "readOnly": False, "runs": runs}}

    def _on_Run(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        run = self._find(variables, "name")
        return {"project": {"run": run.node(query) if run else None}}

    _on_RunState = _on_RunHistoryKeys = _on_QueryRunInfo = _on_Run

    def _on_RunSampledHistory(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        run = self._must(variables)
        return {"project": {"run": {"sampledHistory": [run.sampled(json.loads(s)) for s in variables["specs"]]}}}

    def _on_SampledHistoryPage(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        run = self._must(variables)
        return {"project": {"run": {"sampledHistory": [run.sampled(json.loads(variables["spec"]))]}}}

    def _on_RunFullHistory(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        run = self._must(variables)
        return {"project": {"run": {"history": run.history, "events": run.events}}}

    def _on_HistoryPage(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        low, high, size = variables["minStep"], variables["maxStep"], variables["pageSize"]
        lines = [line for line in self._must(variables).history if low <= json.loads(line)["_step"] < high]
        return {"project": {"run": {"history": lines[:size]}}}

    def _on_RunParquetHistory(self, variables: dict[str, Any], query: str) -> dict[str, Any]:
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": self._must(variables).rows}}}}

    def _find(self, variables: dict[str, Any], *names: str) -> WandbRun | None:
        run_id = next((variables[n] for n in (*names, "name", "runName", "run") if variables.get(n)), "")
        run = self.runs.get(run_id)
        return run if run and run.project == variables.get("project") else None

    def _must(self, variables: dict[str, Any]) -> WandbRun:
        run = self._find(variables)
        if run is None:
            raise web.HTTPNotFound(text="run not found")
        return run


def _query(body: bytes) -> str:
    try:
        data = json.loads(body)
    except ValueError:
        return ""
    return str(data.get("query", "")) if isinstance(data, dict) else ""
