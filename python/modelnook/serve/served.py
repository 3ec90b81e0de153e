"""The model that a server answers with, and what it is asked: JSON in, answers out."""

from __future__ import annotations

import asyncio
import base64
import math
import threading
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from modelnook.data.inputs import inputs as read_inputs
from modelnook.data.media import MEDIA_ROLES
from modelnook.domain.errors import DataError, UnsupportedError, UsageError
from modelnook.runtime.base import Runtime
from modelnook.runtime.folder import config
from modelnook.serve.batches import Batches

__all__ = ["Piece", "Served"]


MOST_TOKENS = 4096
"""Where a model's files don't say for how many tokens it has places."""

Piece = tuple[str, str | None]
"""What was written, and in the last one why it ended: ``stop`` or ``length``."""


class Served:
    """A loaded model under the name that those who ask it see."""

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.name, self.runtime = name, runtime
        self.spec = runtime.spec()
        said = config(runtime.path)
        self.most_tokens = int(said.get("max_position_embeddings") or said.get("n_positions") or MOST_TOKENS)
        """How many a request may ask for: a model has places for no more."""
        self.batches = Batches(runtime.predict)

    @property
    def said(self) -> dict[str, Any]:
        """What there is to tell of it."""
        runtime = self.runtime
        return {"task": runtime.task, "runtime": runtime.name, "device": runtime.device, "labels": list(runtime.labels)}

    async def predict(self, inputs: Any, **options: Any) -> list[dict[str, Any]]:
        """One answer an input.

        Raises:
            UsageError, DataError: inputs that the model can't be given.
        """
        rows = self.rows(inputs)
        return [_plain(answer) for answer in await self.batches.ask(rows, options)] if rows else []

    def rows(self, inputs: Any) -> list[Any]:
        """The inputs as the runtime takes them. A text is a text, whatever it looks like: nothing is read for it.

        Raises:
            UsageError: neither a text nor a row, nor a list of one of the two.
            DataError: rows that lack what the model needs.
        """
        listed = inputs if isinstance(inputs, list) else [inputs]
        kinds = {type(value).__name__ for value in listed}
        if len(kinds) > 1 or not kinds <= {"str", "dict"}:
            raise UsageError("serve.inputs", kind=" / ".join(sorted(kinds)))
        spec = self.spec
        if not listed:
            return []
        if spec.inputs and spec.inputs[0] in MEDIA_ROLES:
            listed = [_bytes(value, spec.inputs[0], row) for row, value in enumerate(listed)]
        elif isinstance(listed[0], str) and len(spec.inputs) != 1:
            raise UsageError("serve.needs_rows", task=spec.name, roles=", ".join(spec.inputs) or "–")
        rows, _ = read_inputs(
            listed, spec.inputs, {}, optional=spec.optional, forms=spec.shapes(asked=True), features=spec.features
        )
        return rows

    async def stream(self, row: Any, **options: Any) -> AsyncGenerator[Piece]:
        """What the model writes to one row, as it comes; closed early, it stops. Other requests wait meanwhile.

        Raises:
            UnsupportedError: this runtime gives its text whole.
        """
        loop, gone = asyncio.get_running_loop(), threading.Event()
        pieces: asyncio.Queue[Piece | None] = asyncio.Queue()

        def write() -> None:
            if gone.is_set():
                return
            writing = self.runtime.stream(row, **options)
            while not gone.is_set():
                try:
                    piece: Piece = (next(writing), None)
                except StopIteration as end:
                    piece = ("", end.value or "stop")
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
                if piece[1]:
                    return
            writing.close()

        done = asyncio.ensure_future(self.batches.alone(write))
        done.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await done
        finally:
            gone.set()

    def must(self, *tasks: str) -> None:
        """Refuse what another task is asked for.

        Raises:
            UnsupportedError: the model has none of these tasks.
        """
        if self.runtime.task not in tasks:
            raise UnsupportedError("serve.task", ref=self.name, task=self.runtime.task, wanted=" / ".join(tasks))


def _bytes(value: Any, role: str, row: int) -> bytes:
    """A file that came as base64, alone, as a data address, or under its role's name."""
    said = value.get(role) if isinstance(value, Mapping) else value
    if not isinstance(said, str):
        raise DataError("serve.base64", role=role, row=row)
    try:
        return base64.b64decode(said.rpartition(",")[2] if said.startswith("data:") else said, validate=True)
    except ValueError:
        raise DataError("serve.base64", role=role, row=row) from None


def _plain(value: Any) -> Any:
    """Python's own numbers and lists; what JSON has no word for is null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
