"""What a model wrote: a text that says why it ended there."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

__all__ = ["INTERRUPTED", "Written", "gathered"]

INTERRUPTED = "interrupted"


class Written(str):
    """A ``str`` in all that it does; it is displayed without quotes.

    Attributes:
        ended: ``stop`` at an end of text, ``length`` where there was no room for more, ``interrupted`` by the person.

    >>> text = Written("Paris.", "stop")
    >>> text.upper(), text.ended
    ('PARIS.', 'stop')
    """

    __slots__ = ("ended",)
    ended: str

    def __new__(cls, text: str, ended: str = "stop") -> Written:
        made = super().__new__(cls, text)
        made.ended = ended
        return made

    def __reduce__(self) -> Any:
        # Who reads the pickle may not have modelnook.
        return str, (str(self),)

    def __str__(self) -> str:
        return "".join(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle or len(printer.stack) > 1 else str(self))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"text": str(self), "ended": self.ended}


def gathered(pieces: Generator[str, None, str], show: Callable[[str], Any] = lambda piece: None) -> Written:
    """All pieces as one text; an interrupt ends it, and what was written until then is kept.

    >>> def model():
    ...     yield "Par"
    ...     yield "is."
    ...     return "stop"
    >>> shown = []
    >>> gathered(model(), shown.append), shown
    ('Paris.', ['Par', 'is.'])
    """
    made: list[str] = []
    ended = "stop"
    try:
        while True:
            piece = next(pieces)
            made.append(piece)
            show(piece)
    except StopIteration as end:
        ended = str(end.value or ended)
    except KeyboardInterrupt:
        ended = INTERRUPTED
    finally:
        pieces.close()
    return Written("".join(made), ended)
