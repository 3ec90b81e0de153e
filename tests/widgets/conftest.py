"""The front end's bundle, without which a widget has no body."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import absent

import modelnook

STATIC = Path(modelnook.__file__).parent / "static"


@pytest.fixture(autouse=True)
def _built() -> None:
    if not (STATIC / "widget.js").exists():
        absent("the front end isn't built: jlpm build")
