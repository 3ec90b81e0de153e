"""The W&B stand-in's state: runs as file streams left them, and the filters that wandb.Api sends."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

HEAVY = ("config", "summaryMetrics", "systemMetrics", "historyKeys")


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class WandbRun:
    """One run; `history`, `events` and `output` are the lines that the file stream carried."""

    id: str
    project: str
    entity: str
    number: int
    display_name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    group: str | None = None
    job_type: str | None = None
    state: str = "running"
    exit_code: int | None = None
    created_at: str = field(default_factory=now)
    heartbeat_at: str = field(default_factory=now)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history, parsed."""
        return [json.loads(line) for line in self.history]

    @property
    def values(self) -> dict[str, Any]:
        """The config without W&B's wrapping and its own keys."""
        plain = {k: v.get("value") if isinstance(v, dict) else v for k, v in self.config.items()}
        return {k: v for k, v in plain.items() if k != "_wandb"}

    def upsert(self, variables: dict[str, Any]) -> None:
        """Take what an UpsertBucket carries; a field that is left out stays as it was."""
        if variables.get("config"):
            self.config = json.loads(variables["config"])
        if variables.get("summaryMetrics"):
            self.summary |= json.loads(variables["summaryMetrics"])
        self.display_name = variables.get("displayName") or variables.get("display_name") or self.display_name
        self.tags = variables.get("tags") or self.tags
        self.notes = variables.get("notes") or self.notes
        self.group = variables.get("groupName") or self.group
        self.job_type = variables.get("jobType") or self.job_type

    def stream(self, body: dict[str, Any]) -> None:
        """Take one file_stream request."""
        self.heartbeat_at = now()
        lines = {"wandb-history.jsonl": self.history, "wandb-events.jsonl": self.events, "output.log": self.output}
        for name, chunk in (body.get("files") or {}).items():
            if name == "wandb-summary.json":
                self.summary = json.loads(chunk["content"][-1])
            elif name in lines:
                at = chunk["offset"]
                lines[name][at : at + len(chunk["content"])] = chunk["content"]
        if body.get("complete"):
            self.exit_code = body.get("exitcode", 0)
            self.state = "finished" if self.exit_code == 0 else "failed"

    def facts(self) -> dict[str, Any]:
        """The run as a GraphQL node with every field of RunFragment."""
        keys = {key for row in self.rows for key in row}
        last = self.rows[-1]["_step"] if self.history else -1
        return {
            "id": f"UnVuOnYx:{self.project}:{self.id}",
            "name": self.id,
            "displayName": self.display_name or self.id,
            "description": self.display_name,
            "notes": self.notes,
            "tags": self.tags,
            "sweepName": None,
            "state": self.state,
            "group": self.group,
            "jobType": self.job_type,
            "commit": None,
            "readOnly": False,
            "createdAt": self.created_at,
            "heartbeatAt": self.heartbeat_at,
            "historyLineCount": len(self.history),
            "eventsLineCount": len(self.events),
            "logLineCount": len(self.output),
            "projectId": "1",
            "user": {"name": self.entity, "username": self.entity},
            "config": json.dumps(self.config),
            "summaryMetrics": json.dumps(self.summary),
            "systemMetrics": "{}",
            "historyKeys": {"lastStep": last, "sets": [], "keys": {key: {} for key in keys}},
            "project": {"id": "UHJvamVjdA==", "name": self.project, "entity": {"id": "RW50", "name": self.entity}},
        }

    def node(self, query: str) -> dict[str, Any]:
        """The node as a query asks for it: the lightweight fragment has no heavy fields."""
        facts = self.facts()
        if "LightweightRunFragment" in query:
            return {key: value for key, value in facts.items() if key not in HEAVY}
        return facts

    def resume_status(self) -> dict[str, Any]:
        """What a client that goes on with this run asks for."""
        tails = {"historyTail": json.dumps(self.history[-1:]), "eventsTail": json.dumps(self.events[-1:])}
        # Its presence tells the client that a run was really started under this id.
        internal = (self.config.get("_wandb") or {}).get("value") or {}
        return {**self.facts(), **tails, "wandbConfig": json.dumps({"t": internal.get("t", {})})}

    def sampled(self, spec: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows that have all the wanted keys; `maxStep` is inclusive, as in the service."""
        keys = spec.get("keys") or []
        low, high = spec.get("minStep", 0), spec.get("maxStep")
        rows = [r for r in self.rows if r["_step"] >= low and (high is None or r["_step"] <= high)]
        rows = [{k: r[k] for k in keys} if keys else r for r in rows if all(k in r for k in keys)]
        step = max(1, len(rows) // spec.get("samples", 500))
        return rows[::step]

    def matches(self, wanted: dict[str, Any]) -> bool:
        """Whether the run passes a MongoDB filter, of the operators that the client writes."""
        return all(self._holds(key, value) for key, value in wanted.items())

    def _holds(self, key: str, wanted: Any) -> bool:
        if key in ("$and", "$or"):
            return (all if key == "$and" else any)(self.matches(part) for part in wanted)
        found = self._value(key)
        if not isinstance(wanted, dict):
            return wanted in found if isinstance(found, list) else found == wanted
        return all(_compare(found, operator, value) for operator, value in wanted.items())

    def _value(self, key: str) -> Any:
        head, _, rest = key.partition(".")
        if head == "config":
            return self.values.get(rest.removesuffix(".value"))
        if head == "summary_metrics":
            return self.summary.get(rest)
        names = {"name": self.id, "display_name": self.display_name, "jobType": self.job_type}
        return names[key] if key in names else getattr(self, re.sub(r"([A-Z])", r"_\1", key).lower(), None)


def _compare(found: Any, operator: str, value: Any) -> bool:
    if operator == "$ne":
        return bool(found != value)
    if operator == "$in":
        return bool(set(found) & set(value)) if isinstance(found, list) else found in value
    if operator == "$regex":
        return bool(re.search(value, found or ""))
    if found is None:
        return False
    tests = {"$gt": found > value, "$gte": found >= value, "$lt": found < value, "$lte": found <= value}
    return bool(tests[operator])
