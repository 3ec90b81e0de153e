"""The terminal's door: ``modelnook VERB …``, read by the same table and parser as the magic."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Exit codes: 0 done, 1 failed, 2 the words are off, 130 interrupted."""
    from modelnook.cli.command import run

    return run(argv)
