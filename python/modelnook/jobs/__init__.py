"""Executors: where a recipe is carried out. A child process by default; this process, or a machine of a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelnook.domain.errors import UsageError
from modelnook.registry import Entry, Registry

if TYPE_CHECKING:
    from modelnook.jobs.base import Executor

__all__ = ["EXECUTORS", "executor"]

EXECUTORS: Registry[type[Executor]] = Registry(
    "executor",
    {
        "kernel": Entry("modelnook.jobs.base:Kernel", "a thread of this process"),
        "process": Entry("modelnook.jobs.base:Process", "a process of its own on this machine"),
        "ray": Entry("modelnook.jobs.ray:Ray", "a machine of a Ray cluster", requires=("ray", "grpc"), extra="ray"),
    },
)
"""What ``on=`` takes, up to its ``://``."""

HERE = ("kernel", "process")
"""Those without an address."""


def executor(on: str, *, without: bool = False) -> Executor:
    """The executor that ``on`` names: ``process``, ``kernel``, ``ray://HOST:PORT``, ``ray://auto``.

    Args:
        without: also where the packages that it needs are missing: the process that carries a run out may have them.

    Raises:
        UsageError: none of these.
        MissingPackage: a package that it needs isn't installed.
    """
    name, marked, address = on.partition("://")
    if name not in EXECUTORS or bool(marked and address) != (name not in HERE):
        known = [n if n in HERE else f"{n}://HOST:PORT" for n in EXECUTORS]
        raise UsageError("core.bad_value", name="on", value=on, allowed=", ".join(known))
    return EXECUTORS.load(name, without=without)(on)
