"""Pieces of the plain scripts that tasks share: reading rows, adapters and frozen layers, the Trainer's arguments."""

from __future__ import annotations

import json
import pprint
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelnook.domain.knobs import own_knobs
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import LOWER_IS_BETTER, RunRecord
from modelnook.messages import t
from modelnook.tasks import TASKS
from modelnook.tasks.spec import Columns

__all__ = [
    "ADAPTERS",
    "ARGUMENTS",
    "EVALUATED",
    "JUDGED",
    "PADDED",
    "PATHS",
    "READ",
    "SAVED",
    "UNJUDGED",
    "adapted",
    "columns_of",
    "data_paths",
    "four_bits",
    "labels_of",
    "method_of",
    "values_of",
    "wrapped",
]

PATHS = """MODEL = {model!r}  # {ref}
{data_paths}
OUT = {out!r}
"""

READ = """def read(path):
    with pa.memory_map(path) as source:
        return pa.ipc.open_file(source).read_all().to_pydict()
"""

PADDED = """if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
"""

ARGUMENTS = """        output_dir=f"{{OUT}}-checkpoints",
        num_train_epochs={epochs},
        learning_rate={learning_rate},
        per_device_train_batch_size={batch_size},
        warmup_steps={warmup},
        weight_decay={weight_decay},
        logging_steps=50,
        seed={seed},
        report_to="none",
"""

JUDGED = """        per_device_eval_batch_size=64,
        eval_strategy="{when}",
        save_strategy="{when}",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="{metric}",
{lower}"""

UNJUDGED = """        save_strategy="no",
"""

EVALUATED = """trainer.train()
found = {{name.removeprefix("eval_"): value for name, value in trainer.evaluate().items()}}
print(json.dumps({{name: float(found[name]) for name in {names}}}))
"""

SAVED = """{merge}model.save_pretrained(OUT)
tokenizer.save_pretrained(OUT)
"""

LORA = "r={rank}, lora_alpha={alpha}, lora_dropout={dropout}"

ADAPTERS = {
    "dora": ("LoraConfig", LORA + ", use_dora=True"),
    "lora": ("LoraConfig", LORA),
    "qlora": ("LoraConfig", LORA),
    "rslora": ("LoraConfig", LORA + ", use_rslora=True"),
}
"""Method -> its configuration in peft, and the arguments of it."""

FOUR_BITS = """
from transformers import BitsAndBytesConfig

four_bits = BitsAndBytesConfig(
    load_in_4bit=True,
    bnb_4bit_quant_type="nf4",
    bnb_4bit_use_double_quant=True,
    bnb_4bit_compute_dtype=torch.bfloat16,
    llm_int8_skip_modules={kept},
)
"""

MERGED = {
    "qlora": """# Merged into what training saw, the four bits as numbers: the original weights make another model.
from peft import PeftModel

model.save_pretrained(f"{OUT}-adapter")
base = model.unload().dequantize(torch.float32)
model = PeftModel.from_pretrained(base, f"{OUT}-adapter").merge_and_unload()
"""
}

NEW_HEAD = """
from peft import {peft}, get_peft_model

body = model.base_model_prefix
heads = [name for name, child in model.named_children() if name != body and list(child.parameters())]
if getattr(model.get_submodule(body), "pooler", None) is not None:
    heads.append(f"{{body}}.pooler")
layers = [
    name
    for name, module in model.named_modules()
    if isinstance(module, torch.nn.Linear) and name.startswith(f"{{body}}.") and not name.startswith(f"{{body}}.pooler")
]
model = get_peft_model(
    model,
    {peft}({adapter}, target_modules=layers, modules_to_save=heads),
)
"""

OWN_HEAD = """
from peft import {peft}, get_peft_model

head = model.get_output_embeddings()
layers = [
    name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not head
]
model = get_peft_model(
    model,
    {peft}({adapter}, target_modules=layers),
)
"""

FROZEN = """
# Only the last {layers} layers, a pooler and the head are trained.
body = model.base_model
stack = max((m for m in body.modules() if isinstance(m, torch.nn.ModuleList)), key=len, default=[])
pooler = getattr(body, "pooler", None)
body.requires_grad_(False)
for part in [*stack[max(0, len(stack) - {layers}) :], *([pooler] if isinstance(pooler, torch.nn.Module) else [])]:
    part.requires_grad_(True)
"""


