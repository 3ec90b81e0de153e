"""Models for a team's place that cost nothing to make, and processes that publish them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.standins.hub import safetensors

from modelnook import api
from modelnook.catalog.base import Parcel
from modelnook.catalog.folder import describe
from modelnook.catalog.search import resolve, source
from modelnook.catalog.shared import SharedSource
from modelnook.domain.model import ModelRef

ROOT = Path(__file__).parents[2]
DAY = 24 * 3600


def quiet(event: object) -> None:
    """Nobody listens."""


def added(url: str) -> SharedSource:
    """The source ``team``, added for a place."""
    api.add_source("team", url, kind="folder")
    found = source("team")
    assert isinstance(found, SharedSource)
    return found


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


def at_once(team: SharedSource, folder: Path, count: int, meanwhile: Callable[[], object] = lambda: None) -> set[str]:
    """The marks of ``count`` versions that as many processes publish at once; each must get one of its own."""
    start = folder / "go"
    children = [python(PUBLISH, f"mark{i}", str(folder / f"m{i}"), str(start)) for i in range(count)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", child.communicate()
    start.touch()
    while any(child.poll() is None for child in children):
        meanwhile()
        time.sleep(0.01)
    said = [child.communicate() for child in children]
    versions = sorted(int(out) for out, _ in said)
    assert versions == list(range(1, count + 1)), said
    folders = [team.fetch(ModelRef("team", "spam", str(n)), quiet) for n in versions]
    return {json.loads((each / "config.json").read_text())["mark"] for each in folders}


KILLED = """
import sys, time
from pathlib import Path
from modelnook.catalog.search import source
from modelnook.catalog import shared_cache, transfer
from modelnook.domain.model import ModelRef
from tests.catalog.team import parcel
shared_cache._TELL_EVERY = transfer._TELL_EVERY = 0
def emit(event):
    print(event.phase, event.step, flush=True)
    if event.step >= int(sys.argv[3]):
        time.sleep(60)
team = source("team")
getattr(team, sys.argv[1])(*eval(sys.argv[4]), emit)
"""
"""Calls a verb of the source ``team``, and waits to be killed once so many bytes have moved."""


def killed(verb: str, folder: Path, after: int, args: str) -> list[str]:
    """What a process said before it was killed, once ``after`` bytes had moved."""
    child = python(KILLED, verb, str(folder), str(after), args)
    said = []
    assert child.stdout is not None
    for line in child.stdout:
        said.append(line)
        if int(line.split()[1]) >= after:
            break
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    return said
