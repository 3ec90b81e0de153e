"""Models for a team's place that cost nothing to make, and processes that publish them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.standins.hub import safetensors

from modelnook.catalog.base import Parcel
from modelnook.catalog.folder import describe
from modelnook.catalog.search import resolve

ROOT = Path(__file__).parents[2]


def files(mark: str = "", *, padding: int = 0) -> dict[str, Path | bytes]:
    """A model's files; ``mark`` tells one version from another."""
    config = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "id2label": {"0": "ham"}}
    return {
        "config.json": json.dumps({**config, "mark": mark}).encode(),
        "model.safetensors": safetensors({"w": (10, 4), "b": (4,)}, padding=padding),
        "1_Pooling/config.json": b"{}",
    }


def parcel(folder: Path, mark: str = "", *, alias: Sequence[str] = (), padding: int = 0) -> Parcel:
    """A model as it is sent; its files are written into ``folder``."""
    made = files(mark, padding=padding)
    for name, data in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.read_bytes())
    info = describe(folder, ref="", id="spam", source="", license="mit")
    return Parcel({n: folder / n for n in made}, info, "anna", tuple(alias))


def taken(ref: str) -> Path:
    """The folder of a model, fetched in this process."""
    found = resolve(ref)
    return found.source.fetch(found.ref, lambda event: None)


def python(code: str, *args: str, wrap: Sequence[str] = ()) -> subprocess.Popen[str]:
    """A process of its own that runs ``code`` with this one's environment; ``args`` are its ``sys.argv[1:]``."""
    import modelnook

    path = os.pathsep.join((str(Path(modelnook.__file__).parents[1]), str(ROOT)))
    command = [*wrap, sys.executable, "-c", code, *args]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )


PUBLISH = """
import sys, time
from pathlib import Path
from modelnook.catalog.search import source
from tests.catalog.team import parcel
mark, folder, start = sys.argv[1:]
made = parcel(Path(folder), mark, alias=("best",))
team = source("team")
team.versions("spam")
print("ready", flush=True)
while not Path(start).exists():
    time.sleep(0.001)
print(team.publish("spam", made, lambda event: None).revision)
"""
"""Publishes ``mark`` as soon as the file ``start`` exists, and prints the version that it got."""
