"""Rows without a label: two rounds as one run, what they came to, a worker killed between them, and what is refused."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import Any

import pytest
from tests.jobs.conftest import table
from tests.jobs.test_table import table as loans

import modelnook as mn
from modelnook import cards
from modelnook.domain.errors import DataError, ModelnookError, UsageError
from modelnook.run import Run

pytestmark = pytest.mark.slow
pytest.importorskip("sklearn")

Rows = list[dict[str, Any]]
KNOBS: dict[str, Any] = {"method": "full", "learning_rate": 3e-3, "batch_size": 8, "max_length": 16, "track": "none"}


def bare(count: int, seed: int = 7) -> Rows:
    return [{"text": row["text"]} for row in table(count, seed=seed)]


def trained(tiny: str, more: Rows, **given: Any) -> Run:
    knobs = {**KNOBS, "epochs": 4, "name": "more", **given}
    run: Run = mn.finetune(tiny, table(48), eval_data=table(60, seed=3), unlabelled=more, **knobs)
    return run


def test_two_rounds_are_one_run(tiny: str) -> None:
    more = [*bare(200), *[{"text": row["text"]} for row in table(60, seed=3)[:5]], {"text": ""}]
    run = trained(tiny, more)
    assert run.state == "finished"
    told = run.report["unlabelled"]
    assert (told["offered"], told["fresh"]) == (206, len({row["text"] for row in bare(200)}))
    assert 0 < told["taken"] <= told["fresh"]
    low, high = told["precision_interval"]
    assert low <= told["precision"] <= high
    assert 0 < told["precision_rows"] <= 60
    best = max(told["plain"], told["with_them"])
    assert run.metrics[told["metric"]] == pytest.approx(best, abs=1e-6)
    assert told["kept"] == (told["with_them"] > told["plain"])
    assert run.params["rows"] == 48 + (told["taken"] if told["kept"] else 0)
    steps = run.series.read("loss")[::3].tolist()
    assert steps == sorted(steps), "the second round's curve goes on where the first one's ended"
    assert max(steps) > 4 * 6
    text = cards.text(run)
    assert "206 unlabelled rows" in " ".join(text.split())
    assert len(text.splitlines()) <= 12
    assert mn.predict(run.model, bare(20))["label"].isin(["ham", "spam"]).all()
    left = {path.name for path in run.folder.path.iterdir()}
    assert not left & {"rounds", "checkpoints", "model"}
    assert run.code().startswith("# ")
    assert len(run.folder.snapshots()) == 3
    assert trained(tiny, more).id == run.id
    assert trained(tiny, bare(30, seed=11), epochs=1).id != run.id


def test_the_better_model_gives_the_labels(tiny: str) -> None:
    run = trained(tiny, bare(200), epochs=1, learning_rate=1e-7)
    told = run.report["unlabelled"]
    assert told["plain"] < run.baselines["tfidf"]["accuracy"]
    assert (told["teacher"], told["taken"] > 100) == ("tfidf", True)
    assert told["precision"] > told["plain"]
    assert "a label from TF-IDF" in " ".join(cards.text(run).split())


def test_rows_that_are_all_known_gain_nothing(tiny: str) -> None:
    run = trained(tiny, [{"text": row["text"].upper()} for row in table(48)], epochs=1)
    told = run.report["unlabelled"]
    assert (told["offered"], told["fresh"], told["taken"], told["kept"]) == (48, 0, 0, False)
    assert told["with_them"] is None
    assert "Not one of 48 unlabelled rows" in " ".join(cards.text(run).split())
    assert mn.info("more").run == run.id


@pytest.mark.parametrize("known", [True, False])
def test_the_script_has_the_settings_of_the_training_without_them(tiny: str, known: bool) -> None:
    run = trained(tiny, [{"text": row["text"].upper()} for row in table(48)], epochs=1)
    told = run.report["unlabelled"] | {"kept": True, "params": {**run.params, "epochs": 5} if known else None}
    run.folder.write(replace(run.record, report={**run.report, "unlabelled": told}), epoch=run.record.epoch)
    assert f"num_train_epochs={5 if known else 1}" in run.code()
    assert ("settings" in run.code().partition("import")[0]) is not known


def test_a_worker_killed_in_the_second_round_goes_on_there(tiny: str) -> None:
    run = trained(tiny, bare(600), epochs=12, background=True)
    deadline = time.monotonic() + 90
    while not (run.folder.path / "pseudo").exists() and not (run.folder.checkpoints / "pseudo").exists():
        assert time.monotonic() < deadline
        assert run.record.live or run.state == "finished", run.log()
        if (run.folder.rounds / "plain.json").exists() and (run.record.progress or {}).get("phase") == "training":
            break
        time.sleep(0.02)
    os.kill(int(run.pid), signal.SIGKILL)
    while run.state != "crashed":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before = (run.folder.rounds / "plain.json").read_text()
    assert before
    run.resume()
    assert run.state == "finished"
    assert run.report["unlabelled"]["taken"] > 0
    starts = [e for e in run.folder.events() if e["type"] == "Started" and e["params"]["rows"] == 48]
    assert len(starts) == 1 + (not run.report["unlabelled"]["kept"]), "the first round isn't trained again"


def test_what_ends_after_both_rounds_trains_none_of_them_again(
    tiny: str, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.jobs.steps import finetune

    def killed(*given: Any) -> Any:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(finetune, "_scores", killed)
        with pytest.raises(ModelnookError):
            trained(tiny, bare(200))
    (run,) = mn.runs()
    assert run.state == "failed"
    assert {path.name for path in run.folder.rounds.iterdir()} == {"plain", "plain.json", "pseudo", "pseudo.json"}
    steps = len(run.series.read("loss"))
    run.resume()
    assert run.state == "finished"
    assert len(run.series.read("loss")) == steps, "no step of either training is made once more"
    told = run.report["unlabelled"]
    assert run.metrics[told["metric"]] == pytest.approx(max(told["plain"], told["with_them"]), abs=1e-6)
    assert not {path.name for path in run.folder.path.iterdir()} & {"rounds", "checkpoints", "model"}


def test_what_cannot_be_is_said(tiny: str) -> None:
    with pytest.raises(UsageError, match="tfidf") as caught:
        mn.finetune(data=table(48), unlabelled=bare(20), method="tfidf")
    assert caught.value.hint
    with pytest.raises(UsageError, match="table"):
        mn.finetune(tiny, loans(100), label="label", drop="id", unlabelled=loans(20))
    with pytest.raises(DataError, match="said"):
        mn.finetune(tiny, table(48), unlabelled=[{"said": 1.5, "other": 2}], **KNOBS)
    for more in (bare(20), [row["text"] for row in bare(20)]):
        plan = mn.finetune(tiny, table(48), unlabelled=more, dry_run=True, **KNOBS)
        assert "20 rows without a label" in plan.reason
