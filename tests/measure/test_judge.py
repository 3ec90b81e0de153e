"""The verdict on a changed model: on the point estimate, with a word where the interval crosses the limit."""

from __future__ import annotations

import numpy as np
import pytest

from modelnook.domain.errors import DataError
from modelnook.measure.judge import Judge, Verdict
from modelnook.measure.probe import Probe
from modelnook.tasks.text_classification import TextClassification

LABELS = ["ham", "spam"]


def probe(wrong: int, rows: int, *, start: int = 0) -> Probe:
    """Answers of a model that errs on ``wrong`` rows from ``start`` on; the truth is ham, spam, ham …"""
    said = np.arange(rows) % 2
    said[start : start + wrong] = 1 - said[start : start + wrong]
    return Probe(1, 1.0, 2.0, 3.0, 0.1, None, "onnx", 1, LABELS, np.eye(2, dtype=np.float32)[said])


def judged(rows: int, before: int, after: Probe, max_drop: float) -> tuple[Judge, Verdict]:
    columns = {"text": [str(i) for i in range(rows)], "label": [LABELS[i % 2] for i in range(rows)]}
    judge = Judge(TextClassification(), columns, probe(before, rows), None, max_drop)
    return judge, judge(after)


def test_the_point_estimate_decides() -> None:
    _, exactly = judged(1000, 20, probe(40, 1000), 0.02)
    assert (exactly.accepted, exactly.drop) == (True, pytest.approx(0.02))
    _, more = judged(1000, 20, probe(41, 1000), 0.02)
    assert not more.accepted


def test_an_interval_that_crosses_the_limit_is_told() -> None:
    judge, verdict = judged(4000, 80, probe(152, 4000), 0.02)
    assert verdict.accepted
    (said,) = judge.warnings(verdict)
    assert said.code == "quantize.may_drop_more"
    assert "1.8" in said.message
    assert f"{100 * verdict.interval[1]:.1f}" in said.message
    judge, verdict = judged(4000, 80, probe(90, 4000), 0.02)
    assert judge.warnings(verdict) == []


def test_too_few_rows_to_see_it_are_told_with_the_number_needed() -> None:
    judge, verdict = judged(200, 2, probe(2, 200), 0.01)
    (said,) = judge.warnings(verdict)
    assert said.code == "quantize.few_rows"
    assert "200 rows" in said.message
    assert "769" in said.message


def test_few_rows_hide_no_interval_that_crosses_the_limit() -> None:
    judge, verdict = judged(200, 2, probe(4, 200), 0.01)
    assert verdict.accepted
    few, crossing = judge.warnings(verdict)
    assert (few.code, crossing.code) == ("quantize.few_rows", "quantize.may_drop_more")
    assert "769" in few.message
    assert f"{100 * verdict.interval[1]:.1f}" in crossing.message


def test_a_refusal_on_few_rows_says_how_many_could_tell_and_a_collapse_does_not() -> None:
    codes = ("shrink.refused", "shrink.refused_few")
    judge, fell = judged(50, 2, probe(4, 50), 0.01)
    assert not fell.accepted
    few = judge.refusal(*codes, fell, step="trim")
    assert few.code == "shrink.refused_few"
    assert "4.0 points" in few.message
    assert f"{100 * fell.interval[0]:+.1f} to {100 * fell.interval[1]:+.1f}" in few.message
    assert "769" in few.hint
    # Enough rows, or too far for chance: more rows wouldn't help.
    for rows, wrong in ((50, 30), (4000, 300)):
        judge, fell = judged(rows, 2, probe(wrong, rows), 0.01)
        assert judge.refusal(*codes, fell, step="trim").code == "shrink.refused"


def test_a_drop_that_none_could_allow_is_no_reason_to_allow_more() -> None:
    codes, after = ("quantize.refused", "quantize.refused_few"), probe(0, 4)
    after.outputs[:] = np.nan
    said = {"scheme": "int8", "tries": 1, "backends": "onnx"}
    judge, lost = judged(4, 0, after, 1.0)
    refused = judge.refusal(*codes, lost, **said, otherwise=", or prune it.")
    assert refused.hint == "Keep the model as it is, or prune it."
    assert refused.code == "quantize.refused", "nor for more rows"
    assert "max_drop" not in judge.refusal("shrink.refused", "shrink.refused_few", lost, step="trim").hint
    judge, fell = judged(4000, 2, probe(300, 4000), 0.01)
    assert judge.refusal(*codes, fell, **said).hint.endswith("or allow more with max_drop=…")


def test_a_metric_that_runs_the_other_way_or_has_no_scale_is_told_as_it_is() -> None:
    from modelnook.tasks.text_regression import TextRegression

    truth, noise = np.linspace(0, 1, 40), np.tile([0.1, -0.1, 0.3, -0.3], 10)
    columns = {"text": [str(i) for i in range(40)], "label": truth.tolist()}

    def said(scale: float) -> Probe:
        return Probe(1, 1.0, 2.0, 3.0, 0.1, None, "onnx", 1, [], truth + scale * noise)

    judge = Judge(TextRegression(), columns, said(1.0), "rmse", 0.1)
    worse = judge(said(1.5))
    refused = judge.refusal("quantize.refused", "quantize.refused_few", worse, scheme="int8", tries=1, backends="onnx")
    assert refused.code == "quantize.refused", "rows aren't what it counts"
    assert "rmse goes from 0.224 to 0.335, 50.0% worse" in refused.message
    assert "; 10% are allowed" in refused.message
    # Better here, and perhaps not elsewhere.
    (better,) = judge.warnings(Verdict(0.2, -0.05, (-0.2, 0.15), True))
    assert better.message.startswith("rmse got no worse on these rows; with 95% certainty by no more than 15.0%")


def test_a_metric_that_the_rows_cannot_tell_is_said_to_be_such() -> None:
    columns = {"text": ["a"] * 9, "label": ["ham"] * 9}
    with pytest.raises(DataError, match="auc can't be told from these 9 rows") as caught:
        Judge(TextClassification(), columns, probe(0, 9), "auc", 0.01)
    assert "data=" in caught.value.hint


def test_gains_and_losses_that_cancel_out_leave_a_wide_interval() -> None:
    _, same = judged(1000, 50, probe(50, 1000), 0.01)
    _, moved = judged(1000, 50, probe(50, 1000, start=500), 0.01)
    assert same.interval == (0.0, 0.0)
    assert moved.drop == 0.0
    assert moved.interval[0] < -0.005 < 0.005 < moved.interval[1]


def test_what_is_no_number_never_passes() -> None:
    after = probe(0, 100)
    after.outputs[3, 0] = np.nan
    assert judged(100, 0, after, 1.0)[1] == Verdict(0.0, 1.0, (1.0, 1.0), False)
