"""Every form of data gives the same rows; every mistake gives one sentence and a next step."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet
from tests.standins.hub import HubStandIn

from modelnook.data.columns import find
from modelnook.data.files import redacted
from modelnook.data.media import encoded
from modelnook.data.read import kind_of, read, validation_part
from modelnook.data.snapshot import fingerprint
from modelnook.domain.dataset import Columns
from modelnook.domain.errors import DataError, ModelnookError, NotFoundError, OfflineError, UsageError

RECORDS = [
    {"text": 'He said "no", twice,\nand left.', "label": 1},
    {"text": "早餐太差，\t无论去多少人", "label": 0},
    {"text": "NA", "label": 1},
    {"text": "plain", "label": 0},
]
FRAME = pd.DataFrame(RECORDS)


def _files(folder: Path) -> dict[str, Path]:
    made = {name: folder / f"rows.{name}" for name in "csv tsv json jsonl parquet arrow feather xlsx".split()}
    FRAME.to_csv(made["csv"], index=False)
    FRAME.to_csv(made["tsv"], index=False, sep="\t")
    FRAME.to_json(made["json"], orient="records", force_ascii=False)
    FRAME.to_json(made["jsonl"], orient="records", lines=True)
    table = pa.table(FRAME)
    parquet.write_table(table, made["parquet"])
    with pa.ipc.new_stream(made["arrow"], table.schema) as writer:
        writer.write_table(table)
    feather.write_feather(table, made["feather"])
    FRAME.to_excel(made["xlsx"], index=False)
    made["gz"] = folder / "packed.csv.gz"
    made["gz"].write_bytes(gzip.compress(made["csv"].read_bytes()))
    made["zip"] = folder / "packed.zip"
    with zipfile.ZipFile(made["zip"], "w") as archive:
        archive.write(made["csv"], "rows.csv")
        archive.writestr("readme.txt", "about")
    made["by-column"] = folder / "columns.json"
    made["by-column"].write_text(json.dumps({name: list(FRAME[name]) for name in FRAME}, default=int))
    made["in-data"] = folder / "data.json"
    made["in-data"].write_text(json.dumps({"version": 1, "data": RECORDS}))
    made["lines-in-json"] = folder / "lines.json"
    made["lines-in-json"].write_bytes(made["jsonl"].read_bytes())
    made["semicolon"] = folder / "semicolon.csv"
    FRAME.to_csv(made["semicolon"], index=False, sep=";")
    return made


def _forms() -> dict[str, Any]:
    text, label = [r["text"] for r in RECORDS], [r["label"] for r in RECORDS]
    return {
        "frame": FRAME,
        "records": RECORDS,
        "columns": {"text": text, "label": label},
        "numpy": {"text": np.array(text), "label": np.array(label, dtype=np.int8)},
        "table": pa.table(FRAME),
        "batch": pa.RecordBatch.from_pandas(FRAME),
        "string": FRAME.astype({"text": "string", "label": "Int64"}),
        "object": FRAME.astype({"text": object, "label": object}),
        "category": FRAME.astype({"text": "category", "label": "category"}),
        "scalars": [{"text": r["text"], "label": np.int64(r["label"])} for r in RECORDS],
        "reordered": FRAME.set_index(pd.Index([9, 7, 5, 3])),
    }


def test_every_form_and_file_is_the_same_rows(tmp_path: Path) -> None:
    forms = {**_forms(), **_files(tmp_path)}
    forms["text path"] = str(forms["csv"])
    forms["url"] = f"file://{forms['csv']}"
    forms["member"] = f"zip://rows.csv::{forms['zip']}"
    prints = {}
    for name, data in forms.items():
        rows = read(data)
        assert rows.column("text") == [r["text"] for r in RECORDS], name
        assert rows.column("label") == [1, 0, 1, 0], name
        assert rows.ids.tolist() == [0, 1, 2, 3]
        prints[name] = fingerprint(rows, find(rows, ("text", "label"))).sha256
    assert len(set(prints.values())) == 1, prints


def test_a_dataset_is_read_with_its_class_names() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    whole = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, -1]}, features=features)
    assert read(whole).column("label") == ["neg", "pos", None]
    assert read(whole.select([1, 0])).column("text") == ["b", "a"]
    both = datasets.DatasetDict({"train": whole, "test": whole.select([0]), "validation": whole.select([1])})
    assert len(read(both)) == 3
    assert len(read(both, part="test")) == 1
    assert read(validation_part(both)).column("text") == ["b"]
    tags = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER"])),
        }
    )
    words = datasets.Dataset.from_dict({"tokens": [["a"], ["b", "c"]], "ner_tags": [[1], [0, 1]]}, features=tags)
    assert read(words.select([1, 0])).column("ner_tags") == [["O", "B-PER"], ["B-PER"]]
    with pytest.raises(DataError, match="has no end"):
        read(whole.to_iterable_dataset())


def test_missing_values_are_none_in_every_form() -> None:
    frame = pd.DataFrame({"text": ["a", None, "c"], "label": [1.0, np.nan, 0.0]})
    for data in (frame, frame.convert_dtypes(), frame.astype(object), frame.to_dict("records"), pa.table(frame)):
        rows = read(data)
        assert rows.column("text") == ["a", None, "c"]
        assert rows.column("label") == [1, None, 0]


def test_words_for_nothing_stay_labels_in_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label,size\na,None,1.5\nb,NA,NA\nc,,2\n")
    rows = read(path)
    assert rows.column("label") == ["None", "NA", None]
    assert rows.column("size") == [1.5, None, 2.0]


def test_text_and_numbers_in_one_column_become_text() -> None:
    rows = read([{"x": "a"}, {"x": 2.0}, {"x": None}, {"x": float("nan")}])
    assert rows.column("x") == ["a", "2", None, None]
    assert rows.mixed == {"x": 1}


def test_whole_numbers_of_64_bits_without_a_sign_are_the_nearest_numbers() -> None:
    frame = pd.DataFrame({"x": np.array([2**64 - 1, 1], np.uint64)})
    for data in (frame, pa.table(frame)):
        assert read(data).column("x") == [2.0**64, 1.0]


def test_text_and_numbers_in_lists_become_text() -> None:
    rows = read([{"tokens": ["Room"]}, {"tokens": ["no", 101, None]}, {"tokens": None}])
    assert rows.column("tokens") == [["Room"], ["no", "101", None], None]
    assert rows.mixed == {"tokens": 1}


def test_the_cell_of_another_kind_is_named() -> None:
    rows = read([{"tokens": ["a"]}, {"tokens": ["b"]}, {"tokens": "c d"}])
    with pytest.raises(DataError, match="a list in row 0 and a str in row 2"):
        rows.column("tokens")


def test_odd_cells_are_read_as_text() -> None:
    frame = pd.DataFrame(
        {"size": pd.cut([1, 9], 2, labels=None), "month": pd.period_range("2026-01", periods=2, freq="M")}
    )
    rows = read(frame)
    assert rows.column("size")[0].startswith("(")
    assert rows.column("month") == ["2026-01", "2026-02"]
    assert rows.mixed == {}
    half = [{"text": "ok \ud83d"}, {"text": "whole \ud83d\ude00"}]
    assert read(half).column("text") == ["ok \ufffd", "whole 😀"]
    assert read(pd.DataFrame([["a", 1]], columns=pd.MultiIndex.from_tuples([("text", ""), ("y", "z")]))).names == [
        "text",
        "y.z",
    ]


def test_columns_that_nobody_uses_may_hold_anything() -> None:
    rows = read(pd.DataFrame({"text": ["a", "b"], "model": [object(), object()]}))
    assert rows.column("text") == ["a", "b"]
    with pytest.raises(DataError, match="holds a object in row 0"):
        rows.column("model")


def test_texts_that_look_like_dates_stay_texts_in_every_json(tmp_path: Path) -> None:
    dates = ["2024-01-05", "2024-01-05T10:00:00Z"]
    records = [{"text": d, "label": n, "said": [{"role": "user", "content": d}]} for n, d in enumerate(dates)]
    (tmp_path / "list.json").write_text(json.dumps(records))
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, records)))
    # Only Python reads lines of different kinds.
    mixed = [{**record, "odd": odd} for record, odd in zip(records, (1, "a"), strict=True)]
    (tmp_path / "mixed.jsonl").write_text("\n".join(map(json.dumps, mixed)))
    prints = set()
    for data in (records, *sorted(tmp_path.glob("*.json*"))):
        rows = read(data)
        assert rows.names[:3] == ["text", "label", "said"]
        assert (rows.column("text"), rows.column("said")) == (dates, [r["said"] for r in records])
        prints.add(fingerprint(rows, find(rows, ("text", "label"))).sha256)
    assert len(prints) == 1


def test_headers_are_trimmed_and_made_unique(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("\ufeff text ,,text\na,b,c\n".encode())
    assert read(path).names == ["text", "Unnamed: 1", "text_2"]
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert read(frame).names == ["a", "a_2"]


def test_one_column_of_texts_with_commas(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text\nHello, world\nyes, no, maybe\n")
    assert read(path).column("text") == ["Hello, world", "yes, no, maybe"]


def test_quotes_that_quote_nothing_in_a_tsv(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text('text\tlabel\n"Oh\t1\nno" he\t0\nfine\t1\n')
    assert read(path).column("text") == ['"Oh', 'no" he', "fine"]


def test_a_text_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    long = "word " * 1_500_000
    path.write_text(f'text,label\n"{long}",1\nb,0\n')
    assert [len(v) for v in read(path).column("text")] == [len(long), 1]


def test_real_files(real: Callable[[str], Path]) -> None:
    hotel = read(real("chnsenticorp-htl/ChnSentiCorp_htl_all.csv"))
    assert (len(hotel), sum(hotel.column("label"))) == (7766, 5322)
    mails = read(real("spam-assassin/spam_assassin_subject_body.jsonl.gz"))
    assert len(mails) == 6046
    assert find(mails, ("text", "label")).to_dict() == {"text": "body", "label": "label"}
    archive = real("drugreview/drugsCom.zip")
    with pytest.raises(DataError, match=r"zip://drugsComTest\.tsv::"):
        read(archive)
    drugs = read(f"zip://drugsComTrain.tsv::{archive}")
    assert len(drugs) == 600
    assert find(drugs, ("text", "label")).to_dict() == {"text": "review", "label": "rating"}
    assert read(real("fewclue-tnews/dev_few_all.json")).names[2] == "sentence"


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "number": (3, DataError, "Something of type int can't be read as a table. Give a DataFrame"),
    "texts": (["a", "b"], DataError, "Item 0 of the list is a str, not a row"),
    "no rows": ([], DataError, "There are no rows in the table"),
    "empty frame": (pd.DataFrame({"text": []}), DataError, "There are no rows"),
    "lengths": ({"a": [1], "b": [1, 2]}, DataError, "different lengths: a 1, b 2"),
    "scalar": ({"a": "text"}, DataError, "Column 'a' is a str, not a list"),
    "word": ("reviews", NotFoundError, "'reviews' is neither a table nor a path"),
    "hub name": ("hub:name", UsageError, "doesn't name a data set"),
    "parts": ({"a": [{"x": 1}], "b": [{"x": 1}]}, DataError, r"several splits \(a, b\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table(name: str) -> None:
    data, kind, says = BAD[name]
    with pytest.raises(kind, match=says):
        read(data)


FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("x.csv", b"", "There are no rows in"),
    "header only": ("x.csv", b"text,label\n", "There are no rows in"),
    "blank json": ("x.json", b" \n", "There are no rows in"),
    "ragged": ("x.csv", b"text,label\na,1\nb, c,0\n", r"row 3 \(the header is row 1\) has 3 columns instead of 2"),
    "broken json": ("x.jsonl", b'{"a": 1}\n{"a": \n', "not JSON .line 2"),
    "other json": ("x.json", b'{"train": [["a", "b"]], "test": []}', "is not a table"),
    "list of lists": ("x.json", b'[["a", 1]]', "Item 0 of"),
    "broken parquet": ("x.parquet", b"PAR1nothing", "can't be read"),
    "broken arrow": ("x.arrow", b"ARROW1nothing", "can't be read"),
    "broken xlsx": ("x.xlsx", b"PKnothing", "can't be read"),
    "broken gz": ("x.csv.gz", b"text,label", "can't be read"),
    "cut gz": ("x.csv.gz", gzip.compress(b"text,label\n" * 99)[:-9], "can't be read"),
    "ending": ("x.docx", b"text", r"ending \.docx.*Save it as one of: csv"),
    "no encoding": ("x.csv", b"text\n" + b"a\0" * 40 + b"\xdc\xdc\xdc\xdc\0", "in no known encoding. Save it as UTF-8"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_table(name: str, tmp_path: Path) -> None:
    file, content, says = FILES[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=says):
        read(tmp_path / file)


def test_a_folder_without_a_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds no table") as caught:
        read(str(tmp_path / "train.csv"))
    assert caught.value.hint
    with pytest.raises(DataError, match=r"is a folder that holds no table.*train\.csv"):
        read(str(tmp_path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("text\na\n")
    with pytest.raises(NotFoundError, match=r"Did you mean '.*reviews\.csv'"):
        read(tmp_path / "revews.csv")
    with pytest.raises(NotFoundError, match=r"has: reviews\.csv"):
        read(str(tmp_path / "zzz.parquet"))
    with pytest.raises(NotFoundError, match="doesn't exist"):
        read(tmp_path / "no" / "x.csv")
    with pytest.raises(NotFoundError, match="'~nouser_xyz' doesn't exist"):
        read("~nouser_xyz/x.csv")
    with pytest.raises(DataError, match=r"is a folder\. Name the file in it: reviews\.csv"):
        read(tmp_path)


def test_offline_nothing_outside_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    for data in ("hub:owner/name", "https://example.org/x.csv", "simplecache::s3://bucket/x.csv"):
        with pytest.raises(OfflineError, match="switched off"):
            read(data)
    (tmp_path / "x.csv").write_text("text\na\n")
    assert len(read(f"file://{tmp_path}/x.csv")) == 1


def test_every_kind_is_told_without_importing_it() -> None:
    code = (
        "import sys, modelnook.data.read as r\n"
        "assert not {'pandas', 'pyarrow', 'numpy', 'datasets'} & set(sys.modules), sys.modules\n"
        "rows = r.read([{'text': 'a', 'label': 1}])\n"
        "assert not {'torch', 'datasets', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert kind_of(FRAME) == "frame"
    assert kind_of(FRAME["text"]) == "series"


def test_in_chinese(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    with pytest.raises(NotFoundError, match="没有文件"):
        read(tmp_path / "评论.csv")


SERVED = {
    "reviews.csv": b"text,label\nfine,1\n",
    "head.csv": b"text,label\n",
    "blank.csv": b"",
    "gb.csv": "text,label\n早餐太差，无论去多少人，那边也不加食品的。,0\n".encode("gb18030"),
    "ragged.csv": b"text,label\na,1\nb, c,0\n",
    "broken.json": b'[{"a": ',
    "odd.json": b"[3]",
    "shape.json": b"[[]]",
    "text.docx": b"text",
    "broken.parquet": b"PAR1nothing",
    "none.zip": b"PK\x05\x06" + bytes(18),
    "odd.csv": b"text\n" + b"a\0" * 40 + b"\xdc\xdc\xdc\xdc\0",
}


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """A server of SERVED, whatever the query: ``host:port``."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.wfile.write(self.answer())

        def answer(self) -> bytes:
            name, _, query = self.path[1:].partition("?sig=")
            body = SERVED.get(name) if query else None
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            return body or b""

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


