"""The GPU of a process that forks workers: kept closed there, since CUDA doesn't work in what is forked from one that
has opened it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

from modelnook.jobs.device import has_gpu

__all__ = ["closed", "cut_off", "is_open"]

OPENERS = frozenset(("bitsandbytes", "gptqmodel"))
"""Packages that open the GPU as they are imported."""

DEFERRED = tuple(f"torchao.prototype.safetensors.safetensors_{name}" for name in ("support", "utils"))
"""Modules that do, of which transformers takes functions for what it may have to save or read."""


def is_open() -> bool:
    """Whether this process has opened the GPU."""
    cuda = sys.modules.get("torch.cuda")
    return cuda is not None and bool(cuda.is_initialized())


def cut_off() -> bool:
    """Whether this process was forked from one that had opened the GPU, or asked CUDA for it, and can't use it."""
    cuda = sys.modules.get("torch.cuda")
    return has_gpu() and cuda is not None and bool(getattr(cuda, "_is_in_bad_fork", bool)())


@contextmanager
def closed() -> Iterator[None]:
    """Where there is a GPU, nothing that is imported within this opens it: each worker does that by itself.

    What can't be imported without that fails with an ImportError, and what needs it with it; of :data:`DEFERRED` only
    functions are to be had.
    """
    if not has_gpu():
        yield
        return
    finder = _Unopened()
    sys.meta_path.insert(0, finder)
    try:
        with _deferred():
            yield
    finally:
        sys.meta_path.remove(finder)


class _Unopened(MetaPathFinder, Loader):
    """Finds the openers, so that others know that they are there, and has them fail to be imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return spec_from_loader(name, self) if name in OPENERS else None

    def exec_module(self, module: ModuleType) -> None:
        raise ImportError(f"{module.__name__} would open the GPU")


class _Deferred(ModuleType):
    """Its functions import the real module when they are called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def called(*args: Any, **kwargs: Any) -> Any:
            return getattr(import_module(self.__name__), name)(*args, **kwargs)

        return called


@contextmanager
def _deferred() -> Iterator[None]:
    there = [name for name in DEFERRED if name not in sys.modules]
    stubs = {name: _Deferred(name) for name in there}
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name, stub in stubs.items():
            if sys.modules.get(name) is stub:
                del sys.modules[name]
