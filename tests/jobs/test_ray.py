"""``on="ray://…"`` on a real cluster of two nodes on loopback: a run, a stop, a node that is killed."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import modelnook as mn
from modelnook.domain.errors import (
    ConflictError,
    MissingPackage,
    ModelnookError,
    OfflineError,
    UnsupportedError,
    UsageError,
)
from modelnook.jobs.ray import Ray, _room, _slots
from modelnook.jobs.remote import checkpoints_in
from modelnook.run import Run

from .conftest import table

pytest.importorskip("ray")


class Machines:
    """A head, whose client server is what one connects to, and a node that computes."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        with socket.socket() as probe:
            probe.bind(("127.0.0.2", 0))
            self.port = probe.getsockname()[1]
        # Of this machine's own addresses only 127.0.0.1 is replaced by the outward one.
        head = {"node_ip_address": "127.0.0.2", "include_dashboard": False, "num_cpus": 0}
        # A machine that is gone is missed after three seconds, not after fifteen.
        soon = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={**head, "ray_client_server_port": self.port, "_system_config": soon},
        )
        self.node: Any = None
        self.add()

    @property
    def address(self) -> str:
        return f"ray://127.0.0.2:{self.port}"

    def add(self, cores: int = 1, address: str = "127.0.0.3", **environ: str) -> None:
        self.node = self.cluster.add_node(node_ip_address=address, num_cpus=cores, env_vars=environ)

    def kill(self) -> None:
        self.cluster.remove_node(self.node, allow_graceful=False)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("ray-home")))
        patch.setenv("MODELNOOK_THREADS", "1")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("MODELNOOK_HOME", str(tmp_path_factory.mktemp("not-used")))
        made = Machines()
        try:
            yield made
        finally:
            made.cluster.shutdown()


def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def trains(run: Run, after: int = 0) -> None:
    def going() -> bool:
        assert run.record.live, (run.record.error, run.log())
        progress = run.record.progress or {}
        return progress.get("phase") == "training" and progress.get("step", 0) > after + 3

    until(going)


def steps_kept(run: Run) -> list[int]:
    return [int(entry.name[5:]) for entry in run.folder.checkpoints.glob("step-*")]