CHAINS = ("", "simplecache::")


@pytest.mark.parametrize("chain", CHAINS)
def test_a_url_with_a_query_is_read(served: str, chain: str) -> None:
    rows = read(f"{chain}http://{served}/reviews.csv?sig=can/ary")
    assert (rows.name, rows.column("text")) == ("reviews", ["fine"])


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("head.csv", "data.empty"),
        ("blank.csv", "data.empty"),
        ("ragged.csv", "data.csv"),
        ("broken.json", "data.json"),
        ("odd.json", "data.record"),
        ("text.docx", "data.ending"),
        ("broken.parquet", "data.unreadable"),
        ("none.zip", "data.zip"),
        ("odd.csv", "data.encoding"),
        ("nothing.csv", "data.no_url"),
    ],
)
def test_no_error_shows_what_opens_a_url(served: str, chain: str, name: str, code: str) -> None:
    with pytest.raises(ModelnookError) as caught:
        read(f"{chain}http://me:canary@{served}/{name}?sig=can/ary#canary")
    assert caught.value.code == code
    assert f"{chain}http://{served}/{name}" in caught.value.message
    assert not re.search("canary|can/ary", str(caught.value.to_dict()))


@pytest.mark.parametrize("chain", CHAINS)
def test_no_warning_shows_what_opens_a_url(served: str, chain: str) -> None:
    (note,) = read(f"{chain}http://me:canary@{served}/gb.csv?sig=can/ary").notes
    assert f"'{chain}http://{served}/gb.csv'" in str(note)
    assert not re.search("canary|ary", str(note))


