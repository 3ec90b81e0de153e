"""What a folder's files say, batches, layers: without loading a weight."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.errors import NotFoundError, UnsupportedError
from modelnook.runtime import pick
from modelnook.runtime.batches import auto_tokens, plan, room
from modelnook.runtime.folder import formats, labels, max_length, needs_card, quantized, task_of
from modelnook.store.files import folder_bytes
from modelnook.testing.models import tiny_model


def folder(path: Path, config: dict[str, Any] | None, *names: str) -> Path:
    path.mkdir(exist_ok=True)
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    for name in names:
        (path / name).write_bytes(b"\0" * 10)
    return path


def test_the_quickest_format_is_picked(tmp_path: Path) -> None:
    assert pick(folder(tmp_path / "a", {}, "model.safetensors")) == "transformers"
    assert pick(folder(tmp_path / "b", {}, "model.safetensors", "model.onnx")) == "onnx"
    ao = {"quantization_config": {"quant_method": "torchao"}}
    assert pick(folder(tmp_path / "c", ao, "model.safetensors")) == "transformers"
    assert formats(tmp_path / "c") == ("torchao",)
    assert quantized(tmp_path / "c") == "torchao"
    assert quantized(tmp_path / "a") is None


def test_a_program_is_not_read_through_to_say_that_it_holds_no_floats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have gigabytes, and a card asks."""
    import modelnook.runtime.folder as module

    monkeypatch.setattr(module, "_mentions", lambda path, words: pytest.fail(f"{path} was read"))
    assert module.without_floats(folder(tmp_path / "a", {}, "model.onnx")) == "onnx"
    assert module.without_floats(folder(tmp_path / "b", {}, "openvino_model.xml")) == "openvino"


def test_an_openvino_program_is_no_pickle(tmp_path: Path) -> None:
    from modelnook.catalog.folder import describe

    made = folder(tmp_path / "a", {}, "openvino_model.xml", "openvino_model.bin")
    assert pick(made) == "openvino"
    assert formats(made) == ("openvino",)
    assert describe(made, ref="", id="a", source="local").risks == ()
    assert quantized(made) is None
    (made / "openvino_model.xml").write_text('<layer type="Const"><data element_type="i8"/></layer>')
    assert quantized(made) == "openvino"
    beside = folder(tmp_path / "b", {}, "openvino_model.xml", "openvino_model.bin", "pytorch_model.bin")
    assert formats(beside) == ("openvino", "pickle")
    assert "pytorch_model.bin" in describe(beside, ref="", id="b", source="local").risks[0].message


@pytest.mark.parametrize(
    ("quant_type", "needs"),
    [
        ({"default": {"_type": "Int4WeightOnlyConfig", "_data": {"int4_packing_format": "tile_packed_to_4d"}}}, True),
        ({"default": {"_type": "Int4WeightOnlyConfig", "_data": {"int4_packing_format": "plain"}}}, False),
        ({"default": None}, False),
        ("int4_weight_only", False),
        (None, False),
    ],
)
def test_weights_that_are_packed_for_a_gpu_are_known_by_the_config(
    tmp_path: Path, quant_type: Any, needs: bool
) -> None:
    said = {"quantization_config": {"quant_method": "torchao", "quant_type": quant_type}}
    assert needs_card(folder(tmp_path, said, "model.safetensors")) is needs
    assert not needs_card(folder(tmp_path / "plain", {}, "model.safetensors"))


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "quanto", "torchao"])
def test_weights_of_a_package_are_named_by_it(tmp_path: Path, method: str) -> None:
    said = {"quantization_config": {"quant_method": method}}
    if method == "quanto":
        said = {"modelnook_quantization": {"backend": "quanto", "scheme": "int8"}}
    made = folder(tmp_path, said, "model.safetensors")
    assert formats(made) == (method,)
    assert pick(made) == "transformers"
    assert quantized(made) == (method if method != "quanto" else "quanto-int8")


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"config\.json"):
        pick(tmp_path / "nowhere")
    with pytest.raises(UnsupportedError, match="pickle"):
        pick(folder(tmp_path / "a", {}, "pytorch_model.bin"))
    with pytest.raises(UnsupportedError, match="No weights"):
        pick(folder(tmp_path / "b", {}))


def test_a_foreign_int8_program_is_known_by_its_operations(tmp_path: Path) -> None:
    made = folder(tmp_path, {}, "model.onnx")
    # Across the border of two pieces that are read one after the other.
    (made / "model.onnx").write_bytes(b"x" * ((1 << 20) - 6) + b"MatMulInteger" + b"x" * 100)
    assert quantized(made) == "onnx"


