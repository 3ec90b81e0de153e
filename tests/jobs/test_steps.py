"""Every step of ``shrink`` that isn't lower precision keeps the suite's promises."""

from __future__ import annotations

import pytest

from modelnook.testing.steps import StepSuite

pytestmark = pytest.mark.slow


class TestDistil(StepSuite):
    name = "distil"
    knobs = {"student": "layers:2", "epochs": 2.0, "track": "none"}
    cut = ("layers",)


class TestPrune(StepSuite):
    name = "prune"
    knobs = {"layers": 2, "recover": "never"}
    cut = ("layers",)


class TestTrim(StepSuite):
    name = "trim"
    cut = ("tokens",)
