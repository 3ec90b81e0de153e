"""Settings are never lost: not by a slip in an editor, not by two who save at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import modelnook as mn
from modelnook import api
from modelnook.domain.errors import StoreError, UsageError
from modelnook.settings import current, home

TEAM = {"name": "team", "kind": "folder", "token_env": None}


@pytest.fixture
def slip(tmp_path: Path) -> Path:
    """The file after a person put a comma too many into it."""
    (tmp_path / "team").mkdir()
    api.add_source("team", str(tmp_path / "team"), kind="folder")
    file = home() / "settings.json"
    file.write_text(file.read_text().rstrip()[:-1] + ",\n}")
    return file


def test_a_file_with_a_slip_is_not_written_over(slip: Path) -> None:
    text = slip.read_text()
    for change in (
        lambda: mn.settings(language="zh"),
        lambda: api.add_source("more", "https://hub.example.org"),
        lambda: api.remove_source("team"),
        api.sources,
        lambda: mn.info("team:spam"),
        lambda: mn.info("spam"),
        lambda: mn.search("spam", source="team"),
    ):
        with pytest.raises(StoreError, match=r"settings\.json.*line \d+ column 1"):
            change()
    assert slip.read_text() == text
    assert "settings.json" in mn.settings()["unread"]
    assert mn.search("spam").notes[0].count("settings.json") == 1
    assert "can't be read" in mn.search("spam").notes[0]
    slip.write_text(text.replace(",\n}", "}"))
    assert "unread" not in mn.settings(language="zh")
    assert {**TEAM, "url": current().sources[0]["url"]} == current().sources[0]


def test_added_sources_are_no_setting_and_a_file_with_others_is_not_read(slip: Path) -> None:
    slip.write_text(slip.read_text().replace(",\n}", "}"))
    with pytest.raises(UsageError, match="sources"):
        mn.settings(sources="foo")
    assert [s["name"] for s in current().sources] == ["team"]
    for edited in ("foo", ["team"], [{"url": "/there"}]):
        slip.write_text(json.dumps({"sources": edited}))
        with pytest.raises(StoreError, match=r"settings\.json"):
            api.sources()
        assert current().sources == []


def test_nothing_is_asked_while_nobody_can_tell_whether_it_may_be(slip: Path) -> None:
    assert mn.offline()
    slip.write_text("[]")
    assert mn.offline()
    slip.write_bytes(b"\xff\xfe")
    assert mn.offline()
    slip.unlink()
    assert not mn.offline()


def test_a_mark_that_an_editor_puts_first_is_no_slip() -> None:
    file = home() / "settings.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"language": "zh"}', encoding="utf-8-sig")
    assert mn.settings()["language"] == "zh"
    assert mn.settings(language="en")["language"] == "en"


ADD = """
import sys
from modelnook.settings import save, save_sources
for n in range(30):
    save_sources(lambda held: [*held, {"name": f"{sys.argv[1]}{n}", "url": "x", "kind": "folder"}])
    save(wandb_project=f"{sys.argv[1]}{n}")
"""


@pytest.mark.slow
def test_what_two_processes_save_at_once_is_all_kept() -> None:
    both = [subprocess.Popen([sys.executable, "-c", ADD, name]) for name in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    held = json.loads((home() / "settings.json").read_text())
    assert {s["name"] for s in held["sources"]} == {f"{name}{n}" for name in "ab" for n in range(30)}
