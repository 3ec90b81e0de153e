"""What a person may write as a space, and what is said of what can't be one."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from modelnook.domain.errors import UsageError
from modelnook.tune.space import PRESETS, Choice, Range, Space, space_of
from modelnook.tune.study import distribution


@pytest.mark.parametrize(
    ("said", "name", "values"),
    [
        ("learning_rate=1e-5..3e-4:log", "learning_rate", Range(1e-5, 3e-4, log=True)),
        ("lr=0.25x..4x:log", "learning_rate", Range(0.25, 4.0, log=True, times=True)),
        ("epochs=1..4", "epochs", Range(1, 4, whole=True)),
        ("epochs=0.5..2", "epochs", Range(0.5, 2)),
        ("weight_decay=0..0.1", "weight_decay", Range(0, 0.1)),
        ("method=lora|full", "method", Choice(("lora", "full"))),
        ("lora_r=4|8|16", "rank", Choice((4, 8, 16))),
        ("--batch-size=8|16", "batch_size", Choice((8, 16))),
        ("model=pip:a|local:b@2", "model", Choice(("pip:a", "local:b@2"))),
        ({"learning_rate": (1e-5, 3e-4, "log")}, "learning_rate", Range(1e-5, 3e-4, log=True)),
        ({"epochs": (1, 4)}, "epochs", Range(1, 4, whole=True)),
        ({"method": ["lora", "full"]}, "method", Choice(("lora", "full"))),
        ({"warmup": "0..0.2"}, "warmup", Range(0, 0.2)),
        ({"epochs": IntDistribution(1, 4)}, "epochs", Range(1, 4, whole=True)),
        ({"learning_rate": FloatDistribution(1e-5, 1e-3, log=True)}, "learning_rate", Range(1e-5, 1e-3, log=True)),
        ({"rank": CategoricalDistribution((4, 8))}, "rank", Choice((4, 8))),
        ({"rank": np.array([4, 8])}, "rank", Choice((4, 8))),
        ({"batch_size": [8, np.int64(16)]}, "batch_size", Choice((8, 16))),
        ({"warmup": list(np.array([0.25, 0.5], dtype=np.float32))}, "warmup", Choice((0.25, 0.5))),
        ({"epochs": (np.int64(1), np.int32(4))}, "epochs", Range(1, 4, whole=True)),
        ({"warmup": (np.float32(0.25), np.float64(0.5))}, "warmup", Range(0.25, 0.5)),
        ({"epochs": np.int64(3)}, "epochs", Choice((3,))),
        ({"method": np.array(["lora", "full"])}, "method", Choice(("lora", "full"))),
        ({"warmup": [Fraction(1, 4)]}, "warmup", Choice((0.25,))),
    ],
)
def test_a_knob_is_read(said: Any, name: str, values: Any) -> None:
    space = space_of(said)
    assert dict(space) == {name: values}
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    distribution(space[name])


def test_several_stand_in_one_line_or_one_a_line() -> None:
    assert list(space_of("learning_rate=1e-5..3e-4:log; epochs=1..4, method=lora|full")) == [
        "learning_rate",
        "epochs",
        "method",
    ]
    assert list(space_of(["epochs=1..4", "warmup=0..0.1"])) == ["epochs", "warmup"]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("learnig_rate=1e-5..1e-4", "learning_rate"),
        ("quik", "quick"),
        ("epochs=4..1", "empty"),
        ("epochs=2..2", "empty"),
        ("learning_rate=0..1e-3:log", "zero"),
        ("learning_rate=1e-5..3", "between"),
        ("batch_size=0|8", "between"),
        ("rank=2.5|4", "between"),
        ("epochs=one..two", "can't be read"),
        ("epochs=1..4:lin", "can't be read"),
        ("epochs=1x..4x", "can't be read"),
        ("epochs=1..4 epochs=2..3", "twice"),
        ("epochs=", "knob=values"),
        ({}, "no knob"),
        ({"epochs": (1,)}, "can't be read"),
        ({"epochs": np.array([[1, 2], [3, 4]])}, "can't be read"),
        ({"epochs": [np.bool_(True)]}, "between"),
    ],
)
def test_what_cannot_be_a_space_is_said(said: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        space_of(said)
    assert says in f"{caught.value.message} {caught.value.hint}"


def test_a_preset_leaves_out_what_the_task_cannot_do() -> None:
    assert space_of("thorough", ("full", "lora"), {"rank"})["method"] == Choice(("full", "lora"))
    assert "layers" not in space_of("thorough", ("full", "lora"), {"rank"})
    assert "method" not in space_of("thorough", ("full",), ())
    for name in PRESETS:
        assert space_of(name, ("full", "lora", "last-k"), {"rank", "layers"})


def test_a_method_that_the_task_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="head"):
        space_of("method=full|head", ("full", "lora"))
