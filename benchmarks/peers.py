"""What a person makes of a fine-tuned classifier without modelnook: int8 by three libraries as their pages show it.

``python benchmarks/peers.py make KIND MODEL OUT ROWS LENGTH THREADS`` writes ``OUT`` (``ROWS`` are texts as JSON, to
calibrate on), ``run KIND OUT ROWS LENGTH THREADS`` speaks the protocol of contenders.py. Nothing of modelnook is
imported, so that ``optimum`` runs in an environment of its own, with the versions that it needs::

    python -m venv .venv-peer && .venv-peer/bin/pip install torch==2.13.0
    .venv-peer/bin/pip install "optimum-onnx[onnxruntime]==0.1.0" "transformers<4.58"

Texts are sorted by length and padded to the longest of their batch, as ours are.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALIBRATION = 64
Run = Callable[[Any], Any]


def optimum_make(model: Path, out: Path, batches: Callable[..., Any], texts: list[str]) -> None:
    """optimum-onnx: exported, then int8 dynamic for VNNI."""
    from optimum.onnxruntime import ORTModelForSequenceClassification, ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    exported = ORTModelForSequenceClassification.from_pretrained(model, export=True)
    how = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=False)
    ORTQuantizer.from_pretrained(exported).quantize(save_dir=out, quantization_config=how)


def optimum_run(out: Path, threads: int) -> Run:
    """See :func:`optimum_make`."""
    import onnxruntime
    from optimum.onnxruntime import ORTModelForSequenceClassification

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = ORTModelForSequenceClassification.from_pretrained(
        out, file_name="model_quantized.onnx", session_options=options
    )
    return lambda batch: model(**batch).logits


def openvino_make(model: Path, out: Path, batches: Callable[..., Any], texts: list[str]) -> None:
    """OpenVINO's converter, then NNCF's quantization of a transformer."""
    import nncf
    import openvino as ov
    from transformers import AutoModelForSequenceClassification

    sample = dict(next(iter(batches(texts[:1]))))
    torch_model = AutoModelForSequenceClassification.from_pretrained(model).eval()
    program = ov.convert_model(torch_model, example_input=sample)
    rows = [{n: v.numpy() for n, v in next(iter(batches([text]))).items()} for text in texts[:CALIBRATION]]
    small = nncf.quantize(program, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER)
    ov.save_model(small, out / "openvino_model.xml")


def openvino_run(out: Path, threads: int) -> Run:
    """See :func:`openvino_make`."""
    import openvino as ov
    import torch

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    program = ov.Core().compile_model(str(out / "openvino_model.xml"), "CPU", settings)
    return lambda batch: torch.from_numpy(program({n: v.numpy() for n, v in batch.items()})[0].copy())


def torchao_make(model: Path, out: Path, batches: Callable[..., Any], texts: list[str]) -> None:
    """torchao: int8 weights, activations as they come."""
    import torch
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
    from transformers import AutoModelForSequenceClassification

    small = AutoModelForSequenceClassification.from_pretrained(model).eval()
    quantize_(small, Int8DynamicActivationInt8WeightConfig())
    torch.save(small.state_dict(), out / "model.pt")


def torchao_run(out: Path, threads: int) -> Run:
    """See :func:`torchao_make`."""
    import torch
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
    from transformers import AutoConfig, AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(out)).eval()
    quantize_(model, Int8DynamicActivationInt8WeightConfig())
    model.load_state_dict(torch.load(out / "model.pt", weights_only=False), assign=True)
    return lambda batch: model(**batch).logits


KINDS = {
    "openvino": (openvino_make, openvino_run),
    "optimum": (optimum_make, optimum_run),
    "torchao": (torchao_make, torchao_run),
}


def batcher(folder: Path, length: int) -> Callable[..., Any]:
    """Batches of texts alike in length."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def batches(texts: list[str], size: int = 32) -> Any:
        for start in range(0, len(texts), size):
            part = texts[start : start + size]
            yield tokenizer(part, padding=True, truncation=True, max_length=length, return_tensors="pt")

    return batches


def main() -> None:
    """The program."""
    if len(sys.argv) == 1:
        # One of all benchmarks, as ``make bench`` sees it.
        print(__doc__)
        return
    verb, kind, *paths, length, threads = sys.argv[1:]
    # Libraries print what they do; standard output is for answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    texts = json.loads(Path(paths[-1]).read_text(encoding="utf-8"))
    import torch

    torch.set_num_threads(int(threads))
    make, load = KINDS[kind]
    batches = batcher(Path(paths[0]), int(length))
    if verb == "make":
        model, out = Path(paths[0]), Path(paths[1])
        out.mkdir(parents=True, exist_ok=True)
        make(model, out, batches, texts)
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            (out / name).write_bytes((model / name).read_bytes())
        return
    out = Path(paths[0])
    labels = json.loads((out / "config.json").read_text(encoding="utf-8"))["id2label"]
    with torch.inference_mode():
        began = time.perf_counter()
        run = load(out, int(threads))
        run(next(iter(batches(texts[:1]))))
        took = time.perf_counter() - began
        _serve(run, batches, texts, [labels[key] for key in sorted(labels, key=int)], took, answers)


def _serve(run: Run, batches: Callable[..., Any], texts: list[str], labels: list[str], load_s: float, to: Any) -> None:
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    ordered = [texts[i] for i in order]

    def all_rows() -> list[int]:
        return [int(i) for batch in batches(ordered) for i in run(batch).argmax(dim=1)]

    guess = [""] * len(texts)
    for place, label in zip(order, all_rows(), strict=True):
        guess[place] = labels[label]
    print(json.dumps({"load_s": load_s, "guess": guess}), file=to, flush=True)
    single = texts[:: max(1, len(texts) // 200)][:200]
    for line in sys.stdin:
        began = time.perf_counter()
        if line.strip() == "rows":
            all_rows()
            print(json.dumps(len(texts) / (time.perf_counter() - began)), file=to, flush=True)
            continue
        took = []
        for text in single:
            began = time.perf_counter()
            run(next(iter(batches([text]))))
            took.append(1e3 * (time.perf_counter() - began))
        print(json.dumps(took), file=to, flush=True)


if __name__ == "__main__":
    main()
