"""Names and paths that are too long for the disk are our errors, wherever one may be given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.api.places import add_source
from modelnook.api.rows import default_name
from modelnook.domain.errors import ModelnookError, UsageError
from modelnook.domain.model import ModelRef
from modelnook.messages import LANGUAGES
from modelnook.quantize import QUANTIZERS, SCHEMES
from modelnook.store import Store
from modelnook.store.files import refuse_overlong

LONG = "x" * 300
ROWS = [{"text": f"a {i}", "label": "ab"[i % 2]} for i in range(40)]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    "call",
    [
        lambda: mn.finetune("auto", LONG),
        lambda: mn.finetune("auto", f"./{LONG}.csv"),
        lambda: mn.finetune("auto", f"{LONG}/rows.csv"),
        lambda: mn.finetune("auto", f"./{LONG}/{LONG}.csv"),
        lambda: mn.info(LONG),
        lambda: mn.info(f"./{LONG}"),
        lambda: mn.info("/" + "/".join(["folder"] * 900)),
        lambda: mn.stop(LONG),
        lambda: mn.resume(LONG),
        lambda: mn.export("topics", LONG, to="safetensors"),
        lambda: mn.export("topics", "y" * 250, to="safetensors"),
        lambda: mn.predict("topics", ["a"], output=f"{LONG}.csv"),
        lambda: mn.rename("topics", LONG),
        lambda: mn.finetune("auto", ROWS, method="tfidf", name=LONG),
        lambda: add_source(LONG, "https://hub.example.org"),
        lambda: add_source("team", f"/{LONG}", kind="folder"),
        lambda: mn.publish("topics", f"team:{LONG}"),
    ],
)
def test_it_is_a_sentence(call: Any, lang: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    with pytest.raises(ModelnookError) as caught:
        call()
    assert caught.value.code != "core.internal"
    assert caught.value.hint
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("path", [LONG, "y" * 250])
def test_an_exports_place_is_refused_before_its_model_is_looked_for(path: str) -> None:
    with pytest.raises(UsageError, match="too long"):
        mn.export("topics", path, to="safetensors")


def test_a_place_that_can_be_named_is_taken(tmp_path: Path) -> None:
    refuse_overlong(Path("/"))
    refuse_overlong(tmp_path / ("y" * 200))
    refuse_overlong(tmp_path / "new" / "folder")
    with pytest.raises(UsageError, match=r"too long for this disk \(\d+ characters\)") as caught:
        refuse_overlong(tmp_path / LONG)
    assert LONG not in caught.value.message


@pytest.mark.parametrize("ending", ["ft", *QUANTIZERS, *SCHEMES])
def test_a_name_that_nobody_chose_fits(ending: str) -> None:
    name = default_name(ModelRef.parse("hub:owner/" + "y" * 120), ending)
    assert name.endswith(f"y-{ending}")
    Store().models.check(f"{name}-2")
