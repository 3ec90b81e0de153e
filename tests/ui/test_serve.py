"""The page of a served model: tried in a real browser, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

import modelnook as mn
from modelnook.serving import Server
from modelnook.testing.trained import trained_model

OUT = Path(__file__).parent / "out"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("serve")
        patch.setenv("MODELNOOK_HOME", str(place / "home"))
        with mn.serve(str(trained_model(place / "mails")), port=0) as served:
            yield served


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_tries_it(server: Server, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{server.url}/#token={server.token}")
    expect(page.get_by_role("heading")).to_have_text("mails")
    page.get_by_label("Inputs").fill("win free money\nlunch report")
    # From the keyboard alone.
    page.get_by_label("Inputs").press("Control+Enter")
    expect(page.get_by_role("row")).to_have_count(3)
    expect(page.get_by_role("columnheader").first).to_have_text("label")
    rows = [row.get_by_role("cell").first.inner_text() for row in page.get_by_role("row").all()[1:]]
    asked = {"inputs": ["win free money", "lunch report"]}
    bearer = {"Authorization": f"Bearer {server.token}"}
    told = requests.post(f"{server.url}/predict", json=asked, headers=bearer, timeout=60).json()["predictions"]
    assert rows == [row["label"] for row in told]
    OUT.mkdir(exist_ok=True)
    page.screenshot(path=OUT / f"serve-{scheme}.png")


def test_a_wrong_token_is_said(server: Server, page: Page) -> None:
    page.goto(server.url)
    page.get_by_label("Token").fill("wrong")
    page.get_by_label("Inputs").fill("win")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("token")
    assert page.get_by_role("row").count() == 0, "nothing is answered"
