"""Which ways there are, in which order they are tried, what a budget leaves out, and which result is taken."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.errors import DataError, MissingPackage, RefusedError, StoreError, UnsupportedError, UsageError
from modelnook.domain.event import Emit, Event, Progress, Warned
from modelnook.measure.probe import Probe
from modelnook.measure.speed import Speed
from modelnook.quantize import QUANTIZERS, SCHEMES, candidates, needs_gpu, ways
from modelnook.quantize.base import Quantizer
from modelnook.quantize.compress import CompressResult, compress
from modelnook.quantize.folder import staged
from modelnook.quantize.once import Once
from modelnook.registry import Entry, Registry
from modelnook.runtime import runtime
from modelnook.store.files import folder_bytes, temporary
from modelnook.testing.models import tiny_rows
from modelnook.testing.trained import trained_model

ROWS = tiny_rows(200, seed=11)


class Copy(Quantizer):
    """As good as the original; ``extra`` bytes larger."""

    name = "copy"
    schemes = ("int8", "int4")
    runtime = "transformers"
    extra = 0

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        return [{}, {"careful": True}]

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        shutil.copytree(source, target)
        (target / "extra").write_bytes(b"0" * self.extra)


class Quick(Copy):
    """Known to be quick."""

    name = "quick"
    schemes = ("int8",)
    speed = {"int8": 9.0}
    extra = 1000


class Bad(Copy):
    """Falls too far at every attempt."""

    name = "bad"
    schemes = ("int8",)
    speed = {"int8": 20.0}

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        from safetensors.torch import load_file, save_file

        shutil.copytree(source, target)
        weights = load_file(target / "model.safetensors")
        weights["classifier.weight"] *= -1.0
        save_file(weights, target / "model.safetensors", metadata={"format": "pt"})


class Unable(Copy):
    """Can't do any model."""

    name = "unable"

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        raise UnsupportedError("quantize.untraceable", architecture="BertForX", op=f"aten.{scheme}", next="torchao")


class Broken(Copy):
    """Holds a mistake of its own."""

    name = "broken"
    schemes = ("int8",)
    speed = {"int8": 30.0}

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        raise KeyError("no such layer")


class Calibrated(Broken):
    """Wants rows."""

    name = "calibrated"

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        raise DataError("quantize.no_rows")


class Large(Copy):
    """Has no room on the disk."""

    name = "large"

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        with staged(target) as folder:
            (folder / "part").write_bytes(b"0")
            raise OSError(errno.ENOSPC, "No space left on device", str(folder))


class Slow(Copy):
    """Known to be slower than the original."""

    name = "slow"
    schemes = ("int8",)
    speed = {"int8": 0.5}


class Half(Copy):
    """Can't do the first of its schemes, nor the careful attempt of the second, which falls too far at first."""

    name = "half"
    speed = {"int8": 2.0}

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        if scheme == "int8" or options.get("careful"):
            raise UnsupportedError("quantize.nothing", backend=f"{self.name} {scheme}", architecture="BertForX")
        Bad().quantize(source, target, scheme)


class FourBits(Half):
    """Can't do the first of its schemes, and does the second."""

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        (Half if scheme == "int8" else Copy).quantize(self, source, target, scheme, **options)


class Long(Copy):
    """Emits as it goes, as what converts a large model does."""

    name = "long"
    schemes = ("int8",)

    def quantize(self, source: Path, target: Path, scheme: str, *, emit: Emit, **options: Any) -> None:
        with staged(target) as folder:
            for part in range(100):
                (folder / f"part-{part}").write_bytes(b"0")
                emit(Progress("quantizing", step=part, total=100))


class Clock:
    """Seconds that grow as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_model(tmp_path_factory.mktemp("candidates") / "source")


@pytest.fixture
def backend_rows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put backends of this file in the place of the real ones."""

    def put(*kinds: type[Quantizer], **more: Entry) -> None:
        rows = {kind.name: Entry(f"{__name__}:{kind.__name__}", "for a test") for kind in kinds}
        registry: Registry[Any] = Registry("quantizer", {**rows, **more})
        monkeypatch.setattr(candidates, "QUANTIZERS", registry)
        # The package's attribute of this name is the verb; its room is in sys.modules.
        monkeypatch.setattr(sys.modules["modelnook.quantize"], "QUANTIZERS", registry)

    return put


