"""Every tracker keeps the suite's promises."""

from __future__ import annotations

import pytest

from modelnook.testing.trackers import TrackerSuite
from modelnook.tracking import TRACKERS


class TestWandb(TrackerSuite):
    name = "wandb"


class TestTensorBoard(TrackerSuite):
    name = "tensorboard"

    @pytest.fixture(autouse=True)
    def _there(self) -> None:
        pytest.importorskip("torch.utils.tensorboard")


def test_every_row_has_its_suite() -> None:
    assert set(TRACKERS) == {TestWandb.name, TestTensorBoard.name}
