"""A text that is shown while a model writes it: pieces on standard output, which a cell and a terminal both have."""

from __future__ import annotations

import sys
from typing import Any

from modelnook.domain.written import INTERRUPTED, Written, gathered
from modelnook.messages import t

__all__ = ["show"]


def show(call: Any) -> Written:
    """Call a verb that writes; its pieces as they come, then what there is to say of its end."""
    pieces = call.verb.stream(call.kwargs)
    written = gathered(pieces, _write)
    _write("\n")
    if written.ended == "length":
        _write(t("faces.written_length") + "\n")
    elif written.ended == INTERRUPTED:
        _write(t("faces.written_interrupted") + "\n")
    return written


def _write(text: str) -> None:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
