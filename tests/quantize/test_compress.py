"""The control: what passes, what is refused, and that a ruined model never gets through."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.errors import DataError, RefusedError, StoreError, UnsupportedError, UsageError
from modelnook.domain.event import Event, Warned
from modelnook.measure.probe import Probe, measure
from modelnook.measure.race import race
from modelnook.measure.speed import Speed
from modelnook.quantize import QUANTIZERS, candidates, ways
from modelnook.quantize.base import Quantizer
from modelnook.quantize.compress import CompressResult, compress
from modelnook.registry import Entry, Registry
from modelnook.runtime.folder import config
from modelnook.testing.models import tiny_rows
from modelnook.testing.trained import trained_model

pytestmark = pytest.mark.slow

ROWS = tiny_rows(400, seed=11)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_model(tmp_path_factory.mktemp("compress") / "source")


def quick(path: Path, rows: list[str]) -> Probe:
    return measure(path, rows, seconds=0.05)


def run(source: Path, target: Path, events: list[Event] | None = None, **more: Any) -> CompressResult:
    options: dict[str, Any] = {
        "scheme": "int8",
        "backend": "auto",
        "task_name": "text-classification",
        "rows": ROWS,
        "max_drop": 0.01,
        "probe": quick,
        "emit": (events if events is not None else []).append,
    }
    return compress(source, target, **(options | more))


class Copy(Quantizer):
    """Does nothing: as good as the original."""

    name = "copy"
    schemes = ("int8",)
    runtime = "transformers"

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        return [{}]

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        shutil.copytree(source, target)


class Ruin(Copy):
    """Multiplies the scale of a layer, as a bad quantization range does; ``mend`` leaves it whole."""

    name = "ruin"
    layer = "bert.encoder.layer.1.output.dense.weight"
    by = -40.0

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        return [{}, {"by": self.by / 2}]

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        from safetensors.torch import load_file, save_file

        shutil.copytree(source, target)
        weights = load_file(target / "model.safetensors")
        weights[self.layer] *= options.get("by", self.by)
        save_file(weights, target / "model.safetensors", metadata={"format": "pt"})


class Mended(Ruin):
    """Falls at first, stands at the second attempt."""

    name = "mended"

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        return [{}, {"by": 1.0}]


class NotNumbers(Ruin):
    """Overflows."""

    name = "notnumbers"
    by = float("nan")


class Untraceable(Copy):
    """An architecture that it can't do."""

    name = "untraceable"

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        raise UnsupportedError("quantize.untraceable", architecture="BertForX", op="aten.odd", next="copy", path=source)


class Full(Copy):
    """Writes to a full disk."""

    name = "full"

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        from modelnook.quantize.folder import staged

        with staged(target) as folder, open("/dev/full", "w") as full:
            (folder / "config.json").write_text("{}")
            full.write("x" * 100_000)