def _no_room(paths: list[Path], rows: list[Any]) -> list[Speed]:
    raise StoreError("store.disk_full", path=paths[0])


class Runner:
    """Compresses with a probe that is told each result's speed, and takes ten seconds of the clock."""

    def __init__(
        self, source: Path, target: Path, rates: dict[str, float], times: Mapping[str, float] | None = None
    ) -> None:
        self.source, self.target, self.rates, self.times = source, target, rates, times or {}
        self.clock = Clock()
        self.events: list[Event] = []
        self.probed: list[str] = []
        self.kept: list[set[str]] = []
        self.full = ""
        """The result for which the disk has no room where it is measured."""

    def probe(self, path: Path, rows: list[Any]) -> Probe:
        self.clock.now += 10.0
        self.probed.append(path.name)
        work = temporary(self.target, "tries")
        self.kept.append({p.name for p in work.iterdir()} if work.is_dir() else set())
        if path.name == self.full:
            raise StoreError("store.disk_full", path=path)
        rate = next((rate for name, rate in self.rates.items() if path.name.startswith(name)), 100.0)
        p50 = next((ms for name, ms in self.times.items() if path.name.startswith(name)), 1.0)
        model = runtime(path, device="cpu", threads=1)
        outputs, size = model.outputs(rows, batch_size=64), folder_bytes(path)
        return Probe(size, p50, 2.0, rate, 0.1, None, model.name, 1, model.labels, outputs)

    def run(self, **more: Any) -> CompressResult:
        options: dict[str, Any] = {
            "scheme": "auto",
            "task_name": "text-classification",
            "rows": ROWS,
            "max_drop": 0.01,
            "probe": self.probe,
            "emit": self.events.append,
            "clock": self.clock,
        }
        return compress(self.source, self.target, **(options | more))

    def said(self, code: str) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned) and event.code == code]


def test_a_new_scheme_is_a_word_in_a_row(backend_rows: Any) -> None:
    assert {"int8", "int4"} <= set(SCHEMES)
    assert SCHEMES["int8"][0] in QUANTIZERS
    backend_rows(Copy, new=Entry("nowhere.at_all:Thing", "for a test", ("nowhere_at_all",), schemes=("q9_0",)))
    assert list(SCHEMES) == ["int8", "int4", "q9_0"]
    assert SCHEMES["q9_0"] == ("new",)
    # Installed or not, the scheme is known; what is missing is named.
    with pytest.raises(UnsupportedError, match=r"nowhere_at_all.*pip install"):
        ways("auto", "q9_0")
    with pytest.raises(UsageError, match="q9_0"):
        ways("auto", "q9_1")


