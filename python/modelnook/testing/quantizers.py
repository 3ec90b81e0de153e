"""What every quantization backend must keep: inherit :class:`QuantizerSuite`, give a name, and run it with pytest."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from modelnook.catalog.folder import pickles
from modelnook.domain.errors import ModelnookError, StoreError, UnsupportedError
from modelnook.domain.event import Event, Progress
from modelnook.quantize import QUANTIZERS, SCHEMES
from modelnook.runtime import pick, runtime
from modelnook.runtime.folder import quantized
from modelnook.testing.models import tiny_rows
from modelnook.testing.runtimes import all_elsewhere
from modelnook.testing.trained import trained_model

__all__ = ["QuantizerSuite"]


class QuantizerSuite:
    """Set ``name``; ``scheme`` where it isn't int8, ``also`` for further schemes."""

    name: str
    scheme = "int8"
    also: tuple[str, ...] = ()
    """Further schemes, all attempts of which are made and measured too."""
    task = "text-classification"
    device = "cpu"
    """Where its results run."""
    agreement = 0.95
    """The share of rows on which every attempt must answer as the original does."""

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A small trained classifier."""
        return trained_model(tmp_path_factory.mktemp("quantizer") / "source")

    @pytest.fixture(scope="class")
    @classmethod
    def texts(cls) -> list[Any]:
        """Texts, or other rows, to calibrate and to compare on."""
        return list(tiny_rows(64, seed=3)["text"])

    @pytest.fixture(scope="class")
    @classmethod
    def quantizer(cls) -> Any:
        """The backend; one instance for all attempts, as ``compress`` has it."""
        return QUANTIZERS.load(cls.name)()

    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, quantizer: Any, source: Path, texts: list[Any]) -> tuple[list[Path], list[Event]]:
        """A folder for each attempt of each scheme, and what was emitted."""
        folders: list[Path] = []
        events: list[Event] = []
        for scheme in (cls.scheme, *cls.also):
            for number, options in enumerate(quantizer.attempts(scheme)):
                folders.append(source.parent / f"made-{scheme}-{number}")
                cls.quantize(quantizer, source, folders[-1], texts, events, scheme=scheme, **options)
        return folders, events

    @classmethod
    def quantize(
        cls, quantizer: Any, source: Path, target: Path, texts: list[Any], events: list[Event], **options: Any
    ) -> None:
        """One attempt."""
        scheme = options.pop("scheme", cls.scheme)
        quantizer.quantize(source, target, scheme, task=cls.task, calibration=texts, emit=events.append, **options)

    def test_is_named_as_its_row(self, quantizer: Any) -> None:
        assert quantizer.name == self.name
        assert set(quantizer.schemes) <= set(SCHEMES)
        # What a row says is told without importing the backend: it must be what the backend does.
        assert QUANTIZERS[self.name].schemes in ((), tuple(quantizer.schemes))
        assert set(QUANTIZERS[self.name].gpu_schemes) <= set(quantizer.schemes)
        for scheme in (self.scheme, *self.also):
            attempts = quantizer.attempts(scheme)
            assert attempts
            assert attempts[0] == {}

    def test_every_attempt_is_a_whole_folder(self, quantizer: Any, made: tuple[list[Path], list[Event]]) -> None:
        folders, events = made
        for folder in folders:
            names = {file.name for file in folder.iterdir()}
            assert {"config.json", "tokenizer.json", "tokenizer_config.json"} <= names
            assert not pickles(names)
            assert pick(folder) == quantizer.runtime
            assert quantized(folder)
            assert str(folder.parent) not in (folder / "config.json").read_text(encoding="utf-8")
        assert any(isinstance(event, Progress) and event.phase == "quantizing" for event in events)
        assert not list(folders[0].parent.glob(".*"))

    def test_answers_as_the_original(
        self, made: tuple[list[Path], list[Event]], source: Path, texts: list[Any]
    ) -> None:
        original = runtime(source, device="cpu", threads=1)
        expected = original.outputs(texts)
        for folder in made[0]:
            small = runtime(folder, device=self.device, threads=1)
            assert small.labels == original.labels
            assert small.max_length == original.max_length
            assert small.spec().agree(expected, small.outputs(texts)).mean() >= self.agreement

    def test_the_same_to_the_last_bit_in_a_new_process(
        self, made: tuple[list[Path], list[Event]], texts: list[Any]
    ) -> None:
        folders = made[0]
        # Every attempt may be the one that is taken.
        for folder, elsewhere in zip(folders, all_elsewhere(folders, texts, self.device), strict=True):
            here = runtime(folder, device=self.device, threads=1).outputs(texts, batch_size=8)
            assert elsewhere == here.tobytes(), folder.name

    def test_the_same_weights_twice(
        self, quantizer: Any, made: tuple[list[Path], list[Event]], source: Path, texts: list[Any], tmp_path: Path
    ) -> None:
        again = tmp_path / "again"
        self.quantize(QUANTIZERS.load(self.name)(), source, again, texts, [])
        first = runtime(made[0][0], device=self.device, threads=1).outputs(texts)
        assert runtime(again, device=self.device, threads=1).outputs(texts).tobytes() == first.tobytes()

    def test_prints_nothing(
        self,
        quantizer: Any,
        source: Path,
        texts: list[Any],
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        self.quantize(quantizer, source, tmp_path / "quiet", texts, [])
        runtime(tmp_path / "quiet", device=self.device, threads=1).outputs(texts[:2])
        assert capfd.readouterr() == ("", "")
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []

    def test_a_quantized_model_is_refused(
        self, quantizer: Any, made: tuple[list[Path], list[Event]], texts: list[Any], tmp_path: Path
    ) -> None:
        with pytest.raises(UnsupportedError, match="already quantized"):
            self.quantize(quantizer, made[0][0], tmp_path / "twice", texts, [])

    def test_an_untrained_head_is_refused(self, quantizer: Any, source: Path, texts: list[Any], tmp_path: Path) -> None:
        bare = tmp_path / "bare"
        shutil.copytree(source, bare)
        said = json.loads((bare / "config.json").read_text(encoding="utf-8"))
        body = [f"{said['model_type'].capitalize()}Model"]
        (bare / "config.json").write_text(json.dumps({**said, "architectures": body}), encoding="utf-8")
        with pytest.raises(ModelnookError, match="no trained head"):
            self.quantize(quantizer, bare, tmp_path / "out", texts, [])
        assert not (tmp_path / "out").exists()

    def test_a_disk_that_takes_nothing_leaves_nothing(
        self, quantizer: Any, source: Path, texts: list[Any], tmp_path: Path
    ) -> None:
        room = tmp_path / "room"
        room.mkdir()
        (room / "file").write_text("not a folder")
        with pytest.raises(StoreError):
            self.quantize(quantizer, source, room / "file" / "out", texts, [])
        assert [file.name for file in room.iterdir()] == ["file"]