def weights(run: Run) -> bytes:
    return (Path(run.info.path) / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_run_there_is_a_run_of_this_store(tiny: str, machines: Machines) -> None:
    here = mn.finetune(tiny, table(96), epochs=2, name="here")
    there = mn.finetune(tiny, table(96), epochs=2, name="there", on=machines.address)
    assert (there.state, there.device, there.host) == ("finished", machines.address, here.host)
    assert weights(there) == weights(here), "the same threads, the same rows in the same order"
    assert there.metrics == here.metrics
    assert there.history()["loss"].tolist() == here.history()["loss"].tolist()
    assert there.baselines.keys() == here.baselines.keys()
    assert {e["type"] for e in there.folder.events()} >= {"Started", "Finished"}
    assert there.label_issues().equals(here.label_issues())
    info, like = mn.info("there"), mn.info("here")
    assert info.run == there.id
    for field in ("base_model", "license", "language", "labels", "task", "tags"):
        assert getattr(info, field) == getattr(like, field)
    assert len(mn.predict("there", ["hello"])) == 1
    assert there.code()
    again = mn.finetune(tiny, table(96), epochs=2, name="there", on=machines.address)
    assert again.id == there.id, "the same recipe on the same data, wherever it was"


def times(run: Run) -> list[tuple[Any, Any]]:
    """When each trial but the default's began and ended."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(run.folder.path / "study.log")))
    tried = optuna.load_study(study_name="modelnook", storage=storage).trials
    return [(t.datetime_start, t.datetime_complete) for t in tried if not t.user_attrs.get("default")]


def trials_of(run: Run) -> list[dict[str, Any]]:
    return list((run.record.report or {}).get("trials") or ())


@pytest.mark.slow
@pytest.mark.usefixtures("logged")
def test_trials_there_are_one_study_here(tiny: str, machines: Machines) -> None:
    first = machines.node
    machines.add(address="127.0.0.4")
    # One of the rates learns nothing.
    space = {"learning_rate": [2e-3, 1e-9], "weight_decay": (0.0, 0.1)}
    knobs: dict[str, Any] = {
        "space": space,
        "epochs": 12,
        "track": "offline",
        "pruner": "asha",
        "background": True,
    }
    try:
        run = mn.tune(tiny, table(160), trials=500, name="tuned", on=machines.address, **knobs)
        until(lambda: len(trials_of(run)) >= 3 or not run.record.live)
        assert run.record.live, (run.record.error, run.log())
        machines.kill()
    finally:
        machines.node = first

    # Its trial is a failed one; values came back while others were trained, and the study here said which had no hope.
    until(lambda: {"failed", "pruned"} <= {row["state"] for row in trials_of(run)} or not run.record.live)
    run.stop()
    done = run.wait(timeout=120)
    assert (done.state, done.device) == ("stopped", machines.address), run.log()
    trials = trials_of(run)
    assert [("is lost" in row["error"]) for row in trials if row["state"] == "failed"] == [True]
    together = [(one, other) for one in times(run) for other in times(run) if one[0] < other[0] < one[1]]
    assert together, "two at the same time"
    # The best model is here, measured here.
    assert done.best["value"] == max(row["value"] for row in trials if row["state"] == "finished")
    assert done.report["gain"]["rows"] == len(run.folder.split()["holdout"])
    assert mn.info(done.model).run == run.id
    assert len(mn.predict(done.model, ["hello"])) == 1

    # Each is a run of its own in W&B, whichever of them were tried at the same time.
    logged = run.folder.path / "tracking" / "trials"
    for number in ("default", *(row["number"] for row in trials if row["state"] == "finished")):
        assert [file.name for file in (logged / str(number)).rglob("*.wandb")] == [f"run-{run.id}-{number}.wandb"]

    run.resume(background=True)
    until(lambda: len(trials_of(run)) > len(trials) or not run.record.live)
    run.stop()
    assert run.wait(timeout=120).state == "stopped", run.log()
    assert trials_of(run)[: len(trials)] == trials


@pytest.mark.slow
def test_a_run_there_outlives_its_machine_and_stops(
    tiny: str, machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.api import training

    knobs_of = training.knobs_of
    monkeypatch.setattr(training, "knobs_of", lambda **said: {**knobs_of(**said), "checkpoint_every_s": 1.0})
    run = mn.finetune(tiny, table(256), epochs=2000, name="long", background=True, on=machines.address)
    trains(run)
    until(lambda: steps_kept(run) or not run.record.live)
    assert run.record.live, (run.record.error, run.log())
    machines.kill()
    with pytest.raises(ConflictError, match="is lost") as caught:
        run.wait(timeout=120)
    assert "%model resume" in caught.value.hint
    assert run.resumable
    kept = max(steps_kept(run))

    old = tmp_path / "modelnook"
    old.mkdir()
    (old / "__init__.py").write_text('__version__ = "0.0.1"\n')
    machines.add(PYTHONPATH=os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    with pytest.raises(UnsupportedError, match=r"has modelnook 0\.0\.1, here it is"):
        run.resume()

    # A run takes the largest machine.
    machines.add(2)
    run.resume(background=True)
    trains(run, after=kept)
    steps = list(run.series.read("loss")[0::3])
    assert steps == sorted(set(steps)), "it went on from there"
    run.stop()
    assert run.wait(timeout=120).state == "stopped"
    assert len(mn.predict(run.model, ["hello"])) == 1
    assert max(steps_kept(run)) == int(run.history()["step"].max()), "the point where it stopped came back"


GPUS = [{"CPU": 8.0, "GPU": 2.0, "memory": 64e9}, {"CPU": 4.0, "GPU": 1.0, "memory": 64e9}, {"CPU": 16.0}]
CORES = [{"CPU": 8.0, "memory": 4e9}, {"CPU": 6.0, "memory": 1e9}]


@pytest.mark.parametrize(
    ("machines", "asked", "most", "memory", "device", "count", "room"),
    [
        # One a GPU, each with the share of the cores that every machine with GPUs can give.
        (GPUS, None, 20, 10**9, "auto", 3, {"num_gpus": 1, "num_cpus": 4}),
        (GPUS, 2, 20, 10**9, "auto", 2, {"num_gpus": 1, "num_cpus": 4}),
        (GPUS, 8, 20, 10**9, "auto", 3, {"num_gpus": 1, "num_cpus": 4}),
        (GPUS, None, 1, 10**9, "auto", 1, {"num_gpus": 1, "num_cpus": 4}),
        (GPUS, None, None, 10**9, "auto", 3, {"num_gpus": 1, "num_cpus": 4}),
        # Without GPUs, or where they aren't wanted: as many cores as go that often, with memory that is reserved.
        (GPUS, 2, 20, 10**9, "cpu", 2, {"num_cpus": 8, "memory": 10**9}),
        (CORES, None, 20, 10**9, "auto", 8, {"num_cpus": 1, "memory": 10**9}),
        (CORES, None, 4, 10**9, "auto", 4, {"num_cpus": 3, "memory": 10**9}),
        (CORES, 2, 20, 0, "auto", 2, {"num_cpus": 6}),
        (CORES, 50, 100, 10**9, "auto", 14, {"num_cpus": 1, "memory": 10**9}),
        (CORES, 1, 20, 10**11, "auto", 1, {"num_cpus": 8, "memory": 4 * 10**9}),
        ([{}], None, 4, 10**9, "auto", 1, {"num_cpus": 1}),
    ],
)
def test_trials_take_what_a_cluster_has(
    machines: Any, asked: int | None, most: int | None, memory: int, device: str, count: int, room: dict[str, int]
) -> None:
    nodes = [{"Alive": True, "Resources": machine} for machine in machines]
    gone = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0, "memory": 1e12}}
    assert _slots([*nodes, gone], device, asked, most, memory) == (count, room)


def test_a_cluster_that_does_not_answer_is_said_before_a_run_is_made(tiny: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(OfflineError, match="doesn't answer") as caught:
        mn.finetune(tiny, table(32), on=f"ray://127.0.0.1:{port}")
    assert "ray start" in caught.value.hint
    assert not len(mn.runs())


def test_offline_means_no_cluster_elsewhere(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    with pytest.raises(OfflineError, match="modelnook is offline"):
        mn.finetune(tiny, table(32), on="ray://192.0.2.1:10001")


def test_without_ray_the_extra_is_named(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage) as caught:
        mn.finetune(tiny, table(32), on="ray://127.0.0.1:10001")
    assert "modelnook[ray]" in str(caught.value)


@pytest.mark.parametrize("on", ["ray", "ray://", "proces", "process://here", "k8s://host:1"])
def test_no_such_place(tiny: str, on: str) -> None:
    with pytest.raises(UsageError, match="ray://HOST:PORT"):
        mn.finetune(tiny, table(32), on=on)


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (
            "Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n    Python: 3.10.1",
            "refused",
            "same versions",
        ),
        ("ray client connection timeout", "unreachable", "ray start"),
    ],
)
def test_what_ray_says_is_one_sentence(said: str, kind: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def refuse(*args: Any, **more: Any) -> None:
        raise (RuntimeError if kind == "refused" else ConnectionError)(said)

    monkeypatch.setattr(ray, "init", refuse)
    recorder = SimpleNamespace(emit=lambda event: None, stop=lambda: False)
    context: Any = SimpleNamespace(recorder=recorder, phase=lambda name: None)
    with pytest.raises(ModelnookError) as caught, Ray("ray://there:10001")._connected(context):
        pass
    assert caught.value.code == f"jobs.ray_{kind}"
    assert "\n" not in caught.value.message
    assert told in caught.value.hint


def test_no_file_leads_out_of_the_folder_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.jobs.remote import Remote

    # It makes the environment of its process its own.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    remote = Remote({"MODELNOOK_LANG": "zh", "MODELNOOK_THREADS": "3"})
    try:
        assert os.environ["RAYON_NUM_THREADS"] == "3", "it tokenises on its share of the cores"
        assert (os.environ["MODELNOOK_HOME"], os.environ["MODELNOOK_LANG"]) == (str(remote.home), "zh")
        remote.write("a/b.txt", 0, b"one")
        remote.write("a/b.txt", 3, b"two")
        assert remote.read("a/b.txt", 2, 3) == b"etw"
        assert remote.files("a") == ["b.txt"]
        for path in ("../out", "/etc/hosts", "a/../../out"):
            with pytest.raises(ValueError, match=r"out|hosts"):
                remote.write(path, 0, b"")
    finally:
        remote.close()
    assert not remote.home.exists()


def test_a_training_of_two_rounds_has_a_folder_of_checkpoints_for_each(tmp_path: Path) -> None:
    for name in ("best", "plain/step-00000010", "pseudo/.step-00000020.part", "pseudo/half"):
        (tmp_path / name).mkdir(parents=True)
        if "half" not in name:
            (tmp_path / name / "manifest.json").write_text("{}")
    assert checkpoints_in(tmp_path) == ["best", "plain/step-00000010"]
    assert checkpoints_in(tmp_path / "not") == []


def test_what_fails_there_is_one_sentence_and_the_rest_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    from ray.exceptions import RayTaskError

    place = Ray("ray://there:10001")
    trace = 'Traceback (ip=10.1.2.3)\n  File "/home/somebody/remote.py"'

    def failed(cause: Exception) -> Any:
        return place._failed(RayTaskError("write", trace, cause).as_instanceof_cause(), "r1")

    found = failed(OSError("No space left on device\n/tmp/modelnook-x"))
    assert (found.code, "OSError: No space left on device." in found.message) == ("jobs.ray_failed", True)
    assert "%model resume r1" in found.hint
    assert "10.1.2.3" not in str(found)
    assert "/home/somebody" in capfd.readouterr().err
    assert failed(OfflineError("jobs.ray_offline", address="a")).code == "jobs.ray_offline"


def test_a_run_is_resumed_from_where_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.jobs import executor

    monkeypatch.setitem(sys.modules, "ray", None)
    assert executor("ray://there", without=True).on == "ray://there:10001"
    with pytest.raises(UsageError, match="ray://HOST:PORT"):
        executor("k8s://there", without=True)


def test_rows_without_a_label_are_refused_there(tiny: str) -> None:
    for dry in (False, True):
        with pytest.raises(UsageError, match="Rows without a label") as caught:
            mn.finetune(tiny, table(32), unlabelled=[{"text": "more"}], on="ray://127.0.0.1:10001", dry_run=dry)
        assert caught.value.code == "jobs.unlabelled_elsewhere"
    assert not len(mn.runs())


def test_a_run_on_the_cpu_waits_for_no_gpu() -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 16.0, "GPU": 4.0}}]
    assert (_room(nodes, "cpu"), _room(nodes, "auto")["num_gpus"]) == ({"num_cpus": 16}, 1)


@pytest.mark.parametrize(
    ("machines", "room"),
    [
        ([{"CPU": 4.0}, {"CPU": 16.0}], {"num_cpus": 16}),
        ([{"CPU": 64.0}, {"CPU": 16.0, "GPU": 4.0}], {"num_gpus": 1, "num_cpus": 4}),
        ([{"CPU": 0.0}], {"num_cpus": 1}),
        ([], {"num_cpus": 1}),
    ],
    ids=str,
)
def test_a_run_takes_a_gpu_or_a_machine(machines: list[dict[str, float]], room: dict[str, int]) -> None:
    gone = {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 8.0}}
    assert _room([gone, *({"Alive": True, "Resources": machine} for machine in machines)]) == room