def test_listing_schemes_imports_nothing_heavy() -> None:
    code = (
        "import sys; from modelnook.quantize import SCHEMES, ways; list(SCHEMES); SCHEMES['int4'];"
        "print([m for m in ('numpy', 'torch', 'transformers', 'onnxruntime', 'openvino', 'nncf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_needs_a_gpu_is_left_out_by_auto_and_refused_by_name(
    backend_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Entry(f"{__name__}:Quick", "for a test", gpu=True, schemes=("int8",))
    half = Entry(f"{__name__}:Copy", "for a test", schemes=("int8", "int4"), gpu_schemes=("int4",))
    backend_rows(big=row, half=half)
    quantize = sys.modules["modelnook.quantize"]
    monkeypatch.setattr(quantize, "_cuda", lambda: False)
    assert ways("auto", "auto") == [("half", "int8")]
    assert (needs_gpu("half", "int8"), needs_gpu("half", "int4")) == (False, True)
    for asked in (("big", "int8"), ("half", "int4"), ("auto", "int4")):
        with pytest.raises(UnsupportedError, match="GPU"):
            ways(*asked)
    monkeypatch.setattr(quantize, "_cuda", lambda: True)
    assert ways("auto", "auto") == [("big", "int8"), ("half", "int8"), ("half", "int4")]


def test_what_is_made_for_gpus_is_left_out_by_auto_unless_nothing_else_is_there(
    backend_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Entry(f"{__name__}:Copy", "for a test", for_gpu=True, schemes=("int8", "int4"))
    quick = Entry(f"{__name__}:Quick", "for a test", schemes=("int8",))
    backend_rows(made=made, quick=quick)
    quantize = sys.modules["modelnook.quantize"]
    monkeypatch.setattr(quantize, "_cuda", lambda: False)
    assert ways("auto", "auto") == [("quick", "int8")]
    assert ways("auto", "int4") == [("made", "int4")]
    assert ways("made", "auto") == [("made", "int8"), ("made", "int4")]
    monkeypatch.setattr(quantize, "_cuda", lambda: True)
    assert len(ways("auto", "auto")) == 3


def test_auto_on_a_cpu_has_no_way_of_a_real_row_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelnook.registry._installed", lambda name: True)
    names = {name for name, _ in ways("auto", "auto", gpu=lambda: False)}
    assert names >= {"onnx", "openvino", "quanto", "torchao"}
    assert not names & {"bitsandbytes", "gptq"}
    assert {name for name, _ in ways("auto", "auto", gpu=lambda: True)} >= {"bitsandbytes", "gptq"}
    assert ways("bitsandbytes", "auto", gpu=lambda: False) == [("bitsandbytes", "int8"), ("bitsandbytes", "int4")]


def test_the_real_rows_for_gpus_say_so() -> None:
    assert needs_gpu("gptq", "int4")
    assert needs_gpu("torchao", "int4")
    assert not needs_gpu("torchao", "int8")


def test_a_backend_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelnook.registry._installed", lambda name: name != "onnxruntime")
    with pytest.raises(MissingPackage, match=r"onnxruntime.*pip install 'modelnook\[onnx\]'"):
        ways("onnx", "int8")
    # What is there is tried all the same.
    assert "onnx" not in {name for name, _ in ways("auto", "int8")}


def test_a_program_that_cannot_stand_for_a_task_is_refused_by_name_and_left_out_by_auto(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("modelnook.registry._installed", lambda name: True)
    for asked in (("onnx", "int8"), ("onnx", "auto"), ("openvino", "int4")):
        with pytest.raises(UnsupportedError) as caught:
            ways(*asked, "text-generation", gpu=lambda: False)
        assert caught.value.code == "quantize.no_program"
        assert f'backend="{"quanto" if asked[1] == "int4" else "torchao"}"' in caught.value.hint
    assert {name for name, _ in ways("auto", "int8", "text-generation", gpu=lambda: False)} == {"quanto", "torchao"}
    assert "onnx" in {name for name, _ in ways("auto", "int8", "text-classification", gpu=lambda: False)}


def test_where_none_is_installed_one_for_a_cpu_that_does_the_task_is_named(
    backend_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelnook.registry._installed", lambda name: name in ("torch", "transformers"))
    for scheme, task, extra in (
        ("int8", "text-classification", "onnx"),
        ("auto", "text-classification", "onnx"),
        ("int4", None, "openvino"),
        ("int8", "text-generation", "quanto"),
        ("q8_0", "text-generation", "gguf"),
    ):
        with pytest.raises(MissingPackage, match=rf"modelnook\[{extra}\]"):
            ways("auto", scheme, task, gpu=lambda: False)
    backend_rows(only=Entry("nowhere.at_all:Thing", "for a test", ("nowhere_at_all",), gpu=True, schemes=("q9_0",)))
    with pytest.raises(UnsupportedError, match="only makes 'q9_0' on a GPU only"):
        ways("auto", "q9_0", gpu=lambda: False)


@pytest.mark.slow
def test_what_the_disk_has_no_room_for_costs_nothing_that_was_made_before(
    source: Path, tmp_path: Path, backend_rows: Any
) -> None:
    backend_rows(Large, Quick)
    runner = Runner(source, tmp_path / "out", {})
    result = runner.run(scheme="int8")
    assert (result.backend, list(result.report["failed"])) == ("quick", ["large int8"])
    (said,) = runner.said("quantize.backend_failed")
    assert said.endswith("No space left on device.")
    # Nor does one that is written and finds no room where it is measured, or where the best are timed side by side.
    backend_rows(Copy, Quick)
    measured = Runner(source, tmp_path / "measured", {})
    measured.full = "copy-int8-0"
    result = measured.run(race=_no_room)
    assert list(result.report["failed"]) == ["copy int8"]
    assert [one["backend"] for one in result.report["attempts"]] == ["quick", "copy"]
    assert "copy-int8-0" not in measured.kept[-1], "its room is there for the next"
    # Where nothing was made before, it is the run's own error.
    backend_rows(Bad, Large)
    with pytest.raises(StoreError, match="No space left"):
        Runner(source, tmp_path / "room" / "out", {}).run(scheme="int8")
    assert not list(tmp_path.glob("room/*"))


@pytest.mark.slow
def test_where_none_of_several_can_do_it_each_says_why(
    source: Path, tmp_path: Path, backend_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["modelnook.quantize"], "_cuda", lambda: False)
    backend_rows(FourBits, Unable)
    with pytest.raises(UnsupportedError) as caught:
        Runner(source, tmp_path / "out", {}).run(scheme="int8")
    assert caught.value.message == (
        "No backend can make this model smaller. half int8: The backend half int8 finds no layer to quantize in"
        " BertForX; unable int8: BertForX can't be converted: aten.int8 isn't supported."
    )
    assert "%model prune" in caught.value.hint, "a backend that failed as well is no advice"
    row = Entry("nowhere.at_all:Thing", "for a test", ("nowhere_at_all",), extra="other", schemes=("int8",))
    backend_rows(FourBits, Unable, other=row)
    with pytest.raises(UnsupportedError, match="No backend that is installed") as caught:
        Runner(source, tmp_path / "more", {}).run(scheme="int8")
    assert "modelnook[other]" in caught.value.hint
    # Nor is one that needs a GPU, where there is none, or the job has none.
    backend_rows(FourBits, Unable, other=replace(row, gpu=True))
    with pytest.raises(UnsupportedError, match="No backend can make"):
        Runner(source, tmp_path / "gpu", {}).run(scheme="int8")
    monkeypatch.setattr(sys.modules["modelnook.quantize"], "_cuda", lambda: True)
    with pytest.raises(UnsupportedError, match="No backend can make"):
        Runner(source, tmp_path / "job", {}).run(scheme="int8", gpu=lambda: False)
    # Of one that was named only that one is told.
    with pytest.raises(UnsupportedError, match=r"^unable can't make 'int8' of .*: BertForX .*: aten\.int8"):
        Runner(source, tmp_path / "named", {}).run(backend="unable", scheme="auto")


@pytest.mark.slow
def test_a_mistake_in_a_backend_is_told_and_the_others_go_on(
    source: Path, tmp_path: Path, backend_rows: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    backend_rows(Broken, Copy)
    runner = Runner(source, tmp_path / "out", {})
    assert runner.run(scheme="int8").report["backend"] == "copy"
    (said,) = runner.said("quantize.backend_failed")
    assert "broken" in said
    assert "KeyError: 'no such layer'" in said
    assert "Traceback" in capfd.readouterr().err, "whoever wrote it finds the place in the run's log"
    with pytest.raises(KeyError):
        Runner(source, tmp_path / "named", {}).run(backend="broken", scheme="int8")
    # What is told on purpose stays what it is.
    backend_rows(Calibrated, Copy)
    with pytest.raises(DataError, match="no rows"):
        Runner(source, tmp_path / "rows", {}).run(scheme="int8")


@pytest.mark.slow
def test_a_backend_that_cannot_be_imported_is_told_and_the_others_go_on(
    source: Path, tmp_path: Path, backend_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unfit_library.py").write_text("import torch\ntorch.gone_since_long\n")
    monkeypatch.syspath_prepend(tmp_path)
    unfit = Entry("unfit_library:Quantizer", "for a test", schemes=("int8",))
    backend_rows(Copy, unfit=unfit)
    runner = Runner(source, tmp_path / "out", {})
    assert runner.run(scheme="int8").report["backend"] == "copy"
    (said,) = runner.said("quantize.backend_failed")
    assert "gone_since_long" in said
    Once("text-classification", ROWS["text"], runner.events.append)(source, tmp_path / "once", "int8")
    assert (tmp_path / "once" / "model.safetensors").is_file()
    for rows in ((), (Unable,)):
        backend_rows(*rows, unfit=unfit)
        with pytest.raises(UnsupportedError, match="gone_since_long") as caught:
            Runner(source, tmp_path / "none", {}).run(scheme="int8")
        assert caught.value.code == ("quantize.none_can" if rows else "quantize.no_import")


@pytest.mark.slow
def test_auto_tries_every_scheme_and_takes_the_quickest(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Bad, Copy, Quick)
    runner = Runner(source, tmp_path / "out", {"quick": 300.0, "bad": 900.0, "copy-int4": 200.0})
    result = runner.run()
    assert (result.backend, result.scheme) == ("quick", "int8")
    # The best known first; what fell too far again after all others had their turn.
    assert runner.probed == ["source", "bad-int8-0", "quick-int8-0", "copy-int8-0", "copy-int4-0", "bad-int8-1"]
    assert "bad-int8-0" not in runner.kept[2]
    report = result.report
    assert [(a["backend"], a["scheme"], a["accepted"]) for a in report["attempts"]] == [
        ("bad", "int8", False),
        ("quick", "int8", True),
        ("copy", "int8", True),
        ("copy", "int4", True),
        ("bad", "int8", False),
    ]
    figures = {"bytes", "p50_ms", "p95_ms", "rows_per_s", "load_s", "peak_memory_bytes", "drop", "interval", "seconds"}
    figures.add("device")
    assert all(figures <= set(attempt) for attempt in report["attempts"])
    assert (report["untried"], report["failed"]) == ([], {})


@pytest.mark.slow
def test_many_rows_and_one_weigh_alike_and_of_two_as_quick_the_smaller_is_taken(
    source: Path, tmp_path: Path, backend_rows: Any
) -> None:
    backend_rows(Copy, Quick)
    rates = {"quick": 300.0, "copy-int8": 290.0, "copy-int4": 200.0}
    assert Runner(source, tmp_path / "out", rates).run().backend == "copy"
    assert Runner(source, tmp_path / "out", rates, {"copy": 1.05}).run().backend == "copy"
    assert Runner(source, tmp_path / "out", rates, {"copy": 1.5}).run().backend == "quick"
    # A tenth more rows a second, and three times the wait for one.
    assert Runner(source, tmp_path / "out", rates | {"copy-int8": 330.0}, {"copy": 3.0}).run().backend == "quick"
    assert Runner(source, tmp_path / "out", rates | {"copy-int8": 900.0}, {"copy": 1.5}).run().backend == "copy"
    rates["copy-int8"] = 250.0
    assert Runner(source, tmp_path / "out", rates).run().backend == "quick"


@pytest.mark.slow
def test_a_chains_step_is_judged_beside_the_model_that_the_chain_began_with(
    source: Path, tmp_path: Path, backend_rows: Any
) -> None:
    """What an earlier step cost is in its figures, and what is allowed is what the person said."""
    from modelnook.measure.judge import Judge
    from modelnook.tasks.text_classification import TextClassification

    backend_rows(Bad, Copy)
    runner = Runner(source, tmp_path / "out", {})
    first = runner.probe(source, ROWS["text"])
    # The model as an earlier step left it: half of its answers are others.
    changed = tmp_path / "changed"
    Bad().quantize(source, changed, "int8")
    runner.source = changed
    judge = Judge(TextClassification(), ROWS, first, None, 0.02)
    told: list[dict[str, Any]] = []
    with pytest.raises(RefusedError) as caught:
        runner.run(judge=judge, max_drop=judge.max_drop, backend="copy", scheme="int8", refused=told.append)
    (report,) = told
    assert [attempt["accepted"] for attempt in report["attempts"]] == [False, False]
    assert "after" not in report
    assert report["before"]["bytes"] == folder_bytes(changed)
    assert f"goes from {judge.value:.3f} to {1 - judge.value:.3f}" in caught.value.message
    assert "; 2 are allowed" in caught.value.message
    # And one that comes back to the first model's answers stands.
    result = runner.run(judge=judge, max_drop=judge.max_drop, backend="bad", scheme="int8")
    assert result.report["drop"] == 0


@pytest.mark.slow
def test_what_was_measured_in_turns_decides_between_the_best(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Bad, Copy, Quick)
    # While the quick one was measured alone, the machine was busy.
    runner = Runner(source, tmp_path / "out", {"quick": 150.0, "copy-int8": 300.0, "copy-int4": 30.0})
    raced: list[list[str]] = []

    def race(paths: list[Path], rows: list[Any]) -> list[Speed]:
        raced.append([path.name for path in paths])
        assert all((path / "config.json").is_file() for path in paths)
        return [Speed(9.0, 12.0, 60.0), Speed(3.0, 4.0, 310.0), Speed(1.0, 1.5, 305.0)]

    result = runner.run(race=race)
    assert raced == [["source", "copy-int8-0", "quick-int8-0"]], "what is far slower, or fell too far, isn't among them"
    assert result.backend == "quick"
    after = result.report["after"]
    assert (after["p50_ms"], after["p95_ms"], after["rows_per_s"]) == (1.0, 1.5, 305.0)
    before = result.report["before"]
    assert (before["p50_ms"], before["p95_ms"], before["rows_per_s"]) == (9.0, 12.0, 60.0), "in the same turns"
    told = {(a["backend"], a["scheme"]): a["rows_per_s"] for a in result.report["attempts"] if a["accepted"]}
    assert told == {("quick", "int8"): 305.0, ("copy", "int8"): 310.0, ("copy", "int4"): 30.0}


@pytest.mark.slow
def test_what_cannot_be_loaded_together_is_chosen_by_what_is_known(
    source: Path, tmp_path: Path, backend_rows: Any
) -> None:
    backend_rows(Copy, Quick)

    def race(paths: list[Path], rows: list[Any]) -> list[Speed]:
        raise UnsupportedError("measure.killed", code=-9)

    runner = Runner(source, tmp_path / "out", {"quick": 150.0, "copy": 300.0})
    assert runner.run(race=race).backend == "copy"


@pytest.mark.slow
def test_of_a_budget_there_is_time_left_to_choose(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Copy, Quick)
    runner = Runner(source, tmp_path / "out", {})
    result = runner.run(budget=55.0, race=lambda paths, rows: [Speed(1.0, 1.0, 1.0)] * len(paths))
    # Ten seconds each: without the race a third would be in time.
    assert len(result.report["attempts"]) == 2
    assert result.report["untried"] == ["copy int4"]


@pytest.mark.slow
def test_a_budget_is_told_first_kept_and_what_it_left_out_is_named(
    source: Path, tmp_path: Path, backend_rows: Any
) -> None:
    backend_rows(Copy, Quick)
    runner = Runner(source, tmp_path / "out", {})
    result = runner.run(budget=25.0)
    # Ten seconds for the original, ten for the first; a second one would end after the budget.
    assert runner.probed == ["source", "quick-int8-0"]
    assert result.report["untried"] == ["copy int8", "copy int4"]
    assert "copy int8" in runner.said("quantize.untried")[0]
    told = runner.events.index(next(e for e in runner.events if isinstance(e, Warned)))
    assert runner.events[told].code == "quantize.takes_longer"
    assert "3" in runner.said("quantize.takes_longer")[0]
    # Where what was tried fell too far, more time is the next step, and not a larger drop alone.
    backend_rows(Bad, Copy)
    with pytest.raises(RefusedError, match="no time for 3 further attempts: copy int8, copy int4, bad int8") as late:
        Runner(source, tmp_path / "late", {}).run(budget=25.0)
    assert 'budget="10m"' in late.value.hint
    backend_rows(Copy, Quick)
    # However small, one is tried; and without one nothing is told or left out.
    assert Runner(source, tmp_path / "small", {}).run(budget=0.1).backend == "quick"
    whole = Runner(source, tmp_path / "whole", {})
    assert whole.run().report["untried"] == []
    assert not whole.said("quantize.takes_longer")


@pytest.mark.slow
def test_a_backend_by_name_says_what_its_budget_left_untried(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Bad)
    runner = Runner(source, tmp_path / "out", {})
    late = r"no time for 1 further attempt: bad int8 careful\."
    with pytest.raises(RefusedError, match=late) as caught:
        runner.run(backend="bad", scheme="int8", budget=15.0)
    assert runner.probed == ["source", "bad-int8-0"]
    assert 'budget="10m"' in caught.value.hint
    (said,) = runner.said("quantize.takes_longer_one")
    assert "with bad int8 take about 0.3 minutes, and there are 0.2" in said


@pytest.mark.slow
def test_what_may_take_longer_than_a_few_trainings_is_said_first(
    source: Path, tmp_path: Path, backend_rows: Any
) -> None:
    backend_rows(Copy, Quick)

    def warned(name: str, **options: Any) -> list[str]:
        runner = Runner(source, tmp_path / name, {})
        runner.run(**options)
        return runner.said("quantize.longer_than_training")

    # The original and three ways take ten seconds each, and three times what each is said to take to make.
    (said,) = warned("short", trained=6.0, budget=100.0)
    assert "about 43 s; the model's training took 6 s" in said
    assert not warned("long", trained=40.0, budget=100.0)
    assert not warned("alone", backend="quick", trained=1.0)


@pytest.mark.slow
def test_a_backend_by_name_goes_on_with_its_next_scheme(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(FourBits)
    runner = Runner(source, tmp_path / "out", {})
    result = runner.run(backend="half")
    assert (result.scheme, runner.probed) == ("int4", ["source", "half-int4-0"])
    assert result.report["failed"] == {"half int8": "The backend half int8 finds no layer to quantize in BertForX."}
    assert len(runner.said("quantize.backend_failed")) == 1
    backend_rows(Half)
    # Where no scheme is left the first says why; where one fell too far before it failed, its numbers do.
    alone = Runner(source, tmp_path / "alone", {})
    with pytest.raises(UnsupportedError, match="half int8 finds no layer"):
        alone.run(scheme="int8", backend="half")
    assert not alone.said("quantize.backend_failed")
    with pytest.raises(RefusedError, match=r"int4 was refused.*1 attempt \(half\)"):
        Runner(source, tmp_path / "four", {}).run(backend="half")


@pytest.mark.slow
def test_a_stop_ends_an_attempt_in_its_middle(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Long)
    runner = Runner(source, tmp_path / "room" / "out", {})
    parts: list[int] = []

    def seen(event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            parts.append(event.step)

    result = runner.run(emit=seen, stop=lambda: len(parts) == 3)
    assert result.stopped
    assert parts == [0, 1, 2]
    assert not list(tmp_path.glob("room/*"))


@pytest.mark.slow
def test_what_is_known_to_be_slow_is_a_last_resort(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Quick, Slow)
    runner = Runner(source, tmp_path / "a", {})
    report = runner.run(scheme="int8").report
    assert (runner.probed, report["spared"]) == (["source", "quick-int8-0"], ["slow int8"])
    assert len(Runner(source, tmp_path / "b", {}).run().report["attempts"]) == 2
    assert Runner(source, tmp_path / "c", {}).run(scheme="int8", backend="slow").backend == "slow"
    backend_rows(Bad, Slow)
    assert Runner(source, tmp_path / "d", {}).run(scheme="int8").backend == "slow"


@pytest.mark.slow
def test_auto_refuses_with_the_numbers(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Bad)
    with pytest.raises(RefusedError, match=r"int8 was refused.*2 attempts \(bad\)"):
        Runner(source, tmp_path / "room" / "out", {}).run()
    assert not list(tmp_path.glob("room/*"))
