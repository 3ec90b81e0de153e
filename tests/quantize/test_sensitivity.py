"""Which layers are left in higher precision: the one with outliers first, and what each backend leaves it as."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from modelnook.quantize import QUANTIZERS
from modelnook.quantize.sensitivity import by_sensitivity, worst
from modelnook.runtime.folder import max_length
from modelnook.runtime.transformers import load_trained
from modelnook.testing.models import tiny_model, tiny_rows

TASK = "text-classification"
TEXTS = tiny_rows(24, seed=6)["text"]
LAYER = "bert.encoder.layer.1.attention.output.dense"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random classifier that gives what it gave, in which the inputs of one layer have outliers."""
    folder = tiny_model(tmp_path_factory.mktemp("sensitivity") / "source", ("ham", "spam"))
    _, model, tokenizer = load_trained(folder, TASK)
    attention = model.bert.encoder.layer[1].attention
    with torch.no_grad():
        # Attention passes values on in their own scale: what one matrix makes larger the next makes smaller.
        attention.self.value.weight[::8] *= 1e4
        attention.self.value.bias[::8] *= 1e4
        attention.output.dense.weight[:, ::8] /= 1e4
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@cache
def backend(name: str) -> Any:
    """One instance for all of a backend's attempts, as ``compress`` has it: the model is traced once."""
    return QUANTIZERS.load(name)()


def made(name: str, source: Path, target: Path, **options: Any) -> Path:
    rest = {"task": TASK, "calibration": TEXTS, "emit": lambda event: None}
    backend(name).quantize(source, target, "int8", **rest, **options)
    return target


def kept(source: Path, share: float = 0.25) -> list[str]:
    heavy, model, tokenizer = load_trained(source, TASK)
    return worst(heavy, model, tokenizer, TEXTS, max_length(source), share=share)


def test_the_layer_with_outliers_is_the_worst(source: Path) -> None:
    heavy, model, tokenizer = load_trained(source, TASK)
    ranked = by_sensitivity(heavy, model, tokenizer, TEXTS, max_length(source))
    assert ranked[0][0] == LAYER
    assert ranked[0][1] > 10 * ranked[1][1]
    assert len(ranked) == sum(isinstance(module, torch.nn.Linear) for module in model.modules())
    assert [error for _, error in ranked] == sorted((error for _, error in ranked), reverse=True)
    assert kept(source, 0.01) == [LAYER]
    assert kept(source) == [name for name, _ in ranked[: round(0.25 * len(ranked))]]
    assert not any(module._forward_pre_hooks for module in model.modules()), "nothing watches on"


@pytest.mark.slow
def test_onnx_leaves_it_a_product_of_floats(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    weights = {}
    for name, options in (("all", {}), ("careful", {"keep": 0.25})):
        program = onnx_program(made("onnx", source, tmp_path / name, **options))
        weights[name] = float_products(program)
    assert weights["all"] == 0
    assert weights["careful"] == len(kept(source))


@pytest.mark.slow
def test_a_scale_a_channel_is_one_for_each_output(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    sizes = {}
    for name, options in (("tensor", {"per_channel": False}), ("channel", {})):
        program = onnx_program(made("onnx", source, tmp_path / name, **options))
        scales = [one for one in program.graph.initializer if one.name.endswith("_scale")]
        sizes[name] = {tuple(one.dims) for one in scales}
    assert all(shape in ((), (1,)) for shape in sizes["tensor"])
    assert {(32,), (64,)} <= sizes["channel"]


@pytest.mark.slow
def test_openvino_leaves_it_a_product_of_floats(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    counts = {
        name: quantized_products(made("openvino", source, tmp_path / name, **options))
        for name, options in (("all", {}), ("careful", {"keep": 0.25}))
    }
    assert counts["careful"] == counts["all"] - len(kept(source))


@pytest.mark.parametrize("name", ["quanto", "torchao"])
@pytest.mark.slow
def test_in_pytorch_its_weight_is_plain(name: str, source: Path, tmp_path: Path) -> None:
    if QUANTIZERS[name].missing:
        pytest.skip(f"needs {QUANTIZERS[name].missing}")
    _, whole, _ = load_trained(made(name, source, tmp_path / "all"), TASK)
    _, careful, _ = load_trained(made(name, source, tmp_path / "careful", keep=0.25), TASK)
    plain = {name for name, module in careful.named_modules() if is_plain(module)}
    assert plain - {name for name, module in whole.named_modules() if is_plain(module)} == set(kept(source))
    _, original, _ = load_trained(source, TASK)
    assert torch.equal(careful.get_submodule(LAYER).weight, original.get_submodule(LAYER).weight)


def is_plain(module: torch.nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return (
        isinstance(module, torch.nn.Linear) and type(weight) is torch.nn.Parameter and type(weight.data) is torch.Tensor
    )


def onnx_program(folder: Path) -> Any:
    import onnx

    return onnx.load(str(folder / "model.onnx"))


def float_products(program: Any) -> int:
    """How many products multiply by a weight in floats."""
    floats = {one.name for one in program.graph.initializer if one.data_type == 1 and len(one.dims) == 2}
    return sum(node.op_type in ("MatMul", "Gemm") and bool(floats & {*node.input}) for node in program.graph.node)


def quantized_products(folder: Path) -> int:
    """How many products of an OpenVINO program multiply by a weight in eight bits."""
    import openvino

    found = 0
    for op in openvino.Core().read_model(str(folder / "openvino_model.xml")).get_ordered_ops():
        if op.get_type_name() != "MatMul":
            continue
        for port in op.inputs():
            node = port.get_source_output().get_node()
            while node.get_type_name() in ("Transpose", "Convert", "Reshape", "Multiply", "Subtract"):
                node = node.input(0).get_source_output().get_node()
            if node.get_type_name() == "Constant" and node.get_element_type().to_string() in ("i8", "u8"):
                found += 1
    return found
