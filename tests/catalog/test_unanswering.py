"""An encoder alone has no answers: who asks it for some is told what comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelnook as mn
from modelnook.domain.errors import UnsupportedError
from modelnook.testing.models import tiny_model


def test_an_encoder_says_to_be_fine_tuned_first(tmp_path: Path) -> None:
    path = str(tiny_model(tmp_path / "tiny"))
    with pytest.raises(UnsupportedError, match="encoder without a trained head") as caught:
        mn.predict(path, "hello")
    assert f"%model finetune {path} --data train" in caught.value.hint
