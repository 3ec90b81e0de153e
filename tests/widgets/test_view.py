"""The cell widget: what it sends, how it answers, that the front end's bundle is its body."""

from __future__ import annotations

from typing import Any

import pytest
from tests.live.conftest import FakeRun

from modelnook import api, rpc
from modelnook.domain.errors import NotFoundError
from modelnook.rpc import Method


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Custom messages that views send."""
    from modelnook.widgets.view import View

    messages: list[Any] = []
    monkeypatch.setattr(View, "send", lambda self, content, buffers=None: messages.append(content))
    return messages


def view(**more: Any) -> Any:
    from modelnook.widgets.view import View

    return View("run", {"run": "k3v9x2ab"}, **more)


def test_the_traits_of_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    made = view(state={"run:k3v9x2ab": {"id": "k3v9x2ab"}})
    state = made.get_state()
    assert {"view", "params", "lang", "state", "live"} <= set(state)
    assert (state["view"], state["params"], state["lang"], state["live"]) == ("run", {"run": "k3v9x2ab"}, "zh", False)
    assert "render" in state["_esm"]
    assert made.mime["application/vnd.jupyter.widget-view+json"]["model_id"] == made.model_id


def test_a_push_is_sent_and_kept(sent: list[Any]) -> None:
    made = view()
    made.push("run:k3v9x2ab", {"state": "running"})
    assert sent == [{"push": "run:k3v9x2ab", "data": {"state": "running"}}]
    assert made.get_state("state") == {"state": {"run:k3v9x2ab": {"state": "running"}}}


def test_a_call_is_answered(sent: list[Any]) -> None:
    made = view()
    made._handle_custom_msg({"id": "7", "method": "runs", "params": {"limit": 3}}, [])
    assert sent == [{"id": "7", "result": {"items": [], "cursor": 0}}]


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("nosuch", {}, "'nosuch'"),
        ("run", {"run": "nosuchrun"}, "nosuchrun"),
        ("runs", {"limits": 3}, "'limits'"),
        ("history", {"run": "nosuchrun"}, "nosuchrun"),
        ("info", {}, "'ref'"),
    ],
)
def test_a_call_that_fails_says_why(sent: list[Any], method: str, params: dict[str, Any], message: str) -> None:
    view()._handle_custom_msg({"id": "7", "method": method, "params": params}, [])
    error = sent[0]["error"]
    assert sent[0]["id"] == "7"
    assert set(error) == {"code", "message", "hint"}
    assert message in error["message"]
    assert error["hint"]


def test_a_bug_is_answered_too(sent: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(api, "runs", broken)
    view()._handle_custom_msg({"id": "7", "method": "runs"}, [])
    assert sent[0]["error"]["code"] == "core.internal"
    view()._handle_custom_msg("nonsense", [])
    assert len(sent) == 1


def test_rpc_takes_what_the_function_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(api, "resume", lambda run="last", *, background=False: taken.append((run, background)))
    rpc.call("resume", {"run": "x"})
    assert taken == [("x", True)]
    with pytest.raises(NotFoundError):
        rpc.call("__import__", {})
    monkeypatch.setitem(rpc.METHODS, "odd", Method("tests.widgets.test_view:odd"))
    assert rpc.call("odd", {"many": [1, 2], "extra": None}) == {"many": [1, 2], "nan": None}


def odd(*many: int, extra: str | None = "kept") -> dict[str, Any]:
    assert extra == "kept"
    return {"many": list(many), "nan": float("nan")}


def test_outside_a_kernel_nothing_answers_now() -> None:
    from modelnook.widgets.screen import answers_now

    assert not answers_now()


def test_a_waiting_cell_pushes_and_then_leaves_a_static_card(sent: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    from modelnook.widgets.screen import WidgetScreen

    shown: list[tuple[str, dict[str, Any], str]] = []
    for name in ("display", "update_display"):
        monkeypatch.setattr(
            IPython.display, name, lambda data, raw, display_id, name=name: shown.append((name, data, display_id))
        )
    run, screen = FakeRun("running", "finished"), WidgetScreen()
    screen.open(run)
    screen._curves = 0.0
    screen.update(run)
    run.step()
    screen.update(run)
    screen.close(run)
    (first, live, at), (last, static, again) = shown
    assert (first, last) == ("display", "update_display")
    assert at == again
    assert set(live) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert set(static) == {"text/plain", "text/html"}
    assert [m["push"] for m in sent] == ["run:k3v9x2ab", "history:k3v9x2ab", "run:k3v9x2ab"]
    assert sent[1]["data"]["series"]["loss"]["step"] == [1, 2, 3]
