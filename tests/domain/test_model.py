"""A reference as people write it: which part is which."""

from __future__ import annotations

import pytest

from modelnook.domain.errors import UsageError
from modelnook.domain.model import ModelRef


@pytest.mark.parametrize(
    ("text", "source", "id", "revision"),
    [
        ("spam", None, "spam", None),
        (" spam@2 ", None, "spam", "2"),
        ("owner/name@v1", None, "owner/name", "v1"),
        ("hub:owner/name:tag@refs/pr/1", "hub", "owner/name:tag", "refs/pr/1"),
        ("my-hub2:a@b@c", "my-hub2", "a@b", "c"),
    ],
)
def test_the_first_colon_and_the_last_at_divide(text: str, source: str | None, id: str, revision: str | None) -> None:
    found = ModelRef.parse(text)
    assert (found.source, found.id, found.revision) == (source, id, revision)
    assert ModelRef.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "./out@2",
        "../a:b",
        "/srv/model@v1",
        "~/model",
        "~anna/model",
        "C:/models/a",
        "d:\\models\\a@1",
        "models\\a",
        ".",
    ],
)
def test_a_path_is_taken_whole(text: str) -> None:
    found = ModelRef.parse(text)
    assert (found.source, found.id, found.revision) == ("path", text, None)
    assert str(found) == text


@pytest.mark.parametrize("text", ["", " ", "hub:", ":a", "@2", "spam@", "hub:@2", "c:spam", "Hub:a", "my_hub:a"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        ModelRef.parse(text)
    assert caught.value.code == "core.bad_ref"
