"""What the sources beside the hub are tested with: a tiny model's files, and ways to ask for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from tests.standins.hub import safetensors

import modelnook as mn
from modelnook import cards
from modelnook.catalog import remote
from modelnook.catalog.base import Query, Source
from modelnook.catalog.search import source
from modelnook.domain.errors import ConflictError, ModelnookError, OfflineError, StoreError
from modelnook.domain.event import Event, Progress
from modelnook.domain.model import ModelRef
from modelnook.run import Run
from modelnook.settings import current, save_sources
from modelnook.store.files import folder_bytes

CARD = b"---\nlicense: mit\nlanguage:\n- zh\npipeline_tag: text-classification\nbase_model: b/base\n---\n# Tiny\n"
CONFIG = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "id2label": {"0": "a", "1": "b"}}
WEIGHTS = safetensors({"enc.w": (10, 4), "head.b": (4,)})
FILES = {
    "README.md": CARD,
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"\x80\x02pickle",
    "run.py": b"print('ran')",
    "vocab.txt": b"a\nb",
}
NEEDED = {"README.md", "config.json", "model.safetensors", "vocab.txt"}
LARGE = safetensors({"w": (8, 8)}, padding=24_000_000)


def gguf(vocabulary: int, padding: int = 0) -> bytes:
    """A GGUF file of two tensors whose header holds a vocabulary of so many words."""

    def text(said: str) -> bytes:
        return struct.pack("<Q", len(said)) + said.encode()

    words = b"".join(text(f"word-{n:08d}") for n in range(vocabulary))
    keys = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    keys += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, vocabulary) + words
    tensors = text("w") + struct.pack("<IQQIQ", 2, 32, 4, 8, 0) + text("b") + struct.pack("<IQIQ", 1, 6, 0, 0)
    return b"GGUF" + struct.pack("<IQQ", 3, 2, 2) + keys + tensors + bytes(padding)


def quiet(event: Event) -> None:
    """Nobody listens."""


def files(folder: Path) -> set[str]:
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}


def added(name: str, url: str, kind: str, **more: Any) -> Source:
    """Add a source and give it."""
    held = [s for s in current().sources if s["name"] != name]
    save_sources(lambda _: [*held, {"name": name, "url": url, "kind": kind, **more}])
    return source(name)


def fills_up(source: Any, ref: ModelRef, part: str) -> None:
    """A disk without room left at the place of a part: one sentence, and nothing that passes for the model."""
    revision = source.info(ref).revision
    target = source.cache.path_of(ref.id, revision)
    stage = target.with_name(f".{target.name}.part")
    stage.mkdir(parents=True)
    (stage / part).symlink_to("/dev/full")
    with pytest.raises(StoreError, match="no room"):
        source.fetch(ref, quiet)
    assert source.here(ref) is None
    assert not target.exists()
    (stage / part).unlink()
    assert files(source.fetch(ref, quiet)) == NEEDED


def reached_by_the_verbs(source: Any, ref: str, *, listed: bool = True) -> None:
    """info, search, pull and cache know a model of the source; ``listed``: whether there is a list to search."""
    info = mn.info(ref)
    assert (info.parameters, info.disk_free is not None) == (44, True)
    assert bool(mn.search("tiny", source=source.name).items) == listed
    folder = source.fetch(ModelRef.parse(ref), quiet)
    assert mn.pull(ref) == folder
    assert str(ModelRef.parse(info.ref).at(info.revision)) in {row[0] for row in mn.cache().rows}


def killed_in_mid_file(source: Any, ref: str, place: str = "", enough: int = 5_000_000) -> Run:
    """A pull whose process was killed once so many bytes lay below a place of the cache; nothing passes for it."""
    run = mn.pull(ref, background=True)
    assert isinstance(run, Run)
    end = time.monotonic() + 60
    while folder_bytes(source.cache.path / place) < enough:
        assert time.monotonic() < end, run.log()
        assert run.record.live, run.log()
        time.sleep(0.02)
    os.kill(run.record.pid or 0, signal.SIGKILL)
    while run.state != "crashed":
        assert time.monotonic() < end
        time.sleep(0.02)
    assert source.here(ModelRef.parse(ref)) is None
    return run


def limit_is_waited_out(site: Any, source: Any, ref: ModelRef, match: str) -> None:
    """A pull waits as long as the place asks, says so, and then is done; it may be stopped meanwhile."""
    told: list[Event] = []
    site.fail(match, 429, headers={"Retry-After": "200"})
    with pytest.raises(ConflictError):
        source.fetch(ref, told.append, stop=lambda: any(map(waits, told)))
    site.heal()
    site.fail(match, 429, headers={"Retry-After": "1"}, times=1)
    assert (source.fetch(ref, told.append) / "model.safetensors").read_bytes() == WEIGHTS
    assert {e.total for e in told if isinstance(e, Progress) and waits(e)} == {201, 2}


def waits(event: Event) -> bool:
    return isinstance(event, Progress) and event.phase == "rate_limited"


def range_start(request: Any) -> int:
    """The byte from which a request asks for a file."""
    return int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])


ODD_ANSWERS = ("<html>Welcome</html>", "[]", "{}", "null", '{"success": true, "data": {"models": [7, {"id": 5}]}}')


def odd_answers_are_told(site: Any, source: Any, ref: ModelRef, answer: str) -> None:
    """A place that answers something else: one sentence, and a search over all sources goes on."""
    site.fail("/", 200, body=answer)
    asks: list[Any] = [lambda: source.info(ref), lambda: source.fetch(ref, quiet), lambda: source.search(Query("x"))]
    for ask in asks:
        with contextlib.suppress(ModelnookError):
            ask()
    assert mn.search("x", source=source.name).items == ()


ODD_CARD = b"""---
license: !!python/object/apply:os.system [touch-me]
language: [en, 'zh', [deep]]
pipeline_tag: {a: b}
base_model: &bomb
- *bomb
- b/base
- c/other
tags: "\x1b[31mred
"""
ODD_CONFIG = b'{"architectures": "Bert", "id2label": ["a"], "model_type": {"x": [1]}, "auto_map": "x"}'
ODD = {
    "README.md": ODD_CARD + b"x: [" * 10_000 + b"\n---\n# Odd",
    "config.json": ODD_CONFIG,
    "model.safetensors": WEIGHTS,
}


def odd_papers_are_read(source: Any, ref: ModelRef) -> None:
    """A card and a config of other forms than they have: what can be told is, and nothing of them is obeyed."""
    remote._KNOWN.clear()
    info = source.info(ref)
    assert (info.parameters, info.language, info.labels) == (44, ("en", "zh"), ())
    assert (info.base_model, info.bases, info.relation) == ("b/base", ("b/base", "c/other"), "merge")
    assert isinstance(info.license, (str, type(None)))
    text = cards.text(info)
    assert "\x1b" not in text + cards.html(info)
    assert "b/base, c/other (merged)" in text
    folder = source.fetch(ref, quiet)
    here = mn.info(str(folder))
    assert (here.parameters, here.bases, here.labels) == (44, info.bases, ())


def evaluations_are_told(source: Any, ref: ModelRef) -> None:
    """What the card says that it reached, and by which name its own terms go."""
    info = mn.info(source.shown(ref))
    assert (info.metrics, info.license) == ({"Accuracy (IMDb)": 0.93}, "llama3")


JUDGED = b"""---
license: other
license_name: llama3
model-index:
- name: films
  results:
  - task: {type: text-classification}
    dataset: {type: imdb, name: IMDb}
    metrics:
    - {type: accuracy, name: Accuracy, value: 0.93}
    - {type: f1, name: F1, value: .nan}
---
"""


def packed_is_read_by_its_header(source: Any, ref: ModelRef) -> None:
    """Types and task of a GGUF file, a vocabulary of megabytes before its tensors."""
    info = source.info(ref)
    assert (info.parameters, info.dtypes, info.formats) == (134, {"Q8_0": 128, "F32": 6}, ("gguf",))
    assert (info.task, info.architecture) == ("text-generation", "llama")
    assert "(Q8_0 96%, F32 4%)" in cards.text(info)


def silent_offline(site: Any, source: Any, ref: ModelRef, other: ModelRef, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, what is here is given, of what isn't it is said that nobody was asked, and nobody is."""
    folder = source.fetch(ref, quiet)
    remote._KNOWN.clear()
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    before = len(site.requests)
    assert source.fetch(ref, quiet) == folder
    assert source.info(ref).parameters == 44
    asks: list[Any] = [
        lambda: source.info(other),
        lambda: source.fetch(other, quiet),
        lambda: source.search(Query("x")),
        lambda: source.listing(5),
    ]
    for ask in asks:
        with pytest.raises(OfflineError) as caught:
            ask()
        assert caught.value.code == "catalog.offline_ref"
    assert len(site.requests) == before
