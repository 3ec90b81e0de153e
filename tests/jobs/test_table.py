"""The whole way of a table: columns found, training, predictions for rows and frames, an evaluation; then real rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.test_table import loans

import modelnook as mn
from modelnook.domain.errors import DataError, NotFoundError

pytestmark = pytest.mark.slow

Rows = list[dict[str, Any]]


def table(count: int, seed: int = 0, late: float = 0.5) -> Rows:
    columns = {role.removeprefix("feature:"): values for role, values in loans(count, seed, late).items()}
    columns["id"] = [f"c{seed}-{i}" for i in range(count)]
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def test_a_label_alone_makes_every_other_column_a_feature(tiny: str) -> None:
    import pandas

    rows = table(300)
    run = mn.finetune(tiny, rows, drop="id", name="loans", epochs=8, learning_rate=3e-3)
    assert mn.info("loans").task == "table"
    assert run.record.data is not None
    assert set(run.record.data["columns"]) == {"label", "feature:income", "feature:home", "feature:kids"}
    assert run.record.primary_metric == "accuracy"
    assert {"accuracy", "auc_pr", "f1", "auc"} <= set(run.metrics)
    low, high = run.intervals["auc_pr"]
    assert low <= run.metrics["auc_pr"] <= high
    assert set(run.baselines) == {"majority", "trees"}
    assert run.metrics["accuracy"] > run.baselines["majority"]["accuracy"] + 0.1
    poor, rich = ({"income": income, "home": "own", "kids": 1} for income in (12.0, 75.0))
    assert list(mn.predict("loans", [poor, rich])["label"]) == ["bad", "good"]
    assert list(mn.predict("loans", poor)["label"]) == ["bad"]
    frame = pandas.DataFrame([rich, poor], index=["x", "y"])
    answers = mn.predict("loans", frame)
    assert list(answers["label"]) == ["good", "bad"]
    assert list(answers.index) == ["x", "y"]
    with pytest.raises(DataError, match="income") as caught:
        mn.predict("loans", [{"home": "own", "kids": 1}])
    assert caught.value.hint
    judged = mn.evaluate("loans", table(60, seed=9), slices=["home"])
    assert judged.metrics["accuracy"] > 0.8
    assert "trees" in judged.baselines
    assert judged.slices is not None
    with pytest.raises(NotFoundError, match="nmae"):
        mn.finetune(tiny, rows, drop=["nmae"])
    small = mn.quantize("loans", backend="onnx", max_drop=0.2, name="loans-int8")
    assert small.report is not None
    assert list(mn.predict("loans-int8", [poor, rich])["label"]) == ["bad", "good"]


def test_a_rare_label_is_judged_by_its_precision(tiny: str) -> None:
    run = mn.finetune(tiny, table(300, late=0.1), drop="id", task="table", method="lora", epochs=1, name="rare")
    assert run.record.primary_metric == "auc_pr"
    assert "auc_pr" in run.metrics
    assert (Path(mn.info("rare").path or "") / "model.safetensors").exists()


@pytest.mark.parametrize("drop", [None, "id,cust"])
def test_a_column_that_divides_the_rows_is_no_feature(drop: str | None) -> None:
    rows = [{**row, "cust": f"c{i // 4}"} for i, row in enumerate(table(120))]
    plain = {"task": "table", "method": "trees", "label": "label", "track": "none", "on": "kernel"}
    run = mn.finetune(data=rows, split="group:cust", drop=drop or "id", name="groups", **plain)
    assert run.record.data is not None
    assert set(run.record.data["columns"]) == {"label", "feature:income", "feature:home", "feature:kids"}
    parts = {name: {rows[i]["cust"] for i in ids} for name, ids in run.folder.split().items()}
    assert parts["validation"]
    assert not parts["validation"] & parts["train"]
    assert len(mn.predict("groups", [{"income": 12.0, "home": "own", "kids": 1}])) == 1
    others = [{**row, "cust": f"d{i % 30}"} for i, row in enumerate(rows)]
    other = mn.finetune(data=others, split="group:cust", drop=drop or "id", name="groups", **plain)
    assert other.id != run.id, "the same rows, divided otherwise, were taken for the same training"


def test_times_that_divide_a_table_are_told_to_be_no_feature() -> None:
    rows = [{**row, "day": f"2024-01-{1 + i // 4:02}"} for i, row in enumerate(table(120))]
    plain = {"task": "table", "method": "trees", "label": "label", "drop": "id", "dry_run": True}
    plan = mn.finetune(data=rows, split="time:day", **plain)
    assert "feature:day" not in plan.columns
    assert [w for w in plan.warnings if w.code == "data.time_left_out" and "'day'" in w.message]
    given = mn.finetune(data=rows[:90], eval_data=rows[90:], split="time:day", **plain)
    assert "feature:day" in given.columns
    assert "data.split_unused" in [w.code for w in given.warnings]


def test_bytes_in_a_table_are_texts() -> None:
    rows = table(80)
    raw = [{**row, "home": row["home"].encode(), "label": row["label"].encode()} for row in rows]
    mn.finetune(data=raw, drop="id", task="table", method="trees", name="raw", track="none", on="kernel")
    assert set(mn.info("raw").labels) == {"good", "bad"}
    asked = [{"income": 40.0, "home": home, "kids": 1} for home in ("own", b"own")]
    assert mn.predict("raw", asked[:1])["score"][0] == mn.predict("raw", asked[1:])["score"][0]
    assert {column["name"]: column["words"] for column in _words("raw")}["home"]
    assert not any("b'" in word for column in _words("raw") for word in column["words"] or ())


def _words(name: str) -> list[dict[str, Any]]:
    texts = [file.read_text() for file in Path(mn.info(name).path or "").glob("*.json")]
    return next(json.loads(text)["columns"] for text in texts if '"words"' in text)


@pytest.mark.parametrize(
    ("held", "says"), [({"income": "much"}, "Row 0 has 'much'"), ({"kids": None, "home": None, "income": None}, "lack")]
)
def test_validation_rows_that_lack_columns_are_refused_before_a_job(held: dict[str, Any], says: str) -> None:
    rows = table(60)
    changed = [{name: cell for name, cell in {**row, **held}.items() if cell is not None} for row in rows[:20]]
    with pytest.raises(DataError, match=rf"eval_data.*{says}"):
        mn.finetune(data=rows, eval_data=changed, drop="id", task="table", method="trees", dry_run=True)


@pytest.fixture
def trees() -> Rows:
    """Rows of two models of tables, ``loans`` and ``homes``, of which the latter reads one column less."""
    rows = table(120)
    plain = {"task": "table", "method": "trees", "track": "none", "on": "kernel"}
    mn.finetune(data=rows, drop="id", name="loans", **plain)
    mn.finetune(data=rows, drop="id,kids", name="homes", **plain)
    return [{**row, "id": f"other {i}", "day": i % 3} for i, row in enumerate(rows)]


def test_a_table_is_measured_by_the_columns_that_its_model_reads(trees: Rows) -> None:
    plain = mn.evaluate("loans", [{n: row[n] for n in ("income", "home", "kids", "label")} for row in trees])
    more = mn.evaluate("loans", trees)
    assert more.run == plain.run, "columns that no model reads made another run"
    assert set(more.data["columns"]) == {"label", "feature:income", "feature:home", "feature:kids"}
    sliced = mn.evaluate("loans", trees, slices=["day", "home"])
    assert sliced.metrics == more.metrics
    assert sliced.slices is not None
    assert {row[0] for row in sliced.slices.rows} == {"day", "home"}
    both = mn.compare("homes", "loans", data=trees)
    assert set(both.data["columns"]) == set(more.data["columns"]), "each reads its own"
    assert len(both.to_frame()) == 2


@pytest.mark.parametrize("verb", ["evaluate", "compare", "quantize", "export"])
def test_columns_that_a_model_lacks_are_told_before_a_job(
    verb: str, tiny: str, trees: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.jobs import submit

    def job(*given: Any, **more: Any) -> None:
        raise AssertionError("a job was begun")

    if verb in ("quantize", "export"):
        mn.finetune(tiny, table(60), drop="id", name="net", epochs=0.1, track="none", on="kernel")
    monkeypatch.setattr(submit, "submit", job)
    poor = [{n: c for n, c in row.items() if n != "kids"} for row in trees]
    calls = {
        "evaluate": lambda: mn.evaluate("loans", poor),
        "compare": lambda: mn.compare("homes", "loans", data=poor),
        "quantize": lambda: mn.quantize("net", data=poor),
        "export": lambda: mn.export("net", tmp_path / "out", to="safetensors", data=poor),
    }
    with pytest.raises(DataError, match="kids") as caught:
        calls[verb]()
    assert caught.value.code == "task.missing_columns"


def test_one_column_of_texts_is_a_text_whatever_it_is_called(tiny: str) -> None:
    rows = [{"phrase": f"good {i}" if i % 2 else f"bad {i}", "label": i % 2} for i in range(40)]
    mn.finetune(tiny, rows, epochs=0.2, name="plain", on="kernel")
    assert mn.info("plain").task == "text-classification"


@pytest.mark.real
def test_credit_scores_on_real_weights(minilm: Path, shared_data: Path) -> None:
    [file] = (shared_data / "german-credit").glob("*.csv")
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    plan = mn.finetune(str(minilm), str(file), label="creditability", drop="telephone,foreign_worker", dry_run=True)
    assert plan.max_length > 128, "the last columns say as much as the first"
    told = ("duration_in_month", "credit_amount", "status_of_existing_checking_account", "credit_history", "housing")
    drop = [name for name in rows[0] if name not in (*told, "creditability")]
    run = mn.finetune(
        str(minilm), rows[:600], eval_data=rows[600:900], label="creditability", drop=drop, epochs=2, name="credit"
    )
    assert mn.info("credit").task == "table"
    assert run.record.data is not None
    assert set(run.record.data["columns"]) == {"label", *(f"feature:{name}" for name in told)}
    assert run.metrics["auc"] > 0.65
    assert run.baselines["trees"]["auc"] > 0.65
