"""What every runtime must keep: inherit :class:`RuntimeSuite`, give a name and a folder, and run it with pytest."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.errors import UnsupportedError
from modelnook.runtime import RUNTIMES, pick, runtime
from modelnook.tasks.answered import counting
from modelnook.testing.models import tiny_rows
from modelnook.testing.trained import trained_model

__all__ = ["RuntimeSuite", "all_elsewhere", "outputs_elsewhere"]

_ELSEWHERE = """
import json, sys
from pathlib import Path
from modelnook.runtime import runtime
made, how = [], json.loads(sys.argv[3])
for folder in sys.argv[4:]:
    model = runtime(Path(folder), device=sys.argv[2], threads=how["threads"])
    made.append(model.outputs(json.loads(sys.argv[1]), batch_size=how["batch_size"]).tobytes().hex())
print(json.dumps({"hex": made, "modules": sorted(sys.modules)}))
"""


def outputs_elsewhere(folder: Path, texts: list[Any]) -> tuple[bytes, set[str]]:
    """``(the outputs' bytes, the modules loaded)`` of a new process that runs a folder on one thread in
    batches of 8.
    """
    said = _elsewhere([folder], texts)
    return bytes.fromhex(said["hex"][0]), set(said["modules"])


def all_elsewhere(
    folders: list[Path], texts: list[Any], device: str = "cpu", *, threads: int = 1, batch_size: int | str = 8
) -> list[bytes]:
    """The outputs' bytes of each folder, run one after another by one new process, see :func:`outputs_elsewhere`."""
    said = _elsewhere(folders, texts, device, threads, batch_size)
    return [bytes.fromhex(made) for made in said["hex"]]


def _elsewhere(
    folders: list[Path], texts: list[Any], device: str = "cpu", threads: int = 1, batch_size: int | str = 8
) -> dict[str, Any]:
    how = json.dumps({"threads": threads, "batch_size": batch_size})
    command = [sys.executable, "-c", _ELSEWHERE, json.dumps(texts), device, how, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


class RuntimeSuite:
    """Set ``name``; override ``make`` where the format isn't safetensors, ``tolerance`` where batches touch outputs."""

    name: str
    tolerance = 1e-4
    """How far a row's output may differ with the rows beside it."""
    imports_torch = True

    @classmethod
    def make(cls, trained: Path, folder: Path) -> Path:
        """The runtime's own format of a trained safetensors folder."""
        return trained

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A small trained classifier."""
        base = tmp_path_factory.mktemp("runtime")
        return cls.make(trained_model(base / "trained"), base / "made")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, folder: Path) -> Any:
        """The folder, loaded."""
        model = runtime(folder, name=cls.name, device="cpu", threads=1)
        yield model
        model.close()

    @pytest.fixture
    def texts(self) -> list[str]:
        """Texts of unlike lengths, an empty one and one far too long among them."""
        texts = tiny_rows(21, seed=5)["text"]
        return [*texts, "", "free money " * 400, "价格 🙂"]

    def test_is_what_is_picked(self, folder: Path) -> None:
        assert pick(folder) == self.name
        assert RUNTIMES.load(self.name).name == self.name

    def test_outputs_stand_in_the_order_given(self, model: Any, texts: list[str]) -> None:
        import numpy as np

        together = model.outputs(texts, batch_size=4)
        alone = np.concatenate([model.outputs([text], batch_size=1) for text in texts])
        assert together.shape == (len(texts), len(model.labels))
        assert together.dtype == np.float32
        assert np.abs(together - alone).max() <= self.tolerance
        assert np.abs(model.outputs(texts, batch_size=4, sort=False) - alone).max() <= self.tolerance

    def test_every_batch_size_answers_alike(self, model: Any, texts: list[str]) -> None:
        import numpy as np

        expected = model.outputs(texts, batch_size=1)
        for size in (3, 64, "auto"):
            assert np.abs(model.outputs(texts, batch_size=size) - expected).max() <= self.tolerance

    def test_it_counts_what_it_has_answered(self, model: Any) -> None:
        told: list[float] = []

        class Listener:
            def expect(self, total: int) -> None: ...

            def count(self, answers: float) -> None:
                told.append(answers)

        with counting(Listener()):
            model.predict(tiny_rows(40, seed=9)["text"], batch_size=8)
        assert sum(told) == pytest.approx(40)

    @pytest.mark.parametrize("threads", [1, 2])
    def test_who_listens_may_end_it(self, folder: Path, threads: int) -> None:
        """As an interrupt does; the next call is answered, also while the traceback is kept. With threads to spare
        batches run side by side.
        """
        model = runtime(folder, name=self.name, device="cpu", threads=threads)

        class Impatient:
            def expect(self, total: int) -> None: ...

            def count(self, answers: float) -> None:
                raise KeyboardInterrupt

        texts = tiny_rows(40, seed=9)["text"]
        with pytest.raises(KeyboardInterrupt) as kept, counting(Impatient()):
            model.predict(texts, batch_size=4)
        found: list[Any] = []
        again = threading.Thread(target=lambda: found.extend(model.predict(texts)), daemon=True)
        again.start()
        again.join(60)
        assert kept.tb is not None
        assert len(found) == len(texts)

    def test_nothing_in_nothing_out(self, model: Any) -> None:
        assert model.outputs([]).shape == (0, len(model.labels))
        assert model.predict([]) == []

    def test_predicts_the_columns_of_the_task(self, model: Any) -> None:
        rows = tiny_rows(40, seed=9)
        found = model.predict(rows["text"])
        assert set(found[0]) == {"label", "score", "scores"}
        for row in found:
            assert row["label"] in model.labels
            assert row["scores"][row["label"]] == row["score"] == max(row["scores"].values())
            assert sum(row["scores"].values()) == pytest.approx(1)
        right = [row["label"] == label for row, label in zip(found, rows["label"], strict=True)]
        assert sum(right) >= 0.9 * len(right)

    @pytest.mark.slow
    def test_the_same_to_the_last_bit_in_a_new_process(self, model: Any, folder: Path, texts: list[str]) -> None:
        elsewhere, modules = outputs_elsewhere(folder, texts)
        assert elsewhere == model.outputs(texts, batch_size=8).tobytes()
        assert ("torch" in modules) == self.imports_torch

    def test_a_pickle_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
        with pytest.raises(UnsupportedError, match="pickle"):
            pick(tmp_path)

    def test_a_device_that_is_not_there_is_said(self, folder: Path) -> None:
        with pytest.raises(UnsupportedError, match="abacus"):
            runtime(folder, name=self.name, device="abacus")

    def test_a_task_that_it_cannot_serve_is_said(self, folder: Path) -> None:
        with pytest.raises(UnsupportedError, match="star-gazing"):
            runtime(folder, name=self.name, task="star-gazing", device="cpu").predict(["a text"])

    def test_describes_its_layers(self, model: Any) -> None:
        assert len(model.layers().splitlines()) > 3

    def test_closed_is_closed(self, folder: Path) -> None:
        model = runtime(folder, name=self.name, device="cpu", threads=1)
        model.close()
        with pytest.raises(UnsupportedError, match="closed"):
            model.outputs(["a text"])
