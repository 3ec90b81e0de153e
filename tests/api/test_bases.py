"""A base that isn't here yet is refused before anything of it is downloaded but small files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.standins.hub import HubStandIn

import modelnook as mn
from modelnook.domain.errors import UnsupportedError
from modelnook.testing.models import tiny_writer

TALK = [{"role": "user", "content": "a dog"}, {"role": "assistant", "content": "a cat"}]


@pytest.mark.slow
def test_a_template_that_is_missing_on_the_hub_is_told_before_a_job(
    tmp_path: Path, hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.api.bases import can_start
    from modelnook.catalog.search import resolve
    from modelnook.tasks import TASKS

    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    for name in ("plain", "chat"):
        folder = tiny_writer(tmp_path / name, chat=name == "chat")
        hub_server.add_repo(f"alice/{name}", {f.name: f.read_bytes() for f in folder.iterdir()})
    rows: list[dict[str, Any]] = [{"messages": TALK}] * 12
    with pytest.raises(UnsupportedError, match=r"'hub:alice/plain.*' has no chat template"):
        mn.finetune("hub:alice/plain", rows)
    assert mn.runs().items == ()
    spec = TASKS.load("text-generation", light=True)()
    found = resolve("hub:alice/chat")
    can_start(found, spec, {"messages": [TALK] * 12})
    assert found.source.here(found.ref) is None, "nothing but small files was brought"


def test_what_nobody_tells_is_not_refused() -> None:
    from modelnook.tasks.heads import chats_by

    said = {"chat_template.jinja": b"", "tokenizer_config.json": json.dumps({"chat_template": "{{ m }}"}).encode()}
    assert chats_by(said.get) is True
    assert chats_by({**said, "tokenizer_config.json": b"{}"}.get) is False
    assert chats_by({"chat_template.jinja": b"{{ m }}"}.get) is True
    for unknown in ({}, {"chat_template.jinja": b""}, {**said, "tokenizer_config.json": b"[1]"}):
        assert chats_by(unknown.get) is None


def test_a_base_is_chosen_that_can_do_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several rows in one sequence: not with a model whose attention doesn't tell them apart, however large."""
    from importlib import import_module
    from types import SimpleNamespace

    from modelnook.api import bases
    from modelnook.domain.model import ModelInfo
    from modelnook.tasks import TASKS

    entries = {}
    for kind, size in (("llama", 1_000_000), ("bloom", 2_000_000)):
        (tmp_path / kind).mkdir()
        said = {"model_type": kind, "architectures": [f"{kind.title()}ForCausalLM"]}
        (tmp_path / kind / "config.json").write_text(json.dumps(said))
        facts: dict[str, Any] = {"task": "text-generation", "parameters": size, "path": str(tmp_path / kind)}
        entries[kind] = ModelInfo(f"pip:{kind}", kind, "pip", **facts)
    monkeypatch.setattr(bases, "_here", lambda: list(entries.values()))
    lengths = import_module("modelnook.finetune.lengths")
    monkeypatch.setattr(lengths, "measure_lengths", lambda *args: SimpleNamespace(unknown=0.0))
    spec = TASKS.load("text-generation", light=True)()
    rows: dict[str, Any] = {"prompt": ["a"] * 12, "completion": ["b"] * 12}
    assert bases.choose_base(spec, rows)[0] == "pip:bloom"
    assert bases.choose_base(spec, rows, packing=True)[0] == "pip:llama"
    monkeypatch.setattr(bases, "_here", lambda: [entries["bloom"]])
    assert bases.choose_base(spec, rows, packing=True)[0] == "pip:bloom", "whose refusal says why"


def test_what_a_method_without_a_base_leaves_out_is_called_as_it_was_given() -> None:
    from modelnook.api.bases import by_itself

    kept, said = by_itself("tfidf", {"max_seconds": 60.0, "processes": 2, "metric": "accuracy"})
    assert kept == {"metric": "accuracy"}
    assert said.endswith("budget, processes.")
