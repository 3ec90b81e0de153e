"""Which verbs refuse a model whatever the rows are: said before a job, and left out of what its card offers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.api.unfit import unfit
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.model import ModelInfo

BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "id2label": {"0": "a", "1": "b"}}
INT8 = {"backend": "onnx", "scheme": "int8"}
ROWS = [{"text": f"a {i}", "label": "ab"[i % 2]} for i in range(40)]


def folder(place: Path, *names: str, **said: Any) -> Path:
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps({**BERT, **said}), encoding="utf-8")
    for name in names:
        (place / name).write_bytes(struct.pack("<Q", 2) + b"{}")
    return place


CASES: list[tuple[tuple[str, ...], dict[str, Any], str | None, tuple[str, ...]]] = [
    (("model.safetensors",), {}, None, ()),
    (("model.onnx",), {"modelnook_quantization": INT8}, "onnx-int8", ("finetune", "quantize")),
    (("model.onnx",), {}, "onnx", ("finetune", "quantize")),
    (("model.onnx", "model.safetensors"), {}, None, ()),
    (("openvino_model.xml", "openvino_model.bin"), {}, "openvino", ("finetune", "quantize")),
    (("model.gguf",), {}, None, ()),
    (("model.gguf",), {"modelnook_quantization": {**INT8, "backend": "gguf"}}, None, ("quantize",)),
    *(
        (("model.safetensors",), {"quantization_config": {"quant_method": m}}, m, ("finetune", "quantize"))
        for m in ("torchao", "quanto", "gptq", "bitsandbytes")
    ),
    (("model.safetensors",), {"quantization_config": {"quant_method": "fp8"}}, None, ("quantize",)),
]


@pytest.mark.parametrize(("names", "said", "how", "refusing"), CASES)
def test_weights_that_no_training_changes(
    tmp_path: Path, names: tuple[str, ...], said: dict[str, Any], how: str | None, refusing: tuple[str, ...]
) -> None:
    model = folder(tmp_path / "m", *names, **said)
    info = mn.info(str(model))
    assert info.unfit == refusing
    assert ModelInfo.from_dict(info.to_dict()).unfit == refusing
    if how:
        with pytest.raises(UnsupportedError, match=f"holds its weights as {how}, which can't be trained") as caught:
            mn.finetune(str(model), ROWS)
        assert "it was made from" in caught.value.hint
        assert mn.runs().items == (), "no job is started for it"


def test_the_original_is_named_where_it_is_known(tmp_path: Path) -> None:
    from modelnook.store import Store

    made = folder(tmp_path / "m", "model.onnx", modelnook_quantization=INT8)
    entry = ModelInfo("", "", "local", task="text-classification", formats=("onnx",), base_model="local:spam@1")
    Store().models.add("spam-int8", made, entry)
    with pytest.raises(UnsupportedError, match="made from: local:spam@1"):
        mn.finetune("spam-int8", ROWS)
    with pytest.raises(UnsupportedError, match="made from: local:spam@1"):
        mn.tune("spam-int8", 2 * ROWS, trials=2)


@pytest.mark.parametrize(
    ("facts", "refusing"),
    [
        ({}, ()),
        ({"formats": ("sklearn",), "path": "/nowhere"}, ("finetune", "quantize")),
        ({"formats": ("onnx",)}, ("finetune", "quantize")),
        ({"formats": ("onnx", "safetensors")}, ()),
        ({"formats": ("safetensors",), "relation": "quantized"}, ("finetune", "quantize")),
        ({"formats": ("gguf",), "relation": "quantized"}, ()),
        ({"task": None, "path": "/nowhere"}, ("quantize",)),
        ({"task": "text-to-image"}, ("evaluate", "load", "predict", "quantize")),
    ],
)
def test_a_model_that_is_not_here_by_what_its_source_says(facts: dict[str, Any], refusing: tuple[str, ...]) -> None:
    said: dict[str, Any] = {"task": "feature-extraction", "formats": ("safetensors",), **facts}
    assert unfit(ModelInfo("hub:a/b", "a/b", "hub", **said)) == refusing
