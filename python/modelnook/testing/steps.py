"""What every step that makes a model smaller must keep: inherit :class:`StepSuite`, give a name, and run it with
pytest.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

import modelnook as mn
from modelnook.catalog.folder import describe, pickles
from modelnook.domain.errors import ModelnookError
from modelnook.domain.model import ModelInfo
from modelnook.jobs.steps.smaller import MAKERS
from modelnook.runtime import pick, runtime
from modelnook.store import Store
from modelnook.store.models import model_bytes
from modelnook.testing.models import WORDS, tiny_rows
from modelnook.testing.runtimes import outputs_elsewhere
from modelnook.testing.trained import trained_model

__all__ = ["StepSuite"]

ENDS = ("tain", "est", "er", "side", "bird", "way")
MANY = (*WORDS, *(f"{start}{end}" for start in ("sea", "moun", "for", "riv") for end in ENDS))


@dataclass(frozen=True)
class Made:
    """A finished run's model, kept for the class, and what is told of it."""

    folder: Path
    run: Any
    report: dict[str, Any]
    info: ModelInfo
    left: list[str]
    """What is in the run's folder."""


class StepSuite:
    """Set ``name``, a step of ``shrink`` that is a verb as well; ``knobs`` of the verb.

    Needs two fixtures: ``here`` has jobs run in this process, ``small_disk`` is a place that holds less than the model.
    """

    name: str
    knobs: ClassVar[dict[str, Any]] = {}
    cut: ClassVar[tuple[str, ...]] = ()
    """What the report counts before and after, beside the parameters."""
    _made: ClassVar[Made | None] = None

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A small trained classifier, with more words than its rows use."""
        return trained_model(tmp_path_factory.mktemp("step") / "source", words=MANY, layers=4)

    @pytest.fixture
    def texts(self) -> list[str]:
        """Texts to compare on."""
        return list(tiny_rows(48, seed=3)["text"])

    @pytest.fixture
    def verb(self, source: Path, here: None, tmp_path: Path) -> Callable[..., Any]:
        """The step, on a local model ``spam``."""
        copy = tmp_path / "spam"
        shutil.copytree(source, copy)
        Store().models.add("spam", copy, describe(copy, ref="", id="spam", source="local", license="mit"))
        columns = tiny_rows(120, seed=4)
        rows = [{"text": x, "label": y} for x, y in zip(columns["text"], columns["label"], strict=True)]
        return partial(getattr(mn, self.name), "spam", data=rows, max_drop=1.0, **self.knobs)

    @pytest.fixture
    def made(self, verb: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Made:
        """One run, made for the first test that asks."""
        cls = type(self)
        if cls._made is None:
            run = verb()
            kept = tmp_path_factory.mktemp("step") / "made"
            shutil.copytree(Store().models.folder(f"spam-{self.name}"), kept)
            left = sorted(file.name for file in run.folder.path.iterdir())
            cls._made = Made(kept, run, run.report, mn.info(f"spam-{self.name}"), left)
        return cls._made

    def test_is_a_step_of_a_chain(self) -> None:
        assert self.name in MAKERS

    def test_the_folder_is_whole(self, made: Made, source: Path) -> None:
        names = {file.name for file in made.folder.iterdir()}
        assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
        assert not pickles(names)
        assert pick(made.folder) == "transformers"
        assert str(source.parent) not in (made.folder / "config.json").read_text(encoding="utf-8")
        assert not [name for name in made.left if name in ("steps", "model") or name.startswith("probe")]

    def test_its_lineage_is_told(self, made: Made) -> None:
        assert (made.run.state, made.run.kind, made.run.model) == ("finished", self.name, f"local:spam-{self.name}@1")
        assert (made.info.base_model, made.info.run) == ("local:spam@1", made.run.id)
        assert (made.info.labels, made.info.license, made.info.task) == (("ham", "spam"), "mit", "text-classification")
        assert made.info.tags == (self.name,)
        assert made.info.metrics == made.report["after"]["metrics"]

    def test_the_report_says_before_and_after(self, made: Made, source: Path) -> None:
        before, after = made.report["before"], made.report["after"]
        for side, folder in ((before, source), (after, made.folder)):
            assert side["bytes"] == model_bytes(folder)
            assert {"p50_ms", "p95_ms", "rows_per_s", "load_s", "peak_memory_bytes"} <= set(side)
            assert set(side["intervals"]) <= set(side["metrics"])
            assert "accuracy" in side["intervals"]
        for name in ("bytes", "parameters", *self.cut):
            assert after[name] < before[name]
        low, high = made.report["drop_interval"]
        assert low <= made.report["drop"] <= high
        assert made.report["drop"] == pytest.approx(before["metrics"]["accuracy"] - after["metrics"]["accuracy"])
        assert (made.report["max_drop"], made.report["labels_used"], made.report["metric"]) == (1.0, True, "accuracy")

    def test_the_same_to_the_last_bit_in_a_new_process(self, made: Made, texts: list[str]) -> None:
        elsewhere, _ = outputs_elsewhere(made.folder, texts)
        here = runtime(made.folder, device="cpu", threads=1).outputs(texts, batch_size=8)
        assert elsewhere == here.tobytes()

    def test_the_same_weights_twice_and_nothing_is_printed(
        self, made: Made, verb: Callable[..., Any], capfd: pytest.CaptureFixture[str]
    ) -> None:
        run = verb(name="twice")
        assert capfd.readouterr() == ("", "")
        again = Store().models.folder("twice") / "model.safetensors"
        assert again.read_bytes() == (made.folder / "model.safetensors").read_bytes()
        assert run.report["drop"] == made.report["drop"]

    def test_a_full_disk_is_said_and_leaves_nothing(
        self, verb: Callable[..., Any], small_disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("modelnook.jobs.steps.smaller.folder", lambda path: small_disk)
        with pytest.raises(ModelnookError, match=r"couldn't be written.*No space left") as caught:
            pytest.fail(f"it went on: {verb().record}")
        assert "Free some disk space" in (caught.value.hint or str(caught.value))
        run = mn.runs(kind=self.name)[0]
        assert (run.state, run.model) == ("failed", None)
        assert [model.name for model in mn.list()] == ["spam"]
        assert not list(small_disk.iterdir())
