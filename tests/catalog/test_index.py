"""The local index: what is found, in which order, with which filters; replaced under readers, refused when damaged."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks import generated

from modelnook.catalog.base import Query
from modelnook.catalog.index import CatalogIndex
from modelnook.catalog.index_rows import by_rank, size_range, size_tokens
from modelnook.catalog.words import name_words
from modelnook.domain.errors import StoreError
from modelnook.domain.model import ModelInfo, Risk


def model(id: str, downloads: int, **more: object) -> ModelInfo:
    return ModelInfo(f"hub:{id}", id, "hub", name=id.rpartition("/")[2], downloads=downloads, **more)  # type: ignore[arg-type]


BERT = model(
    "google-bert/bert-base-uncased",
    100,
    task="fill-mask",
    license="apache-2.0",
    language=("en",),
    parameters=110_000_000,
    formats=("safetensors", "onnx"),
    likes=7,
    updated="2024-02-19T11:06:12+00:00",
    tags=("bert", "dataset:bookcorpus"),
)
MODELS = (
    BERT,
    model("sentence-transformers/all-MiniLM-L6-v2", 90, task="sentence-similarity", tags=("bert",), likes=9),
    model("Qwen/Qwen2.5-7B-Instruct", 80, task="text-generation", language=("en", "zh"), parameters=7_600_000_000),
    model("uer/roberta-jd-chinese", 50, task="text-classification", language=("zh",), parameters=102_000_000),
    model("IDEA-CCNL/Erlangshen-Sentiment", 20, task="text-classification", license="mit", language=("zh-CN",)),
    model("某人/中文情感模型", 2, task="text-classification", gated=True, summary="给评论打分", metrics={"f1": 0.9}),
    model(
        "eve/own", 1, license="cc-by-nc-4.0", risks=(Risk("remote_code", "…"),), base_model="a/b", relation="adapter"
    ),
    model("meta-llama/Meta-Llama-3-8B", 0, license="llama3", gated=True, parameters=8_000_000_000),
)


@pytest.fixture
def index(tmp_path: Path) -> CatalogIndex:
    made = CatalogIndex(tmp_path)
    assert made.write("hub", MODELS, refreshed="2026-01-01T00:00:00Z") == len(MODELS)
    return made


def ids(index: CatalogIndex, text: str = "", **more: object) -> list[str]:
    return [h.info.name for h in index.search("hub", Query(text, **more)).hits]  # type: ignore[arg-type]


def test_a_row_says_what_its_entry_said(index: CatalogIndex) -> None:
    assert index.get("hub", "Google-BERT/bert-base-uncased") == BERT
    found = {m.id: m for m in index.all("hub")}
    assert [m.id for m in index.all("hub")] == [m.id for m in MODELS]
    assert (found["某人/中文情感模型"].summary, found["某人/中文情感模型"].metrics) == ("给评论打分", {"f1": 0.9})
    own = found["eve/own"]
    assert (own.base_model, own.relation, [r.code for r in own.risks]) == ("a/b", "adapter", ["remote_code"])
    assert own.risks[0].message != "…"
    assert index.get("hub", "nobody/nothing") is None
    assert index.counts() == {"hub": len(MODELS)}


def test_names_come_before_what_is_said_of_a_model(index: CatalogIndex) -> None:
    page = index.search("hub", Query("bert"))
    assert [(h.info.name, h.tier) for h in page.hits] == [("bert-base-uncased", 0), ("all-MiniLM-L6-v2", 1)]
    assert (page.total, page.more) == (2, False)
    assert ids(index, "bookcorpus") == ["bert-base-uncased"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("qwen2.5", "Qwen2.5-7B-Instruct"),
        ("qwen 2.5 7b", "Qwen2.5-7B-Instruct"),
        ("QWEN", "Qwen2.5-7B-Instruct"),
        ("mini", "all-MiniLM-L6-v2"),
        ("llama3 8b", "Meta-Llama-3-8B"),
        ("erlang", "Erlangshen-Sentiment"),
        ("情感", "Erlangshen-Sentiment"),
        ("中文情感分析", "Erlangshen-Sentiment"),
        ("情感 打分", "中文情感模型"),
        ("打分", "中文情感模型"),
        ("文本生成", "Qwen2.5-7B-Instruct"),
        ("chinese text classification", "roberta-jd-chinese"),
        ("bert xyzzy", "bert-base-uncased"),
        ("the best model for sentiment", "Erlangshen-Sentiment"),
    ],
)
def test_what_is_typed_is_understood(index: CatalogIndex, text: str, first: str) -> None:
    assert ids(index, text)[0] == first


@pytest.mark.parametrize("text", ["xyzzy", '"; DROP TABLE models; --', "* AND (", "NEAR(a b)", "\x00\x1b[31m", "^^ :"])
def test_what_nobody_has_is_not_found_and_nothing_breaks(index: CatalogIndex, text: str) -> None:
    assert ids(index, text + " zzz zzzz") == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"task": "text-generation"}, {"Qwen2.5-7B-Instruct"}),
        ({"license": "permissive"}, {"bert-base-uncased", "Erlangshen-Sentiment"}),
        ({"license": "MIT"}, {"Erlangshen-Sentiment"}),
        ({"license": "commercial"}, {"bert-base-uncased", "Erlangshen-Sentiment", "Meta-Llama-3-8B"}),
        ({"license": "noncommercial"}, {"own"}),
        ({"language": "中文"}, {"Qwen2.5-7B-Instruct", "roberta-jd-chinese", "Erlangshen-Sentiment"}),
        ({"format": "ONNX"}, {"bert-base-uncased"}),
        ({"gated": True}, {"中文情感模型", "Meta-Llama-3-8B"}),
        ({"params": (1e8, 1.05e8)}, {"roberta-jd-chinese"}),
        ({"params": (1e9, float("inf"))}, {"Qwen2.5-7B-Instruct", "Meta-Llama-3-8B"}),
        ({"params": (0, 1)}, set()),
        (
            {"task": "text-classification", "language": "zh", "gated": False},
            {"roberta-jd-chinese", "Erlangshen-Sentiment"},
        ),
        ({"task": 'x" OR "bert'}, set()),
    ],
)
def test_filters_hold_alone_and_together(index: CatalogIndex, filters: dict[str, object], found: set[str]) -> None:
    assert set(ids(index, **filters)) == found
    with_word = set(ids(index, "chinese", **filters))
    assert with_word <= found


def test_sizes_are_held_by_their_buckets() -> None:
    for low, high in ((1, 10), (1e6, 1e9), (3e7, 3.1e7), (1e5, 1e12)):
        held = set(size_range(low, high))
        for parameters in (int(low), int((low + high) / 2), int(high)):
            assert held & set(size_tokens(parameters).split()), (low, high, parameters)
        assert len(held) < 40


def test_a_number_that_is_none_is_not_kept(tmp_path: Path) -> None:
    index = CatalogIndex(tmp_path)
    index.write("hub", [model("eve/many", 10**30, likes=-(10**30), parameters=10**400)])
    [info] = index.all("hub")
    assert (info.downloads, info.likes, info.parameters) == (None, None, None)


def test_lists_are_sorted_as_asked(index: CatalogIndex) -> None:
    assert ids(index, sort="likes")[:2] == ["all-MiniLM-L6-v2", "bert-base-uncased"]
    assert ids(index, "bert", sort="likes") == ["all-MiniLM-L6-v2", "bert-base-uncased"]
    sizes = [h.info.parameters for h in index.search("hub", Query(sort="size")).hits]
    assert sizes == sorted(s for s in sizes if s)
    assert ids(index, sort="updated")[0] == "bert-base-uncased"
    assert ids(index, limit=3) == [m.name for m in MODELS[:3]]
    assert ids(index, "chinese", sort="size", params=(1e6, 2e8)) == ["roberta-jd-chinese"]


def test_by_downloads_every_match_is_looked_at(tmp_path: Path) -> None:
    index = CatalogIndex(tmp_path)
    used = model("eve/well-used", 10_000, tags=("spam",), task="fill-mask")
    named = [model(f"bob/spam-{n}", 500 - n) for n in range(100)]
    begun = model("eve/spammer", 900)
    index.write("hub", by_rank([*named, used, begun]))
    assert ids(index, "spam", limit=3) == [m.name for m in named[:3]], "by relevance a name counts more"
    assert ids(index, "spam", sort="downloads", limit=3) == [used.name, *(m.name for m in named[:2])]
    assert ids(index, "spam", sort="downloads", task="fill-mask") == [used.name]
    assert ids(index, sort="downloads", limit=2) == [used.name, begun.name]
    assert ids(index, "spamm", sort="downloads") == [begun.name]
    assert ids(index, "spam xyzzy", sort="downloads", limit=1) == [used.name]
    assert ids(index, "spam xyzzy", sort="likes", limit=1)
    page = index.search("hub", Query("spam", sort="downloads", limit=5))
    assert (page.total, page.more) == (101, False)


def test_by_downloads_long_lists_that_hardly_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.catalog import index_broad

    monkeypatch.setattr(index_broad, "_AT_LEAST", 20)
    index = CatalogIndex(tmp_path)
    made = [m for m in generated.entries(2000) if m.task != "text-to-image"]
    tagged = model("eve/odd", 9, task="text-to-image", tags=("bert",))
    named = model("eve/odd-bert", 5, task="text-to-image")
    index.write("hub", by_rank([*made, tagged, named]))
    for text in ("bert", ""):
        hits = index.search("hub", Query(text, task="text-to-image", sort="downloads")).hits
        assert [h.info.name for h in hits] == ["odd", "odd-bert"]


def test_facets_count_every_match(index: CatalogIndex) -> None:
    counted = index.facets("hub", Query("chinese"))
    assert counted["task"]["text-classification"] == 3
    assert counted["language"] == {"zh": 3, "en": 1}
    whole = index.facets("hub", Query())
    assert whole["total"] == {"": len(MODELS)}
    assert whole["gated"] == {"open": 6, "gated": 2}
    assert index.facets("none", Query())["total"] == {"": 0}


def test_a_page_of_many_says_that_more_are_there(tmp_path: Path) -> None:
    index = CatalogIndex(tmp_path)
    index.write("hub", generated.entries(6000))
    page = index.search("hub", Query("llama", limit=20))
    assert (len(page.hits), page.total, page.more) == (20, 1000, False) or page.total <= 1000
    counted = index.facets("hub", Query("transformers"))
    assert counted["total"][""] > 5000
    assert index.search("hub", Query("transformers")).more
    named = index.search("hub", Query("qwen", limit=200)).hits
    assert all(a.info.downloads >= b.info.downloads for a, b in pairwise(h for h in named if h.tier == 0))  # type: ignore[operator]
    for query in (Query("bert", task="text-classification"), Query(license="mit", language="en")):
        hits = index.search("hub", query).hits
        assert hits
        assert all(query.matches(h.info) for h in hits)


def test_an_index_is_replaced_as_a_whole_or_not_at_all(index: CatalogIndex) -> None:
    index.write("hub", MODELS[:2])
    assert index.counts() == {"hub": 2}

    def breaks() -> object:
        yield MODELS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.write("hub", breaks())  # type: ignore[arg-type]
    assert index.counts() == {"hub": 2}
    assert [p.name for p in index.folder.iterdir()] == ["hub.sqlite"]
    index.drop("hub")
    assert ids(index) == []


def test_a_damaged_file_is_named_and_one_of_another_version_is_no_index(index: CatalogIndex) -> None:
    db = sqlite3.connect(index.path("hub"))
    db.execute("PRAGMA user_version=999")
    db.commit()
    db.close()
    other = CatalogIndex(index.folder.parent)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(other.search("hub", Query("bert")).hits))
    thread.start()
    thread.join()
    assert found == [()]
    index.drop("hub")
    index.path("hub").write_bytes(b"not a database at all" * 300)
    with pytest.raises(StoreError, match="can't be read"):
        index.search("hub", Query("bert"))


SEARCHER = """
import sys
from pathlib import Path
from modelnook.catalog.base import Query
from modelnook.catalog.index import CatalogIndex
index = CatalogIndex(Path(sys.argv[1]))
print("ready", flush=True)
seen = set()
while not Path(sys.argv[1], "stop").exists():
    for text in ("bert", "中文", "lla", ""):
        hits = index.search("hub", Query(text)).hits
        assert hits, text
    seen.add(index.meta("hub")["round"])
    index.facets("hub", Query("bert"))
