"""Trim, prune, distil and chains as jobs, and that what they make is taken by the other verbs.

One chain runs as a person's does, in processes of its own; the others run in this one and measure shortly, because
nothing here is about speed.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import modelnook as mn
from modelnook import cards
from modelnook.catalog.folder import describe
from modelnook.domain.errors import (
    ConflictError,
    DataError,
    MissingPackage,
    ModelnookError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from modelnook.run import Run
from modelnook.store import Store
from modelnook.tasks.near import near_in
from modelnook.testing.models import WORDS, tiny_model, tiny_prompts, tiny_writer

from .conftest import table
from .test_faults import until

pytestmark = pytest.mark.slow

ENDS = ("tain", "est", "er", "side", "bird", "way")
MANY = (*WORDS, *(f"{start}{end}" for start in ("sea", "moun", "for", "riv") for end in ENDS))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("deep") / "base", layers=4, words=MANY))


@pytest.fixture(scope="session")
def trained(base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds the run and its model."""
    home = tmp_path_factory.mktemp("topics") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELNOOK_HOME", str(home))
        patch.setenv("MODELNOOK_THREADS", "1")
        mn.finetune(base, table(160), name="topics", epochs=10, learning_rate=3e-3, track="none", on="kernel")
    return home


@pytest.fixture
def topics(trained: Path, store_home: Path) -> Run:
    shutil.copytree(trained, store_home, dirs_exist_ok=True)
    (run,) = mn.runs()
    return run


def texts(count: int = 64) -> list[str]:
    return [row["text"] for row in table(count, seed=5)]


