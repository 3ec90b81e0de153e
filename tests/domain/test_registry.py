"""What a row says that can't be used here."""

from __future__ import annotations

import pytest

from modelnook.domain.errors import MissingPackage
from modelnook.registry import Entry, Registry

ROWS = {
    "one": Entry("nowhere:Thing", "for a test", ("json", "nowhere_a"), extra="first"),
    "two": Entry("nowhere:Thing", "for a test", ("nowhere_a", "nowhere_b")),
}


@pytest.mark.parametrize(
    ("lang", "name", "packages", "extra"),
    [
        ("en", "one", "needs the package nowhere_a.", "Install it: pip install 'modelnook[first]'"),
        ("en", "two", "needs the packages nowhere_a, nowhere_b.", "Install them: pip install 'modelnook[two]'"),
        ("zh", "one", "需要软件包 nowhere_a。", "请安装：pip install 'modelnook[first]'"),
        ("zh", "two", "需要以下软件包：nowhere_a、nowhere_b。", "请安装：pip install 'modelnook[two]'"),
    ],
)
def test_each_package_that_is_not_there_is_named(
    lang: str, name: str, packages: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    rows: Registry[object] = Registry("quantizer", ROWS)
    with pytest.raises(MissingPackage) as caught:
        rows.check(name)
    assert caught.value.message.endswith(packages)
    assert caught.value.hint == extra
