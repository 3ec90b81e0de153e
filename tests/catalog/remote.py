"""What the sources beside the hub are tested with: a tiny model's files, and ways to ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.standins.hub import safetensors

from modelnook.catalog.base import Source
from modelnook.catalog.search import source
from modelnook.domain.errors import StoreError
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
