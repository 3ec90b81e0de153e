"""Four bits: what is held so and what isn't, what is saved, where it is refused, the plain script."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

import modelnook as mn
from modelnook.domain.dataset import DatasetRef
from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.finetune.engine import fit
from modelnook.finetune.script import code
from modelnook.measure.memory import need
from modelnook.tasks import TASKS
from modelnook.testing.models import tiny_model, tiny_prompts, tiny_rows, tiny_writer

# Found, not imported: that takes seconds, and collecting the tests imports this file.
pytestmark = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")


def prepared(folder: Path, task: str, rows: dict[str, list[Any]]) -> tuple[Any, Any, Any]:
    from modelnook.finetune.qlora import QLora

    torch.manual_seed(0)
    made = TASKS.load(task)(TASKS.load(task, light=True)().labels(rows))
    model, tokenizer = made.load(str(folder))
    return made, QLora().prepare(model, made), tokenizer


def in_four_bits(model: Any) -> list[str]:
    import bitsandbytes

    return [name for name, m in model.named_modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]


def test_the_body_of_a_writer_is_in_four_bits_and_its_output_layer_is_not(tmp_path: Path) -> None:
    _, model, _ = prepared(tiny_writer(tmp_path / "base"), "text-generation", tiny_prompts(8))
    names = in_four_bits(model)
    assert names
    assert not any("head" in name or "embed" in name for name in names)
    layer = model.get_submodule(names[0])
    assert layer.weight.dtype == torch.uint8
    assert layer.weight.quant_state.quant_type == "nf4"
    assert layer.weight.quant_state.nested, "the scales are quantized as well"
    assert layer.weight.nbytes == layer.in_features * layer.out_features // 2
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)


def test_the_head_of_a_classifier_is_trained_in_float32(tmp_path: Path) -> None:
    _, model, _ = prepared(tiny_model(tmp_path / "base"), "text-classification", tiny_rows(8))
    assert all("classifier" not in name and "pooler" not in name for name in in_four_bits(model))
    trained = {name: p.dtype for name, p in model.named_parameters() if p.requires_grad}
    assert any("classifier" in name for name in trained)
    assert set(trained.values()) == {torch.float32}


def test_what_is_saved_is_what_was_trained(tmp_path: Path) -> None:
    from modelnook.finetune.qlora import merged

    _, model, _ = prepared(tiny_writer(tmp_path / "base"), "text-generation", tiny_prompts(8))
    name = in_four_bits(model)[0].removesuffix(".base_layer")
    layer = model.get_submodule(name)
    with torch.no_grad():
        for parameter in (p for n, p in layer.named_parameters() if "lora_B" in n):
            parameter.normal_()
    rows = torch.randn(5, layer.in_features, device=layer.weight.device)
    layer.eval()
    with torch.inference_mode():
        torch.testing.assert_close(merged(layer)(rows), layer(rows), rtol=1e-4, atol=1e-4)


def test_a_cpu_is_refused_before_anything_starts(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    base, rows = tiny_model(tmp_path / "base"), tiny_rows(32)
    table = [{"text": x, "label": y} for x, y in zip(rows["text"], rows["label"], strict=True)]
    with pytest.raises(UnsupportedError, match="NVIDIA GPU") as caught:
        mn.finetune(str(base), table, method="qlora")
    assert "lora" in caught.value.hint
    assert not len(mn.runs())
    columns: Any = rows
    recipe = Recipe("finetune", "local:base", task="text-classification", method="qlora", threads=1)
    with pytest.raises(UnsupportedError, match="NVIDIA GPU"):
        fit(recipe, base, columns, columns, tmp_path / "out", tmp_path / "checkpoints", lambda event: None)


def test_images_are_refused_by_name(tmp_path: Path) -> None:
    rows = [{"image": "./a.png", "label": "cat"}]
    with pytest.raises(UsageError, match="'qlora' isn't supported for image-classification"):
        mn.finetune(str(tiny_model(tmp_path / "base")), rows, task="image-classification", method="qlora")


def test_it_needs_less_memory_than_lora() -> None:
    wants = need(1_000_000_000)
    assert wants.qlora < wants.lora - 2 * 10**9
    assert wants.of("qlora") == wants.qlora
    assert wants.of("rslora") == wants.lora
    assert wants.of("few-shot") == wants.full


@pytest.mark.parametrize("task", ["text-classification", "text-generation", "text2text-generation"])
def test_the_script_loads_in_four_bits_and_merges(tmp_path: Path, task: str) -> None:
    import pyarrow as pa

    rows = {
        "text-classification": tiny_rows(8),
        "text-generation": tiny_prompts(8),
        "text2text-generation": {"source": ["a"] * 8, "target": ["b"] * 8},
    }[task]
    (tmp_path / "data" / "f").mkdir(parents=True)
    table = pa.table(rows)
    with (
        pa.OSFile(str(tmp_path / "data" / "f" / "data.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as out,
    ):
        out.write_table(table)
    data = DatasetRef("f", 8, {name: name for name in rows})
    recipe = Recipe("finetune", "local:base", data=data, task=task, method="qlora", name="tiny")
    params = {"method": "qlora", "epochs": 1, "learning_rate": 1e-4, "batch_size": 8, "max_length": 16}
    record = RunRecord("run1", "tiny", "finetune", "finished", params=params)
    text = code(recipe, record, tiny_model(tmp_path / "base"), tmp_path / "data", tmp_path)
    ast.parse(text)
    assert 'bnb_4bit_quant_type="nf4"' in text
    assert "quantization_config=four_bits" in text
    assert "LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=layers" in text
    assert "model.unload().dequantize(torch.float32)" in text


@pytest.mark.slow
def test_nothing_is_fetched_when_bitsandbytes_is_imported(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    (tmp_path / "kernels.py").write_text(
        f"def get_kernel(*a, **k):\n    open({str(asked)!r}, 'w')\n    raise OSError\n"
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from modelnook.finetune.lora import nothing_downloaded\n"
        "with nothing_downloaded():\n    import bitsandbytes\n"
        "import kernels\nassert kernels.get_kernel\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert not asked.exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_on_a_gpu(tmp_path: Path) -> None:
    rows = tiny_prompts(96)
    table = [{"prompt": p, "completion": c} for p, c in zip(rows["prompt"], rows["completion"], strict=True)]
    run = mn.finetune(str(tiny_writer(tmp_path / "base")), table, method="qlora", epochs=3, learning_rate=3e-3)
    assert run.state == "finished"
    assert run.metrics["loss"] < run.baselines["untrained"]["loss"]
    again = mn.evaluate(run.model)
    assert again.metrics["loss"] == pytest.approx(run.metrics["loss"], rel=0.02)
