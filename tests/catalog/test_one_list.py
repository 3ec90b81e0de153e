"""One list over every kind of source at once: live against the stand-ins of all of them, and without a socket."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.catalog import team
from tests.catalog.remote import FILES, quiet
from tests.standins.git import GitStandIn, can_serve
from tests.standins.hub import HubStandIn
from tests.standins.kaggle import KaggleStandIn
from tests.standins.modelscope import ModelScopeStandIn

import modelnook as mn
from modelnook import api, cards
from modelnook.catalog import hub as hub_module
from modelnook.catalog import remote
from modelnook.catalog.folder import describe
from modelnook.catalog.search import source
from modelnook.domain.errors import ModelnookError
from modelnook.domain.model import ModelRef
from modelnook.settings import save_sources
from modelnook.store import Store
from modelnook.verbs import VERBS

for client in ("dulwich", "huggingface_hub", "kagglehub", "modelscope_hub"):
    pytest.importorskip(client)
pytestmark = pytest.mark.skipif(not can_serve(), reason="needs git and git-http-backend")

KAGGLE = "carol/spam/transformers/base"
PLACES: list[dict[str, Any]] = [
    {"name": "scope", "kind": "modelscope"},
    {"name": "kaggle", "kind": "kaggle"},
    {"name": "forge", "kind": "git"},
    {"name": "mirror", "kind": "hub"},
]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def everywhere(tmp_path: Path, hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A model called spam in every kind of source; the team has the hub's very files. Gives the servers."""
    from kagglesdk import kaggle_env

    monkeypatch.setattr(remote, "_KNOWN", {})
    monkeypatch.setattr(hub_module, "_KNOWN", {})
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    _packaged(tmp_path / "site", monkeypatch)
    with contextlib.ExitStack() as stack:
        scope = stack.enter_context(ModelScopeStandIn())
        kaggle = stack.enter_context(KaggleStandIn())
        forge = stack.enter_context(GitStandIn(tmp_path / "forge"))
        mirror = stack.enter_context(HubStandIn())
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, kaggle.url)
        servers = [scope, kaggle, forge, mirror]
        save_sources(lambda _: [{**place, "url": server.url} for place, server in zip(PLACES, servers, strict=True)])
        for hub in (hub_server, mirror):
            hub.add_repo("alice/spam-hub", dict(FILES), downloads=50)
        scope.add_model("bob/spam-zh", FILES, downloads=900, license="mit", tasks=["text-classification"])
        kaggle.add_version(KAGGLE, FILES)
        forge.add_repo("dave/spam-git", FILES, lfs={"model.safetensors"})
        (tmp_path / "team").mkdir()
        team.added(str(tmp_path / "team")).publish("nlp/spam-ours", team.parcel(tmp_path / "theirs"), quiet)
        source("forge").fetch(ModelRef("forge", "dave/spam-git"), quiet)
        mine = tmp_path / "mine"
        team.parcel(mine)
        Store().models.add("my-spam", mine, describe(mine, ref="", id="my-spam", source="local"))
        yield [hub_server, *servers]


def _packaged(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {f"spam_model/{name}": FILES[name] for name in ("README.md", "config.json", "model.safetensors")}
    made["spam_model-1.0.dist-info/METADATA"] = b"Metadata-Version: 2.1\nName: spam-model\nVersion: 1.0\n"
    for name, content in made.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(content)
    record = site / "spam_model-1.0.dist-info" / "RECORD"
    record.write_text("".join(f"{name},,\n" for name in made))
    monkeypatch.syspath_prepend(str(site))


LIST = {
    "local:my-spam@1",
    "pip:spam-model@1.0",
    "hub:alice/spam-hub",
    "scope:bob/spam-zh",
    f"kaggle:{KAGGLE}",
    "forge:dave/spam-git",
    "team:nlp/spam-ours",
}


@pytest.mark.slow
def test_one_list_over_every_kind_of_source(everywhere: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    found = mn.search("spam")
    assert not found.notes
    by_ref = {m.ref: m for m in found}
    assert set(by_ref) | {ref for m in found for ref in m.also} == LIST | {"mirror:alice/spam-hub"}
    assert [m.source for m in found[:2]] == ["local", "pip"], "what is here comes first"  # type: ignore[index]
    # The mirror has the very commit of the hub: one row, which says so in list and card.
    [row] = [m for m in found if m.also]
    assert {row.ref, *row.also} == {"hub:alice/spam-hub", "mirror:alice/spam-hub"}
    other = row.also[0].partition(":")[0]
    assert f"{row.ref} = {other}" in cards.text(found)
    assert row.also[0] in cards.text(row)
    assert mn.info(row.ref).also == row.also
    assert mn.info("forge:dave/spam-git").also == ()
    by_use = mn.search("spam", sort="downloads")
    assert by_use[0].ref == "scope:bob/spam-zh"
    assert {m.source for m in mn.search("spam", license="mit", task="text-classification")} >= {"pip", "scope", "forge"}
    for server in everywhere:
        server.stop()
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    alone = mn.search("spam")
    assert {m.ref for m in alone} | {ref for m in alone for ref in m.also} == LIST | {"mirror:alice/spam-hub"}


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every connection and every look-up of a name from now on; none is made."""
    tried: list[str] = []

    def refuse(*asked: Any, **more: Any) -> Any:
        tried.append(repr(asked[1:] or asked))
        raise OSError("no socket is opened offline")

    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def only_here(self: socket.socket, address: Any, real: Any = real) -> Any:
            return real(self, address) if self.family == socket.AF_UNIX else refuse(self, address)

        monkeypatch.setattr(socket.socket, name, only_here)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return tried


@pytest.mark.slow
def test_offline_no_verb_opens_a_socket(tmp_path: Path, sockets: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    places = [{**place, "url": NOWHERE} for place in PLACES]
    places.append({"name": "bucket", "kind": "folder", "url": "s3://nobody/models"})
    save_sources(lambda _: places)
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    refs = ["hub:a/other", "a/other", "scope:a/other", "kaggle:a/b/transformers/c", "forge:a/other", "bucket:other"]
    rows = [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(8)]
    values = {
        "data": rows,
        "inputs": ["x"],
        "path": str(tmp_path / "out"),
        "name": "nobody",
        "run": "nobody",
        "runs": ("one", "other"),
        "url": NOWHERE,
        "query": "spam",
        "prompt": "x",
    }
    asked = set()
    for verb in VERBS.values():
        targets = refs if any(a.kind in ("ref", "refs") and a.positional for a in verb.args) else [""]
        for ref in targets:
            given: dict[str, Any] = {}
            free: tuple[Any, ...] = ()
            for arg in verb.args:
                if arg.kind == "ref" and arg.positional:
                    given[arg.name] = ref
                elif arg.many:
                    free = (ref,) if arg.kind == "refs" else values["runs"]
                elif arg.name == "to" and arg.required:
                    given[arg.name] = "onnx" if verb.name == "export" else "bucket:mine"
                elif arg.required or arg.needed or arg.name == "query":
                    given[arg.name] = values[arg.name]
            with contextlib.suppress(ModelnookError):
                verb.load()(*free, **given)
            asked.add(verb.name)
            assert not sockets, f"{verb.name} {ref}"
    assert asked == set(VERBS)
    said = {name: note for name, _, note in api.refresh_sources().rows}
    assert all("offline" in said[place["name"]] for place in places if place["kind"] in ("hub", "modelscope", "kaggle"))
    assert json.loads(json.dumps(mn.search("spam").to_dict()))["items"] == []
    assert not sockets
