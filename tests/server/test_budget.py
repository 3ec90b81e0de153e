"""The server's process stays light: nothing heavy is imported by answering."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_HEAVY = (
    "torch transformers wandb pandas numpy pyarrow huggingface_hub datasets scipy sklearn onnx onnxruntime peft "
    "ipywidgets anywidget optuna fsspec"
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
    codes = [await call("search", query="x"), await call("search"), await call("runs"), await call("info", ref="nope"),
             await call("history", run=sys.argv[1]), await call("run", run=sys.argv[1]), await call("sources"),
             await call("log", run=sys.argv[1]), await call("settings"), await call("events", topics=["runs"]),
             await call("stop", run=sys.argv[1]), await call("delete", run=sys.argv[1])]
    await app._cleanup()
    print(json.dumps({"codes": codes, "modules": sorted(sys.modules)}))

app.io_loop.run_sync(main)
"""


@pytest.fixture(scope="module")
def after_answering(tmp_path_factory):
    """``{codes, modules}`` of a server process of its own."""
    import os

    from tests.server.conftest import make_run

    from modelnook.store import Store

    home = tmp_path_factory.mktemp("home")
    run = make_run(Store(home))
    run.series.append(1, 0.1, {"loss": 1.0})
    environ = {**os.environ, "MODELNOOK_HOME": str(home), "MODELNOOK_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, run.id], env=environ, capture_output=True, text=True, timeout=120, cwd=home
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_everything_answers(after_answering):
    assert after_answering["codes"] == [200, 200, 200, 404, 200, 200, 200, 200, 200, 200, 409, 200]


@pytest.mark.parametrize("name", _HEAVY)
def test_it_is_not_imported(after_answering, name):
    assert name not in after_answering["modules"]
