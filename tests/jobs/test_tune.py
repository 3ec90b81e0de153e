"""Tuning in a real job: trials, the gain on held-out rows, a killed process, a stop, words that can't be meant."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import struct
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import modelnook as mn
from modelnook.cards import html, text
from modelnook.cli import main
from modelnook.domain.errors import (
    ConflictError,
    DataError,
    ModelnookError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from modelnook.domain.event import Progress
from modelnook.domain.model import ModelInfo
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs.steps.budget import Budget
from modelnook.jobs.steps.fitting import training_of
from modelnook.jobs.steps.tune import Trials
from modelnook.jobs.steps.winners import Winners
from modelnook.run import Run
from modelnook.store import Store
from modelnook.testing.models import tiny_model, tiny_pairs, tiny_translator, tiny_writer

from .conftest import table

QUICK: dict[str, Any] = {"track": "none", "epochs": 2, "pruner": "none"}


def trials_of(run: Run) -> list[Any]:
    """Those of the study, as Optuna itself reads them."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(run.folder.path / "study.log")))
    return list(optuna.load_study(study_name="modelnook", storage=storage).trials)


def until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_whole_way(
    tiny: str, store_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    space = {"learning_rate": "0.3x..30x:log", "weight_decay": (0.0, 0.1)}
    run = mn.tune(tiny, table(200), trials=5, space=space, name="best", **QUICK)
    assert run.state == "finished"
    assert run.model == "local:best@1"
    trials = run.trials
    assert len(trials) == 5
    assert trials["trial"].tolist().count("default") == 1
    assert {"accuracy", "seconds", "learning_rate", "weight_decay"} <= set(trials.columns)
    # What a factor came to is told, not the factor.
    assert trials["learning_rate"].between(1e-6, 1e-1).all()
    best = run.best
    assert best is not None
    assert best["value"] == trials["accuracy"].max()
    gain = run.report["gain"]
    assert gain["interval"][0] <= gain["points"] <= gain["interval"][1]
    assert gain["rows"] == len(run.folder.split()["holdout"]) > 0
    assert run.metrics["accuracy"] == pytest.approx(gain["best"] if run.report["kept"] == "best" else gain["default"])
    split = run.folder.split()
    assert not set(split["holdout"]) & (set(split["train"]) | set(split["validation"]))
    said = text(run)
    assert "Tuning gained" in said
    assert len(said.splitlines()) <= 12
    # It is a model like any other, and its run is behind it.
    assert len(mn.predict(run.model, ["hello"])) == 1
    assert mn.evaluate(run.model).metrics["accuracy"] >= 0
    assert not (run.folder.path / "trials").exists()
    # From the other doors it is the same run, not a second one.
    words = ["tune", tiny, "--trials", "5", "--name", "best", "--epochs", "2", "--pruner", "none", "--track", "none"]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in table(200)))
    knobs = ["learning_rate=0.3x..30x:log", "weight_decay=0..0.1"]
    capsys.readouterr()
    assert main([*words, "--data", str(file), "--space", " ".join(knobs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == run.id
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    request.addfinalizer(InteractiveShell.clear_instance)
    shell.run_line_magic("reload_ext", "modelnook")
    shell.user_ns["rows"] = table(200)
    shell.run_cell_magic("model", " ".join([*words, "--data", "rows", "-o", "found"]), "\n".join(knobs))
    assert shell.user_ns["found"].id == run.id


def too_large(base: Path, folder: Path) -> str:
    """A model whose weights no address space holds that is limited to :data:`LIMIT`; a file of holes."""
    shutil.copytree(base, folder)
    file, config = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
    config["vocab_size"] = (LIMIT + (64 << 30)) // 4 // config["hidden_size"]
    (folder / "config.json").write_text(json.dumps(config))
    raw = file.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    head, weights, at = json.loads(raw[8 : 8 + size]), b"", 0
    words = head.pop("embeddings.word_embeddings.weight")
    for held in head.values():
        if "data_offsets" in held:
            start, end = held["data_offsets"]
            weights += raw[8 + size + start : 8 + size + end]
            held["data_offsets"], at = [at, at + end - start], at + end - start
    words["shape"][0] = config["vocab_size"]
    bytes_ = 4 * words["shape"][0] * words["shape"][1]
    said = json.dumps({**head, "embeddings.word_embeddings.weight": {**words, "data_offsets": [at, at + bytes_]}})
    said += " " * (-len(said) % 8)
    file.write_bytes(struct.pack("<Q", len(said)) + said.encode() + weights)
    os.truncate(file, file.stat().st_size + bytes_)
    return str(folder)


LIMIT = 192 << 30
LIMITED = f"import resource\nresource.setrlimit(resource.RLIMIT_AS, ({LIMIT}, {LIMIT}))\n"


@pytest.mark.slow
def test_methods_and_models_are_knobs(
    tiny: str, store_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {
        "method": ["full", "lora", "last-k"],
        "rank": [4, 8],
        "layers": (1, 2),
        "learning_rate": (1e-4, 1e-2, "log"),
    }
    run = mn.tune(tiny, table(160), trials=7, space=space, seed=3, **QUICK)
    trials = run.trials
    assert trials["method"].nunique() > 1
    assert trials.loc[trials["method"] == "full", "rank"].isna().all()
    other = mn.finetune(tiny, table(96), epochs=1, name="other", track="none")
    # One that memory doesn't hold is a failed trial, and says so.
    (tmp_path / "sitecustomize.py").write_text(LIMITED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    models = [tiny, other.model, too_large(Path(tiny), tmp_path / "large")]
    run = mn.tune(tiny, table(160), trials=4, space={"model": models}, name="which", seed=2, **QUICK)
    trials = {row["knobs"].get("model"): row for row in run.report["trials"]}
    assert [trials[model]["state"] for model in models] == ["finished", "finished", "failed"]
    assert trials[models[2]]["error"] == "Memory ran out."
    assert mn.info(run.model).base_model in models[:2]


@pytest.mark.slow
def test_a_candidate_that_breaks_is_a_failed_trial(
    tiny: str, store_home: Path, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import BertModel

    odd, large = (str(tiny_model(tmp_path / f"b{width}", hidden=width)) for width in (48, 64))
    forward = BertModel.forward

    def breaks(self: Any, *given: Any, **named: Any) -> Any:
        if self.config.hidden_size == 48:
            raise TypeError("forward() got an unexpected argument")
        if self.config.hidden_size == 64:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(self, *given, **named)

    monkeypatch.setattr(BertModel, "forward", breaks)
    run = mn.tune(tiny, table(96), trials=4, space={"model": [tiny, odd, large]}, name="which", seed=2, **QUICK)
    assert run.state == "finished"
    trials = {row["knobs"].get("model"): row for row in run.report["trials"]}
    assert [trials[model]["state"] for model in (tiny, odd, large)] == ["finished", "failed", "failed"]
    assert "TypeError: forward() got an unexpected argument" in trials[odd]["error"]
    assert "not enough memory" in trials[large]["error"]
    assert {trial.state.name for trial in trials_of(run)} == {"COMPLETE", "FAIL"}
    assert run.report["gain"]
    assert mn.info(run.model).base_model == tiny


@pytest.mark.slow
def test_less_is_better_where_the_metric_says_so(tiny: str, store_home: Path, here: None) -> None:
    rows = [{"text": row["text"], "label": len(row["text"]) / 10} for row in table(120)]
    space = "learning_rate=1e-5..1e-2:log"
    run = mn.tune(tiny, rows, task="text-regression", trials=5, space=space, name="less", **QUICK)
    assert (run.state, run.record.primary_metric) == ("finished", "rmse")
    values = [row["value"] for row in run.report["trials"]]
    assert len(set(values)) > 2
    assert run.best is not None
    assert run.best["value"] == min(values)
    assert run.trials["rmse"].iloc[0] == min(values), "the best is on top"
    assert run.history()["best_rmse"].tolist() == [min(values[: n + 1]) for n in range(len(values))]
    gain = run.report["gain"]
    assert gain["points"] * (gain["default"] - gain["best"]) >= 0
    assert gain["gained"] == (gain["interval"][0] > 0)
    assert mn.evaluate(run.model, rows).metrics["rmse"] > 0


@pytest.mark.slow
def test_a_model_that_writes_is_chosen_by_what_it_writes(store_home: Path, here: None, tmp_path: Path) -> None:
    pairs = tiny_pairs(80)
    rows = [{"source": x, "target": y} for x, y in zip(pairs["source"], pairs["target"], strict=True)]
    base = str(tiny_translator(tmp_path / "writer"))
    space = "learning_rate=1e-4..1e-2:log"
    run = mn.tune(base, rows, task="text2text-generation", trials=3, space=space, name="writes", **QUICK)
    assert (run.state, run.record.primary_metric) == ("finished", "chrf")
    assert run.best is not None
    assert run.best["value"] == max(row["value"] for row in run.report["trials"])
    assert all({"chrf", "loss"} <= set(row["metrics"]) for row in run.report["trials"])


@pytest.mark.slow
def test_a_metric_that_the_rows_do_not_have_is_told(tiny: str, store_home: Path, here: None) -> None:
    rows = table(160)
    one = [row for row in rows if row["label"] == "spam"][:30]
    others = [row for row in rows if row not in one]
    with pytest.raises(DataError, match="'auc' can't be computed"):
        mn.tune(tiny, others, eval_data=one, metric="auc", trials=2, space="quick", **QUICK)
    assert mn.runs()[0].state == "failed"


@pytest.mark.slow
def test_a_label_that_only_the_held_out_rows_have_is_one_of_the_models(tiny: str, store_home: Path, here: None) -> None:
    rows = [{**row, "day": day} for day, row in enumerate(table(120))]
    rows[-1]["label"] = "new"
    run = mn.tune(tiny, rows, split="time:day", trials=1, space="quick", name="late", **QUICK)
    assert set(mn.info("late").labels) == {"ham", "new", "spam"}
    assert run.report["gain"]["rows"] == 12


@pytest.mark.slow
def test_a_metric_of_two_labels_is_refused_where_there_are_three(tiny: str, store_home: Path) -> None:
    rows = table(120)
    rows[0]["label"] = "new"
    for train in (mn.finetune, mn.tune):
        with pytest.raises(UsageError, match="no 'f1'") as caught:
            train(tiny, rows, metric="f1")
        assert "f1_macro" in caught.value.hint


@pytest.mark.slow
def test_one_trial_is_the_default_alone_and_that_is_said(tiny: str, store_home: Path, here: None) -> None:
    run = mn.tune(tiny, table(120), trials=1, space="quick", name="alone", **QUICK)
    assert run.trials["trial"].tolist() == ["default"]
    assert not run.report["gain"]["gained"]
    assert [said for said in run.record.warnings if "give 2 or more" in str(said)]
    assert len(mn.predict(run.model, ["hello"])) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "pruner", "metric", "varied"), [
    ("balanced", "auto", "loss", {"learning_rate", "epochs", "batch_size", "weight_decay"}),
    ("thorough", "hyperband", "accuracy",
     {"method", "learning_rate", "epochs", "batch_size", "weight_decay", "warmup"}),
])  # fmt: skip
def test_a_preset_prunes_and_tells_what_mattered(
    tiny: str, store_home: Path, here: None, preset: str, pruner: str, metric: str, varied: set[str]
) -> None:
    asked: dict[str, Any] = {"space": preset, "pruner": pruner, "metric": metric, "name": preset, "track": "none"}
    run = mn.tune(tiny, table(120), trials=21, **asked)
    assert run.state == "finished"
    trials = run.trials
    states = trials["state"].value_counts()
    assert set(states.index) == {"finished", "pruned"}, states
    assert len(trials) == 21
    assert run.best is not None
    values = trials.loc[trials["state"] == "finished", metric]
    assert run.best["value"] == (values.min() if metric == "loss" else values.max())
    # What was ended early was: it has fewer points than its epochs.
    study = {trial.number: trial for trial in trials_of(run)}
    for row in run.report["trials"]:
        if row["state"] == "pruned":
            assert len(study[row["number"]].intermediate_values) <= row["knobs"]["epochs"]
            assert row["value"] is not None
    assert varied <= set(trials.columns)
    if preset == "thorough":
        assert trials["method"].nunique() > 1
        assert trials.loc[trials["method"] != "lora", "rank"].isna().all()
        assert trials.loc[trials["method"] != "last-k", "layers"].isna().all()
    shares = run.report["importances"]
    assert len(shares) > 1
    assert set(shares) <= varied | {"rank", "layers"}
    assert sum(shares.values()) == pytest.approx(1.0)
    most = max(shares, key=shares.__getitem__)
    assert f"what mattered {most} {shares[most]:.0%}" in text(run)
    assert html(run).count("<rect") == len(shares)


@pytest.mark.slow
def test_several_objectives_give_a_front_of_models(tiny: str, store_home: Path, here: None) -> None:
    space = {"quantize": ["none", "int8"], "learning_rate": (1e-3, 1e-2, "log")}
    run = mn.tune(
        tiny, table(200), trials=3, space=space, metric="latency,accuracy,size", name="many", track="none", epochs=2
    )
    assert run.state == "finished"
    assert run.record.primary_metric == "accuracy"
    assert any("pruning" in said for said in run.record.warnings)
    front, trials = run.front, run.trials
    assert list(front.columns[:5]) == ["trial", "accuracy", "latency", "size", "holdout"]
    assert set(trials["quantize"]) == {"none", "int8"}
    numbers = trials.set_index("trial")[["accuracy", "latency", "size"]]
    # Of equals the first is on the front.
    for number, row in numbers.drop_duplicates().iterrows():
        beaten = any(
            other["accuracy"] >= row["accuracy"]
            and other["latency"] <= row["latency"]
            and other["size"] <= row["size"]
            and not other.equals(row)
            for _, other in numbers.iterrows()
        )
        assert beaten == (number not in set(front["trial"]))
    # What int8 made is another file, and is measured as that.
    assert numbers["size"][trials.set_index("trial")["quantize"] == "int8"].nunique() == 1
    assert numbers["size"].nunique() == 2
    # Each of the front is a model, and its figure on the held-out rows is that model's.
    assert front["model"].nunique() == len(front)
    assert front["model"].iloc[0] == run.model
    from modelnook.data.snapshot import load_snapshot

    recipe = run.folder.recipe()
    assert recipe is not None
    assert recipe.data is not None
    rows = load_snapshot(recipe.data, run.folder.path.parents[1])
    held = run.folder.split()["holdout"]
    for ref, value in zip(front["model"], front["holdout"], strict=True):
        answers = mn.predict(ref, [rows["text"][i] for i in held])["label"]
        right = sum(a == rows["label"][i] for a, i in zip(answers, held, strict=True))
        assert right / len(held) == pytest.approx(value)
    assert "Nothing beats these" in text(run)
    assert len(text(run).splitlines()) <= 12
    assert html(run).count("<circle") == len(trials)


@pytest.mark.slow
@pytest.mark.usefixtures("logged")
def test_trials_at_the_same_time_are_one_study(tiny: str, store_home: Path) -> None:
    more = {**QUICK, "epochs": 12, "track": "offline"}
    run = mn.tune(tiny, table(200), trials=6, space="quick", parallel=2, name="both", **more)
    assert run.state == "finished"
    assert not run.record.warnings
    trials = run.trials
    assert trials["trial"].nunique() == len(trials) == 6
    assert set(trials["state"]) == {"finished"}
    assert run.best is not None
    assert run.best["value"] == trials["accuracy"].max()
    assert len(run.history()["best_accuracy"].dropna()) == 6
    times = [
        (trial.datetime_start, trial.datetime_complete)
        for trial in trials_of(run)
        if trial.user_attrs.get("told") and not trial.user_attrs.get("default")
    ]
    together = [(one, other) for one in times for other in times if one[0] < other[0] < one[1]]
    assert together
    # Each is a run of its own in W&B, whichever process tried it.
    logged = run.folder.path / "tracking" / "trials"
    for number in trials["trial"]:
        assert [file.name for file in (logged / str(number)).rglob("*.wandb")] == [f"run-{run.id}-{number}.wandb"]


@pytest.mark.slow
def test_a_lost_process_of_several_is_told_and_the_others_go_on(
    tiny: str, store_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setenv("MODELNOOK_THREADS", "2")
    run = mn.tune(tiny, table(200), trials=7, space="quick", parallel=2, background=True, **QUICK)

    def helper() -> list[psutil.Process]:
        children = psutil.Process(run.record.pid).children() if run.record.pid else []
        return [child for child in children if "modelnook.jobs.trials" in child.cmdline()]

    until(lambda: helper() or not run.record.live)
    # A worker tokenises on the threads that were its own alone; of several each has a part.
    assert helper()[0].environ()["RAYON_NUM_THREADS"] == "1"
    helper()[0].kill()
    done = run.wait(timeout=300)
    assert done.state == "finished"
    assert any("code -9" in said for said in done.record.warnings)
    assert len(done.trials) >= 6


DIES = """
import os, shutil, signal

remove = shutil.rmtree

def rmtree(path, *more, **options):
    remove(path, *more, **options)
    if os.path.basename(path) == "trials" and not os.path.exists({mark!r}):
        os.mkdir({mark!r})
        os.kill(os.getpid(), signal.SIGKILL)

shutil.rmtree = rmtree
"""


@pytest.mark.slow
def test_a_killed_process_goes_on_by_itself_and_its_trials_count(
    tiny: str, store_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python reads it in every worker: once, one dies when its trials' models are gone and its record isn't there yet.
    (tmp_path / "sitecustomize.py").write_text(DIES.format(mark=str(tmp_path / "died")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    run = mn.tune(tiny, table(200), trials=7, space="quick", background=True, **QUICK)
    until(lambda: len((run.record.report or {}).get("trials") or ()) >= 3 or not run.record.live)
    before = (run.record.report or {})["trials"]
    os.kill(run.record.pid or 0, signal.SIGKILL)
    done = run.wait(timeout=300)
    assert done.state == "finished"
    after = done.report["trials"]
    assert [row["value"] for row in after[:3]] == [row["value"] for row in before[:3]]
    assert sum(row["state"] == "finished" for row in after) >= 6
    assert (tmp_path / "died").is_dir()
    assert done.record.epoch == 3, "it began three times"
    assert done.model == f"local:{run.name}@1", "the end was not done again"
    assert done.report["gain"]
    assert not (run.folder.path / "trials").exists()


def test_who_waits_goes_on_where_a_run_only_looked_dead(store_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    run = store.create_run(Recipe("tune", "x", name="t"), RunRecord("r1", "t", "tune", "running"), None)
    left: list[str] = []
    monkeypatch.setattr(Run, "record", property(lambda self: RunRecord("r1", "t", "finetune", left.pop(0))))
    # The first look finds it dead, and the next one alive.
    left += ["running", "crashed", "running", "finished", "finished"]
    Run(store, run.id).wait(timeout=30, every=0.01)
    assert left == []
    # What the second look says is what it came to: there is no third that could find another end.
    left += ["crashed", "running", "crashed", "crashed"]
    with pytest.raises(ConflictError, match="r1"):
        Run(store, run.id)._wait(None, None, 0.01)
    assert left == []


def test_a_waiting_cell_goes_on_at_most_three_times(store_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    run = store.create_run(Recipe("tune", "x", name="t"), RunRecord("r1", "t", "tune", "running"), None)
    resumed: list[str] = []

    def crashes(self: Run, *given: Any) -> None:
        raise ConflictError("jobs.crashed", run=self.id)

    monkeypatch.setattr(Run, "_wait", crashes)
    monkeypatch.setattr(Run, "resume", lambda self, **given: resumed.append(self.note))
    with pytest.raises(ConflictError, match="r1"):
        Run(store, run.id).wait()
    assert [f"({n} of 3 times)" in note for n, note in enumerate(resumed, 1)] == [True, True, True]


@pytest.mark.slow
def test_a_stop_leaves_the_best_so_far_and_the_study_goes_on_elsewhere(
    tiny: str, store_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    run = mn.tune(tiny, table(200), trials=200, track="none", background=True)
    until(lambda: len((run.record.report or {}).get("trials") or ()) >= 3 or not run.record.live)
    run.stop()
    run.wait(timeout=300)
    assert run.state == "stopped"
    assert run.report["gain"]
    assert len(mn.predict(run.model, ["hello"])) == 1
    assert run.resumable
    # In mid-trial, and none is left begun.
    assert {trial.state.name for trial in trials_of(run)} <= {"COMPLETE", "PRUNED", "FAIL"}
    # What the first end has moved is found by the second, in a store that was carried to another machine: the folder
    # has another place there, and the Python that began it isn't there.
    before = run.report["trials"]
    os.rename(store_home, tmp_path / "carried")
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "carried"))
    recipe = tmp_path / "carried" / "runs" / run.id / "recipe.json"
    recipe.write_text(json.dumps({**json.loads(recipe.read_text()), "python": "/no/such/python"}))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    request.addfinalizer(InteractiveShell.clear_instance)
    shell.run_line_magic("reload_ext", "modelnook")
    shell.run_line_magic("model", f"runs resume {run.id} --background -o on")
    run = shell.user_ns["on"]
    until(lambda: len((run.record.report or {}).get("trials") or ()) > len(before) or not run.record.live)
    run.stop()
    run.wait(timeout=300)
    assert run.state == "stopped"
    assert run.report["trials"][: len(before)] == before
    assert not store_home.exists()
    assert len(mn.predict(run.model, ["hello"])) == 1
    # The study of another table is none to go on with.
    other = mn.tune(tiny, table(160, seed=5), trials=2, space="quick", on="kernel", **QUICK)
    shutil.copy(other.folder.path / "study.log", run.folder.path / "study.log")
    with pytest.raises(ModelnookError, match="other rows"):
        mn.resume(run.id)
    assert mn.runs().to_frame().set_index("id").loc[run.id, "state"] == "failed"


@pytest.mark.slow
def test_an_interrupt_in_mid_trial_leaves_the_study_whole(tiny: str, store_home: Path) -> None:
    run = mn.tune(tiny, table(160), trials=200, space="quick", track="none", epochs=40, on="kernel", background=True)
    until(lambda: len((run.record.report or {}).get("trials") or ()) >= 2 or not run.record.live)
    threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT)).start()
    done = run.wait(timeout=300)
    assert done.state == "stopped"
    tried = trials_of(run)
    assert {trial.state.name for trial in tried} <= {"COMPLETE", "FAIL"}
    # The one that it was in was cut after its step and counts with what it reached.
    assert [row["cut"] for row in done.report["trials"]][-1] is True
    assert len(mn.predict(done.model, ["hello"])) == 1
    assert done.report["gain"]


@pytest.mark.slow
def test_a_budget_is_kept_and_one_that_is_too_short_is_said(tiny: str, store_home: Path) -> None:
    # Nothing else would end it: not the number of trials, and not their epochs.
    run = mn.tune(
        tiny, table(200), budget="20s", trial_budget="2s", space="method=full|last-k epochs=900..999", track="none"
    )
    assert run.state == "finished"
    trials = run.report["trials"]
    assert len(trials) > 1
    assert all(row["knobs"]["epochs"] >= 900 for row in trials[1:])
    with pytest.raises(ModelnookError, match="before one trial"):
        mn.tune(tiny, table(200), budget="1s", space="quick", **{**QUICK, "epochs": 500})
    # Some steps tell how long a trial takes: nobody waits for the budget's end to learn that it is too short.
    with pytest.raises(ModelnookError, match=r"before one trial did: .* takes about \d+ s"):
        mn.tune(tiny, table(200), budget="4m", space="quick", **{**QUICK, "epochs": 100_000})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["finetune", "tune"])
def test_a_budget_that_earlier_runs_show_to_be_too_short_is_said_before_the_start(
    tiny: str, store_home: Path, here: None, kind: str
) -> None:
    before: dict[str, Any] = {"epochs": 12, "track": "none", "name": "before", "method": "full"}
    if kind == "tune":
        mn.tune(tiny, table(120), trials=2, space="quick", **before)
    else:
        mn.finetune(tiny, table(120), **before)
    with pytest.raises(UsageError, match=r"takes about \d+ s"):
        mn.tune(tiny, table(120), budget="0.1s", space="quick", method="full", track="none", epochs=12)
    assert [run.kind for run in mn.runs()] == [kind]


@pytest.mark.slow
def test_a_budget_that_a_few_steps_show_to_be_too_short_is_said_before_the_first_trial(
    tiny: str, store_home: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    listener = Trials._listener

    def listened(self: Trials, name: str, *given: Any) -> Any:
        begun.append(name)
        return listener(self, name, *given)

    monkeypatch.setattr(Trials, "_listener", listened)
    asked: dict[str, Any] = {"space": "quick", "track": "none", "name": "short"}
    with pytest.raises(ModelnookError, match=r"before one trial did: .* takes about \d+ s"):
        mn.tune(tiny, table(120), budget="3s", epochs=5000, **asked)
    assert not begun
    # The same, where the time is enough: the steps that were taken first are no part of what it finds.
    run = mn.tune(tiny, table(120), budget="60s", trials=2, epochs=2, **asked)
    assert len(begun) == 2
    without = mn.tune(tiny, table(120), trials=2, epochs=2, again=True, **asked)
    assert [row["metrics"] for row in run.report["trials"]] == [row["metrics"] for row in without.report["trials"]]


@pytest.mark.slow
def test_after_a_budget_nothing_begins_but_the_step_and_the_evaluation_that_end_it(
    tiny: str, store_home: Path, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.finetune import engine, frozen
    from modelnook.quantize.once import Once
    from modelnook.training import loop

    began: list[tuple[str, float]] = []

    def watched(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def told(*given: Any, **named: Any) -> Any:
            began.append((name, time.time()))
            return real(*given, **named)

        monkeypatch.setattr(owner, name, told)

    watched(loop, "outputs_of")
    watched(loop._Loop, "_train_step")
    watched(engine, "make_ready")
    watched(frozen.LastK, "_run")
    watched(Once, "__call__")
    # Nothing but the budget ends them.
    other = str(tiny_model(tmp_path / "other", layers=3))
    space = {
        "method": ["full", "last-k"], "epochs": (900, 999), "quantize": ["none", "int8"], "model": [tiny, other],
    }  # fmt: skip
    run = mn.tune(
        tiny, table(200), budget="14s", trial_budget="1.5s", space=space, metric="accuracy,size", name="kept",
        track="none", seed=1,
    )  # fmt: skip
    assert run.state == "finished"
    assert len(run.report["trials"]) > 2
    end = datetime.fromisoformat(run.record.started or "").timestamp() + 14.0
    assert max(trial.datetime_complete.timestamp() for trial in trials_of(run)) < end + 1.0
    late = [name for name, at in began if at > end]
    assert set(late) <= {"outputs_of", "_train_step"}, late
    assert max(map(late.count, set(late)), default=0) <= 1, late
    assert {name for name, _ in began} == {"outputs_of", "_train_step", "make_ready", "_run", "__call__"}


@pytest.mark.parametrize(
    ("more", "kind", "says"),
    [
        ({"space": "learnig_rate=1e-5..1e-4"}, UsageError, "learning_rate"),
        ({"space": "epochs=4..1"}, UsageError, "empty"),
        ({"space": "epochs=1..4", "epochs": 2}, UsageError, "fixed and varied"),
        ({"metric": "accurcy"}, UsageError, "accuracy"),
        ({"pruner": "luck"}, UsageError, "asha"),
        ({"metric": "latency,size"}, UsageError, "accuracy,latency"),
        ({"metric": ["accuracy", "latncy"]}, UsageError, "latency"),
        ({"metric": "accuracy,size", "pruner": "asha"}, UsageError, "Optuna"),
        ({"metric": "accuracy,latency", "parallel": 2}, UsageError, "--parallel"),
        ({"space": "quantize=none|q8_0"}, UnsupportedError, "text-generation"),
        ({"space": "quantize=none|int9"}, UsageError, "int8"),
        ({"space": "quantize=int8:onxx"}, UsageError, "onnx"),
        ({"trials": 0}, UsageError, "trials"),
        ({"parallel": 0}, UsageError, "parallel"),
        ({"budget": "soon"}, UsageError, "soon"),
        ({"space": "method=full|qlora2"}, UsageError, "qlora2"),
        ({"space": {"model": ["local:nothing-here"]}}, NotFoundError, "nothing-here"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_runs(
    tiny: str, store_home: Path, more: dict[str, Any], kind: type[ModelnookError], says: str
) -> None:
    with pytest.raises(kind) as caught:
        mn.tune(tiny, table(96), **more)
    assert says in f"{caught.value.message} {caught.value.hint}"
    assert not len(mn.runs())


@pytest.mark.parametrize("where", ["ref", "space"])
def test_a_base_that_cannot_do_the_task_is_refused_before_a_job(
    tiny: str, store_home: Path, tmp_path: Path, where: str
) -> None:
    translator = str(tiny_translator(tmp_path / "translator"))
    base, space = (translator, "quick") if where == "ref" else (tiny, {"model": [tiny, translator]})
    rows = [{"text": f"word {i}"} for i in range(96)]
    with pytest.raises(UnsupportedError) as caught:
        mn.tune(base, rows, task="fill-mask", space=space)
    assert caught.value.code == "task.no_masked"
    talk = [{"role": "user", "content": "a dog"}, {"role": "assistant", "content": "a cat"}]
    writer, chats = str(tiny_writer(tmp_path / "w")), str(tiny_writer(tmp_path / "c", chat=True))
    base, space = (writer, "quick") if where == "ref" else (chats, {"model": [chats, writer]})
    with pytest.raises(UnsupportedError) as caught:
        mn.tune(base, [{"messages": talk}] * 96, space=space)
    assert caught.value.code == "task.no_chat_template"
    assert not len(mn.runs())


def test_a_trials_own_budget_cuts_what_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.api import tuning

    monkeypatch.setattr(tuning, "plan", lambda *given: None)
    monkeypatch.setattr(tuning, "seconds_before", lambda *given: (3000.0, 5000.0))
    monkeypatch.setattr(tuning, "_tuned_before", lambda *given: ())
    store: Any = SimpleNamespace(index=SimpleNamespace(runs=lambda **given: [object()]))
    found: Any = SimpleNamespace(ref="x")

    def before(budget: float, most: float | None) -> None:
        tuning._check_budget(store, found, None, None, None, {}, "auto", budget, most)

    def begun(budget: float, most: float | None) -> None:
        Budget(most, time.monotonic() + budget).check(Progress("training", step=10, total=1000, eta_s=3960.0))

    for check in (before, begun):
        check(600.0, 60.0)
        with pytest.raises(UsageError, match="takes about 4000 s"):
            check(600.0, None)
        with pytest.raises(UsageError, match="takes about 2000 s"):
            check(600.0, 2000.0)


def test_names_of_a_front_are_checked_before_anything_runs(tiny: str, store_home: Path) -> None:
    store = Store()
    source = store_home / "made"
    source.mkdir(parents=True)
    store.models.add("many-3", source, ModelInfo("local:many-3", "many-3", "local", task="table"))
    with pytest.raises(ConflictError, match="many-3"):
        mn.tune(tiny, table(96), metric="accuracy,size", name="many")
    with pytest.raises(UsageError, match="-default"):
        mn.tune(tiny, table(96), metric="accuracy,size", name="m" * 95)
    assert not len(mn.runs())


def test_an_end_that_was_broken_off_finds_what_it_had_moved(store_home: Path) -> None:
    store = Store()
    known: dict[str, str] = {}
    run_folder = SimpleNamespace(id="mine", path=store_home)
    context: Any = SimpleNamespace(store=store, recipe=SimpleNamespace(name="many"), run=run_folder)
    winners = Winners(context, SimpleNamespace(models=known))
    for number, name, run in (("4", "many", "mine"), ("7", "many-7", "mine"), ("9", "many-9", "other"), ("8", "", "")):
        (winners.folder / number).mkdir(parents=True)
        assert winners.made(number) is None
        if name:
            store.models.add(name, winners.folder / number, ModelInfo("", name, "local", task="table", run=run))
    assert str(winners.made(4)) == "local:many@1"
    known["4"] = "local:many@1"
    assert str(winners.made(4)) == "local:many@1"
    assert str(winners.made(7)) == "local:many-7@1"
    assert winners.made(8) is None
    assert winners.made(9) is None


def test_precision_is_checked_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.api.tuning import _check_scheme

    # By its name: the verb of the same name stands before the package.
    schemes = importlib.import_module("modelnook.quantize")
    monkeypatch.setattr(schemes, "_cuda", lambda: pytest.fail("PyTorch was asked"))
    monkeypatch.setattr("modelnook.jobs.device.pick", lambda: "cuda")
    _check_scheme("int4", "text-classification")


def test_too_few_rows_are_said(tiny: str, store_home: Path) -> None:
    with pytest.raises(DataError, match="three parts"):
        mn.tune(tiny, table(30))


def test_a_cell_gives_a_knob_a_line() -> None:
    from modelnook.verbs.parse import parse

    call = parse(
        ["tune", "x", "--data", "./rows.csv", "--trials", "3"],
        body="learning_rate=1e-5..1e-4:log\n# remark\n\nepochs=1..3\n",
    )
    assert call.kwargs["space"] == ["learning_rate=1e-5..1e-4:log", "epochs=1..3"]


def test_a_trials_checkpoint_is_chosen_by_what_the_study_counts() -> None:
    def asked(metric: str | None) -> Any:
        knobs = {"metric": "auc_pr", "fixed": {"metric": metric, "epochs": 2}}
        return training_of(Recipe("tune", "local:base", task="table", method="full", knobs=knobs), {"rank": 4}, 1)

    assert asked(None).knobs == {"metric": "auc_pr", "epochs": 2, "rank": 4}
    assert asked("f1").knobs["metric"] == "f1"
