"""The plan: what was given is kept, what was left open fits the data; unreadable texts stop it."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import modelnook
from modelnook.domain.errors import DataError, UsageError
from modelnook.finetune.choice import choose_method
from modelnook.finetune.lengths import Lengths, measure_lengths
from modelnook.finetune.plan import plan, plan_for
from modelnook.measure.effort import EVALUATION, Shape
from modelnook.measure.memory import need
from modelnook.tasks import TASKS
from modelnook.testing.models import tiny_model

SHORT = Lengths(tuple(range(6, 26)), 0.0, 512)
LONG = Lengths(tuple(range(100, 1100, 10)), 0.0, 512)


MINILM = Shape(22_700_000, 11_720_000, 30_522, 6, 384, 1536, 12, 6 * 6912)


def made(**more: Any) -> Any:
    values: dict[str, Any] = {"lengths": SHORT, "rows": 2000, "classes": 5, "parameters": 22_000_000}
    return plan(**{**values, **more})


def test_what_a_person_gave_is_kept() -> None:
    found = made(epochs=7, learning_rate=1e-3, batch_size=4, max_length=9, method="lora")
    assert (found.epochs, found.learning_rate, found.batch_size, found.max_length) == (7, 1e-3, 4, 9)
    assert found.method == "lora"
    assert found.steps == 7 * 500


@pytest.mark.parametrize(
    "wrong", [{"epochs": -1}, {"epochs": 0}, {"learning_rate": "fast"}, {"batch_size": 0}, {"max_length": 1}]
)
def test_a_value_out_of_its_range_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        made(**wrong)
    assert caught.value.code == "train.bad_number"
    assert str(next(iter(wrong.values()))) in caught.value.message


def test_an_unknown_size_is_an_error() -> None:
    with pytest.raises(UsageError, match="quick, balanced, best"):
        made(size="huge")


def test_short_texts_fit_whole_and_long_ones_are_cut_and_that_is_said() -> None:
    assert made().max_length >= 25
    assert made().warnings == ()
    found = made(lengths=LONG)
    assert found.max_length < 512
    assert [w.code for w in found.warnings] == ["train.truncated"]
    assert found.tokens_lost == pytest.approx(LONG.lost(found.max_length))


def test_a_long_row_that_is_read_in_parts_is_as_many_steps() -> None:
    four = Lengths((500,) * 9, 0.0, 512)
    found = made(lengths=four, rows=320, max_length=128, windows=True, shape=MINILM, pace=1e10)
    assert (found.rows, found.tokens_lost) == (320, 0.0)
    assert found.steps == found.epochs * 4 * 20
    alike = made(lengths=Lengths((125,) * 9, 0.0, 512), rows=1280, max_length=128, shape=MINILM, pace=1e10)
    assert (found.epochs, found.steps) == (alike.epochs, alike.steps), "as rows of that length"
    assert found.expected == pytest.approx(alike.expected, rel=0.01)


@pytest.mark.parametrize("lengths", [SHORT, LONG])
def test_the_size_is_the_one_dial(lengths: Lengths) -> None:
    quick, balanced, best = (made(lengths=lengths, size=size) for size in ("quick", "balanced", "best"))
    assert quick.steps <= balanced.steps <= best.steps
    assert quick.max_length <= balanced.max_length <= best.max_length
    assert quick.steps < best.steps


def test_more_rows_need_fewer_epochs() -> None:
    assert made(rows=200).epochs > made(rows=20_000).epochs >= 1


def test_the_model_sets_the_limit() -> None:
    assert made(lengths=Lengths((600,) * 9, 0.0, 64), size="best").max_length == 64


def test_the_method_follows_from_memory_and_size() -> None:
    def chosen(parameters: int, memory_free: int | None, wanted: str = "auto") -> tuple[str, str]:
        return choose_method(need=need(parameters), parameters=parameters, memory_free=memory_free, wanted=wanted)

    assert chosen(22_000_000, 16 << 30)[0] == "full"
    method, reason = chosen(400_000_000, 4 << 30)
    assert method == "lora"
    assert "GB" in reason
    assert chosen(2_000_000_000, None)[0] == "lora"
    assert chosen(1, 1, "full")[0] == "full"


def test_four_bits_are_for_a_gpu_that_lora_does_not_fit() -> None:
    def chosen(gpu: bool, methods: tuple[str, ...] = ("full", "lora", "qlora")) -> tuple[str, str]:
        wants = need(1_000_000_000)
        return choose_method(need=wants, parameters=10**9, memory_free=4 << 30, methods=methods, gpu=gpu)

    method, reason = chosen(gpu=True)
    assert method == "qlora"
    assert "GPU" in reason
    assert chosen(gpu=False)[0] == "lora"
    assert chosen(gpu=True, methods=("full", "lora"))[0] == "lora"


def test_quick_trains_the_last_layers_where_the_task_allows_it() -> None:
    assert made(size="quick").method == "last-k"
    assert made(size="quick", methods=("full", "lora")).method == "full"
    assert made().method == "full"
    assert made(size="quick", method="full").method == "full"


@pytest.mark.parametrize(("layers", "method"), [(1, "full"), (3, "last-k")])
def test_quick_trains_all_of_a_model_of_one_layer(tmp_path: Path, layers: int, method: str) -> None:
    rows = {"text": ["the dog", "free money"] * 40, "label": ["ham", "spam"] * 40}
    base = tiny_model(tmp_path / "m", layers=layers)
    planned = plan_for(TASKS.load("text-classification", light=True)(), base, rows, knobs={"size": "quick"})
    assert (planned.method, "quick was asked for" in planned.reason) == (method, True)


def test_few_rows_a_class_are_paired() -> None:
    many = ("full", "lora", "last-k", "few-shot")
    assert made(rows=60, methods=many).method == "few-shot"
    assert made(rows=60).method == "full"
    assert made(rows=600, methods=many).method == "full"


def test_a_layer_more_is_counted_where_one_is_put_on() -> None:
    for method, more in (("few-shot", True), ("last-k", True), ("full", False), ("lora", False)):
        values: dict[str, Any] = {"method": method, "shape": MINILM, "pace": 1e11, "rows": 40, "methods": [method]}
        without, averaged = made(**values), made(**values, averaged=True)
        assert (averaged.memory > without.memory) is more, method
        assert (averaged.expected > without.expected) is more, method


def test_many_classes_take_larger_steps() -> None:
    assert made(classes=150).learning_rate > 2 * made(classes=5).learning_rate
    assert made(classes=2).learning_rate == made(classes=6).learning_rate


def test_a_length_above_the_models_is_capped_and_said() -> None:
    found = made(max_length=1024)
    assert found.max_length == 512
    assert [w.code for w in found.warnings] == ["train.length_capped"]


def test_texts_that_the_vocabulary_cannot_read(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    assert measure_lengths(folder, ["the dog and the cat"] * 9).unknown == 0.0
    some = measure_lengths(folder, ["the dog and the cat and the sun 猫"] * 9)
    assert 0.05 < some.unknown < 0.5
    assert [w.code for w in made(lengths=some).warnings] == ["train.some_unknown"]
    none = measure_lengths(folder, ["房间很干净 服务也好"] * 9)
    assert none.unknown == 1.0
    with pytest.raises(DataError) as caught:
        made(lengths=none)
    assert caught.value.code == "train.unknown_tokens"
    assert "Chinese" in caught.value.hint


@pytest.mark.real
def test_minilm_reads_no_chinese_and_that_is_said_before_training(minilm: Path, shared_data: Path) -> None:
    """A quarter of the characters of real hotel reviews are in its vocabulary."""
    with next((shared_data / "chnsenticorp-htl").glob("*.csv")).open(encoding="utf-8") as file:
        rows = [{"text": row["review"], "label": row["label"]} for row in csv.DictReader(file)][::20]
    with pytest.raises(DataError, match=r"^[5-9]\d% of the texts' tokens are unknown") as caught:
        modelnook.finetune(str(minilm), rows)
    assert caught.value.code == "train.unknown_tokens"
    [run] = modelnook.runs()
    assert (run.state, run.folder.series.total()) == ("failed", 0), "before the first step"
    english = "we have stayed here for three nights, the room was clean and everybody was kind and helpful to us, "
    mixed = [{**row, "text": english * 3 + row["text"][:40]} for row in rows]
    said = modelnook.finetune(str(minilm), mixed, dry_run=True).warnings
    assert [w for w in said if "unknown to this model's vocabulary" in str(w)]


def test_lengths_count_special_tokens_and_survive_odd_values(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    found = measure_lengths(folder, ["the dog", "", None, float("nan"), 3, "x" * 1_000_000])
    assert found.counts[:3] == (2, 2, 2)
    assert found.limit == 64


@pytest.mark.parametrize("rows", [1999, 2000, 3999, 5999])
def test_lengths_are_those_of_texts_from_all_over_the_table(tmp_path: Path, rows: int) -> None:
    """Tables are often sorted: here the last third are the long ones."""
    folder = tiny_model(tmp_path / "m")
    texts = ["the"] * (rows - rows // 3) + ["the dog and the cat"] * (rows // 3)
    found = measure_lengths(folder, texts)
    assert len(found.counts) == min(rows, 2000)
    assert sum(count > 3 for count in found.counts) / len(found.counts) == pytest.approx(1 / 3, abs=0.01)


def test_without_a_tokenizer_file_lengths_are_guessed(tmp_path: Path) -> None:
    found = measure_lengths(tmp_path, ["12345678", "房间很干净"])
    assert found.counts == (4, 7)


def test_the_plan_imports_nothing_heavy() -> None:
    code = (
        "import sys, modelnook.finetune.plan, modelnook.finetune.engine, modelnook.finetune.script;"
        "print([m for m in ('torch', 'transformers', 'numpy', 'pandas', 'peft') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_patience_comes_with_the_plans_own_epochs() -> None:
    assert made().patience == made(size="best").patience == 3
    assert made(method="head").patience > made().patience
    assert made(epochs=7).patience == 0, "what a person gave is done to its end"
    assert made(epochs=7, patience=2).patience == made(patience=2).patience == 2
    assert made(patience=0).patience == 0


def test_each_knob_that_was_given_is_kept() -> None:
    found = made(warmup=0.0, weight_decay=0.3)
    assert (found.warmup, found.weight_decay) == (0.0, 0.3)
    assert {"warmup", "weight_decay", "patience"} <= set(found.knobs())


def test_a_setting_of_few_methods_chooses_one_of_them() -> None:
    many = ("full", "lora", "last-k", "few-shot")
    for own, method in ({"dropout": 0.2}, "lora"), ({"layers": 3}, "last-k"), ({"mix": 0.2}, "few-shot"):
        found = made(own=own, methods=many)
        assert found.method == method
        assert next(iter(own)) in found.reason


def test_the_time_is_told_with_a_range_where_the_pace_is_known() -> None:
    assert made().seconds is None
    found = made(shape=MINILM, pace=1e11)
    low, high = found.seconds
    assert 0 < low < found.expected < high
    slower = made(shape=MINILM, pace=1e10)
    assert slower.seconds[1] > 3 * high
    assert made(shape=MINILM, pace=1e11, epochs=30).seconds[1] > high
    early, late = (made(shape=MINILM, pace=1e10, patience=patience, rows=200).seconds for patience in (3, 0))
    assert early[0] < late[0], "it may end early"


def test_a_budget_of_time_chooses_a_quicker_method_and_is_named() -> None:
    many = ("full", "lora", "head", "last-k")
    values = {"shape": MINILM, "pace": 2e10, "rows": 20_000, "methods": many}
    assert made(**values).method == "full"
    free = made(**values).expected
    assert made(**values, budget=2 * free).method == "full"
    quicker = made(**values, budget=0.6 * free)
    assert quicker.method == "last-k"
    assert "s are given" in quicker.reason
    assert made(**values, budget=0.001 * free).method == "head", "the quickest, where none fits"
    assert made(**values, budget=0.001 * free, method="full").method == "full", "what was asked for is done"
    assert made(**{**values, "methods": ("full", "lora")}, budget=1.0).method == "full", "none is quicker"
    assert made(**values, budget=1.0).seconds[1] < 20


def test_a_batch_that_memory_does_not_hold_goes_through_in_parts() -> None:
    """On a CPU the system kills who takes too much, so that nothing could be tried again."""
    values: dict[str, Any] = {"shape": MINILM, "lengths": LONG, "max_length": 512, "batch_size": 64, "method": "full"}
    whole = made(**values)
    assert (whole.micro, whole.batch_size) == (64, 64)
    found = made(**values, memory_free=int(0.6 * whole.memory))
    assert 1 <= found.micro < 64
    assert (found.batch_size, found.steps) == (64, whole.steps)
    assert found.memory < 0.6 * whole.memory
    assert [w.code for w in found.warnings if "batch" in w.code] == ["train.smaller_batch"]
    none = made(**values, memory_free=10_000_000)
    assert "train.short_memory" in {w.code for w in none.warnings}
    assert made(**values, memory_free=int(0.6 * whole.memory), on_cpu=False).micro == 64, "a GPU says it itself"


def test_full_is_chosen_by_the_parts_in_which_it_would_be_trained() -> None:
    values: dict[str, Any] = {"shape": MINILM, "lengths": LONG, "max_length": 512, "batch_size": 64}
    whole = made(**values)
    assert whole.method == "full"
    found = made(**values, memory_free=int(0.9 * whole.memory))
    assert found.method == "full"
    assert found.micro < 64
    assert found.memory <= 0.9 * found.memory_free
    assert "train.smaller_batch" in {w.code for w in found.warnings}
    # Where the weights and what AdamW keeps of them are too much by themselves, parts don't help.
    assert made(**values, memory_free=900_000_000).method == "lora"
    lora = made(**values, memory_free=int(0.9 * whole.memory), on_cpu=False)
    assert lora.method == "full", "a GPU's need is a rough one, by the model's size"


def test_rows_that_validate_go_through_in_parts_as_well() -> None:
    """A head trains next to nothing, and evaluating is what takes the memory."""
    big = replace(MINILM, parameters=300_000_000, layers=24, width=1024, inner=4096)
    values: dict[str, Any] = {
        "shape": big, "lengths": LONG, "max_length": 512, "batch_size": 8, "method": "head", "held_out": 500,
    }  # fmt: skip
    whole = made(**values)
    assert whole.checks == EVALUATION
    found = made(**values, memory_free=int(whole.memory / 0.95))
    assert 512 <= found.checks < EVALUATION
    assert (found.micro, found.batch_size) == (8, 8), "what is trained on fits"
    assert found.memory < whole.memory
    flat = {**values, "shape": replace(big, layers=1), "method": "full", "batch_size": 64}
    least = made(**flat, memory_free=1_000_000_000)
    assert least.micro == 1
    assert 512 <= least.checks <= 2048, "both, where both are too large"


def test_a_plan_of_another_version_is_read() -> None:
    found = made(shape=MINILM, pace=1e11)
    again = type(found).from_dict({**found.to_dict(), "from_the_future": 1})
    assert again.seconds == found.seconds
    assert again.memory == found.memory
