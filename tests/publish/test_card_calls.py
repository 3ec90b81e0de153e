"""The call that stands in a model's card works as it stands, for every task that the card has one for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook import api
from modelnook.catalog.folder import describe
from modelnook.domain.dataset import DatasetRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.publish.card import _LOADED, _SAMPLES
from modelnook.store import Store
from modelnook.tasks import TASKS
from modelnook.testing.media import tiny_audio_model, tiny_image_model
from modelnook.testing.models import tiny_model, tiny_translator, tiny_writer

pytestmark = pytest.mark.slow
BASES: dict[str, Callable[[Path], Path]] = {
    "audio-classification": tiny_audio_model,
    "automatic-speech-recognition": tiny_audio_model,
    "image-classification": tiny_image_model,
    "text-generation": tiny_writer,
    "text2text-generation": tiny_translator,
}
LABELS = {
    "audio-classification": ["low", "high"],
    "automatic-speech-recognition": ["a", "b"],
    "image-classification": ["cat", "dog"],
    "multi-label-classification": ["ham", "spam"],
    "text-classification": ["ham", "spam"],
    "token-classification": ["O", "animal"],
}


@pytest.fixture(autouse=True)
def mine(tmp_path: Path) -> None:
    """A place that is sent to from this process."""
    api.add_source("mine", f"memory://{tmp_path.name}", kind="folder")


def made(task: str, folder: Path) -> Path:
    """A tiny model of a task, as training writes it."""
    if task == "table":
        return table(folder / "made")
    base = BASES.get(task, tiny_model)(folder / "base")
    heavy = TASKS.load(task)(LABELS.get(task, []))
    model, processor = heavy.load(str(base))
    model.config.modelnook_task = task
    model.save_pretrained(folder / "made")
    processor.save_pretrained(folder / "made")
    return folder / "made"


def table(folder: Path) -> Path:
    from modelnook.classic.base import write
    from modelnook.classic.trees import Trees

    rows = {"feature:size": [float(i) for i in range(40)], "label": ["small"] * 20 + ["large"] * 20}
    spec = TASKS.load("table", light=True)()
    labels = spec.labels(rows)
    model = Trees.learn(spec, rows, labels)
    assert model is not None
    folder.mkdir()
    write(model, folder, task="table", labels=labels)
    return folder


def called(card: str) -> dict[str, Any]:
    """What the card's code comes to; a call of ``predict`` gives ``answers``."""
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code
    said: dict[str, Any] = {}
    exec(code[1].replace("\nmn.predict(", "\nanswers = mn.predict("), said)
    return said


@pytest.mark.parametrize("task", sorted({*_SAMPLES, *_LOADED}))
def test_the_call_in_the_card_works(task: str, tmp_path: Path) -> None:
    done = mn.publish(str(made(task, tmp_path)), "mine:tried", license="internal")
    said = called(done.card)
    if task in _LOADED:
        assert said["model"].task == task
        said["model"].close()
    else:
        assert len(said["answers"]) == 1
        promised = ("label", "labels", "value", "entities", "text", "vector", "answer")
        assert {*promised} & {*said["answers"].columns}


def test_a_model_of_pairs_is_asked_with_a_pair(tmp_path: Path) -> None:
    folder = made("text-classification", tmp_path)
    data = DatasetRef("f" * 64, 40, {"text": "a", "text_pair": "b", "label": "label"}, "pairs")
    recipe = Recipe("finetune", "", data, task="text-classification", method="full", name="pairs")
    record = RunRecord("abcdefg1", "pairs", "finetune", "finished", task="text-classification", data=data.to_dict())
    run = Store().create_run(recipe, record)
    info = describe(folder, ref="", id="pairs", source="local", license="mit", run=run.id)
    done = mn.publish(str(Store().models.add("pairs", folder, info)), "mine")
    assert '"text_pair"' in done.card
    assert called(done.card)["answers"]["label"][0] in ("ham", "spam")


def test_an_encoder_is_pulled(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "encoder")
    done = mn.publish(str(folder), "mine:encoder", license="internal")
    said = called(done.card)
    assert (said["folder"] / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