def test_trim_gives_a_model_like_any_other(topics: Run, here: None) -> None:
    run = mn.trim("topics")
    assert (run.state, run.kind, run.model) == ("finished", "trim", "local:topics-trim@1")
    report = run.report
    assert report["drop"] == 0
    assert report["unseen"]["drop"] <= 0.01
    assert report["after"]["tokens"] < report["before"]["tokens"]
    assert report["after"]["bytes"] < report["before"]["bytes"]
    assert report["after"]["parameters"] < report["before"]["parameters"]
    assert (report["data"], report["rows"], report["labels_used"]) == ("validation", 16, True)
    said = cards.text(run)
    assert "tokens" in said
    assert "on 16 validation rows" in said
    info = mn.info("topics-trim")
    assert (info.base_model, info.run, info.labels) == ("local:topics@1", run.id, ("ham", "spam"))
    pd.testing.assert_frame_equal(
        pd.DataFrame(mn.predict("topics", texts())), pd.DataFrame(mn.predict("topics-trim", texts()))
    )
    assert mn.evaluate("topics-trim").metrics == mn.evaluate("topics").metrics
    small = mn.quantize("topics-trim", backend="torchao", max_drop=0.5)
    assert mn.info(small.model).base_model == "local:topics-trim@1"
    assert {row["model"] for row in mn.compare("topics", "topics-trim").to_frame().to_dict("records")}
    assert mn.trim("topics").id == run.id, "Run All twice is free"


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_words_that_were_cut_are_read_on_in_what_is_made_of_a_trimmed_model(
    method: str, topics: Run, here: None, tmp_path: Path
) -> None:
    run = mn.trim("topics")
    made = Store().models.folder("topics-trim")
    near = near_in(made)
    assert len(near) == run.report["near_tokens"] > 0
    mn.finetune("topics-trim", table(60, seed=9), method=method, name="on", epochs=1, track="none")
    again = Store().models.folder("on")
    assert near_in(again) == near
    own = [json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"] for folder in (made, again)]
    assert own[0] == own[1], "no word has taken another's place"
    packed = mn.quantize("on", backend="torchao", max_drop=1.0, name="packed").model
    assert near_in(Store().models.folder("packed")) == near
    assert packed
    mn.export("on", tmp_path / "out", to="safetensors")
    assert not near_in(tmp_path / "out"), "other tools know no such file"
    said = json.loads((tmp_path / "out" / "tokenizer.json").read_text())["model"]["vocab"]
    assert said == own[1] | near
    texts_of_them = [f"the {word}" for word in [*near][:40]]
    assert (
        mn.predict("on", texts_of_them)["label"].tolist()
        == mn.predict(str(tmp_path / "out"), texts_of_them)["label"].tolist()
    )


def test_trim_keeps_what_it_is_shown(topics: Run, here: None) -> None:
    plain = mn.trim("topics", data=table(24, seed=3))
    more = mn.trim("topics", data=table(24, seed=3), unlabelled=[" ".join(MANY[-20:])], name="more")
    assert more.report["after"]["tokens"] > plain.report["after"]["tokens"]
    asked = mn.trim("topics", data=[{"text": text} for text in texts(24)], name="asked")
    assert (asked.report["labels_used"], asked.report["metric"]) == (False, "agreement")
    assert asked.report["after"]["metrics"]["agreement"] == 1
    assert any("No labels were used" in said for said in asked.warnings)
    assert not any("No labels were used" in said for said in plain.warnings)


def test_the_fewest_tokens_are_those_that_cost_next_to_nothing(
    topics: Run, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear = mn.trim("topics", tokens="fewest", max_drop=0.0, name="dear").report
    assert dear["unseen"]["drop"] <= 0
    monkeypatch.setattr("modelnook.jobs.steps.trim.NOTHING", 1.0)
    fewer = mn.trim("topics", tokens="fewest", data=table(48, seed=3), max_drop=1.0, name="fewer")
    assert any("% of the tokens in your rows are read" in said for said in fewer.warnings), "whatever it costs here"
    assert fewer.report["after"]["tokens"] <= dear["after"]["tokens"]


def test_prune_drops_layers_and_retrains_where_it_must(topics: Run, here: None) -> None:
    run = mn.prune("topics", layers=2, max_drop=0.2)
    report = run.report
    assert (report["before"]["layers"], report["after"]["layers"]) == (4, 2)
    assert len(report["dropped"]) == 2
    assert report["after"]["bytes"] < report["before"]["bytes"]
    assert len(mn.predict("topics-prune", texts(4))) == 4
    auto = mn.prune("topics", recover="never", max_drop=1.0, name="half")
    assert auto.report["after"]["layers"] == 2
    assert not auto.report["retrained"]


def test_without_rows_layers_are_chosen_by_agreement_on_the_models_own_texts(topics: Run, here: None) -> None:
    """Of a model that no run of this machine trained."""
    copy = Store().home / "copy"
    shutil.copytree(Store().models.folder("topics"), copy)
    Store().models.add("found", copy, describe(copy, ref="", id="found", source="local"))
    run = mn.prune("found", layers=3, max_drop=1.0)
    report = run.report
    assert (report["data"], report["metric"], report["labels_used"]) == ("own", "agreement", False)
    assert (report["after"]["layers"], report["retrained"]) == (3, False)
    assert 0 <= report["after"]["metrics"]["agreement"] <= 1
    assert any("No labels were used" in said and "own card" in said for said in run.warnings)
    assert "of its own" in cards.text(run)
    for verb in (mn.trim, mn.distil):
        with pytest.raises(NotFoundError, match="'found' wasn't trained here"):
            verb("found")


def test_distil_teaches_with_and_without_labels(topics: Run, here: None) -> None:
    run = mn.distil("topics", student="layers:1", unlabelled=texts(), max_drop=0.3, epochs=8, track="none")
    report = run.report
    assert run.state == "finished"
    assert (report["before"]["layers"], report["after"]["layers"]) == (4, 1)
    assert report["taught_rows"] == 144 + 64
    assert len(run.history()) > 5
    assert run.metrics["accuracy"] >= topics.metrics["accuracy"] - 0.3
    assert mn.info("topics-distil").base_model == "local:topics@1"


def test_a_student_is_measured_on_rows_that_it_was_not_taught(topics: Run, here: None) -> None:
    rows = table(100, seed=4)
    made = mn.distil("topics", student="layers:1", data=rows, max_drop=1.0, epochs=1, name="student", track="none")
    held = made.folder.split()["validation"]
    mn.evaluate("student")
    measured = mn.runs(kind="evaluate")[0]
    assert measured.record.data == made.record.data
    assert measured.folder.split()["validation"] == held
    seen = [rows[at] for at in made.folder.split()["train"]]
    for verb in (mn.trim, mn.quantize):
        run = verb("student", data=seen, max_drop=1.0, name=f"student-{verb.__name__}")
        assert any("was trained on" in said for said in run.warnings), verb.__name__


def test_distil_into_another_model(topics: Run, here: None, tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other", hidden=16, layers=1)
    known = describe(other, ref="", id="other", source="local", license="cc-by-nc-4.0")
    Store().models.add("other", other, known)
    run = mn.distil("topics", student="other", data=table(120, seed=2), max_drop=1.0, epochs=2, track="none")
    info = mn.info(run.model)
    assert (info.base_model, info.license) == ("local:topics@1", "cc-by-nc-4.0"), "the stricter of both licences"
    assert run.report["data"] == "validation"
    assert run.report["rows"] == 12
    assert run.report["after"]["bytes"] < run.report["before"]["bytes"]
    assert not any("made nothing smaller" in said for said in run.warnings)


def test_a_student_with_its_labels_in_another_order_is_judged_in_the_first_models(
    topics: Run, here: None, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    turned = shutil.copytree(Store().models.folder("topics"), tmp_path / "turned")
    weights = load_file(turned / "model.safetensors")
    weights |= {f"classifier.{part}": weights[f"classifier.{part}"].flip(0) for part in ("weight", "bias")}
    save_file(weights, turned / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((turned / "config.json").read_text(encoding="utf-8"))
    names = [config["id2label"][at] for at in sorted(config["id2label"], reverse=True)]
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: at for at, name in enumerate(names)}}
    (turned / "config.json").write_text(json.dumps(config), encoding="utf-8")
    Store().models.add("turned", turned, describe(turned, ref="", id="turned", source="local"))
    run = mn.shrink("topics", steps="distil:turned,trim,prune:3", max_drop=0.1, track="none")
    assert mn.info("turned").labels == tuple(reversed(mn.info("topics").labels))
    assert run.report["steps"][1]["unseen"]["drop"] <= 0.1
    assert not run.report["steps"][2]["retrained"]


def test_columns_are_called_as_the_training_had_them_and_a_list_of_texts_has_none(
    tiny: str, store_home: Path, here: None
) -> None:
    odd = [{"was": row["text"], "now": "x", "kind": row["label"]} for row in table(96)]
    mn.finetune(tiny, odd, text="was", label="kind", name="odd", epochs=1, track="none", on="kernel")
    assert mn.trim("odd", data=odd, max_drop=1.0).state == "finished"
    run = mn.trim("odd", data=odd, text="was", label="kind", unlabelled=texts(), max_drop=1.0, name="listed")
    assert run.state == "finished"


def test_a_bare_encoder_is_made_smaller_by_its_vectors(base: str, store_home: Path, here: None) -> None:
    rows = [{"text": text} for text in texts(12)]
    small = mn.trim(base, data=rows, name="bare")
    assert (small.report["metric"], small.report["drop"]) == ("agreement", 0)
    assert mn.info("bare").task == "sentence-similarity"
    shallow = mn.prune(base, layers=3, max_drop=1.0, name="shallow")
    assert (shallow.report["after"]["layers"], shallow.report["data"]) == (3, "own")
    with pytest.raises(UnsupportedError, match="can't be taught"):
        mn.distil(base, data=rows)


def test_a_student_of_a_table_learns_the_columns_that_its_teacher_reads(
    tiny: str, store_home: Path, here: None
) -> None:
    rows = [{"id": f"r{at}", "age": at % 7, "paid": "no", "label": "xy"[at % 7 > 3]} for at in range(80)]
    mn.finetune(tiny, rows, task="table", drop="id", name="ages", epochs=1, track="none", on="kernel")
    more = [{"age": row["age"], "id": row["id"]} for row in rows]
    varied = [{**row, "paid": "yes" if at % 2 else "no"} for at, row in enumerate(rows)]
    given = {"student": "layers:1", "max_drop": 1.0, "epochs": 1, "track": "none"}
    for name, data in (("data", varied), ("again", None)):
        mn.distil("ages", data=data, unlabelled=more, name=name, **given)
        assert len(mn.predict(name, [{"age": 3}])) == 1
    with pytest.raises(DataError, match=r"lack columns .*: age"):
        mn.distil("ages", unlabelled=[{"id": "r1"}], name="lacking", **given)
    with pytest.raises(DataError, match=r"lack columns .*: age"):
        mn.trim("ages", unlabelled=["a text"], max_drop=1.0)


def test_unlabelled_rows_have_every_input_of_the_labelled_ones(tiny: str, store_home: Path, here: None) -> None:
    pairs = [{**row, "text_pair": "a dog"} for row in table(48)]
    mn.finetune(tiny, pairs, name="pairs", epochs=1, track="none", on="kernel")
    given = {"student": "layers:1", "max_drop": 1.0, "epochs": 1, "track": "none"}
    with pytest.raises(DataError, match="read by text, text_pair"):
        mn.distil("pairs", unlabelled=texts(), **given)
    assert mn.distil("pairs", unlabelled=pairs[:9], **given).report["taught_rows"] == 43 + 9
    assert mn.trim("pairs", unlabelled=texts(), max_drop=1.0).state == "finished", "nothing is learnt from these"


def test_unlabelled_texts_come_in_any_list(topics: Run, here: None) -> None:
    import datasets

    words = texts(9)
    column = datasets.Dataset.from_dict({"body": words})["body"]
    for at, more in enumerate((column, [*words, None], pd.Series([*words, float("nan")]), tuple(words))):
        run = mn.trim("topics", unlabelled=more, name=f"listed{at}", max_drop=1.0)
        assert run.state == "finished"
    with pytest.raises(DataError, match="Item 0"):
        mn.trim("topics", unlabelled=[3, "a"], max_drop=1.0)


def test_a_student_that_is_no_smaller_is_told_so(topics: Run, here: None, tmp_path: Path) -> None:
    large = tiny_model(tmp_path / "large", hidden=64, layers=6)
    Store().models.add("large", large, describe(large, ref="", id="large", source="local"))
    run = mn.distil("topics", student="large", data=table(60, seed=2), max_drop=1.0, epochs=1, track="none")
    assert any("large@1 made nothing smaller" in said for said in run.warnings)


def test_a_stopped_student_goes_on(topics: Run, here: None) -> None:
    run = mn.distil("topics", epochs=600, max_drop=1.0, background=True, track="none")
    until(lambda: (run.record.progress or {}).get("phase") == "training")
    mn.stop(run.id)
    run.wait(timeout=90)
    assert (run.state, run.model) == ("stopped", None)
    assert run.resumable
    steps = int(run.history()["step"].max())
    again = mn.resume(run.id, background=True)
    until(lambda: len(again.history()) and int(again.history()["step"].max()) > steps)
    mn.stop(again.id)
    assert again.wait(timeout=90).state == "stopped"
    assert again.history()["step"].is_unique


def test_a_chain_says_what_each_step_did(topics: Run) -> None:
    run = mn.shrink("topics", steps="distil:layers:2,trim,int8:torchao", max_drop=0.5, track="none")
    report = run.report
    assert [step["step"] for step in report["steps"]] == ["distil:layers:2", "trim", "int8:torchao"]
    first, second, third = report["steps"]
    assert first["after"]["bytes"] == second["before"]["bytes"] > second["after"]["bytes"]
    assert third["backend"] == "torchao"
    assert run.params["trying_seconds"] == 120
    assert report["before"]["bytes"] == first["before"]["bytes"]
    # Timed in turns: what a step made is as quick as what the next one began with.
    for name in ("p50_ms", "p95_ms", "rows_per_s"):
        assert first["after"][name] == second["before"][name]
        assert (report["before"][name], report["after"][name]) == (first["before"][name], third["after"][name])
    assert report["after"]["bytes"] == third["after"]["bytes"]
    assert (report["before"]["layers"], report["after"]["layers"]) == (4, 2)
    assert report["after"]["tokens"] < report["before"]["tokens"]
    assert run.model == "local:topics-small@1"
    assert not (run.folder.path / "steps").exists()
    assert len(mn.predict("topics-small", texts(4))) == 4
    said = cards.text(run)
    assert all(step in said for step in ("distil:layers:2", "trim", "int8:torchao", "as it was"))
    assert len(said.splitlines()) <= 12


def test_trim_says_what_new_texts_lose(topics: Run, here: None) -> None:
    """Words that no training row had stay because these rows have them; the report says what if they hadn't."""
    rng = random.Random(5)
    new = [{"text": " ".join(rng.choice(MANY[-12:]) for _ in range(8))} for _ in range(120)]
    report = mn.trim("topics", data=new, max_drop=1.0).report
    assert report["after"]["metrics"]["agreement"] == 1
    assert report["unseen"]["value"] < 1
    more = [row["text"] for row in new]
    again = mn.trim("topics", data=new, unlabelled=more, max_drop=1.0, name="same").report
    assert again["unseen"] == report["unseen"], "the same texts once more are no others"
    with pytest.raises(ModelnookError, match="trim was refused: agreement goes from 1") as caught:
        mn.trim("topics", data=new, max_drop=0.0)
    assert "texts whose tokens stay with unlabelled=…" in (caught.value.hint or "")


def test_a_writer_gains_nothing_by_fewer_tokens_to_choose_from(tmp_path: Path, store_home: Path, here: None) -> None:
    base = tiny_writer(tmp_path / "writer")
    tiny = {"epochs": 4, "learning_rate": 5e-3, "method": "full", "track": "none", "on": "kernel"}
    mn.finetune(str(base), tiny_prompts(60), task="text-generation", name="writes", **tiny)
    report = mn.shrink("writes", steps="trim,int8:quanto", max_drop=1.0, track="none").report
    trimmed, packed = report["steps"]
    assert trimmed["drop"] == pytest.approx(0, abs=1e-3), "every token of the rows stayed"
    assert trimmed["unseen"]["drop"] > -1e-3
    assert packed["drop"] > -0.05, "nor is there slack for the steps after it"
    assert report["before"]["metrics"]["perplexity"] == pytest.approx(trimmed["after"]["metrics"]["perplexity"], 1e-3)
    run = mn.trim("writes", max_drop=1.0)
    (said,) = (one for one in run.warnings if "had always had" in one)
    assert f"{run.report['before']['metrics']['perplexity']:.3f}; " in said


def test_prompts_alone_are_judged_by_agreement_after_a_trim(tmp_path: Path, store_home: Path, here: None) -> None:
    """A trimmed model's tokens have other numbers: how likely it finds the same text is what can be compared."""
    prompts = [{"prompt": prompt} for prompt in tiny_prompts(24)["prompt"]]
    given: dict[str, Any] = {"data": prompts, "columns": {"prompt": "prompt"}, "max_drop": 1.0}
    report = mn.shrink(str(tiny_writer(tmp_path / "writer")), steps="trim,int8:quanto", **given).report
    assert (report["metric"], report["labels_used"], len(report["steps"])) == ("agreement", False, 2)
    assert all(0 <= step["after"]["metrics"]["agreement"] <= 1 for step in report["steps"])


def test_without_training_rows_each_half_of_the_rows_is_new_to_the_other(topics: Run, here: None) -> None:
    """Every word of these rows is in one of them alone."""
    rows = [{"text": " ".join(MANY[at::48])} for at in range(24)]
    path = str(Store().models.folder("topics"))
    report = mn.trim(path, data=rows, max_drop=1.0, name="new").report
    assert report["after"]["metrics"]["agreement"] == 1
    assert report["unseen"]["drop"] > 0


def test_a_trim_that_wins_nothing_ends_no_chain(topics: Run, here: None) -> None:
    everything = list(MANY)
    run = mn.shrink("topics", steps="prune:2,trim", unlabelled=everything, max_drop=1.0, track="none")
    assert [step["step"] for step in run.report["steps"]] == ["prune:2"]
    assert any("'trim' was left out" in said for said in run.warnings)
    assert run.state == "finished"
    for steps in ("trim", "trim,trim"):
        with pytest.raises(ModelnookError, match="Nothing is won by 'trim'"):
            mn.shrink("topics", steps=steps, unlabelled=everything, max_drop=1.0, track="none", name="none")


def unclear() -> list[dict[str, str]]:
    """Texts that say neither, so that any change to a model shows in what it makes of them."""
    rng = random.Random(3)
    return [{"text": " ".join(rng.choice(WORDS[20:]) for _ in range(rng.randint(1, 30)))} for _ in range(200)]


def test_what_falls_too_far_is_refused_with_its_numbers(topics: Run, here: None) -> None:
    with pytest.raises(ModelnookError, match="prune:1 was refused: agreement goes from 1") as caught:
        mn.prune("topics", layers=1, recover="never", max_drop=0.0, data=unclear())
    assert "max_drop" in caught.value.hint
    failed = mn.runs(kind="prune")[0]
    assert (failed.state, failed.resumable) == ("failed", False)
    assert "topics-prune" not in {m.name for m in mn.list()}
    with pytest.raises(ModelnookError, match="prune:1 was refused"):
        mn.shrink("topics", steps="trim,prune:1", max_drop=0.0, data=unclear(), track="none")
    chain = mn.runs(kind="shrink")[0]
    assert not (chain.folder.path / "steps").exists()
    (done,) = (chain.record.report or {})["steps"]
    assert (done["step"], done["drop"]) == ("trim", 0.0)
    assert "as it was" in cards.text(chain), "what the first step left is told beside the refusal"


def test_mistakes_are_told_before_anything_starts(
    topics: Run, here: None, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    for steps, match in (
        ("trimm", "Did you mean 'trim'"),
        ("int8,trim", "Nothing can follow 'int8'"),
        ("prune:many", "doesn't take 'many'"),
        ("trim:0", "doesn't take '0'"),
        ("distil:layers:x", "doesn't take 'layers:x'"),
        ("int8:onxx", "Did you mean 'onnx'"),
        ("", "No step was said"),
        # What the last step can't do isn't found out after the others.
        ("trim,int8:gptq", "doesn't make 'int8'; it makes int4"),
        ("trim,q8_0", "gguf makes models for text-generation smaller"),
    ):
        with pytest.raises((UsageError, NotFoundError, UnsupportedError), match=match):
            mn.shrink("topics", steps=steps)
    if not torch.cuda.is_available():
        with pytest.raises(UnsupportedError, match="GPU"):
            mn.shrink("topics", steps="distil,int4:torchao")
    with monkeypatch.context() as patch:
        patch.setattr("modelnook.registry._installed", lambda name: name != "onnxruntime")
        with pytest.raises(MissingPackage, match=r"modelnook\[onnx\]"):
            mn.shrink("topics", steps="distil,int8:onnx")
    with pytest.raises(UsageError, match="between 0 and 1") as caught:
        mn.trim("topics", max_drop=1.5)
    assert caught.value.hint == "For 1.5 points: max_drop=0.015"
    with pytest.raises(UsageError, match="2x"):
        mn.shrink("topics", steps="int8", budget="2x")
    with pytest.raises(UsageError, match="soft"):
        mn.distil("topics", soft=1.2)
    with pytest.raises(ConflictError):
        mn.trim("topics", name="topics")
    other = mn.finetune(base, [{**row, "label": row["label"].upper()} for row in table(32)], name="loud", epochs=1)
    with pytest.raises(UnsupportedError, match="knows other labels"):
        mn.distil("topics", student=other.model)
    tags = [{"tokens": ["a", "dog"], "ner_tags": ["O", "B-X"]}] * 20
    mn.finetune(base, tags, name="tags", epochs=1, track="none")
    with pytest.raises(UnsupportedError, match="does 'token-classification'"):
        mn.distil("topics", student="tags")
    with pytest.raises(UnsupportedError, match="can't be taught 'token-classification'"):
        mn.distil("tags", max_drop=1.0)
    strange = [*table(40), {"text": "a dog", "label": "mars"}]
    for verb in (mn.distil, mn.trim, mn.prune):
        with pytest.raises(DataError, match="mars"):
            verb("topics", data=strange)
    assert {run.kind for run in mn.runs()} == {"finetune"}
    assert {run.kind for run in mn.runs(state="finished")} == {"finetune"}


def test_a_quantized_model_says_what_to_take(topics: Run, here: None) -> None:
    mn.quantize("topics", backend="torchao", max_drop=0.9, name="int8")
    for verb in (mn.trim, mn.prune, mn.distil, mn.quantize):
        with pytest.raises(UnsupportedError, match="'int8' is already quantized") as caught:
            verb("int8", max_drop=1.0)
        assert "local:topics@1" in caught.value.hint
    with pytest.raises(UnsupportedError, match="already quantized"):
        mn.shrink("int8", steps="int8")
    with pytest.raises(UnsupportedError, match=r"'int8' is already quantized .* 'distil' works on float weights"):
        mn.distil("topics", student="int8")
    assert {run.state for run in mn.runs()} == {"finished"}, "no job was started for any of them"
