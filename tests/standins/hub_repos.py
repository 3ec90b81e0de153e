"""The hub stand-in's state: repositories, commits, blobs, people; and their JSON as the Hub writes it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

LFS_ENDINGS = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".h5",
    ".onnx",
    ".pkl",
    ".pickle",
    ".msgpack",
    ".parquet",
)
LFS_SIZE = 10_000_000
POINTER_SIZE = 134
EXPANDABLE = frozenset(
    "author baseModels cardData childrenModelCount config createdAt disabled downloads downloadsAllTime evalResults "
    "gated gguf inference inferenceProviderMapping lastModified library_name likes mask_token model-index pipeline_tag "
    "private resourceGroup safetensors sha siblings spaces tags transformersInfo trendingScore usedStorage "
    "widgetData".split()
)
IN_PLAIN_LIST = "likes trendingScore private downloads tags pipeline_tag library_name createdAt".split()
SAFETENSORS_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class File:
    """A file at a commit: in LFS by its sha256, else a git blob."""

    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def oid(self) -> str:
        """The git object id: of the pointer for an LFS file, as on the Hub."""
        body = self.content
        if self.lfs:
            head = "version https://git-lfs.github.com/spec/v1\n"
            body = f"{head}oid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()
        return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()

    def lfs_json(self, key: str) -> dict[str, Any]:
        return {key: self.sha256, "size": len(self.content), "pointerSize": POINTER_SIZE}


@dataclass(frozen=True)
class Commit:
    """One commit: the whole file tree."""

    sha: str
    title: str
    date: datetime
    files: Mapping[str, File]


@dataclass
class Repo:
    """A repository with one line of commits, tags and branches, and what only the Hub knows of it."""

    id: str
    kind: str = "models"
    private: bool = False
    gated: bool | str = False
    downloads: int = 0
    likes: int = 0
    tags: tuple[str, ...] = ()
    pipeline_tag: str | None = None
    library_name: str | None = None
    unsafe: tuple[str, ...] = ()
    granted: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    commits: list[Commit] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    def commit(self, changes: Mapping[str, File | None], title: str, *, ref: str = "main") -> Commit:
        """Add one: None removes a file, or a folder where the name ends in `/`."""
        files = dict(self.at(ref).files) if ref in self.refs else {}
        for path, file in changes.items():
            if file is not None:
                files[path] = file
            else:
                files = {k: v for k, v in files.items() if k != path and not (path[-1] == "/" and k.startswith(path))}
        number = len(self.commits)
        seed = f"{self.kind}/{self.id}/{number}/{title}/{sorted((k, v.oid) for k, v in files.items())}"
        date = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
        made = Commit(hashlib.sha1(seed.encode()).hexdigest(), title, date, files)
        self.commits.append(made)
        self.refs[ref] = made.sha
        return made

    def at(self, revision: str) -> Commit:
        """The commit of a branch, tag or id; KeyError for none."""
        sha = self.refs.get(revision, revision)
        for commit in self.commits:
            if commit.sha == sha:
                return commit
        raise KeyError(revision)

    def card(self, commit: Commit) -> dict[str, Any]:
        """The YAML head of README.md."""
        readme = commit.files.get("README.md")
        head = readme.content.decode().split("---", 2) if readme else []
        return (yaml.safe_load(head[1]) or {}) if len(head) == 3 and not head[0].strip() else {}

    def all_tags(self, commit: Commit) -> list[str]:
        """Declared tags and the ones that the Hub derives from the card."""
        card = self.card(commit)
        found = [*self.tags, *_many(card.get("tags")), *_many(card.get("language"))]
        found += [f"license:{v}" for v in _many(card.get("license"))]
        found += [f"base_model:{v}" for v in _many(card.get("base_model"))]
        found += [v for v in (self.library(commit), self.task(commit)) if v]
        return list(dict.fromkeys(found))

    def task(self, commit: Commit) -> str | None:
        return self.pipeline_tag or self.card(commit).get("pipeline_tag")

    def library(self, commit: Commit) -> str | None:
        return self.library_name or self.card(commit).get("library_name")

    def describe(self, commit: Commit, *, blobs: bool = False, security: bool = False) -> dict[str, Any]:
        """Every field the stand-in knows; routes pick what was asked for."""
        facts: dict[str, Any] = {
            "_id": hashlib.md5(self.id.encode()).hexdigest()[:24],
            "id": self.id,
            "modelId": self.id,
            "author": self.owner,
            "sha": commit.sha,
            "lastModified": _iso(commit.date),
            "createdAt": _iso(self.commits[0].date),
            "private": self.private,
            "gated": self.gated,
            "disabled": False,
            "downloads": self.downloads,
            "likes": self.likes,
            "trendingScore": self.likes,
            "tags": self.all_tags(commit),
            "pipeline_tag": self.task(commit),
            "library_name": self.library(commit),
            "cardData": self.card(commit) or None,
            "config": _config(commit),
            "safetensors": _safetensors(commit),
            "siblings": [_sibling(path, file, blobs) for path, file in sorted(commit.files.items())],
            "usedStorage": sum(len(file.content) for file in commit.files.values()),
        }
        if security:
            issues = [{"path": path, "level": "unsafe"} for path in self.unsafe if path in commit.files]
            facts["securityRepoStatus"] = {"scansDone": True, "filesWithIssues": issues}
        return {key: value for key, value in facts.items() if value is not None}

    def entry(self, path: str, commit: Commit, *, expand: bool = False) -> dict[str, Any]:
        """One file as tree and paths-info list it."""
        file = commit.files[path]
        row: dict[str, Any] = {"type": "file", "oid": file.oid, "size": len(file.content), "path": path}
        if file.lfs:
            row["lfs"] = file.lfs_json("oid")
        if expand:
            status = "unsafe" if path in self.unsafe else "safe"
            row["lastCommit"] = {"id": commit.sha, "title": commit.title, "date": _iso(commit.date)}
            row["securityFileStatus"] = {"status": status, "avScan": {}, "pickleImportScan": None}
        return row


def as_file(path: str, content: bytes | str) -> File:
    """A file as the Hub would store it by its name and size."""
    data = content.encode() if isinstance(content, str) else content
    return File(data, bool(data) and (path.endswith(LFS_ENDINGS) or len(data) > LFS_SIZE))


def readme(card: Mapping[str, Any], text: str = "") -> str:
    """README.md of a card."""
    return f"---\n{yaml.safe_dump(dict(card), sort_keys=False)}---\n{text}"


def _many(value: Any) -> list[str]:
    return [] if value is None else [str(v) for v in (value if isinstance(value, list) else [value])]


def _iso(date: datetime) -> str:
    return date.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _sibling(path: str, file: File, blobs: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"rfilename": path}
    if blobs:
        row |= {"size": len(file.content), "blobId": file.oid}
        if file.lfs:
            row["lfs"] = file.lfs_json("sha256")
    return row


def _config(commit: Commit) -> dict[str, Any] | None:
    file = commit.files.get("config.json")
    if file is None:
        return None
    config = json.loads(file.content)
    # The Hub keeps these few keys of config.json and no others.
    return {k: config[k] for k in ("architectures", "model_type", "auto_map", "quantization_config") if k in config}


def _safetensors(commit: Commit) -> dict[str, Any] | None:
    counts: dict[str, int] = {}
    for path, file in commit.files.items():
        if path.endswith(".safetensors"):
            size = int.from_bytes(file.content[:8], "little")
            for name, tensor in json.loads(file.content[8 : 8 + size]).items():
                if name != "__metadata__":
                    start, end = tensor["data_offsets"]
                    n = (end - start) // SAFETENSORS_BYTES[tensor["dtype"]]
                    counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + n
    return {"parameters": counts, "total": sum(counts.values())} if counts else None