@pytest.mark.parametrize(
    ("chain", "offline", "code"),
    [
        ("", "", "data.unreachable"),
        ("simplecache::", "", "data.no_url"),
        ("", "1", "data.offline"),
        ("simplecache::", "1", "data.offline"),
    ],
)
def test_no_error_of_the_network_shows_what_opens_a_url(
    chain: str, offline: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELNOOK_OFFLINE", offline)
    with pytest.raises(ModelnookError) as caught:
        read(f"{chain}http://me:canary@127.0.0.1:9/x.csv?sig=can/ary")
    assert caught.value.code == code
    assert f"'{chain}http://127.0.0.1:9/x.csv'" in caught.value.message
    assert not re.search("canary|can/ary", str(caught.value.to_dict()))


def test_no_part_of_a_chain_shows_what_opens_it() -> None:
    with pytest.raises(NotFoundError, match="nothing at") as caught:
        read("simplecache::file://me:canary@/nowhere/x.csv")
    assert "canary" not in str(caught.value.to_dict())
    with pytest.raises(DataError, match="ending") as refused:
        read("zip://rows.docx?canary::ftp://me:canary@example.org/x.zip?canary")
    assert "'zip://rows.docx::ftp://example.org/x.zip'" in refused.value.message
    assert "canary" not in str(refused.value.to_dict())
    cells = read([{"audio": "https://me:canary@example.org/x.wav?sig=can/ary"}])
    with pytest.raises(DataError, match=r"names the file 'https://example\.org/x\.wav'"):
        encoded(cells, Columns.of(audio="audio"))
    assert redacted("simplecache::http://me:canary@h/x.csv?sig=can::ary") == "simplecache::http://h/x.csv"


HUB = """
import json, os, sys
from modelnook.data.read import read
from modelnook.domain.dataset import Columns
from modelnook.domain.errors import ModelnookError
try:
    rows = read(sys.argv[1], part=sys.argv[2])
    print(json.dumps([rows.name, rows.column("text"), rows.column("label")]))
except ModelnookError as error:
    print(json.dumps(error.to_dict()))
"""


def _from_hub(hub: HubStandIn, name: str, part: str = "train", **more: str) -> Any:
    # A process of its own: huggingface_hub reads its environment once.
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", **more}
    command = [sys.executable, "-c", HUB, name, part]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_data_set_of_the_hub(hub_server: HubStandIn) -> None:
    pytest.importorskip("datasets")
    files = {"train.csv": b"text,label\nfine,1\npoor,0\n", "test.csv": b"text,label\nso so,1\n"}
    hub_server.add_repo("alice/reviews", files, kind="datasets")
    assert _from_hub(hub_server, "hub:alice/reviews") == ["hub:alice/reviews", ["fine", "poor"], [1, 0]]
    assert _from_hub(hub_server, "hub:alice/reviews", "test")[1] == ["so so"]
    assert _from_hub(hub_server, "hub:alice/nothing")["code"] == "data.no_hub"


@pytest.mark.slow
def test_a_data_set_that_is_gated_or_not_shown_says_what_opens_it(hub_server: HubStandIn) -> None:
    pytest.importorskip("datasets")
    hub_server.add_repo("alice/gated", {"train.csv": b"text,label\nfine,1\n"}, kind="datasets", gated=True)
    hub_server.add_token("hf_bob", "bob")
    for token in ({}, {"HF_TOKEN": "hf_bob"}):
        told = _from_hub(hub_server, "hub:alice/gated", **token)
        assert (told["code"], "HF_TOKEN" in told["hint"]) == ("data.hub_gated", True)
        assert f"{hub_server.url}/datasets/alice/gated" in told["hint"]
    assert _from_hub(hub_server, "hub:alice/gated", HF_TOKEN="hf_nobody")["code"] == "data.no_hub"


UNREADABLE: dict[str, tuple[dict[str, bytes], str, str]] = {
    "script": ({"script.py": b"x"}, "data.hub_script", "hub:alice/script@refs/convert/parquet"),
    "empty": ({"README.md": b"text"}, "data.hub_unreadable", "doesn't contain any data files"),
    "program": ({"x.exe": b"text"}, "data.hub_unreadable", "No (supported) data files"),
    "damaged": ({"train.jsonl": b'{"a": 1}\n{"a": \n'}, "data.hub_unreadable", "JSON parse error"),
    "parquet": ({"train.parquet": b"PAR1nothing"}, "data.hub_unreadable", "Parquet magic bytes not found"),
    "uneven": (
        {"data/train-1.jsonl": b'{"a": 1}\n' * 3, "data/train-2.jsonl": b'{"b": "x"}\n' * 3},
        "data.hub_unreadable",
        "Couldn't cast",
    ),
    "configs": (
        {
            "README.md": b"---\nconfigs:\n- config_name: en\n  data_files: en.csv\n"
            b"- config_name: zh\n  data_files: zh.csv\n---\n",
            "en.csv": b"text\na\n",
            "zh.csv": b"text\na\n",
        },
        "data.hub_config",
        ": en, zh.",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_data_set_that_cant_be_read_says_why(name: str, hub_server: HubStandIn) -> None:
    pytest.importorskip("datasets")
    files, code, says = UNREADABLE[name]
    hub_server.add_repo(f"alice/{name}", files, kind="datasets")
    told = _from_hub(hub_server, f"hub:alice/{name}")
    assert told["code"] == code
    assert says in f"{told['message']} {told['hint']}"
    assert f"'hub:alice/{name}'" in told["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "store.disk_full"),
        (httpx.ReadTimeout("timed out"), "data.unreachable"),
        (ValueError("odd row, see https://me:word@example.org/x?sig=a in column #3"), "data.hub_unreadable"),
    ],
)
def test_what_the_machine_or_the_network_fails_with_is_no_fault_of_the_data(
    cause: Exception, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def fail(*args: Any, **options: Any) -> None:
        raise datasets.exceptions.DatasetGenerationError("An error occurred while generating the dataset") from cause

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ModelnookError) as caught:
        read("hub:owner/name")
    assert caught.value.code == code
    if code == "data.hub_unreadable":
        assert "odd row, see https://example.org/x in column #3" in caught.value.message


def test_a_hub_that_fails_is_no_fault_of_the_data(hub_server: HubStandIn) -> None:
    pytest.importorskip("datasets")
    hub_server.add_repo("alice/reviews", {"train.csv": b"text,label\nfine,1\n"}, kind="datasets")
    hub_server.fail(r"GET /datasets/alice/reviews/", 501, times=None)
    told = _from_hub(hub_server, "hub:alice/reviews")
    assert (told["code"], "HTTP 501" in told["message"]) == ("data.unreachable", True)
