"""Every value as text and as HTML: short, readable in both languages, safe, the same facts in both."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.cards.conftest import ATTEMPTS, EXPLAINED, EXPLANATION, FINISHED, INFO, REPORT, RUNS, VALUES

from modelnook import cards
from modelnook.cards.card import MAX_LINES, Dot, Dots, Grid
from modelnook.cards.chart import scatter
from modelnook.cards.figures import width
from modelnook.cards.plain import WIDTH
from modelnook.cards.run import run as card
from modelnook.domain.event import Warned
from modelnook.domain.explanation import Part
from modelnook.domain.model import SearchResult, Terms
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.domain.table import Table
from modelnook.records import compare
from modelnook.run_list import RunList
from modelnook.store import Store

VOID = {"br", "hr", "img", "path", "polyline"}
SERIES = {
    "loss": {"step": list(range(1, 400)), "time": [0.0] * 399, "value": [1 / i for i in range(1, 400)]},
    "eval_accuracy": {"step": [100, 200, 300], "time": [1, 2, 3], "value": [0.8, None, 0.95]},
}


class Reader(HTMLParser):
    """Text, tags and whether every tag is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(params=["en", "zh"])
def lang(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MODELNOOK_LANG", request.param)
    return str(request.param)


@pytest.mark.parametrize("name", VALUES)
def test_a_card_is_short(name: str, lang: str) -> None:
    lines = cards.text(VALUES[name]).splitlines()
    assert 1 <= len(lines) <= MAX_LINES
    assert all(width(line) <= WIDTH for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_a_baseline_that_won_can_be_kept() -> None:
    text = " ".join(cards.text(RUNS["beaten"]).split())
    assert "%model runs rerun k3v9x2ab --method tfidf --name" in text
    assert "--method" not in cards.text(replace(RUNS["beaten"], task="sentence-similarity")), "it has no such method"
    assert "--method" not in cards.text(replace(RUNS["beaten"], kind="evaluate"))


def test_a_tie_is_no_reason_to_keep_a_baseline_and_a_lead_within_the_interval_is_said_to_be_one() -> None:
    beaten = RUNS["beaten"]
    reached = beaten.baselines["tfidf"]["accuracy"]
    tie = replace(beaten, metrics={**beaten.metrics, "accuracy": reached})
    assert "Not better than the baseline TF-IDF" in cards.text(tie)
    assert "--method" not in cards.text(tie)
    lows = ((reached - 0.05, "by less than these rows can tell"), (reached + 0.001, "TF-IDF is better"))
    for low, said in (*lows, (None, "TF-IDF is better")):
        card = replace(beaten, intervals={"accuracy": (low, low and reached + 0.01)})
        assert said in " ".join(cards.text(card).split())


def test_what_unlabelled_rows_came_to(lang: str) -> None:
    told = {"unlabelled": ("20,000", "8,412", "96", "0.963", "0.982"), "unlabelled_none": ("20,000", "19,871")}
    for name, figures in told.items():
        text = " ".join(cards.text(RUNS[name]).split())
        assert all(figure in text for figure in figures)
    found = {**RUNS["unlabelled"].report["unlabelled"], "teacher": "tfidf", "agree": False}
    by_tfidf = cards.text(replace(RUNS["unlabelled"], report={"unlabelled": found}))
    assert "TF-IDF" in by_tfidf
    assert by_tfidf != cards.text(RUNS["unlabelled"])


@pytest.mark.parametrize("words", ["12% of the tokens are cut off at 128: ", "词元太长，被截断："])
def test_the_first_warning_is_told_whole(words: str) -> None:
    long = replace(FINISHED, warnings=(words * (200 // width(words)), "another"))
    lines = cards.text(long).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("! "))
    told = "".join(lines[start:]).replace(" ", "")
    assert long.warnings[0].replace(" ", "") in told
    assert "(and1more" in told
    assert len(lines) <= MAX_LINES


@pytest.mark.parametrize("name", VALUES)
def test_no_key_and_no_field_is_left_over(name: str, lang: str) -> None:
    for said in (cards.text(VALUES[name]), Reader(cards.html(VALUES[name])).text):
        assert not re.search(r"\bcards\.|\bstate\.|\{\w+\}|None|nan", said)


@pytest.mark.parametrize("name", VALUES)
def test_html_is_whole_and_static(name: str, lang: str) -> None:
    source = cards.html(VALUES[name])
    read = Reader(source)
    assert read.open == []
    assert {t for t, _ in read.tags}.isdisjoint({"script", "style", "iframe", "form"})
    assert not [a for _, attributes in read.tags for a in attributes if a.startswith("on") or a in ("id", "class")]
    assert read.tags[0][1]["lang"] == ("zh-CN" if lang == "zh" else "en")
    # Colours come from variables that both themes of JupyterLab set.
    for colour in re.findall(r"(?<![\w-])color:([^;\"]+)", source):
        assert colour.removeprefix("color-mix(in srgb,").startswith("var(--jp-")


@pytest.mark.parametrize("name", VALUES)
def test_text_and_html_say_the_same_numbers(name: str) -> None:
    html = Reader(cards.html(VALUES[name])).text
    shown = re.findall(r"\d+\.\d+", cards.text(VALUES[name]))
    assert all(number in html for number in shown)


def test_what_comes_from_outside_is_escaped() -> None:
    assert "<b>" not in cards.html(INFO)
    assert "&lt;b&gt;" in cards.html(INFO)


def test_what_would_move_a_cursor_is_shown_as_it_is_written() -> None:
    bad = "\x1b]0;it\x07\r\x9b2J"
    info = replace(INFO, task=bad, license=bad, language=(bad,), labels=(bad,), layers=bad, metrics={bad: 1.0})
    for draw in (cards.text, cards.html, cards.whole):
        for value in (info, SearchResult((info,), bad)):
            assert not {"\x1b", "\x07", "\r", "\x9b"} & {*draw(value)}
    assert "\\x1b]0;it\\x07\\r\\x9b2J" in cards.text(info)
    spoof = cards.text(replace(INFO, license="mit\nrisks none"))
    assert "risks none" not in spoof.splitlines()
    assert "mit risks none" in spoof


def test_a_model_says_what_to_know_first() -> None:
    said = cards.text(INFO)
    assert "22.7M" in said
    assert "90.9 MB" in said
    assert "apache-2.0 · free to use" in said
    assert "900.0 GB (too much)" in said
    assert "BertModel 22.7M" in said
    assert "more lines" in said
    assert "! The weights are a pickle file <b>. (and 1 more: .to_dict())" in said
    assert "layer 29" in cards.html(INFO)


def test_where_one_line_is_left_the_upper_layers_stand_in_it() -> None:
    tree = "model 22.7M\n├── embeddings 11.9M\n│   └── weight 9×9\n└── pooler 147.8k\n    └── weight 3×3"
    apache = Terms("permissive", must="Keep the notices.", forbidden="The trademarks.", clause="2. Grant", note="None.")
    info = replace(INFO, layers=tree, terms=apache, risks=(), labels=(), metrics={"accuracy": 0.9, "f1": 0.8})
    lines = cards.text(info).splitlines()
    assert lines[lines.index("  layers") + 1] == "    model 22.7M · embeddings 11.9M · pooler 147.8k · … 2 more lines"
    assert len(lines) <= MAX_LINES


def test_the_primary_metric_comes_first_beside_its_baselines() -> None:
    lines = cards.text(FINISHED).splitlines()
    head = next(i for i, line in enumerate(lines) if "95% interval" in line)
    assert re.split(r"\s{2,}", lines[head + 1].strip()) == ["accuracy", "0.982", "0.971–0.990", "0.229", "0.957"]


def test_a_baseline_that_is_not_beaten_is_said() -> None:
    ahead = replace(FINISHED, baselines={"majority": {"accuracy": 0.229}, "tfidf": {"accuracy": 0.9823}})
    assert "Not better than the baseline TF-IDF (accuracy 0.982)" in cards.text(ahead)
    assert "smaller and faster: more rows, more epochs or another base model may change that." in " ".join(
        cards.text(ahead).splitlines()
    )
    assert "Not better" not in cards.text(FINISHED)
    losses = replace(
        FINISHED, metrics={"loss": 0.3}, baselines={"majority": {"loss": 0.2}}, primary_metric="loss", intervals={}
    )
    assert "baseline majority (loss 0.200)" in cards.text(losses)


def test_an_evaluation_on_rows_that_were_trained_on_says_so_unfolded() -> None:
    seen = replace(VALUES["evaluation"], warnings=("216 of these 240 texts were trained on.",))
    assert cards.text(seen).splitlines()[1] == "216 of these 240 texts were trained on."
    assert "<details" not in cards.html(seen).partition("216 of these")[0]
    chosen = replace(VALUES["comparison"], note="used while choosing", warnings=("24 of these were trained on.",))
    assert cards.text(chosen).splitlines()[:2] == [
        "Models side by side: 2 · on 225 rows · used while choosing",
        "24 of these were trained on.",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("running", "32% training · 120/375 · epoch 1.2 of 3 · loss 0.300 · 812 rows/s · 40 s left"),
        ("queued", "starting"),
        ("waiting", "waits until the device is free"),
        ("failed", "It blew."),
        ("crashed", "%model resume k3v9x2ab"),
        ("quantize", "×3.6"),
        ("quantize", "on 200 validation rows"),
        ("quantize", "backend onnx"),
        ("trim", "30,522"),
        ("shrink", "as it was"),
        ("shrink", "distil:layers:3  0.980 (0.961–0.992)  68.0 MB"),
        ("shrink", "int8 (onnx)      0.978 (0.957–0.991)   8.0 MB"),
        ("shrink", " 8.0 MB / 500.0 MB            3.4 ms / 7.0 ms   2,900  62.0 ms"),
        ("compare", "local:topics@1     0.900"),
        ("uploaded", "https://wandb.ai/x/y/runs/k3v9x2ab"),
        ("finished", "not uploaded"),
        ("finished", "1 min 20 s"),
    ],
)
def test_a_run_in_its_state(name: str, said: str) -> None:
    assert said in cards.text(RUNS[name])


@pytest.mark.parametrize("draw", [cards.text, lambda run: Reader(cards.html(run)).text], ids=["text", "html"])
@pytest.mark.parametrize("name", ["quantize", "trim"])
def test_before_and_after_have_their_intervals_and_the_time_to_load(name: str, draw: Any, lang: str) -> None:
    said = draw(RUNS[name])
    for figure in ("0.980 (0.961–0.992)", "0.978 (0.957–0.991)", "3.4 ms / 7.0 ms"):
        assert figure in said
    # What changed the size stands before the time to load; in text the longest table gives way.
    if name == "quantize" or draw is not cards.text:
        assert {"en": "to load", "zh": "加载"}[lang] in said
        for figure in ("413 ms", "62.0 ms", "-85%", "500.0 MB"):
            assert figure in said


def test_a_tuning_says_what_it_gained_and_what_mattered(lang: str) -> None:
    nothing = {"en": "gained nothing", "zh": "看不出调参有提高"}[lang]
    text = " ".join(cards.text(RUNS["tuned"]).split())
    for said in ("+2.5", "+1.0", "+4.0", "225", "0.957", "0.982", "learning_rate 81%, epochs 19%"):
        assert said in text
    assert nothing in " ".join(cards.text(RUNS["tuned_for_nothing"]).split())
    if lang == "en":
        assert "gained +2.5 points" in text
        assert "225 rows that no trial saw)." in text, "the sentence is whole"
    # The best is on top, and one that failed or was ended early says so in place of a value.
    read = Reader(cards.html(RUNS["tuned"])).text
    assert [read.index(f"#{n}") for n in (4, 1)] == sorted(read.index(f"#{n}") for n in (4, 1, 3, 2))[:2]
    assert read.count({"en": "ended early", "zh": "提前结束"}[lang]) == 2


def test_a_tuning_shows_each_trial_and_the_best_so_far_with_a_table_of_it() -> None:
    values = {"step": [0, 1, 2], "time": [1.0, 2.0, 3.0], "value": [0.957, 0.93, 0.982]}
    series = {"eval_accuracy": values, "best_accuracy": {**values, "value": [0.957, 0.957, 0.982]}}
    read = Reader(cards.html(RUNS["tuned"], series=series))
    assert [a["role"] for t, a in read.tags if t == "svg"] == ["img", "img"]
    assert sum(t == "polyline" for t, _ in read.tags) == 2
    assert [t for t, _ in read.tags].count("table") >= 2
    assert "0.930" in read.text


def test_what_mattered_is_a_chart_and_a_table_of_all_knobs(lang: str) -> None:
    shares = {"epochs": 0.05, "learning_rate": 0.6, "dropout": 0.021, "rank": 0.1, "method": 0.2, "warmup": 0.029}
    run = replace(RUNS["tuned"], report={**(RUNS["tuned"].report or {}), "importances": shares})
    read = Reader(cards.html(run))
    bars = [float(a["width"]) for t, a in read.tags if t == "rect"]
    assert len(bars) == len(shares)
    assert bars == sorted(bars, reverse=True)
    assert [t for t, _ in read.tags].count("table") == 2
    assert all(f"{name}{100 * share:.1f}%" in read.text for name, share in shares.items())
    said = cards.text(run)
    assert "learning_rate 60%, method 20%, rank 10%, epochs 5%" in said
    assert "warmup" not in said


def test_all_that_was_tried_is_a_table_and_a_chart() -> None:
    source, said = cards.html(RUNS["tried"]), cards.text(RUNS["tried"])
    read = Reader(source)
    assert "on 200 texts of its own" in said
    rows = [line for line in read.text.splitlines() if line]
    text = " ".join(rows)
    # The quickest first; the chosen one is marked, and what fell too far.
    assert text.index("1 onnx int8 ←") < text.index("2 openvino int8") < text.index("3 quanto int4 keep=0.25 · too far")
    assert "+0.2 (-0.4 … +1.2)" in text
    assert [a["role"] for t, a in read.tags if t == "svg"] == ["img"]
    assert source.count("<circle") == 4
    # Filled are those that nothing beats in quality, size and speed: the original for its quality, the chosen one.
    assert source.count('fill="none" stroke="var(--jp-brand') == 2
    assert "3 quanto int4 keep=0.25: 0.510" in source
    assert "tried 3: %model runs show k3v9x2ab" in said
    assert "best in rows/s and latency together" in read.text
    assert "0: the original; 1: taken" in read.text
    assert "drop in points" in read.text
    # What has no scale of its own falls by a share of what it was.
    off = {**(RUNS["tried"].report or {}), "metric": "rmse"}
    assert "drop in %" in Reader(cards.html(replace(RUNS["tried"], report=off))).text


def test_where_each_was_measured_is_said_unless_all_ran_on_a_cpu() -> None:
    run = RUNS["tried"]
    report = run.report or {}
    devices = dict(zip(("onnx", "openvino", "quanto"), ("cpu", "cpu", "cuda"), strict=True))
    tried = [{**one, "device": devices[one["backend"]]} for one in report["attempts"]]
    sides = {side: {**report[side], "device": "cuda" if side == "before" else "cpu"} for side in ("before", "after")}

    def told(**more: Any) -> list[tuple[str, ...]]:
        grids = [p for p in card(replace(run, report={**report, **more})).pieces if isinstance(p, Grid)]
        assert all(len(row) == len(grid.columns) for grid in grids for row in grid.rows)
        return [(row[0], row[-1]) for row in grids[-1].rows] + [row for row in grids[0].rows if row[0] == "device"]

    assert told(attempts=tried, **sides) == [
        ("1 onnx int8 ←", "cpu"),
        ("2 openvino int8", "cpu"),
        ("3 quanto int4 keep=0.25 · too far", "cuda"),
        ("device", "cuda", "cpu", ""),
    ]
    assert all(last == "300.0 MB" for _, last in told())
    chain = RUNS["shrink"].report or {}
    steps = [{**step, "after": {**step["after"], "device": "cuda"}} for step in chain["steps"]]
    assert cards.text(replace(RUNS["shrink"], report={**chain, "steps": steps})).count("cuda") == 3


def test_of_a_refused_one_all_that_was_tried_stands_below_the_error(lang: str) -> None:
    error = {"code": "quantize.refused", "message": "int8 was refused: too far.", "hint": "Allow more."}
    tried = [{**one, "accepted": False} for one in ATTEMPTS]
    report = {"before": REPORT["before"], "metric": "accuracy", "rows": 200, "attempts": tried, "data": "validation"}
    run = replace(RUNS["failed"], kind="quantize", report=report, error=error)
    said = cards.text(run)
    assert said.splitlines()[1:3] == ["int8 was refused: too far.", "Allow more."]
    assert {"en": "Tried: 3, none of them stays within the drop", "zh": "没有一种在允许的下降之内"}[lang] in said
    assert all(name in said for name in ("1 onnx int8 ·", "2 openvino int8 ·", "3 quanto int4"))
    assert "←" not in said
    read = Reader(cards.html(run))
    assert [a["role"] for t, a in read.tags if t == "svg"] == ["img"]
    assert {"en": "before", "zh": "之前"}[lang] not in said, "there is no after to show beside it"


def test_of_a_chain_that_goes_on_or_was_refused_the_steps_that_are_done_are_told() -> None:
    chain = RUNS["shrink"].report or {}
    report = {"before": chain["before"], "steps": chain["steps"][:1], "metric": "accuracy", "rows": 200}
    for run in (RUNS["running"], RUNS["failed"]):
        said = cards.text(replace(run, kind="shrink", report=report))
        assert "as it was" in said
        assert "distil:layers:3  0.980 (0.961–0.992)  68.0 MB" in said
        assert "after" not in said


def test_before_and_after_stand_in_the_text_and_all_that_was_tried_where_it_is_asked_for() -> None:
    """In twelve lines, with everything else that a run may have below it."""
    long = {"path": "/home/somebody/.modelnook/runs/k3v9x2ab/wandb/offline-run-20261124_170000-k3v9x2ab-and-further"}
    run = replace(RUNS["tried"], wandb=long, warnings=("one", "two"))
    said = cards.text(run)
    assert len(said.splitlines()) <= 12
    heads = ("accuracy", "size / peak memory", "latency p50 / latency p95", "rows/s", "to load")
    assert all(any(line.strip().startswith(head) for line in said.splitlines()) for head in heads)
    assert "0.980 (0.961–0.992)" in said
    assert f"tried 3: %model runs show {run.id}" in said
    assert all(name in cards.whole(run) for name in ("1 onnx int8", "2 openvino int8", "3 quanto int4"))
    long_warning = replace(run, warnings=("one " * 40, "two"))
    assert "to load" in cards.text(long_warning)
    assert f"not uploaded: %model runs sync {run.id} · {long['path']}" in said
    assert f"! one (and 1 more: %model runs show {run.id})" in said
    assert "! two" in cards.whole(run)
    many = {**(run.report or {}), "attempts": (run.report or {})["attempts"] * 5, "after": None}
    said = cards.text(replace(run, report=many))
    assert len(said.splitlines()) <= 12
    assert f"more: %model runs show {run.id}" in said


def test_a_training_that_has_a_pace_tells_it_in_place_of_the_guess() -> None:
    plan = VALUES["plan_told"].to_dict()
    live = replace(RUNS["running"], plan=plan, kind="finetune", progress={"phase": "training", "step": 0, "total": 9})
    assert "30 s to 1 min 20 s" in cards.text(live)
    assert "216 rows train, 24 validate" in cards.text(replace(live, state="finished"))
    paced = cards.text(replace(live, progress={**(live.progress or {}), "eta_s": 300.0}))
    assert "in all, as measured so far" in paced
    assert "30 s to" not in paced


def test_one_attempt_has_no_chart() -> None:
    report = {**(RUNS["tried"].report or {}), "attempts": (RUNS["tried"].report or {})["attempts"][1:2]}
    assert "<circle" not in cards.html(replace(RUNS["tried"], report=report))


def test_a_plan_tells_what_to_check_before_the_wait() -> None:
    said = cards.text(VALUES["plan_told"])
    assert "text=body, label=is_spam · classes 2 · 216 rows train, 24 validate" in said
    assert "disk for it 700.0 MB · free now 100.0 GB" in said
    assert "time 30 s to 1 min 20 s" in said
    assert "time" not in cards.text(VALUES["plan"])


def test_a_failed_run_says_first_what_went_wrong_and_what_helps() -> None:
    assert cards.text(RUNS["failed"]).splitlines()[1:3] == ["It blew.", "Wait."]
    assert cards.text(RUNS["failed"]).count("Wait.") == 1


def test_a_link_is_a_link_only_to_the_web() -> None:
    links = [a["href"] for t, a in Reader(cards.html(RUNS["uploaded"])).tags if t == "a"]
    assert links == ["https://wandb.ai/x/y/runs/k3v9x2ab"]


def test_a_finished_run_draws_its_curves_with_a_table_of_them() -> None:
    source = cards.html(FINISHED, series=SERIES)
    read = Reader(source)
    charts = [a for t, a in read.tags if t == "svg"]
    assert len(charts) == 2
    assert all(a["role"] == "img" for a in charts)
    assert "<title>Loss over the steps. loss: 1.000 → 0.003</title>" in source
    assert source.count("polyline") == 2
    assert max(len(line.split()) for line in re.findall(r'points="([^"]+)"', source)) <= 201
    assert "300: 0.950" in read.text
    assert cards.text(FINISHED, series=SERIES) == cards.text(FINISHED)
    assert len(source) < 20_000


def test_a_chart_of_nothing_is_nothing() -> None:
    empty: dict[str, dict[str, list[Any]]] = {"loss": {"step": [1], "time": [0.0], "value": [None]}}
    source = cards.html(FINISHED, series=empty)
    assert "svg" not in source
    assert source == cards.html(FINISHED), "nor a gap where it would stand"


def test_long_tables_say_what_is_left_out() -> None:
    shown = cards.text(VALUES["runs"]).splitlines()
    assert shown[0] == "Runs: 4,000"
    # Beside the rows: title, heads, this line, where runs that are offline lie, and how to upload one.
    assert shown[-3].strip() == f"… {4000 - (len(shown) - 5):,} more: --limit, or .to_frame()"
    assert len(cards.whole(VALUES["runs"]).splitlines()) > len(VALUES["runs"].items)
    # In HTML the rest is folded, with a heading of its own.
    assert cards.html(VALUES["found"]).count("<tr>") == 20 + 2


def test_the_list_of_runs_says_where_each_is_logged(lang: str) -> None:
    folder = "/home/x/runs/k3v9x2ab/tracking/wandb/offline-run-1-k3v9x2ab"
    offline = replace(FINISHED, wandb={"path": folder, "url": None, "synced": False})
    listed = RunList((RUNS["bare"], offline, RUNS["uploaded"]), SimpleNamespace())  # type: ignore[arg-type]
    said = cards.text(listed)
    assert "/home/x/runs/RUN/tracking/wandb" in said
    assert "%model runs sync RUN" in said
    assert "https://wandb.ai/x/y/runs/" in said
    tags = Reader(cards.html(listed)).tags
    assert [a["title"] for t, a in tags if "title" in a] == [folder]
    assert [a["href"] for t, a in tags if t == "a"] == ["https://wandb.ai/x/y/runs/k3v9x2ab"]
    none = RunList((RUNS["bare"], RUNS["uploaded"]), SimpleNamespace())  # type: ignore[arg-type]
    assert "sync" not in cards.text(none)


def test_every_row_of_the_table_of_cards_resolves() -> None:
    for target, maker in cards.MAKERS.items():
        module, _, kind = target.rpartition(".")
        assert hasattr(importlib.import_module(module), kind)
        module, _, name = maker.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_what_has_no_card_is_said_by_itself() -> None:
    assert cards.text("plain") == "plain"
    with pytest.raises(TypeError):
        cards.html(object())


def test_chinese_columns_line_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    lines = cards.text(RUNS["quantize"]).splitlines()
    assert lines[3].split()[0] == "accuracy"
    ends = {width(line) for line in lines[2:8]}
    assert len(ends) == 1


def test_a_scatter_of_shares_ends_at_one_and_its_marks_stand_apart() -> None:
    dots = (Dot("0", "original", 24.0, 0.994, False), Dot("3", "torchao", 25.0, 0.994, False))
    drawn = scatter(Dots("accuracy", "rows/s", (*dots, Dot("1", "openvino", 86.0, 0.994, True))))
    assert ">1.000<" in drawn
    labels = re.findall(r'x="([\d.]+)" y="([\d.]+)">([013])</text>', drawn)
    marks = {mark: (float(x), float(y)) for x, y, mark in labels}
    circles = [float(x) for x in re.findall(r'cx="([\d.]+)"', drawn)]
    # 0 has its mark at the left, away from its neighbour; the others have room at the right.
    assert marks["0"][0] < circles[0] < circles[1] < marks["3"][0] < circles[2] < marks["1"][0]


def test_marks_of_dots_on_one_spot_are_all_drawn() -> None:
    drawn = scatter(Dots("accuracy", "rows/s", tuple(Dot(str(i), f"m{i}", 5.0, 1.0, True) for i in range(5))))
    marks = re.findall(r'x="([-\d.]+)" y="([-\d.]+)">([0-4])</text>', drawn)
    assert [mark for _, _, mark in marks] == list("01234")
    assert len({at[:2] for at in marks}) == 2, "both places that there are below a dot at the top"
    assert all(float(y) > 0 for _, y, _ in marks)


def test_what_waits_and_what_is_loaded_is_said_in_the_persons_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    rows = (("loaded", "local:a@1", "onnx", "cpu", 5e6, 1), ("warm", "", "…", None, 5e8, 2))
    said = cards.text(Table(("state", "name", "what", "device", "memory", "pid"), rows))
    assert "已加载" in said
    assert "待命" in said
    assert not re.search(r"loaded|warm", said)


def test_a_path_is_never_cut(lang: str) -> None:
    path = "/home/somebody/" + "a-long-name/" * 12 + "end"
    logged = {"path": f"{path}/k3v9x2ab/wandb/offline-1", "url": None, "synced": False}
    assert logged["path"] in cards.text(replace(FINISHED, wandb=logged))
    exported = {"path": path, "bytes": 9, "equal": 1.0, "tolerance": 0.1}
    for kind, report in (("export", exported), ("pull", {"path": path, "bytes": 9})):
        assert path in cards.text(replace(RUNS["bare"], kind=kind, state="finished", report=report))
    listed = RunList((replace(FINISHED, wandb=logged),), SimpleNamespace())  # type: ignore[arg-type]
    assert f"{path}/RUN/wandb" in cards.text(listed)
    assert path in cards.text(replace(INFO, source="hub", path=path))
    address = f"https://wandb.example.org/{'team-of-many/' * 12}runs/k3v9x2ab"
    assert address in cards.text(replace(FINISHED, wandb={"url": address, "path": None, "synced": True}))


def test_a_plan_that_is_asked_for_tells_every_check(lang: str) -> None:
    warned = tuple(Warned("data.copies", f"Check {n}.") for n in range(15))
    said = cards.whole(replace(VALUES["plan_told"], warnings=warned[:12])).splitlines()
    assert [line for line in said if line.startswith("! ")] == [f"! Check {n}." for n in range(12)]
    assert ".to_dict()" not in "".join(said)
    more = cards.whole(replace(VALUES["plan_told"], warnings=warned))
    assert "! Check 12." not in more
    assert {"en": "(and 3 more: .to_dict())", "zh": ".to_dict()"}[lang] in more


def test_runs_side_by_side_begin_with_their_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path))
    store = Store()
    why = "full: the model is small and memory suffices (about 1.0 GB of 21.2 GB free)"
    for id, rate, reason in (("aaaa1111", 1e-4, why), ("bbbb2222", 0.005, "head")):
        # A knob may be a word in one run and a list in another.
        metrics = "accuracy" if rate < 0.001 else ["accuracy", "latency"]
        params = {"epochs": 4.0, "learning_rate": rate, "reason": reason, "warmup": rate, "seed": 1, "metric": metrics}
        record = RunRecord(id, id, "finetune", "finished", params=params, metrics={"accuracy": 0.9, "loss": 0.2})
        store.create_run(Recipe("finetune", "pip:x@1"), record, {"train": [0]})
    side = compare("aaaa1111", "bbbb2222")
    assert side.columns == ("run", "name", "kind", "accuracy", "loss", "learning_rate", "metric", "warmup", "reason")
    assert side.rows[0][-1] == why
    cells = cards.text(side).splitlines()[2].split()
    assert cells[3:8] == ["0.900", "0.200", "0.0001", "accuracy", "0.0001"]
    assert "accuracy, latency" in cards.text(side)


def test_what_a_person_made_here_of_nobodys_model_is_theirs() -> None:
    made = replace(INFO, source="local", license=None, base_model=None, bases=(), terms=Terms("unknown"))
    assert made.license_kind == made.to_dict()["license_kind"] == "own"
    assert "choose a licence when you publish it" in cards.text(made)
    for other in (replace(made, base_model="hub:a/b"), replace(made, source="hub")):
        assert other.license_kind == "unknown"
        assert "ask the author" in cards.text(other)
    assert replace(made, license="mit").license_kind == "permissive"


def test_an_explanation_reads_without_colours(lang: str) -> None:
    """GitHub strips styles, and not everybody sees red: numbers stand beside the strongest words, titles on all."""
    read = Reader(cards.html(EXPLANATION))
    assert "win+2.10" in read.text
    assert "money,−1.30" in read.text
    spans = [attributes for tag, attributes in read.tags if tag == "span" and attributes.get("title")]
    assert {"+2.10", "−1.30", "−0.30"} <= {attributes["title"] for attributes in spans}
    for attributes in spans:
        line = "solid" if str(attributes["title"]).startswith("+") else "dotted"
        assert line in str(attributes["style"])
    assert "win[+2.10] <b> money,[−1.30] and lunch" in cards.text(EXPLANATION)
    assert "income: 20.5+4.5" in Reader(cards.html(VALUES["explanation_cells"])).text


def test_no_word_stands_out_where_hardly_any_counts() -> None:
    parts = (Part("one", 0.004, start=0, end=3), Part("two", -0.002, start=4, end=7))
    little = replace(EXPLANATION, items=(replace(EXPLAINED, given={"text": "one two"}, parts=parts),))
    assert cards.text(little).splitlines()[1] == "one two"
    assert "<sup>" not in cards.html(little)
    assert "background:rgba(" not in cards.html(little)


def test_a_text_of_any_length_has_a_small_card() -> None:
    parts = tuple(Part(f"w{i}", float(i), start=8 * i, end=8 * i + 5) for i in range(20_000))
    long = replace(EXPLANATION, items=(replace(EXPLAINED, given={"text": "12345678" * 20_000}, parts=parts),))
    assert len(cards.html(long)) < 400_000
    assert "w19999" in cards.text(long)