@pytest.mark.parametrize(
    ("config", "tokenizer", "expected"),
    [
        ({"max_position_embeddings": 512}, {"model_max_length": 128}, 128),
        ({"max_position_embeddings": 514, "model_type": "roberta", "pad_token_id": 1}, {}, 512),
        ({}, {"model_max_length": 1000000000000000019884624838656}, 512),
        ({"n_positions": 1024}, None, 1024),
    ],
)
def test_the_longest_text(tmp_path: Path, config: Any, tokenizer: Any, expected: int) -> None:
    folder(tmp_path, config)
    if tokenizer is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    assert max_length(tmp_path) == expected


def test_labels_and_task() -> None:
    assert labels({"id2label": {"10": "k", "2": "c", "0": "a"}}) == ["a", "c", "k"]
    assert labels({}) == []
    assert task_of({"architectures": ["BertForSequenceClassification"]}) == "text-classification"
    assert task_of({"architectures": ["BertModel"]}) is None


def test_every_file_counts(tmp_path: Path) -> None:
    folder(tmp_path, None, "a", "b")
    folder(tmp_path / "deeper", None, "c")
    assert folder_bytes(tmp_path) == 30


def test_batches_are_as_large_as_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model(tmp_path)
    lengths = [10, 9, 40, 3]
    assert plan(lengths, batch_size=4, tokens=lambda: 10**9) == plan(lengths, batch_size=4) == [[2, 0, 1, 3]]
    assert plan(lengths, batch_size=4, tokens=lambda: 20) == [[2], [0, 1], [3]], "a longer row comes alone"
    left, two = room(tmp_path), room(tmp_path, beside=2)
    monkeypatch.setattr("modelnook.runtime.batches.free_here", lambda: 10**6)
    little = left() or 0
    assert two() == little // 2
    monkeypatch.setattr("modelnook.runtime.batches.free_here", lambda: 10**9)
    assert 100 < little * 100 < (left() or 0)
    monkeypatch.setattr("modelnook.runtime.batches.free_here", lambda: None)
    assert left() is None


def test_threads_share_memory_only_where_batches_run_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.runtime import program

    class Program(program.ProgramRuntime):
        name, formats, program = "program", (), "program.bin"

        def _run(self, feeds: list[program.Feed]) -> Any:
            return []

        def close(self) -> None:
            """Nothing is held."""

    shared = []
    monkeypatch.setattr(program, "room", lambda path, beside: shared.append(beside))
    (tiny_model(tmp_path) / "program.bin").write_bytes(b"x" * 100)
    Program(tmp_path, threads=16)
    Program(tmp_path, threads=1)
    monkeypatch.setattr(program, "MOST_BYTES_TWICE", 50)
    Program(tmp_path, threads=16)
    assert shared == [16, 2, 2]


def test_one_text_does_not_wait_for_how_much_memory_is_free() -> None:
    asked = []

    def tokens() -> int:
        asked.append(1)
        return 10

    assert plan([7], tokens=tokens) == plan([7], batch_size=32, tokens=tokens) == [[0]]
    assert plan([7, 9], batch_size=1, tokens=tokens) == [[1], [0]]
    assert not asked
    assert plan([7, 9], tokens=tokens) == [[1], [0]]
    assert asked


def test_batches_hold_every_row_once() -> None:
    lengths = [5, 1, 9, 9, 2, 130, 7, 7, 600, 1]
    for size in ("auto", 1, 3, 100):
        batches = plan(lengths, batch_size=size)
        assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in plan(lengths * 20):
        assert len(batch) == 1 or len(batch) * max((lengths * 20)[row] for row in batch) <= auto_tokens
    assert plan(lengths, batch_size=4, sort=False)[0] == [0, 1, 2, 3]
    assert plan([]) == []


def test_picking_and_the_registry_import_nothing_heavy() -> None:
    code = (
        "import sys; from modelnook.runtime import pick, RUNTIMES; from modelnook.quantize import QUANTIZERS, SCHEMES;"
        "from modelnook.runtime.folder import max_length; list(RUNTIMES); QUANTIZERS.available();"
        "print([m for m in ('numpy', 'torch', 'transformers', 'onnxruntime', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_layer_tree_folds_repeats() -> None:
    torch = pytest.importorskip("torch")
    from modelnook.runtime.layers import module_tree

    stack = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)), torch.nn.Linear(4, 2))
    text = module_tree(stack)
    assert "3 x Linear(in_features=4, out_features=4, bias=True)" in text
    assert text.splitlines()[0].split() == ["Sequential", "70"]
