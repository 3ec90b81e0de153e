"""GGUF files as transformers reads them: one by one for the configuration, the weights and the tokenizer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelnook.domain.errors import MissingPackage

__all__ = ["gguf_in", "read_once"]

_TAKEN = ("GGUFReader", "get_tensor_name_map")
"""What transformers takes from gguf's module at each use: a file's header, and the names that an architecture's tensors
have, which it asks for once a module of the model.
"""

_ALONE = threading.RLock()


def gguf_in(path: str) -> dict[str, Any]:
    """The argument that has transformers read a folder's GGUF file, where its weights are in that alone.

    Raises:
        MissingPackage: there is one, and the package that reads it isn't installed.
    """
    files = sorted(f.name for f in Path(path).glob("*.gguf"))
    if not files or any(Path(path).glob("*.safetensors")):
        return {}
    if find_spec("gguf") is None:
        raise MissingPackage("task.needs_gguf", path=path, file=files[0])
    return {"gguf_file": files[0]}


@contextmanager
def read_once(path: str) -> Iterator[None]:
    """Inside the block the header of a folder's GGUF file is parsed once, which a vocabulary makes seconds long.

    Blocks may stand in each other; those of other threads wait.
    """
    if not gguf_in(path):
        yield
        return
    import gguf

    module: Any = gguf
    with _ALONE:
        real = {name: getattr(module, name) for name in _TAKEN}
        try:
            for name, taken in real.items():
                setattr(module, name, cache(taken))
            yield
        finally:
            for name, taken in real.items():
                setattr(module, name, taken)
