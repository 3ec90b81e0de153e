"""``explain``: why a model answers as it does, at every door and on every runtime."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.tasks.test_table import loans
from tests.tasks.test_text_regression import priced

import modelnook as mn
from modelnook import cards
from modelnook.classic.base import write
from modelnook.classic.trees import LEFT_OUT, Trees
from modelnook.cli import main
from modelnook.domain.dataset import FEATURE
from modelnook.domain.errors import DataError, UnsupportedError, UsageError
from modelnook.tasks import TASKS
from modelnook.testing.explainers import learnt, planted
from modelnook.testing.models import tiny_rows, tiny_writer
from modelnook.testing.trained import trained_model

pytest.importorskip("sklearn")

TEXTS = ["The garden, win coffee", "coffee in the garden", ""]


@pytest.fixture
def spam(tmp_path: Path) -> str:
    """A TF-IDF model of which ``win`` decides."""
    learnt(tmp_path / "spam", "text-classification", planted()).close()
    return str(tmp_path / "spam")


def test_a_text_has_tokens_and_scores(spam: str) -> None:
    found = mn.explain(spam, TEXTS[0])
    assert found.items[0].likeliest is None
    assert (found.method, found.unit, found.task) == ("linear", "log-odds", "text-classification")
    assert found.tokens == ("The", "garden,", "win", "coffee")
    assert max(zip(found.scores, found.tokens, strict=True))[1] == "win"
    frame = found.to_frame()
    assert frame["token"].tolist() == list(found.tokens)
    assert [TEXTS[0][a:b] for a, b in zip(frame["start"], frame["end"], strict=True)] == list(found.tokens)
    told = found.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert [part["score"] for part in told["items"][0]["parts"]] == list(found.scores)


def test_several_inputs_have_each_their_own(spam: str) -> None:
    found = mn.explain(spam, TEXTS)
    assert [one.items[0].label for one in found] == mn.predict(spam, TEXTS)["label"].tolist()
    assert len(found) == 3
    assert found[1].tokens == ("coffee", "in", "the", "garden")
    assert found[-1].tokens == ()
    assert found.to_frame()["row"].tolist() == [0] * 4 + [1] * 4
    assert mn.explain(spam, []).to_frame().empty
    assert found[1:].tokens == found[1].tokens, "a part of them is an explanation as well"
    assert mn.explain(ref=spam, inputs=TEXTS[0]).tokens == found[0].tokens, "called as the contract has it"


@pytest.mark.parametrize("kind", ["series", "frame", "named", "file"])
def test_inputs_are_those_of_predict(kind: str, spam: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"body": TEXTS[:2], "n": [1, 2]}, index=[7, 9])
    frame.to_csv(tmp_path / "rows.csv", index=False)
    given: dict[str, Any] = {
        "series": (frame["body"], {}),
        "frame": (frame.rename(columns={"body": "text"}), {}),
        "named": (frame, {"text": "body"}),
        "file": (tmp_path / "rows.csv", {"columns": {"text": "body"}}),
    }
    inputs, options = given[kind]
    assert mn.explain(spam, inputs, **options).tokens == mn.explain(spam, TEXTS[:2]).tokens


def test_a_model_in_hand_is_asked(spam: str) -> None:
    with mn.load(spam) as model:
        found = model.explain(TEXTS[0], label="ham", method="occlusion")
        assert len(mn.ps()) == 1
    assert (found.items[0].label, found.items[0].likeliest) == ("ham", "spam")
    assert "the model says spam" in cards.text(found)
    assert min(zip(found.scores, found.tokens, strict=True))[1] == "win"
    assert found == mn.explain(spam, TEXTS[0], label="ham", method="occlusion")


def test_methods_agree_on_what_decides(spam: str) -> None:
    for method in ("linear", "occlusion", "shapley"):
        found = mn.explain(spam, TEXTS[0], method=method)
        assert (found.method, found.why) == (method, "")
        assert max(zip(found.scores, found.tokens, strict=True))[1] == "win"
    assert "linear" in mn.explain(spam, "win").why


def test_a_mistake_is_said_with_what_to_do(spam: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hamm") as caught:
        mn.explain(spam, "win", label="hamm")
    assert "'ham'" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        mn.explain(spam, "win", method="shaply")
    assert "shapley" in caught.value.hint
    with pytest.raises(UsageError, match="predictions"):
        mn.explain(spam, "win", predictions=3)
    learnt(tmp_path / "price", "text-regression", priced(64)).close()
    with pytest.raises(UsageError, match="says a number"):
        mn.explain(str(tmp_path / "price"), "a room", label="dear")


@pytest.mark.slow
def test_another_task_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="text-generation") as caught:
        mn.explain(str(tiny_writer(tmp_path / "writer")), "good")
    assert "text-classification" in caught.value.hint
    assert "token-classification" not in caught.value.hint
    assert "image" not in caught.value.hint
    assert "fill-mask" not in caught.value.hint


@pytest.mark.parametrize("task", ["text-regression", "multi-label-classification"])
def test_numbers_and_labels_by_themselves(task: str, tmp_path: Path) -> None:
    from tests.tasks.test_multi_label_classification import tagged

    rows = priced(64) if task == "text-regression" else tagged(64)
    learnt(tmp_path / "model", task, rows).close()
    path, text = str(tmp_path / "model"), rows["text"][3]
    for method in ("linear", "shapley"):
        (item,) = mn.explain(path, text, method=method).items
        assert sum(part.score for part in item.parts) == pytest.approx(item.value - item.base, abs=1e-4)
    answer = mn.predict(path, text)
    if task == "text-regression":
        assert item.label is item.score is None
        assert item.value == pytest.approx(answer["value"][0])
    else:
        assert item.label == max(answer["scores"][0], key=answer["scores"][0].get)
        other = min(answer["scores"][0], key=answer["scores"][0].get)
        found = mn.explain(path, text, label=other).items[0]
        assert found.value < 0
        assert found.likeliest == (", ".join(answer["label"][0]) or None), "all that the model says, or nothing"


def test_columns_of_a_table(tmp_path: Path) -> None:
    rows, spec = loans(300), TASKS.load("table", light=True)()
    trees = Trees.learn(spec, rows, spec.labels(rows))
    assert trees is not None
    (folder := tmp_path / "trees").mkdir()
    write(trees, folder, task="table", labels=spec.labels(rows))
    frame = pd.DataFrame({name.removeprefix("feature:"): values for name, values in rows.items()})
    found = mn.explain(str(folder), frame.head(3))
    assert (found.method, "shapley" in found.why) == ("shapley", True)
    table = found.to_frame()
    assert set(table["column"]) == {"income", "home", "kids"}, "the label is no column of the model's"
    assert table.groupby("row")["score"].idxmax().map(table["column"]).tolist() == ["income"] * 3
    assert table["token"][0] == str(frame["income"][0])
    for item in found.items:
        assert sum(part.score for part in item.parts) == pytest.approx(item.value - item.base, abs=1e-9)
    assert "income: " in cards.html(found[0])
    odd = frame.astype({"income": object})
    odd.loc[40, "income"] = "n/a?"
    with pytest.raises(DataError, match="Row 40"):
        mn.explain(str(folder), odd.head(50))


def test_a_column_without_gaps_is_left_out_as_the_mean_of_both_ways(tmp_path: Path) -> None:
    """A cell that is missing takes the way of most rows: of those there would be nothing to explain."""
    rng, spec = np.random.default_rng(5), TASKS.load("table", light=True)()
    income = rng.uniform(0, 900, 300).round().tolist()
    rows = {
        "feature:home": rng.choice(["own", "rent"], 300).tolist(),
        "feature:income": income,
        "label": ["yes" if value > 500 else "no" for value in income],
    }
    trees = Trees.learn(spec, rows, spec.labels(rows))
    assert trees is not None
    (folder := tmp_path / "trees").mkdir()
    write(trees, folder, task="table", labels=spec.labels(rows))
    found = mn.explain(str(folder), pd.DataFrame({"home": ["own", "rent"], "income": [100.0, 800.0]}))
    assert [item.label for item in found.items] == ["no", "yes"]
    for item in found.items:
        home, paid = (part.score for part in item.parts)
        assert paid > 1
        assert abs(home) < 0.2 * paid
    absent = [{"home": LEFT_OUT, "income": LEFT_OUT}]
    means = trees.outputs(spec, {FEATURE + name: [row[name] for row in absent] for name in absent[0]})
    shares = np.exp(trees.outputs(spec, rows))
    # The mean of the trees' sums, not of the shares: near it in order alone.
    assert np.exp(means)[0].argmax() == shares.mean(axis=0).argmax()


def test_labels_are_named_as_the_rows_had_them(tmp_path: Path) -> None:
    rows = planted()
    learnt(
        tmp_path / "flags", "text-classification", {**rows, "label": [label == "spam" for label in rows["label"]]}
    ).close()
    found = mn.explain(str(tmp_path / "flags"), "win", label=False)
    assert (found.items[0].label, found.items[0].likeliest) == ("False", "True")


def test_a_card_of_several_long_texts_has_an_end(spam: str) -> None:
    found = mn.explain(spam, ["garden coffee letter " * 200] * 7, method="occlusion", predictions=60)
    assert len(re.sub(r"<[^>]*>", "", cards.html(found))) < 6_000


def test_a_terminal_says_it(spam: str, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["explain", spam, TEXTS[0], TEXTS[1]]) == 0
    out = capsys.readouterr().out
    assert "win +" in out
    assert "spam 0.9" in out
    monkeypatch.setattr("modelnook.cli.command._piped", lambda: "win\n")
    assert main(["explain", spam, "--method", "shapley", "--label", "ham", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert (item["label"], item["parts"][0]["token"]) == ("ham", "win")
    assert item["parts"][0]["score"] < 0
    assert main(["explain", spam, "win", "--label", "hamm"]) == 2
    assert "'ham'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_model(tmp_path_factory.mktemp("explained") / "model")


TOLD = {"transformers": "", "onnx": "int8", "openvino": "int8"}


@pytest.mark.slow
@pytest.mark.parametrize("runtime", TOLD)
def test_it_runs_on_whatever_the_model_does(runtime: str, trained: Path, tmp_path: Path) -> None:
    from modelnook.quantize import QUANTIZERS

    folder = trained
    if TOLD[runtime]:
        pytest.importorskip({"onnx": "onnxruntime"}.get(runtime, runtime))
        folder = tmp_path / "small"
        options: dict[str, Any] = {"task": "text-classification", "calibration": [], "emit": lambda event: None}
        QUANTIZERS.load(runtime)().quantize(trained, folder, TOLD[runtime], **options)
    text = tiny_rows(8, seed=5)["text"][1]
    found = mn.explain(str(folder), text)
    assert found.method == "occlusion"
    assert mn.load(str(folder)).runtime.name == runtime
    (shapley,) = mn.explain(str(folder), text, method="shapley").items
    assert sum(part.score for part in shapley.parts) == pytest.approx(shapley.value - shapley.base, abs=1e-9)
    plain = mn.explain(str(trained), text, label=found.items[0].label)
    assert np.corrcoef(found.scores, plain.scores)[0, 1] > 0.9, "the small model looks at the same words"


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(("method", "rows", "most"), [("occlusion", 8, 150), ("shapley", 4, 160)])
def test_what_counts_is_missed_more_than_what_does_not(
    method: str, rows: int, most: int, trained_on_headlines: Path, headlines: Any
) -> None:
    """Real weights: without the three words that count most, and without three of the others."""
    path, texts = str(trained_on_headlines), [text[:100] for text in headlines[1]["text"][:rows]]
    found = mn.explain(path, texts, method=method, predictions=most)
    told, others = [], []
    for text, one in zip(texts, found, strict=True):
        (item,), random = one.items, np.random.default_rng(len(text))
        order = np.argsort([-part.score for part in item.parts])
        for falls, gone in ((told, order[:3]), (others, random.choice(order[3:], 3, replace=False))):
            left = text
            for at in sorted(gone.tolist(), reverse=True):
                left = left[: item.parts[at].start] + left[item.parts[at].end :]
            falls.append(item.score - mn.predict(path, left)["scores"][0][item.label])
    assert all(item.predictions <= most for item in found.items)
    assert np.mean(told) > np.mean(others) + 0.02


@pytest.mark.parametrize("method", ["linear", "occlusion", "shapley"])
def test_a_chinese_text_is_explained_by_its_characters(method: str, tmp_path: Path) -> None:
    texts = [f"{room}{word}，早餐一般" for room in ("房间", "大堂", "前台", "位置") * 6 for word in ("干净", "很脏")]
    learnt(tmp_path / "hotel", "text-classification", {"text": texts, "label": ["好评", "差评"] * 24}).close()
    found = mn.explain(str(tmp_path / "hotel"), "游泳池很脏。也有停车场", method=method)
    assert found.items[0].label == "差评"
    assert found.tokens == ("游", "泳", "池", "很", "脏。", "也", "有", "停", "车", "场")
    best = sorted(zip(found.scores, found.tokens, strict=True))[-2:]
    assert {token for _, token in best} == {"很", "脏。"}


def test_all_inputs_are_asked_at_once(spam: str) -> None:
    """A runtime makes batches of what it is given together."""
    with mn.load(spam) as model:
        asked: list[int] = []
        plain = model.runtime.predict

        def counted(rows: Any, **options: Any) -> Any:
            asked.append(len(rows))
            return plain(rows, **options)

        model.runtime.predict = counted
        found = model.explain([f"win {word} today" for word in "abcdefgh"], method="occlusion")
        assert asked == [8, 8 * 4]
        assert sum(item.predictions for item in found.items) == sum(asked)
