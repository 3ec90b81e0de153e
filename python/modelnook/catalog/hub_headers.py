"""The headers of GGUF weights that lie on a hub, read by ranged requests."""

from __future__ import annotations

from modelnook.catalog.folder import Tensor
from modelnook.catalog.gguf import parse_header

__all__ = ["STEPS", "gguf_tensors"]

STEPS = (1 << 20, 1 << 23, 1 << 25)
"""A header with a large vocabulary takes some megabytes: each try asks for more of it."""


def gguf_tensors(url: str, token: str | bool | None, within: float) -> list[Tensor]:
    """The tensors that a GGUF file names; none where it can't be read so."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

    headers = build_hf_headers(token=token, library_name="modelnook")
    data = b""
    for end in STEPS:
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
