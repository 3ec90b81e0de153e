"""The server's process stays light: nothing heavy is imported by answering."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from modelnook.rpc import METHODS

# Processes of their own, that import all there is.
pytestmark = pytest.mark.slow

# Of the hub's client only its constants are read: addresses and folders, a megabyte.
_HEAVY = (
    "torch transformers wandb pandas numpy pyarrow huggingface_hub.hf_api huggingface_hub.utils datasets scipy sklearn "
    "onnx onnxruntime peft ipywidgets anywidget optuna fsspec"
).split()

_SCRIPT = """
import asyncio, json, sys
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import AsyncHTTPClient

before = set(sys.modules)
app = ServerApp(jpserver_extensions={"modelnook": True}, reraise_server_extension_failures=True, ip="127.0.0.1",
                port=0, allow_root=True, open_browser=False, token="t")
app.initialize(argv=[], find_extensions=False)

async def main():
    async def call(method, **params):
        answer = await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{app.port}{app.base_url}modelnook/api/{method}", method="POST", body=json.dumps(params),
            headers={"Authorization": "token t"}, raise_error=False, request_timeout=60)
        return answer.code
    codes = [[method, await call(method, **params)] for method, params in json.loads(sys.argv[1])]
    await app._cleanup()
    print(json.dumps({"codes": codes, "modules": sorted(sys.modules)}))

app.io_loop.run_sync(main)
"""


# In the order in which they are asked: the run is gone in the end.
_CALLS = [
    ("search", {"query": "x"}, 200),
    ("search", {}, 200),
    ("facets", {"query": "x"}, 200),
    ("list", {}, 200),
    ("info", {"ref": "nope"}, 404),
    ("info", {"ref": "local:spam"}, 200),
    ("compare", {"refs": ["local:spam", "local:spam"]}, 200),
    ("cache", {}, 200),
    ("sources", {}, 200),
    ("settings", {}, 200),
    ("events", {"topics": ["runs"]}, 200),
    ("runs", {}, 200),
    ("run", {"run": "abcd1234"}, 200),
    ("history", {"run": "abcd1234"}, 200),
    ("log", {"run": "abcd1234"}, 200),
    ("stop", {"run": "abcd1234"}, 409),
    ("resume", {"run": "abcd1234"}, 409),
    ("delete", {"run": "abcd1234"}, 200),
]


@pytest.fixture(scope="module")
def after_answering(tmp_path_factory):
    """``{codes, modules}`` of a server process of its own."""
    import os

    from tests.server.conftest import make_run

    from modelnook.catalog.folder import describe
    from modelnook.store import Store

    home = tmp_path_factory.mktemp("home")
    store = Store(home)
    make_run(store).series.append(1, 0.1, {"loss": 1.0})
    folder = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    store.models.add("spam", folder, describe(folder, ref="", id="spam", source="local"))
    held = home / "hf" / "hub" / "models--alice--tiny" / "snapshots" / ("0" * 40)
    held.mkdir(parents=True)
    (held / "config.json").write_text("{}")
    environ = {**os.environ, "MODELNOOK_HOME": str(home), "MODELNOOK_OFFLINE": "1", "HF_HOME": str(home / "hf")}
    calls = json.dumps([(method, params) for method, params, _ in _CALLS])
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, calls], env=environ, capture_output=True, text=True, timeout=120, cwd=home
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_everything_answers(after_answering):
    assert {method for method, _, _ in _CALLS} == {*METHODS, "events"}
    assert after_answering["codes"] == [[method, code] for method, _, code in _CALLS]


@pytest.mark.parametrize("name", _HEAVY)
def test_it_is_not_imported(after_answering, name):
    assert name not in after_answering["modules"]