@pytest.fixture
def backend_rows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put backends of this file in the place of the real ones."""

    def put(*kinds: type[Quantizer]) -> None:
        rows = {kind.name: Entry(f"{__name__}:{kind.__name__}", "for a test") for kind in kinds}
        registry: Registry[Any] = Registry("quantizer", rows)
        monkeypatch.setattr(candidates, "QUANTIZERS", registry)
        # The package's attribute of this name is the verb; its room is in sys.modules.
        monkeypatch.setattr(sys.modules["modelnook.quantize"], "QUANTIZERS", registry)

    return put


@pytest.mark.parametrize("ruined", [Ruin, NotNumbers])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_planted_collapse_is_refused(
    source: Path, tmp_path: Path, backend_rows: Any, ruined: type[Quantizer], labelled: bool
) -> None:
    backend_rows(ruined)
    with pytest.raises(RefusedError) as error:
        run(source, tmp_path / "out", rows=ROWS if labelled else {"text": ROWS["text"]})
    assert error.value.code == "quantize.refused"
    assert ("accuracy" if labelled else "agreement") in error.value.message
    assert "400 rows" in error.value.message
    assert "2 attempts" in error.value.message
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_the_next_attempt_is_tried(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Mended)
    result = run(source, tmp_path / "out")
    assert result.options == {"by": 1.0}
    assert [attempt["accepted"] for attempt in result.report["attempts"]] == [False, True]
    assert result.report["attempts"][0]["drop"] > 0.01


def test_a_collapse_of_one_backend_leaves_the_other(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Ruin, Copy)
    assert run(source, tmp_path / "out").backend == "copy"


def test_the_quickest_within_the_drop_is_taken(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Copy, Mended)
    rates = {"copy": 10.0, "mended": 900.0}

    def probe(path: Path, rows: list[str]) -> Probe:
        from dataclasses import replace

        rate = next((rate for name, rate in rates.items() if path.name.startswith(name)), 1.0)
        return replace(quick(path, rows), rows_per_s=rate, p50_ms=1.0)

    assert run(source, tmp_path / "out", probe=probe).backend == "mended"
    rates["copy"] = 1000.0
    assert run(source, tmp_path / "out", probe=probe).backend == "copy"


def test_auto_goes_on_where_one_backend_cannot(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Untraceable, Copy)
    events: list[Event] = []
    assert run(source, tmp_path / "out", events).backend == "copy"
    said = [event.message for event in events if isinstance(event, Warned)]
    assert "aten.odd" in said[0]
    with pytest.raises(UnsupportedError, match=r"aten\.odd"):
        run(source, tmp_path / "out", backend="untraceable")


def test_a_refusal_tells_what_could_not_be_tried(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Ruin, Untraceable)
    with pytest.raises(RefusedError) as caught:
        run(source, tmp_path / "out")
    part = " Not possible here: untraceable int8: BertForX can't be converted: aten.odd isn't supported."
    assert caught.value.message.endswith(part)
    backend_rows(Ruin)
    with pytest.raises(RefusedError) as caught:
        run(source, tmp_path / "out")
    assert "Not possible" not in caught.value.message


def test_a_full_disk_leaves_nothing(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    backend_rows(Full)
    with pytest.raises(StoreError, match="No space left"):
        run(source, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def test_a_stop_ends_between_attempts(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Ruin, Copy)
    probes: list[Path] = []

    def probe(path: Path, rows: list[str]) -> Probe:
        probes.append(path)
        return quick(path, rows)

    result = run(source, tmp_path / "out", probe=probe, stop=lambda: len(probes) > 1)
    assert result.stopped
    assert len(probes) == 2
    assert not (tmp_path / "out").exists()


def test_a_good_enough_one_is_kept_at_a_stop(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Copy, Mended)
    probes: list[Path] = []

    def probe(path: Path, rows: list[str]) -> Probe:
        probes.append(path)
        return quick(path, rows)

    result = run(source, tmp_path / "out", probe=probe, stop=lambda: len(probes) > 1)
    assert (result.backend, result.stopped) == ("copy", False)
    assert (tmp_path / "out" / "config.json").exists()


def test_the_report_says_before_and_after(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Copy)
    events: list[Event] = []
    report = run(source, tmp_path / "out", events).report
    for part in ("before", "after"):
        figures = report[part]
        assert {"bytes", "p50_ms", "p95_ms", "rows_per_s", "load_s", "peak_memory_bytes"} <= set(figures)
        low, high = figures["intervals"]["accuracy"]
        assert low <= figures["metrics"]["accuracy"] <= high
    assert (report["metric"], report["drop"], report["rows"]) == ("accuracy", 0.0, 400)
    # 400 rows can't tell a drop of one point from none.
    assert "quantize.few_rows" in [event.code for event in events if isinstance(event, Warned)]


@pytest.mark.parametrize(("backend", "code"), [("auto", "quantize.slower"), ("copy", "quantize.slower_named")])
def test_a_result_that_is_slower_says_so(
    source: Path, tmp_path: Path, backend_rows: Any, backend: str, code: str
) -> None:
    backend_rows(Copy)
    rates = iter((100.0, 50.0))
    events: list[Event] = []

    def probe(path: Path, rows: list[str]) -> Probe:
        from dataclasses import replace

        rate = next(rates)
        return replace(quick(path, rows), rows_per_s=rate, p50_ms=300 / rate)

    run(source, tmp_path / "out", events, probe=probe, backend=backend)
    (said,) = (event.message for event in events if isinstance(event, Warned) and event.code == code)
    assert "0.50 times the rows a second" in said
    assert "2.00 times as long as the original for a single row" in said


def test_a_result_that_is_larger_says_so(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Copy)
    sizes = iter((4_000_000, 5_500_000))
    events: list[Event] = []

    def probe(path: Path, rows: list[str]) -> Probe:
        from dataclasses import replace

        return replace(quick(path, rows), bytes=next(sizes))

    run(source, tmp_path / "out", events, probe=probe)
    (said,) = (event.message for event in events if isinstance(event, Warned) and event.code == "quantize.larger")
    assert "5.5 MB, before 4.0 MB" in said


def test_without_labels_a_much_smaller_attempt_that_was_refused_is_told_of(
    source: Path, tmp_path: Path, backend_rows: Any
) -> None:
    backend_rows(Mended)

    def probe(path: Path, rows: list[str]) -> Probe:
        from dataclasses import replace

        return replace(quick(path, rows), bytes=25_000_000 if path.name.endswith("-0") else 50_000_000)

    def told(rows: dict[str, list[str]]) -> tuple[list[str], float]:
        events: list[Event] = []
        result = run(source, tmp_path / f"out{len(rows)}", events, rows=rows, probe=probe)
        drop = result.report["attempts"][0]["drop"]
        return [e.message for e in events if isinstance(e, Warned) and e.code == "quantize.strict"], drop

    ((said,), drop) = told({"text": ROWS["text"]})
    assert said.startswith(f"mended int8 takes 25.0 MB, but answers otherwise on {100 * drop:.1f}% of the texts")
    assert float(said.rpartition("max_drop=")[2].strip(".")) == pytest.approx(drop, abs=0.001)
    assert told(ROWS)[0] == [], "labels say whether what changed is lost"


def test_words_that_are_off(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Copy)
    with pytest.raises(DataError):
        run(source, tmp_path / "out", rows={"text": []})
    with pytest.raises(DataError, match="eggs"):
        run(source, tmp_path / "out", rows={"text": ["a"], "label": ["eggs"]})
    with pytest.raises(UsageError, match="speed"):
        run(source, tmp_path / "out", metric="speed")
    with pytest.raises(UsageError, match="int8"):
        ways("auto", "int9")
    with pytest.raises(UsageError, match="copy"):
        ways("copi", "int8")


def test_many_rows_are_sampled(source: Path, tmp_path: Path, backend_rows: Any) -> None:
    backend_rows(Copy)
    rows = tiny_rows(4100, seed=2)
    report = run(source, tmp_path / "out", rows=rows).report
    assert report["rows"] == 4000


def test_the_real_backends_on_a_small_model(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    result = run(source, tmp_path / "out", max_drop=0.02)
    assert result.backend in QUANTIZERS
    assert result.report["after"]["metrics"]["accuracy"] >= result.report["before"]["metrics"]["accuracy"] - 0.02
    with pytest.raises(UnsupportedError, match="already quantized"):
        run(tmp_path / "out", tmp_path / "twice")


def test_where_the_exporters_of_two_stop_at_an_operation_it_is_named_and_auto_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    pytest.importorskip("torchao")
    import torch
    from transformers.models.bert.modeling_bert import BertPooler

    forward = BertPooler.forward

    def odd(self: Any, states: torch.Tensor) -> torch.Tensor:
        small = torch.linalg.eigvals(states[:, :2, :2]).real.sum(dim=-1, keepdim=True)
        return forward(self, states) + 0 * small

    monkeypatch.setattr(BertPooler, "forward", odd)
    result = run(source, tmp_path / "out", max_drop=0.02)
    assert result.backend not in ("onnx", "openvino")
    failed = {way.split()[0]: why for way, why in result.report["failed"].items()}
    assert {"onnx", "openvino"} <= set(failed)
    for backend in ("onnx", "openvino"):
        assert "linalg_eig" in failed[backend], failed


def test_outliers_in_every_layer_pass_where_the_worst_layers_stay_in_floats(source: Path, tmp_path: Path) -> None:
    """A model that computes the same as before, with activations that one scale can't hold: int8's true danger."""
    pytest.importorskip("onnxruntime")
    from safetensors.torch import load_file, save_file

    hard = tmp_path / "hard"
    shutil.copytree(source, hard)
    weights = load_file(hard / "model.safetensors")
    for layer in (0, 1):
        name = f"bert.encoder.layer.{layer}.attention"
        # Values pass attention unchanged in scale, so that what one matrix grows the next one shrinks again.
        weights[f"{name}.self.value.weight"][::8] *= 1e4
        weights[f"{name}.self.value.bias"][::8] *= 1e4
        weights[f"{name}.output.dense.weight"][:, ::8] /= 1e4
    save_file(weights, hard / "model.safetensors", metadata={"format": "pt"})
    result = run(hard, tmp_path / "out", backend="onnx", max_drop=0.01)
    attempts = result.report["attempts"]
    assert [attempt["options"] for attempt in attempts] == [
        {},
        {"static": True},
        {"keep": 0.25},
    ]
    assert [attempt["accepted"] for attempt in attempts] == [False, False, True]
    assert all(attempt["drop"] > 0.2 for attempt in attempts[:2])
    assert result.options == attempts[-1]["options"]
    assert result.report["drop"] <= 0.01
    assert config(tmp_path / "out")["modelnook_quantization"] == {
        "backend": "onnx",
        "scheme": "int8",
        **result.options,
    }


def test_auto_without_a_budget_tries_every_way_of_this_machine(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raced: list[int] = []
    # However far one is ahead on this machine: several run in turns.
    monkeypatch.setattr(candidates, "FAR", 0.0)

    def in_turns(paths: list[Path], rows: list[Any]) -> list[Speed]:
        raced.append(len(paths))
        return race(paths, rows, seconds=0.05)

    rows = {role: values[:100] for role, values in ROWS.items()}
    report = run(source, tmp_path / "out", scheme="auto", rows=rows, max_drop=0.05, race=in_turns).report
    tried = {f"{attempt['backend']} {attempt['scheme']}" for attempt in report["attempts"]}
    assert not tried & set(report["failed"])
    assert tried | set(report["failed"]) == {" ".join(way) for way in ways("auto", "auto", "text-classification")}
    assert (report["untried"], report["spared"]) == ([], [])
    assert len([attempt for attempt in report["attempts"] if attempt["accepted"]]) >= 2
    assert raced
    assert raced[0] >= 2
