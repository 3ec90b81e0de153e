"""A stand-in for the Hugging Face Hub on loopback: what huggingface_hub 2.x asks of it.

It speaks what was measured with the real client: lists with search, filters and paging, info, trees, downloads by
redirect to another host name with Range, LFS uploads in one piece or in parts, commits, gated and private
repositories, X-Error codes. Without :meth:`HubStandIn.with_xet` it has no Xet, so that uploads need
``HF_HUB_DISABLE_XET``, as against any endpoint without it.

    with HubStandIn() as hub:
        hub.add_repo("alice/tiny", {"config.json": "{}"}, card={"license": "mit"})
        hub.fail(r"GET /api/models\\b", 429, headers={"Retry-After": "1"}, times=1)
        HfApi(endpoint=hub.url).model_info("alice/tiny")
        assert hub.seen("GET /api/models/alice/tiny")
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.standins.hub_reads import add_read_routes
from tests.standins.hub_repos import SAFETENSORS_BYTES, Repo, as_file, readme
from tests.standins.hub_state import HubState, Person
from tests.standins.hub_writes import add_write_routes
from tests.standins.hub_xet import Xet, add_xet_routes
from tests.standins.sending import Throttle
from tests.standins.serving import LoopbackServer

__all__ = ["HubStandIn", "Repo", "safetensors"]


class HubStandIn(LoopbackServer):
    """See the module. `state` holds the knobs: `page_size`, `part_size`, `can_list`, `can_search`."""

    def __init__(self) -> None:
        super().__init__()
        self.state = HubState()

    def add_routes(self, app: web.Application) -> None:
        add_read_routes(app, self.state)
        add_write_routes(app, self.state)
        add_xet_routes(app, self.state)

    def add_repo(
        self,
        id: str,
        files: Mapping[str, bytes | str] | None = None,
        *,
        card: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        private: bool = False,
        gated: bool | str = False,
        kind: str = "models",
        **facts: Any,
    ) -> Repo:
        """A repository with one commit; `card` becomes README.md's head; `facts` are fields of Repo."""
        repo = Repo(id, kind, private, "auto" if gated is True else gated, tags=tuple(tags), **facts)
        contents = dict(files or {})
        if card is not None:
            contents["README.md"] = readme(card, f"# {id}\n")
        repo.commit({path: as_file(path, content) for path, content in contents.items()}, "first")
        self.state.repos[kind, id] = repo
        return repo

    def repo(self, id: str, kind: str = "models") -> Repo:
        """The repository of this id, as uploads left it."""
        return self.state.repos[kind, id]

    def files(self, id: str, revision: str = "main") -> dict[str, bytes]:
        """The contents of a repository at a revision."""
        return {path: file.content for path, file in self.repo(id).at(revision).files.items()}

    def add_token(self, token: str, name: str, *, role: str = "write", orgs: Sequence[str] = ()) -> str:
        """Let this token stand for a person."""
        self.state.tokens[token] = Person(name, role, tuple(orgs))
        return token

    def with_xet(self, folder: Path) -> None:
        """Take uploads by Xet from now on, into a folder."""
        self.state.xet = Xet(folder)

    def throttle(
        self, *, chunk: int = 1 << 20, sleep: float = 0.0, cut_after: int | None = None, cuts: int = 0
    ) -> None:
        """Send large files slowly, and cut the first `cuts` answers after so many bytes."""
        self.state.throttle = Throttle(chunk, sleep, cut_after, cuts)

    def rate_limit(self, match: str, *, seconds: int = 1, times: int | None = 1) -> None:
        """Answer 429 as the Hub does, with its ratelimit headers."""
        headers = {
            "ratelimit": f'"api";r=0;t={seconds}',
            "ratelimit-policy": '"fixed window";"api";q=500;w=300',
        }
        self.fail(match, 429, headers=headers, times=times)


def safetensors(shapes: Mapping[str, Sequence[int]], *, dtype: str = "F32", padding: int = 0) -> bytes:
    """A valid safetensors file of zeros, e.g. ``safetensors({"w": (2, 3)})``; `padding` adds a tensor of bytes."""
    import json

    header, at = {}, 0
    for name, shape in shapes.items():
        size = SAFETENSORS_BYTES[dtype]
        for n in shape:
            size *= n
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    if padding:
        header["padding"] = {"dtype": "U8", "shape": [padding], "data_offsets": [at, at + padding]}
        at += padding
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + bytes(at)
