"""What the sources beside the hub are tested with: a tiny model's files, and ways to ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.standins.hub import safetensors

import modelnook as mn
from modelnook.catalog import remote
from modelnook.catalog.base import Query, Source
from modelnook.catalog.search import source
from modelnook.domain.errors import OfflineError, StoreError
from modelnook.domain.event import Event
from modelnook.domain.model import ModelRef
from modelnook.settings import current, save

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


def quiet(event: Event) -> None:
    """Nobody listens."""


def files(folder: Path) -> set[str]:
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}


def added(name: str, url: str, kind: str, **more: Any) -> Source:
    """Add a source and give it."""
    held = [s for s in current().sources if s["name"] != name]
    save(sources=[*held, {"name": name, "url": url, "kind": kind, **more}])
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