def method_of(recipe: Recipe, record: RunRecord) -> str:
    """The method that the run used."""
    return str(record.params.get("method") or recipe.method or "full")


def adapted(method: str, *, new_head: bool = True) -> str:
    """What a method does to the model before training, as lines of the script.

    Args:
        new_head: whether the head is made for the labels, and so trained in full beside adapters.
    """
    if method in ADAPTERS:
        return NEW_HEAD if new_head else OWN_HEAD
    return FROZEN if method in ("head", "last-k") else ""


def values_of(
    recipe: Recipe, record: RunRecord, model_path: Path, data: Path, run: Path, metrics: Sequence[str]
) -> dict[str, Any]:
    """What the templates are filled with; the arguments but the last are those of :func:`.script.code`.

    Args:
        metrics: the names that are printed, the first of them chooses the best weights where none was asked for.
    """
    params = {**recipe.knobs, **record.params}
    method = method_of(recipe, record)
    metric = str(params.get("metric") or record.primary_metric or metrics[0])
    epochs = float(params["epochs"])
    return {
        "title": t("train.script_title", run=run.name, name=recipe.name or run.name),
        "model": str(model_path),
        "ref": recipe.model,
        "out": recipe.name or run.name,
        "data_paths": data_paths(recipe, data, run),
        "seed": recipe.seed,
        "threads": f"torch.set_num_threads({recipe.threads})\n" if recipe.threads else "",
        "max_length": params["max_length"],
        "epochs": int(epochs) if epochs.is_integer() else epochs,
        "when": "epoch" if epochs.is_integer() else "no",
        "learning_rate": params["learning_rate"],
        "batch_size": params["batch_size"],
        "packing": bool(params.get("packing")),
        "warmup": params.get("warmup", 0.1),
        "weight_decay": params.get("weight_decay", 0.0),
        **_adapter(method, params),
        "layers": own_knobs(method, params).get("layers"),
        "metric": metric,
        "lower": "        greater_is_better=False,\n" if metric in LOWER_IS_BETTER else "",
        "names": json.dumps(list(metrics)),
        "merge": MERGED.get(method, "model = model.merge_and_unload()\n") if method in ADAPTERS else "",
        "quantized": "quantization_config=four_bits" if method == "qlora" else "",
    }


def _adapter(method: str, params: dict[str, Any]) -> dict[str, str]:
    """How a method's adapters are made with peft; nothing for a method without."""
    if method not in ADAPTERS:
        return {}
    name, arguments = ADAPTERS[method]
    return {"peft": name, "adapter": arguments.format(**own_knobs(method, params))}


def four_bits(method: str, *, kept: Sequence[str] | None = None) -> str:
    """The lines before the model is loaded: how its weights are held in four bits, where the method does that.

    Args:
        kept: names of the modules that aren't; None: the output layer.
    """
    return FOUR_BITS.replace("{kept}", repr(list(kept) if kept else None)) if method == "qlora" else ""


def data_paths(recipe: Recipe, data: Path, run: Path) -> str:
    assert recipe.data is not None
    lines = [f"DATA = {str(data / recipe.data.fingerprint / 'data.arrow')!r}"]
    if recipe.eval_data:
        lines.append(f"EVAL_DATA = {str(data / recipe.eval_data.fingerprint / 'data.arrow')!r}")
    else:
        lines.append(f"SPLIT = {str(run / 'split.json')!r}")
    return "\n".join(lines)


def columns_of(recipe: Recipe, data: Path, *roles: str) -> Columns:
    """Role -> values of the run's snapshot, of those roles that it has; all of them where none is named."""
    import pyarrow as pa

    assert recipe.data is not None
    with pa.memory_map(str(data / recipe.data.fingerprint / "data.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
        names = [name for name in table.column_names if name in roles] if roles else table.column_names
        return {name: table[name].to_pylist() for name in names}


def labels_of(recipe: Recipe, data: Path, role: str = "label") -> list[str]:
    """The label names in the order of the model's outputs."""
    spec = TASKS.load(recipe.task or "", light=True)()
    found: list[str] = spec.labels(columns_of(recipe, data, role))
    return found


def wrapped(value: Any) -> str:
    """A literal over as many lines as it needs."""
    return pprint.pformat(value, width=110, compact=True)
