"""The verb that puts a model behind an address."""

from __future__ import annotations

from ipaddress import ip_address

from modelnook.domain.errors import MissingPackage, OfflineError, UsageError
from modelnook.messages import t
from modelnook.serving import Server

__all__ = ["serve"]

_PORTS = 65535


def serve(
    ref: str,
    *,
    port: int = 8000,
    host: str = "127.0.0.1",
    task: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
) -> Server:
    """Answer a model's predictions over HTTP, from a process of its own, until it is stopped or this one ends.

    ``POST /predict`` takes ``{"inputs": [...]}``; models that write answer ``/v1/chat/completions``, encoders
    ``/v1/embeddings`` as well, in OpenAI's form; ``/`` is a page to try it on. Requests that wait are computed
    together.

    Args:
        ref: the model.
        port: where it listens; the next free one where that is taken, 0 for any.
        host: whose requests are heard: ``127.0.0.1`` this machine's alone, ``0.0.0.0`` those of the network.
        task: what it is to do, where its files don't tell.
        runtime: ``auto``, ``transformers``, ``onnx``, ``openvino`` …
        device: ``auto``, ``cpu``, ``cuda`` …

    Returns:
        A :class:`~modelnook.serving.Server` with ``.url``, ``.token`` (every request brings it) and ``.stop()``; the
        same one where the same was asked for before.

    Raises:
        NotFoundError: no such model.
        UnsupportedError: no runtime here runs its format, it can't do the task, or must be trained first.
        UsageError: not a reference, no such runtime or host, a port above 65535, an own token that can't be sent.
        ConflictError: no port is free, or the host is no address of this machine.
        OfflineError: a host that others can reach, with no network wanted; or it must be fetched.
        MissingPackage: tornado, or the runtime's package, isn't installed.

    >>> import requests
    >>> with mn.serve("spam") as server:
    ...     bearer = {"Authorization": f"Bearer {server.token}"}
    ...     requests.post(f"{server.url}/predict", json={"inputs": ["win free money"]}, headers=bearer).json()
    {'model': 'local:spam@1', 'predictions': [{'label': 'spam', 'score': ..., 'scores': {...}}]}
    """
    from importlib.util import find_spec

    from modelnook.api.rows import done_by
    from modelnook.catalog.search import resolve
    from modelnook.model import here
    from modelnook.runtime import RUNTIMES
    from modelnook.serving import begin
    from modelnook.settings import current
    from modelnook.store import Store
    from modelnook.store.contents import content

    if find_spec("tornado") is None:
        raise MissingPackage("serve.needs_tornado")
    if port > _PORTS:
        raise UsageError("serve.no_port", port=port)
    if runtime != "auto":
        RUNTIMES.check(runtime)
    settings = current()
    if not host.strip():
        raise UsageError("serve.no_host", host=host)
    if not all(33 <= ord(letter) <= 126 for letter in settings.serve_token):
        raise UsageError("serve.bad_token")
    if settings.offline and not _own(host):
        raise OfflineError("serve.offline", host=host)
    found = resolve(ref)
    info, path, does = here(ref, found, task)
    does = task or done_by(info) or does
    # Where a folder of one's own lies is nobody's business.
    name = path.name if found.ref.source == "path" else str(found.ref)
    model = {"ref": str(found.ref), "name": name, "path": str(path.absolute()), "task": does}
    # Files that were replaced under a path since are another model than the one that is served.
    model["content"] = content(Store(), found.ref) or ""
    server = begin(
        {**model, "runtime": runtime, "device": device, "host": host, "port": port}, token=settings.serve_token
    )
    server.note = " ".join(filter(None, (found.note, server.note, "" if _own(host) else t("serve.open", host=host))))
    return server


def _own(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
