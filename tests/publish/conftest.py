"""A model of this machine with the run that made it, and a team to publish it to."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.standins.hub import safetensors

from modelnook import api
from modelnook.catalog.folder import describe
from modelnook.domain.dataset import DatasetRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.store import Store

ENVIRONMENT = {
    "python": "3.12.1",
    "system": "Linux x86_64",
    "packages": {"modelnook": "0.1.0", "torch": "2.9.1"},
    "hardware": "8 × Some CPU @ 2.0GHz",
}
ROW = "a row of the person's data that must never leave"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub that bases are looked up at doesn't answer, where a test has none of its own."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The team's folder, added as ``team``."""
    folder = tmp_path / "mnt"
    folder.mkdir()
    api.add_source("team", str(folder), kind="folder")
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., str]:
    """Make a local model with its run; gives its reference."""
    count = iter(range(100))

    def model(
        name: str = "topics",
        *,
        labels: tuple[str, ...] = ("ham", "spam"),
        license: str | None = "apache-2.0",
        base: str | None = "hub:google-bert/bert-base-uncased@abc",
        column: str = "body",
        rows: str = "reviews",
        files: dict[str, bytes] | None = None,
        without: tuple[str, ...] = (),
    ) -> str:
        store, number = Store(), next(count)
        data = DatasetRef("f" * 64, 2225, {"text": column, "label": "label"}, rows)
        knobs: dict[str, Any] = {"epochs": 3.0, "learning_rate": 5e-5, "cache": str(tmp_path / "secret-place")}
        recipe = Recipe("finetune", base or "", data, task="text-classification", method="full", knobs=knobs, name=name)
        record = RunRecord(
            f"abcdefg{number}",
            name,
            "finetune",
            "finished",
            model=f"local:{name}@1",
            base=base,
            task="text-classification",
            method="full",
            data=data.to_dict(),
            params=knobs,
            metrics={"accuracy": 0.98, "f1_macro": 0.975},
            intervals={"accuracy": (0.97, 0.99)},
            baselines={"majority": {"accuracy": 0.23}},
            primary_metric="accuracy",
            created="2026-11-24T17:00:00.000Z",
            started="2026-11-24T17:00:00.000Z",
            ended="2026-11-24T17:20:00.000Z",
            device="cpu",
            host=socket.gethostname(),
            notebook="/home/anna/private.ipynb",
            wandb={"path": str(tmp_path / "wandb")},
            environment=ENVIRONMENT,
            warnings=(f"twice in your data: {ROW}",),
            error=None,
        )
        run = store.create_run(recipe, record)
        for step in range(1, 6):
            run.series.append(step, step * 2.0, {"loss": 1 / step, "epoch": step / 5})
        folder = tmp_path / f"made-{number}"
        config = {
            "architectures": ["BertForSequenceClassification"],
            "model_type": "bert",
            "id2label": dict(enumerate(labels)),
        }
        made = {
            "config.json": json.dumps(config).encode(),
            "model.safetensors": safetensors({"w": (10, 4), "b": (4,)}),
            "tokenizer.json": json.dumps({"model": {"vocab": {"anna@firm.de": 1}}}).encode(),
            "optimizer.pt": b"\x80\x02",
            **(files or {}),
        }
        for file, content in made.items():
            if file not in without:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(content)
        info = describe(
            folder, ref="", id=name, source="local", base_model=base, license=license, run=run.id, tags=("finetune",)
        )
        return str(store.models.add(name, folder, info))

    return model
