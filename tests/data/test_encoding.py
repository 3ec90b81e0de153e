"""Encodings are told apart by strict decoding; real text in each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelnook.data.encoding import encoding_of, to_utf8
from modelnook.data.read import read

ZH = "label,review\n1,早餐太差，无论去多少人，那边也不加食品的。\n0,房间很大，整体感觉经济实惠不错！\n"
TEXTS = {
    "utf-8": (ZH, "utf-8"),
    "utf-8-sig": (ZH, "utf-8-sig"),
    "gbk": (ZH, "gb18030"),
    "gb18030": (ZH + "1,𠮷野家和㐀\n", "gb18030"),
    "utf-16": (ZH, "utf-16"),
    "utf-16-le": (ZH, "utf-16-le"),
    "utf-16-be": (ZH, "utf-16-be"),
    "utf-32": (ZH, "utf-32"),
    "ascii": ("text,label\nfine,1\n", "utf-8"),
    "cp1252": (
        "text,label\nLe café était très agréable, déjà vu à l’hôtel,1\nFräulein Müller grüßt schön,0\n",
        "cp1252",
    ),
    "cp1251": ("text,label\n" + "Номер был очень чистый, персонал приветливый. Приедем ещё раз!,1\n" * 5, "cp1251"),
    "big5": ("標題,類別\n" + "這間飯店的房間非常乾淨，服務人員也很親切，下次還會再來住。,1\n" * 5, "big5"),
    "euc_kr": (
        "text,label\n" + "이 호텔의 방은 매우 깨끗하고 직원들도 친절했습니다. 다음에 또 오겠습니다.,1\n" * 20,
        None,
    ),
    "shift_jis": ("text,label\n" + "このホテルの部屋はとても清潔で、スタッフも親切でした。また来ます。,1\n" * 5, None),
}


@pytest.mark.parametrize("name", TEXTS)
def test_told_apart(name: str) -> None:
    text, expected = TEXTS[name]
    found = encoding_of(text.encode(name))
    if expected:
        assert found == expected
    else:
        assert found != "gb18030"  # a Korean or Japanese file is never read as Chinese


def test_one_short_word() -> None:
    assert to_utf8("差评".encode("gbk")) == ("差评".encode(), "gb18030")


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-16", "utf-8-sig"])
def test_a_real_chinese_csv_in_every_encoding(encoding: str, real: Callable[[str], Path], tmp_path: Path) -> None:
    text = real("chnsenticorp-htl/ChnSentiCorp_htl_all.csv").read_text(encoding="utf-8-sig")
    path = tmp_path / "评论.csv"
    path.write_text(text, encoding=encoding, errors="ignore", newline="")
    rows = read(path)
    assert len(rows) == 7766
    assert rows.column("review")[2].startswith("早餐太差，无论去多少人，那边也不加食品的。酒店应该")
    assert [w.code for w in rows.notes] == ([] if encoding == "utf-8-sig" else ["data.read_as"])
