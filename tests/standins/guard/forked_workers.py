"""A process that has a job's imports and forks the workers of tests, by what forks a notebook's second job."""

import importlib
import os
import socket
import sys
from pathlib import Path


def main(path: Path) -> int:
    """Wait at a socket; in a forked copy: do the run that was asked for."""
    import forked_measures

    from modelnook.jobs import process, warm, worker
    from modelnook.store import Store

    warm.bring_in(warm.FIRST)
    measures = path.with_name("measures")
    forked_measures.begin(measures)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with warm._short(path) as address:
        listener.bind(address)
    listener.listen(8)
    asked = warm._Waiting(path.parent, path, listener).serve()
    if not asked:
        return 0
    worker.uncut(asked)
    process.call = forked_measures.caller(measures, process.call)
    for name, folder in hub_folders(Path(os.environ["HF_HOME"])).items():
        setattr(importlib.import_module("huggingface_hub.constants"), name, str(folder))
    run, seen, holder = worker._take(asked)
    if holder is None:
        return 3
    code = worker.work(Store(), run, seen, holder)
    warm.teach(path)
    return code


def hub_folders(home: Path) -> dict[str, Path]:
    """What huggingface_hub computes once from ``HF_HOME``, on import."""
    return {
        "HF_HOME": home,
        "HF_HUB_CACHE": home / "hub",
        "HUGGINGFACE_HUB_CACHE": home / "hub",
        "HF_XET_CACHE": home / "xet",
        "HF_ASSETS_CACHE": home / "assets",
        "HF_TOKEN_PATH": home / "token",
        "HF_STORED_TOKENS_PATH": home / "stored_tokens",
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
