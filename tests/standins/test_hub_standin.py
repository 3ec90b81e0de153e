"""The hub stand-in against the real huggingface_hub client."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub as hf
import pytest
from huggingface_hub import errors
from huggingface_hub.utils import parse_ratelimit_headers

from tests.standins.hub import HubStandIn, safetensors

pytestmark = pytest.mark.usefixtures("isolated_home", "no_network")

CARD = {"license": "apache-2.0", "language": ["en"], "pipeline_tag": "text-classification", "base_model": "bob/base"}
CONFIG = json.dumps({"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 4})
WEIGHTS = safetensors({"a": (10, 4), "b": (4,)})


@pytest.fixture
def hub(hub_server: HubStandIn) -> HubStandIn:
    hub_server.add_token("hf_alice", "alice", orgs=("team",))
    hub_server.add_token("hf_bob", "bob")
    hub_server.add_token("hf_reader", "alice", role="read")
    hub_server.add_repo(
        "alice/tiny", {"config.json": CONFIG, "model.safetensors": WEIGHTS, "onnx/m.onnx": b"x"}, card=CARD, downloads=5
    )
    return hub_server


def api(hub: HubStandIn, token: str | bool = False) -> hf.HfApi:
    return hf.HfApi(endpoint=hub.url, token=token)


def pull(hub: HubStandIn, folder: Path, repo: str = "alice/tiny", token: str | bool = False) -> Path:
    return Path(hf.snapshot_download(repo, endpoint=hub.url, cache_dir=folder, token=token))


def test_lists_search_filter_and_page(hub: HubStandIn) -> None:
    for n in range(5):
        card = {"license": "mit" if n % 2 else "gpl-3.0", "pipeline_tag": "fill-mask"}
        hub.add_repo(f"bob/m{n}", {"w.safetensors": safetensors({"w": (n + 1, 1000)})}, card=card, downloads=n)
    hub.add_repo("alice/secret", private=True)
    hub.state.page_size = 2
    ask = api(hub).list_models
    assert [m.id for m in ask(search="TINY")] == ["alice/tiny"]
    assert {m.id for m in ask(author="bob", filter=["license:mit", "fill-mask"])} == {"bob/m1", "bob/m3"}
    assert [m.id for m in ask(sort="downloads", limit=3)] == ["alice/tiny", "bob/m4", "bob/m3"]
    assert [m.id for m in ask(num_parameters="min:3K,max:4K", author="bob")] == ["bob/m2", "bob/m3"]
    assert [m.id for m in ask(pipeline_tag="text-classification")] == ["alice/tiny"]
    assert len(list(ask())) == 6
    assert "alice/secret" in {m.id for m in api(hub, "hf_alice").list_models()}
    assert len(hub.seen("GET /api/models$")) > 6


def test_expand_gives_the_asked_fields_and_refuses_others(hub: HubStandIn) -> None:
    row = next(iter(api(hub).list_models(expand=["safetensors", "cardData", "downloads"])))
    assert (row.safetensors.total, row.card_data.license, row.downloads, row.likes) == (44, "apache-2.0", 5, None)
    with pytest.raises(errors.BadRequestError, match="expand"):
        api(hub).model_info("alice/tiny", expand=["nonsense"])


def test_info_tree_and_paths(hub: HubStandIn) -> None:
    hub.repo("alice/tiny").unsafe = ("onnx/m.onnx",)
    info = api(hub).model_info("alice/tiny", files_metadata=True, securityStatus=True)
    weights = next(s for s in info.siblings if s.rfilename == "model.safetensors")
    assert (weights.size, weights.lfs.sha256) == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
    assert {"license:apache-2.0", "en", "base_model:bob/base"} <= set(info.tags)
    assert info.config == {"architectures": ["BertModel"], "model_type": "bert"}
    assert info.security_repo_status["filesWithIssues"] == [{"path": "onnx/m.onnx", "level": "unsafe"}]
    flat = {entry.path for entry in api(hub).list_repo_tree("alice/tiny")}
    assert flat == {"README.md", "config.json", "model.safetensors", "onnx"}
    [row] = api(hub).get_paths_info("alice/tiny", ["onnx/m.onnx", "missing"], expand=True)
    assert (row.size, row.security.safe) == (1, False)


def test_reads_safetensors_headers_by_range(hub: HubStandIn) -> None:
    hub.add_repo("alice/big", {"model.safetensors": safetensors({"w": (8, 8)}, padding=3_000_000)})
    found = api(hub).get_safetensors_metadata("alice/big")
    assert found.parameter_count == {"F32": 64, "U8": 3_000_000}
    assert [r.headers["range"] for r in hub.seen("GET /_cdn/")] == ["bytes=0-100000"]


def test_downloads_through_another_host_without_the_token(hub: HubStandIn, tmp_path: Path) -> None:
    folder = pull(hub, tmp_path / "cache", token="hf_alice")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_text() == CONFIG
    assert all("authorization" in r.headers for r in hub.seen("/resolve/"))
    assert hub.seen("GET /_cdn/")
    assert not any("authorization" in r.headers for r in hub.seen("GET /_cdn/"))
    before = len(hub.requests)
    assert pull(hub, tmp_path / "cache", token="hf_alice") == folder
    assert len(hub.requests) == before + 1


@pytest.mark.slow
def test_a_cut_download_goes_on_where_it_was(hub: HubStandIn, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100_000
    hub.add_repo("alice/big", {"w.bin": data})
    hub.throttle(chunk=1 << 20, cut_after=12 << 20, cuts=1)
    folder = pull(hub, tmp_path / "cache", "alice/big")
    assert (folder / "w.bin").read_bytes() == data
    first, second = hub.seen("GET /_cdn/")
    assert (first.status, second.headers["range"]) == (0, "bytes=10485760-")


def test_refusals_carry_the_hubs_codes(hub: HubStandIn, tmp_path: Path) -> None:
    hub.add_repo("alice/secret", {"config.json": "{}"}, private=True)
    hub.add_repo("alice/gated", {"config.json": "{}", "model.safetensors": WEIGHTS}, gated=True)
    for repo, token in (("no/where", False), ("no/where", "hf_bob"), ("alice/secret", "hf_bob")):
        with pytest.raises(errors.RepositoryNotFoundError) as caught:
            api(hub, token).model_info(repo)
        assert caught.value.response.status_code == (404 if token else 401)
    with pytest.raises(errors.RevisionNotFoundError):
        api(hub).model_info("alice/tiny", revision="nope")
    with pytest.raises(errors.EntryNotFoundError):
        hf.hf_hub_download("alice/tiny", "nope", endpoint=hub.url, cache_dir=tmp_path, token=False)
    with pytest.raises(errors.HfHubHTTPError, match="Invalid user token"):
        api(hub, "hf_wrong").whoami()
    for token, status in ((False, 401), ("hf_bob", 403)):
        with pytest.raises(errors.GatedRepoError) as gated:
            pull(hub, tmp_path, "alice/gated", token)
        assert gated.value.response.status_code == status
    assert api(hub, "hf_bob").model_info("alice/gated").gated == "auto"
    hub.repo("alice/gated").granted.add("bob")
    assert (pull(hub, tmp_path, "alice/gated", "hf_bob") / "model.safetensors").exists()


@pytest.mark.slow
def test_rate_limits_and_failing_servers(hub: HubStandIn) -> None:
    hub.rate_limit(r"GET /api/models/alice/tiny", seconds=7)
    with pytest.raises(errors.HfHubHTTPError) as caught:
        api(hub).model_info("alice/tiny")
    assert parse_ratelimit_headers(caught.value.response.headers).reset_in_seconds == 7
    assert api(hub).model_info("alice/tiny").id == "alice/tiny"
    hub.fail(r"GET /api/models\?", 429, headers={"Retry-After": "0"}, times=1)
    start = time.monotonic()
    assert len(list(api(hub).list_models(search="tiny"))) == 1
    assert 0.9 < time.monotonic() - start < 4
    hub.fail(r"GET /api/models/alice/tiny", cut=True, times=1)
    with pytest.raises(Exception, match="disconnected"):
        api(hub).model_info("alice/tiny")


def test_stops_and_comes_back_on_its_port(hub: HubStandIn) -> None:
    url = hub.url
    hub.stop()
    with pytest.raises(Exception, match="refused"):
        api(hub).model_info("alice/tiny")
    hub.start()
    assert hub.url == url
    assert api(hub).whoami("hf_alice")["name"] == "alice"


def test_uploads_a_folder(hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf.constants, "HF_HUB_DISABLE_XET", True)
    hub.state.part_size = 1_000_000
    source = tmp_path / "model"
    source.mkdir()
    (source / "model.safetensors").write_bytes(safetensors({"w": (700_000,)}))
    (source / "README.md").write_text("---\nlicense: mit\n---\nHello")
    mine = api(hub, "hf_alice")
    mine.create_repo("team/new", private=True)
    mine.create_repo("team/new", exist_ok=True)
    done = mine.upload_folder(repo_id="team/new", folder_path=source, commit_message="up", delete_patterns="*.old")
    assert hub.files("team/new")["model.safetensors"] == (source / "model.safetensors").read_bytes()
    assert len(hub.seen(r"PUT /_lfs/\w+/\d")) == 3
    assert mine.model_info("team/new").card_data.license == "mit"
    assert done.oid == mine.model_info("team/new").sha
    mine.upload_folder(repo_id="team/new", folder_path=source)
    assert len(hub.seen(r"PUT /_lfs/")) == 3
    mine.create_tag("team/new", tag="v1")
    assert [ref.name for ref in mine.list_repo_refs("team/new").tags] == ["v1"]
    change = hf.CommitOperationAdd("note.txt", b"new")
    with pytest.raises(errors.HfHubHTTPError, match="412"):
        mine.create_commit("team/new", [change], commit_message="stale", parent_commit="0" * 40)
    for token in ("hf_bob", "hf_reader"):
        with pytest.raises(errors.HfHubHTTPError, match="403"):
            api(hub, token).create_repo("team/other")
    mine.delete_repo("team/new")
    assert not mine.repo_exists("team/new")


def test_cards_go_up_as_the_client_checks_them(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf.constants, "ENDPOINT", hub.url)
    card = hf.ModelCard("---\nlicense: mit\ntags: [demo]\n---\nBody")
    card.validate()
    api(hub, "hf_alice").upload_file(path_or_fileobj=str(card).encode(), path_in_repo="README.md", repo_id="alice/tiny")
    assert "demo" in api(hub).model_info("alice/tiny").tags
    with pytest.raises(ValueError, match="metadata"):
        api(hub).upload_file(path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md", repo_id="alice/tiny")


LEAK = "    try:\n        socket.create_connection(('192.0.2.1', 80), 1)\n    except BaseException:\n        pass\n"


@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "child"])
def test_the_guard_sees_a_try_that_a_library_swallows(tmp_path: Path, where: str) -> None:
    script = tmp_path / "test_leak.py"
    body = LEAK
    if where == "child":
        child = "import socket\nif True:\n" + LEAK
        body = f"    subprocess.run([sys.executable, '-P', '-c', {child!r}], check=True)\n"
    script.write_text(
        f"import socket, subprocess, sys\nfrom tests.standins.fixtures import *\ndef test_leak(no_network):\n{body}"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert "tried to leave this machine: 192.0.2.1" in done.stdout
