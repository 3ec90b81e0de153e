"""What is read of a model that stays on a hub: the headers of its weights, by ranged requests, and small files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.catalog.folder import Tensor
from modelnook.catalog.gguf import parse_header
from modelnook.catalog.transfer import silent_bar

__all__ = ["STEPS", "gguf_tensors", "safetensors_tensors", "small_file"]

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


def safetensors_tensors(api: Any, id: str, revision: str, within: float) -> list[Tensor]:
    """The tensors that a repository's safetensors name."""
    repo = api.get_safetensors_metadata(id, revision=revision, timeout=within)
    parts = [tensor for file in repo.files_metadata.values() for tensor in file.tensors.items()]
    return [(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in parts]


def small_file(id: str, name: str, **where: Any) -> bytes | None:
    """A file of a repository, kept in the client's cache; empty where it has none, None where that can't be told.

    Without the client's bar, which is there for what takes long.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(id, name, tqdm_class=silent_bar(), **where)).read_bytes()
    except LocalEntryNotFoundError:
        return None
    except EntryNotFoundError:
        return b""
    except (OSError, ValueError):
        return None
