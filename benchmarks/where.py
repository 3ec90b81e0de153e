"""Where the time of one text goes: fp32 in PyTorch, int8 in ONNX Runtime and in OpenVINO, by kinds of operations.

    python benchmarks/where.py --tokens 16 128 256        a fine-tuned MiniLM, see sets.py
    python benchmarks/where.py --model FOLDER --json

Each by its own profiler, so that its sums are a little above what it takes without one: ``products`` are those with the
weights, which int8 quickens by four at most (VNNI adds four products of int8 where a float one is added), ``attention``
is what is between queries, keys and values, in floats for ONNX Runtime; ``rest`` are norms, GELU, sums, embeddings, and
what turns floats into int8 and back. It says how far int8 can come at a length.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import line, machine
from sets import fine_tuned, load

from modelnook.quantize import QUANTIZERS
from modelnook.settings import current

TASK = "text-classification"
KINDS = ("products", "attention", "rest")
TURNS = 20
Feed = dict[str, Any]

ATTENTION = {
    "torch": ("aten::_scaled_dot_product", "aten::bmm", "aten::softmax", "aten::_softmax"),
    "onnx": ("MatMul", "FusedMatMul", "Softmax"),
    "openvino": ("Subgraph", "MatMul", "Softmax", "ScaledDotProduct"),
}
PRODUCTS = {
    "torch": ("aten::addmm", "aten::mm"),
    "onnx": ("DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat"),
    "openvino": ("FullyConnected",),
}


def kind(library: str, operation: str) -> str:
    """One of :data:`KINDS`."""
    if operation.startswith(PRODUCTS[library]):
        return "products"
    exact = library == "onnx"
    found = operation in ATTENTION[library] if exact else operation.startswith(ATTENTION[library])
    return "attention" if found else "rest"


def torch_times(folder: Path, feed: Feed) -> tuple[Counter[str], Callable[[], object]]:
    """Milliseconds a text by kind, and what computes one."""
    import torch
    from torch.profiler import ProfilerActivity, profile
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(current().threads)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tensors = {name: torch.from_numpy(value) for name, value in feed.items()}

    def run() -> object:
        with torch.inference_mode():
            return model(**tensors).logits

    warm(run)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(TURNS):
            run()
    found: Counter[str] = Counter()
    for event in seen.key_averages():
        found[kind("torch", event.key)] += event.self_cpu_time_total / 1e3 / TURNS
    return found, run


def onnx_times(folder: Path, feed: Feed) -> tuple[Counter[str], Callable[[], object]]:
    """See :func:`torch_times`."""
    import onnxruntime

    from modelnook.runtime.onnx import DISABLED

    def session(profiled: str = "") -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = current().threads
        if profiled:
            options.enable_profiling, options.profile_file_prefix = True, profiled
        return onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"], disabled_optimizers=DISABLED
        )

    with tempfile.TemporaryDirectory() as work:
        measured = session(f"{work}/seen")
        names = {port.name for port in measured.get_inputs()}
        given = {name: value for name, value in feed.items() if name in names}
        for _ in range(TURNS):
            measured.run(None, given)
        events = json.loads(Path(measured.end_profiling()).read_text())
    found: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            found[kind("onnx", event["args"]["op_name"])] += event["dur"] / 1e3 / TURNS
    plain = session()
    return found, lambda: plain.run(None, given)


def openvino_times(folder: Path, feed: Feed) -> tuple[Counter[str], Callable[[], object]]:
    """See :func:`torch_times`."""
    import openvino

    def request(**options: Any) -> Any:
        settings = {"INFERENCE_NUM_THREADS": current().threads, "NUM_STREAMS": 1, **options}
        program = openvino.Core().compile_model(str(folder / "openvino_model.xml"), "CPU", settings)
        return program.create_infer_request(), {port.get_any_name() for port in program.inputs}

    measured, names = request(PERF_COUNT=True)
    given = {name: value for name, value in feed.items() if name in names}
    found: Counter[str] = Counter()
    for turn in range(TURNS + 3):
        measured.infer(given)
        for layer in measured.get_profiling_info() if turn >= 3 else ():
            found[kind("openvino", layer.node_type)] += layer.real_time.total_seconds() * 1e3 / TURNS
    plain, _ = request()
    return found, lambda: plain.infer(given)


def warm(run: Callable[[], object]) -> None:
    for _ in range(3):
        run()


def median_ms(run: Callable[[], object]) -> float:
    """Without a profiler."""
    warm(run)
    took = []
    for _ in range(TURNS):
        began = time.perf_counter()
        run()
        took.append(1e3 * (time.perf_counter() - began))
    return statistics.median(took)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cr", help="the set on which MiniLM is fine-tuned")
    parser.add_argument("--model", type=Path, help="a fine-tuned folder; else MiniLM is fine-tuned first")
    parser.add_argument("--tokens", type=int, nargs="+", default=[16, 64, 128, 256])
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    rows = load(said.data)
    source = said.model or fine_tuned(rows)
    table = []
    with tempfile.TemporaryDirectory() as work:
        folders = {"torch": source}
        for name in ("onnx", "openvino"):
            folders[name], quantizer = Path(work) / name, QUANTIZERS.load(name)()
            first = quantizer.attempts("int8")[0]
            given: dict[str, Any] = {"task": TASK, "calibration": [text for text, _ in rows.valid[:64]]}
            quantizer.quantize(source, folders[name], "int8", emit=lambda event: None, **given, **first)
        for tokens in said.tokens:
            ids = np.random.default_rng(0).integers(1000, 20_000, (1, tokens))
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            for name, times in (("torch", torch_times), ("onnx", onnx_times), ("openvino", openvino_times)):
                found, run = times(folders[name], feed)
                table.append({"tokens": tokens, "library": name, "ms": median_ms(run), **{k: found[k] for k in KINDS}})
    result = {"machine": machine(current().threads, ("torch", "onnxruntime", "openvino")), "table": table}
    if said.json:
        print(json.dumps(result))
        return
    print(line(result["machine"]))
    heads = "".join(f"{name:>11}" for name in KINDS)
    print(f"{'tokens':>6} {'library':<10}{'ms':>8}{'of fp32':>9}   by its profiler{heads}")
    for row in table:
        whole = next(r["ms"] for r in table if r["tokens"] == row["tokens"] and r["library"] == "torch")
        print(
            f"{row['tokens']:>6} {row['library']:<10}{row['ms']:>8.2f}{row['ms'] / whole:>9.0%}{'':>18}"
            + "".join(f"{row[name]:>11.2f}" for name in KINDS)
        )


if __name__ == "__main__":
    main()
