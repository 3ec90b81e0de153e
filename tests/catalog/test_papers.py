"""Cards, configurations and headers that somebody wrote to do harm: what is sane is read, nothing is obeyed."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from modelnook import cards
from modelnook.catalog.folder import describe, safetensors_head
from modelnook.catalog.gguf import parse_header
from modelnook.catalog.hub_entry import evaluations_in
from modelnook.catalog.papers import card_head, config_in, every, first, lineage

DEEP = b'{"x":' * 100_000
BOMB = "a: &a [x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
# Written out it would have 10 ** 10 words.
TREE = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join(f'*{a}' for _ in range(10))}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("head", "read"),
    [
        ("license: !!python/object/apply:os.system [rm]", {"license": None}),
        ("license: !<tag:yaml.org,2002:python/name:os> x", {"license": None}),
        ("license: {mit: true}", {"license": None}),
        ("license: |\n  mit\n  x: y", {"license": None}),
        ("license:\n  name: mit\n  other: x", {"license": None}),
        ("license: mit # and more", {"license": "mit"}),
        ("license: 'm\x1b]0;it\x07'", {"license": "m]0;it"}),
        ("license: mit\u202e", {"license": "mit"}),
        ("license: [mit, apache-2.0]", {"license": ["mit", "apache-2.0"]}),
        ("language:\n- en\n- {zh: x}\n- *all\n- fr", {"language": ["en", "fr"]}),
        ("<<: *base\nlicense: mit", {"<<": None, "license": "mit"}),
        (": x\n- y\n---: z", {"": "x"}),
    ],
)
def test_a_card_is_read_for_plain_values_alone(head: str, read: dict[str, object]) -> None:
    assert card_head(f"---\n{head}\n---\n# text\nlicense: of the text") == read


def test_long_cards_end_somewhere() -> None:
    assert len(card_head("---\n" + "k: v\n" * 1_000_000)) == 1
    assert sum(map(len, card_head("---\nlanguage:\n" + "- en\n" * 1_000_000)["language"])) < 100_000
    assert first(card_head(f"---\n{BOMB}license: mit\n---").get("license")) == "mit"


def test_values_that_should_be_texts() -> None:
    assert every([{"a": 1}, None, True, ["x"], "", 3, "y"]) == ("3", "y")
    assert lineage([], "merge") == {"base_model": None, "bases": (), "relation": "merge"}
    assert lineage(["a/b", "a/b"], "stolen") == {"base_model": "a/b", "bases": (), "relation": None}


@pytest.mark.parametrize("text", [DEEP, b"[1]", b"\xff\xfe", b"", b"null", b'{"architectures": [1]}'])
def test_a_configuration_that_is_none(text: bytes) -> None:
    assert config_in(text) == {}


@pytest.mark.parametrize("text", [DEEP, b"[1]", b'{"base_model_name_or_path": {"a": 1}, "task_type": ["x"]}'])
def test_an_adapter_that_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "adapter_config.json").write_bytes(text)
    info = describe(tmp_path, ref="./x", id="x", source="path")
    assert (info.base_model, info.task) == (None, None)
    assert cards.text(info)


def header(tensors: object) -> bytes:
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "tensors",
    [
        DEEP,
        {"w": {"dtype": {"F": 32}, "shape": [1]}},
        {"w": {"dtype": "F32", "shape": ["x"]}},
        {"w": {"dtype": "F32", "shape": [1] * 1000}},
        {"w": {"dtype": "F32", "shape": {"a": 1}}},
        {"w": {"dtype": "F32", "shape": [10**300]}},
        {"w": {"dtype": "F32", "shape": [-1]}},
        b'{"w": {"dtype": "F32", "shape": [1e999]}}',
        {"w": ["F32"]},
    ],
)
def test_weights_whose_header_is_none(tmp_path: Path, tensors: object) -> None:
    (tmp_path / "model.safetensors").write_bytes(header(tensors))
    (tmp_path / "config.json").write_bytes(b'{"id2label": ["a"], "architectures": "x"}')
    (tmp_path / "README.md").write_text(f"---\n{BOMB}license: [mit]\n---")
    assert safetensors_head(header(tensors)) == []
    info = describe(tmp_path, ref="./x", id="x", source="path")
    assert (info.parameters, info.license, info.labels, info.dtypes) == (None, "mit", (), {})


def test_evaluations_that_are_none() -> None:
    def told(name: str, rows: str, value: str) -> dict[str, float]:
        metric = f"{{type: accuracy, name: {name}, value: {value}}}"
        result = f"{{task: {{type: x}}, dataset: {{type: imdb, name: {rows}}}, metrics: [{metric}]}}"
        return evaluations_in(f"---\n{TREE}model-index: [{{name: m, results: [{result}]}}]\n---\n")

    assert told("Accuracy", "IMDb", "0.5") == {"Accuracy (IMDb)": 0.5}
    assert told("*j", "*j", "0.5") == {"accuracy (None)": 0.5}
    assert told("{a: b}", "y", "true") == {"accuracy (y)": 1.0}
    for value in ("1" + "0" * 400, "-.inf", ".nan", "'1'", "*j"):
        assert told("x", "y", value) == {}


def test_names_that_move_a_cursor_and_dimensions_without_end(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(header({"a\x1b[31m.b\n": {"dtype": "F32\x07", "shape": [2]}}))
    info = describe(tmp_path, ref="./x", id="x", source="path")
    assert info.parameters == 2
    assert not {"\x1b", "\x07"} & {*cards.text(info), *cards.html(info)}
    many = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 1) + b"w" + struct.pack("<I", 1000) + bytes(9000)
    assert parse_header(many) is None


def test_names_that_are_no_tree(tmp_path: Path) -> None:
    one = {"dtype": "F32", "shape": [2]}
    names = ["a", "a.b", "c.d", "c", ".".join("x" * 5000), ".", ""]
    (tmp_path / "model.safetensors").write_bytes(header(dict.fromkeys(names, one)))
    info = describe(tmp_path, ref="./x", id="x", source="path")
    assert info.parameters == 2 * len(names)
    assert info.layers
    assert cards.html(info)
