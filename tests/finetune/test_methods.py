"""Every method keeps the suite's promises."""

from __future__ import annotations

from modelnook.finetune import METHODS
from modelnook.testing.methods import MethodSuite


class TestFull(MethodSuite):
    name = "full"


class TestLora(MethodSuite):
    name = "lora"


def test_rows_stand_in_order() -> None:
    assert list(METHODS) == sorted(METHODS)
