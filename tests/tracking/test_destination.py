"""Where a run will be logged is said before it starts; a login that is only stored is offered once, and not used."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.standins.wandb import KEY, WandbStandIn

from modelnook import cards
from modelnook.domain.run import RunRecord
from modelnook.settings import save
from modelnook.tracking.destination import line, offer, planned
from modelnook.tracking.wandb_login import address, stored

HOST = "wandb.example:8443"


@pytest.fixture
def login(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``wandb login`` leaves: a key in the netrc file, the address in the settings file."""
    (isolated_home / ".netrc").write_text(f"machine {HOST}\n login user\n password {KEY}\n")
    (isolated_home / "wandb-config" / "settings").write_text(f"[default]\nbase_url = https://{HOST}\n")
    (isolated_home / "modelnook").mkdir()


def test_a_stored_login_is_offered_once(login: None) -> None:
    said = offer(["wandb"])
    assert HOST in said
    assert "%model settings wandb=online" in said
    assert KEY not in said
    assert offer(["wandb"]) == ""


@pytest.mark.parametrize(
    ("environ", "saved", "track"),
    [
        ({"WANDB_MODE": "offline"}, None, ["wandb"]),
        ({"WANDB_API_KEY": KEY}, None, ["wandb"]),
        ({"MODELNOOK_OFFLINE": "1"}, None, ["wandb"]),
        ({}, "offline", ["wandb"]),
        ({}, "online", ["wandb"]),
        ({}, None, []),
        ({}, None, ["wandb:offline"]),
    ],
)
def test_who_has_said_something_is_not_asked(
    login: None, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], saved: str | None, track: list[str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    if saved:
        save(wandb=saved)
    assert offer(track) == ""


def test_without_a_login_nothing_is_offered(isolated_home: Path) -> None:
    assert offer(["wandb"]) == ""


def test_a_stored_token_is_a_login(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = isolated_home / "credentials.json"
    monkeypatch.setenv("WANDB_CREDENTIALS_FILE", str(file))
    for broken in ("", "[]", "{"):
        file.write_text(broken)
        assert stored() is None
    file.write_text(json.dumps({"credentials": {"https://api.wandb.ai": {"access_token": "t"}}}))
    assert stored() == "api.wandb.ai"


@pytest.mark.slow
def test_the_address_is_the_library_s_own(
    login: None, wandb_server: WandbStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = "from modelnook.tracking.wandb_server import Server; print(Server.current().url)"
    for url in ("", wandb_server.url):
        if url:
            monkeypatch.setenv("WANDB_BASE_URL", url)
        seen = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
        assert address() == seen.stdout.strip()


@pytest.mark.parametrize(
    ("environ", "track", "mode", "said"),
    [
        ({"WANDB_MODE": "online", "WANDB_PROJECT": "lab"}, ["wandb"], "online", "online: project lab"),
        ({}, ["wandb"], "offline", "offline"),
        ({"WANDB_MODE": "online"}, ["wandb:offline"], "offline", "offline"),
        ({"WANDB_MODE": "disabled"}, ["wandb"], None, "Not logged"),
        ({}, ["tensorboard"], None, "Not logged"),
    ],
)
def test_the_plan_says_where(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], track: list[str], mode: str | None, said: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    at = planned(track)
    assert (at or {}).get("mode") == mode
    assert said in line(at)


def test_a_live_run_s_first_line_says_where(record: RunRecord) -> None:
    said = planned(["wandb"])
    text = cards.text(replace(record, wandb=said)).splitlines()
    assert text[1].strip() == line(said)
    assert line(None) in cards.text(record)
    assert line(None) not in cards.text(replace(record, kind="evaluate"))
    assert line(said) not in cards.text(replace(record, wandb=said, state="finished"))


def test_it_is_said_without_the_library() -> None:
    code = (
        "import sys; from modelnook.tracking import destination as d; d.offer(['wandb']); print('wandb' in sys.modules)"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "False"
