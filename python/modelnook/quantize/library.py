"""Around the library that a backend calls: it prints nothing, and what it raises is told as what it can't do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelnook.domain.errors import ModelnookError, UnsupportedError
from modelnook.domain.event import Stopped
from modelnook.messages import t
from modelnook.runtime.silence import first_line, silence

if TYPE_CHECKING:
    from modelnook.quantize.base import Quantizer

__all__ = ["asked", "backend", "library"]


def backend(name: str) -> type[Quantizer]:
    """A backend's class.

    Raises:
        UnsupportedError: its packages are there and can't be imported, as versions that don't fit each other can't; the
            other backends aren't to pay for it.
    """
    from modelnook.quantize import QUANTIZERS

    try:
        return QUANTIZERS.load(name)
    except (ModelnookError, MemoryError):
        raise
    except Exception as error:
        extra = QUANTIZERS[name].extra or name
        raise UnsupportedError("quantize.no_import", backend=name, error=first_line(error), extra=extra) from error


def asked(way: str, error: UnsupportedError) -> UnsupportedError:
    """Why the only way that there was to try can't be gone, with its backend and scheme."""
    name, _, scheme = way.partition(" ")
    if error.values.get("backend") == name:
        return error
    message = t("quantize.cant_make", backend=name, scheme=scheme, error=error.message)
    told = type(error).told({**error.to_dict(), "message": message})
    told.__cause__ = error
    return told  # type: ignore[return-value]


@contextmanager
def library(architecture: str, other: str, said: Callable[[Exception], str] = first_line) -> Iterator[None]:
    """The block runs in silence. The person's errors, a full disk, the lack of memory and a stop are let through; the
    lack of a GPU's memory is the backend's, since another may do without.

    Args:
        other: the backend to try instead.
        said: what the library's error says, in a line.

    Raises:
        UnsupportedError: the library fails on this architecture; what it said, and ``other``.
    """
    with silence():
        try:
            yield
        except (ModelnookError, Stopped, MemoryError, OSError):
            raise
        except Exception as error:
            raise UnsupportedError(
                "quantize.failed_on", architecture=architecture, error=said(error), next=other
            ) from error
