"""The headers of weights that lie on a hub, read by ranged requests: tensors, dtypes, no weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelnook.catalog.folder import Tensor
from modelnook.catalog.gguf import parse_header

__all__ = ["dtypes_of", "gguf_tensors"]

# A header with a large vocabulary takes some megabytes; each try asks for more of it.
_STEPS = (1 << 20, 1 << 23, 1 << 25)


def gguf_tensors(url: str, token: str | bool | None, within: float) -> list[Tensor]:
    """The tensors that a GGUF file names; none where it can't be read so."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

    headers = build_hf_headers(token=token, library_name="modelnook")
    data = b""
    for end in _STEPS:
        answer = get_session().get(
            url, headers={**headers, "Range": f"bytes={len(data)}-{end - 1}"}, timeout=within, follow_redirects=True
        )
        if answer.status_code == 416:
            break
        hf_raise_for_status(answer)
        if answer.status_code != 206:
            return []  # a peer without ranges sends all of the weights: nothing of it was asked for
        data += answer.content
        header = parse_header(data)
        if header is not None:
            return header.tensors
        if len(data) < end:
            break
    return []


def dtypes_of(tensors: Iterable[Tensor], said: Any = None) -> dict[str, int]:
    """How many numbers there are of each type; by what the hub says where no header could be read.

    >>> dtypes_of([("w", "F16", (2, 3)), ("b", "F32", (3,))])
    {'F16': 6, 'F32': 3}
    """
    found: dict[str, int] = {}
    for _, dtype, shape in tensors:
        size = 1
        for n in shape:
            size *= n
        found[dtype] = found.get(dtype, 0) + size
    return found or dict(getattr(said, "parameters", None) or {})
