"""The screens of a waiting run: which is chosen, what each shows, what it leaves."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.live.conftest import FakeRun

from modelnook import live
from modelnook.domain.errors import ConflictError
from modelnook.domain.table import Table
from modelnook.live.terminal import Bar, Lines


class Screen:
    """Notes what it is told."""

    told: list[tuple[str, Any]] = []

    def __init__(self, id: str = "") -> None:
        self.id = id

    def open(self, run: Any) -> None:
        self.told.append(("open", run.record.state))

    def update(self, run: Any) -> None:
        self.told.append(("update", run.record.state))

    def close(self, result: Any) -> None:
        self.told.append(("close", result))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> type[Screen]:
    Screen.told = []
    monkeypatch.setitem(live.SCREENS, "lines", f"{__name__}:Screen")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    monkeypatch.setattr(live, "choose", lambda: "lines")
    return Screen


def test_a_screen_follows_a_run_to_its_result(screen: type[Screen]) -> None:
    run = FakeRun("queued", "running", "finished")
    result, shown = live.watch(run, lambda r: f"result of {r.id}")
    assert (result, shown) == ("result of k3v9x2ab", False)
    # A result without a card leaves the run's own on the screen, and is the caller's to show.
    assert screen.told == [("open", "queued"), ("update", "running"), ("update", "finished"), ("close", run)]


def test_a_value_that_is_its_callers_to_show_leaves_nothing(screen: type[Screen]) -> None:
    run = FakeRun("queued", "finished")
    assert live.watch(run, lambda r: r, keep=False) == (run, False)
    assert screen.told[-1] == ("close", None)


def test_a_run_that_has_ended_needs_no_screen(screen: type[Screen]) -> None:
    assert live.watch(FakeRun("finished"), lambda r: "result") == ("result", False)
    assert screen.told == []


def test_a_failed_run_leaves_its_card_and_its_error(screen: type[Screen]) -> None:
    run = FakeRun("running", "failed", error=ConflictError("jobs.crashed", run="k3v9x2ab"))
    with pytest.raises(ConflictError):
        live.watch(run, lambda r: "never")
    assert screen.told[-1] == ("close", run)


def test_who_stops_waiting_gets_the_run(screen: type[Screen]) -> None:
    run = FakeRun("queued", "running")
    assert live.watch(run, lambda r: "never")[0] is run


def test_a_broken_display_does_not_end_the_wait(screen: type[Screen], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, value: Any) -> None:
        raise OSError("no display")

    monkeypatch.setattr(screen, "update", broken)
    assert live.watch(FakeRun("running", "finished"), lambda r: "result") == ("result", False)
    monkeypatch.setattr(live, "in_kernel", lambda: True)
    table = Table(("a",), ())
    assert live.watch(FakeRun("running", "finished"), lambda r: table) == (table, True)
    monkeypatch.setattr(screen, "close", broken)
    # What no screen shows is left to the caller.
    assert live.watch(FakeRun("running", "finished"), lambda r: table) == (table, False)


def test_a_widget_that_breaks_gives_way_to_the_card(screen: type[Screen], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "choose", lambda: "widget")
    monkeypatch.setitem(live.SCREENS, "widget", "modelnook.widgets.nosuch:Screen")
    monkeypatch.setitem(live.SCREENS, "card", f"{__name__}:Screen")
    # Imported or not: the card that stood there while it was is the one that stays.
    for held in (None, sys):
        monkeypatch.delitem(sys.modules, "anywidget", raising=False)
        if held:
            monkeypatch.setitem(sys.modules, "anywidget", held)
        run, screen.told = FakeRun("running", "finished"), []
        live.watch(run, lambda r: "result")
        assert screen.told == [("open", "running"), ("update", "finished"), ("close", run)]


@pytest.mark.parametrize(
    ("kernel", "anywidget", "tty", "chosen"),
    [
        (True, True, False, "widget"),
        (True, False, False, "card"),
        (False, True, True, "bar"),
        (False, True, False, "lines"),
    ],
)
def test_which_screen(kernel: bool, anywidget: bool, tty: bool, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "in_kernel", lambda: kernel)
    monkeypatch.setattr(live, "find_spec", lambda name: anywidget or None)
    monkeypatch.setattr(live, "Path", lambda _: SimpleNamespace(parents=[None, _Built()]))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: tty, raising=False)
    assert live.choose() == chosen


class _Built:
    def __truediv__(self, _: str) -> Any:
        return self

    def exists(self) -> bool:
        return True


def test_lines_say_what_is_news(capsys: pytest.CaptureFixture[str]) -> None:
    lines, run = Lines(), FakeRun("queued", "running", "finished")
    lines.open(run)
    run.seen = replace(run.seen, state="running")  # taken up, and nothing done yet
    lines.update(run)
    run.step()
    lines.update(run)
    lines.update(run)
    run.step()
    lines.update(run)
    lines.close(run)
    assert capsys.readouterr().err.splitlines() == [
        "Not logged to W&B; its curves and results are kept here.",
        "topics · starting",
        "topics · training · 120/375 · loss 0.300",
    ]


def test_the_bar_writes_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("COLUMNS", "40")
    run = FakeRun("running", "finished")
    run.seen = replace(run.seen, name="模" * 30)
    bar = Bar()
    bar.open(run)
    bar.close(run)
    where, *_ = drawn = out.getvalue().split("\r\x1b[K")
    assert drawn[1].startswith("██████░")
    assert drawn[-1] == ""
    from modelnook.cards.figures import width

    assert where == "Not logged to W&B; its curves and results are kept here.\n"
    assert all(width(line) <= 39 for line in drawn[1:])


def test_a_bundle_has_the_curves() -> None:
    html = live.bundle(FakeRun("finished"))["text/html"]
    assert "<svg" in html
    assert "learning_rate" not in html
