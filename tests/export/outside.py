"""Loads an export with nothing of modelnook: ``outside.py FORMAT FOLDER`` reads texts as JSON, prints outputs."""

from __future__ import annotations

import json
import sys
from typing import Any


def onnx(folder: str, texts: list[str]) -> Any:
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_truncation(64)
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    found = []
    for text in texts:
        row = tokenizer.encode(text)
        feed = {"input_ids": row.ids, "attention_mask": row.attention_mask, "token_type_ids": row.type_ids}
        feed = {n: np.array([feed[n]], dtype=np.int64) for n in names}
        found.append(session.run(None, feed)[0][0].tolist())
    assert "torch" not in sys.modules
    return found


def safetensors(folder: str, texts: list[str]) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    found = []
    with torch.inference_mode():
        for text in texts:
            batch = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
            found.append(model(**batch).logits[0].tolist())
    return found


def gguf(folder: str, texts: list[str]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = f"{folder}/model.gguf"
    params.n_ctx = 512
    params.n_parallel = 1
    params.cpuparams.n_threads = 2
    server = xllamacpp.Server(params)
    found = []
    for text in texts:
        messages = [{"role": "user", "content": text}]
        said = server.handle_chat_completions({"messages": messages, "max_tokens": 12, "temperature": 0.0, "top_k": 1})
        found.append(said["choices"][0]["message"]["content"].strip())
    return found


def image(folder: str, files: list[str]) -> Any:
    import onnxruntime
    from PIL import Image
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
    images = [Image.open(file).convert("RGB") for file in files]
    return session.run(None, {"pixel_values": processor(images, return_tensors="np")["pixel_values"]})[0].tolist()


def openvino(folder: str, texts: list[str]) -> Any:
    import numpy as np
    import openvino as ov
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_truncation(64)
    model = ov.Core().compile_model(f"{folder}/openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [port.any_name for port in model.inputs]
    found = []
    for text in texts:
        row = tokenizer.encode(text)
        feed = {"input_ids": row.ids, "attention_mask": row.attention_mask, "token_type_ids": row.type_ids}
        found.append(model({n: np.array([feed[n]], dtype=np.int64) for n in names})[0][0].tolist())
    assert "torch" not in sys.modules
    return found


if __name__ == "__main__":
    outputs = globals()[sys.argv[1]](sys.argv[2], json.load(sys.stdin))
    assert not [name for name in sys.modules if name.split(".")[0] == "modelnook"]
    print("\n" + json.dumps(outputs))
