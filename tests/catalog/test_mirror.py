"""``hub`` through a mirror that others wrote: olah, in an environment of its own, in front of the hub stand-in."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.standins.hub import HubStandIn

from modelnook.catalog import hub as hub_module
from modelnook.catalog.base import Query
from modelnook.domain.errors import NotFoundError, StoreError, UnsupportedError
from modelnook.domain.model import ModelRef

from .remote import CARD, FILES, LARGE, NEEDED, added, files, quiet

OLAH = Path(os.environ.get("MODELNOOK_OLAH") or Path(__file__).parents[2] / ".venv-olah" / "bin" / "olah-cli")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not OLAH.exists(), reason="needs olah: make .venv-olah/.made")]

TINY, BIG = ModelRef("mirror", "alice/tiny"), ModelRef("mirror", "alice/large")


@pytest.fixture
def hub(hub_server: HubStandIn) -> HubStandIn:
    contents = {name: content for name, content in FILES.items() if name != "README.md"}
    hub_server.add_repo("alice/tiny", {**contents, "README.md": CARD})
    hub_server.add_repo("alice/large", {**contents, "model.safetensors": LARGE})
    return hub_server


@pytest.fixture
def mirror(hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(hub_module, "_KNOWN", {})
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here, there = f"127.0.0.1:{port}", f"127.0.0.1:{hub.port}"
    words = ["--host", "127.0.0.1", "--port", str(port), "--hf-scheme", "http", "--hf-netloc", there]
    words += ["--hf-lfs-netloc", f"localhost:{hub.port}", "--mirror-netloc", here, "--mirror-lfs-netloc", here]
    words += ["--repos-path", str(tmp_path / "repos"), "--log-path", str(tmp_path / "logs")]
    with (tmp_path / "olah.log").open("w") as log:
        server = subprocess.Popen([OLAH, *words], stdout=log, stderr=log, cwd=tmp_path)
    try:
        end = time.monotonic() + 60
        while True:
            assert server.poll() is None, (tmp_path / "olah.log").read_text()[-2000:]
            assert time.monotonic() < end
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://{here}"
    finally:
        server.terminate()
        server.wait(20)


def test_a_mirror_is_an_endpoint_without_a_list(hub: HubStandIn, mirror: str) -> None:
    source = added("mirror", mirror, "hub")
    info = source.info(TINY)
    assert (info.parameters, info.license, info.bytes) == (44, "mit", sum(len(FILES[name]) for name in NEEDED))
    folder = source.fetch(TINY, quiet)
    assert files(folder) == NEEDED
    assert (source.fetch(BIG, quiet) / "model.safetensors").read_bytes() == LARGE
    served = len(hub.seen("GET /_cdn/"))
    source.discard(BIG)
    assert (source.fetch(BIG, quiet) / "model.safetensors").read_bytes() == LARGE
    assert len(hub.seen("GET /_cdn/")) == served, "the mirror has it"
    with pytest.raises(UnsupportedError, match="no list of models"):
        source.search(Query("tiny"))
    with pytest.raises(NotFoundError):
        source.info(ModelRef("mirror", "alice/nothing"))


def test_what_a_mirror_gives_is_checked(hub: HubStandIn, mirror: str) -> None:
    source = added("mirror", mirror, "hub")
    hub.state.spoiled.add(hashlib.sha256(LARGE).hexdigest())
    with pytest.raises(StoreError, match="checksum"):
        source.fetch(BIG, quiet)