print(len(seen))
"""


@pytest.mark.slow
def test_eight_processes_search_while_one_refreshes(tmp_path: Path) -> None:
    index = CatalogIndex(tmp_path)
    index.write("hub", generated.entries(2000), round="0")
    command = [sys.executable, "-c", SEARCHER, str(tmp_path)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    for reader in readers:
        assert reader.stdout is not None
        reader.stdout.readline()
    for number in range(1, 6):
        index.write("hub", generated.entries(2000, seed=number), round=str(number))
    (tmp_path / "stop").touch()
    answers = [reader.communicate(timeout=60) for reader in readers]
    assert [(r.returncode, err) for r, (_, err) in zip(readers, answers, strict=True)] == [(0, "")] * 8
    assert max(int(out) for out, _ in answers) > 1


def test_entries_are_ranked_by_use() -> None:
    assert list(by_rank(reversed(MODELS))) == list(MODELS)


def test_long_lists_that_hardly_meet_are_known_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.catalog import index_broad

    monkeypatch.setattr(index_broad, "_AT_LEAST", 20)
    rare = [
        model(f"eve/odd-bert-{n}", 5, task="text-to-image", license="mit" if n else None, tags=("x",)) for n in range(3)
    ]
    tagged = model("eve/odd", 4, task="text-to-image", tags=("bert",))
    made = [m for m in generated.entries(3000) if "bert" not in m.id or m.task != "text-to-image"]
    index = CatalogIndex(tmp_path)
    index.write("hub", [*made, *rare, tagged])
    known = sqlite3.connect(index.path("hub"))
    words = {word for (word,) in known.execute("SELECT word FROM broad")}
    known.close()
    assert {"bert", "llama"} <= words
    assert ids(index, "bert", task="text-to-image") == [*(m.name for m in rare), "odd"]
    assert ids(index, "bert", task="text-to-image", limit=2) == [m.name for m in rare[:2]]
    assert ids(index, "bert", task="text-to-image", license="mit") == [m.name for m in rare[1:]]
    assert ids(index, "bert", task="text-to-image", license="gpl-3.0") == []
    for task in ("text-classification", "fill-mask", "text-generation", "token-classification"):
        query = Query("bert", task=task, limit=5000)
        found = {h.info.id for h in index.search("hub", query).hits}
        assert found >= {m.id for m in made if "bert" in name_words(m.id) and m.task == task}
        assert index.facets("hub", Query("bert"))["task"].get(task, 0) <= len(found)
