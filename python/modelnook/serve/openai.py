"""The forms of OpenAI's API, so that programs written for it can be pointed here."""

from __future__ import annotations

import base64
import json
import struct
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, ClassVar

from tornado.iostream import StreamClosedError

from modelnook.domain.errors import UsageError
from modelnook.serve.app import Answering, shown, whole
from modelnook.serve.served import Piece

__all__ = ["ROUTES"]

_WRITES = ("text-generation",)
_LENGTHS = ("max_completion_tokens", "max_tokens")
_RANGES = {"temperature": (0.01, 100.0), "top_p": (0.001, 1.0)}

_TAKEN = {"model", "input", "messages", "prompt", "stream", "encoding_format", *_LENGTHS, *_RANGES}
_UNHEARD = {"user", "metadata", "store", "stream_options", "safety_identifier", "prompt_cache_key"}
"""What clients send along and no answer depends on."""
_NEUTRAL = {"n": 1, "best_of": 1, "frequency_penalty": 0, "presence_penalty": 0, "logprobs": False, "echo": False}
"""Options that aren't built here, and the value with which they change nothing."""


class _OpenAI(Answering):
    def body(self) -> dict[str, Any]:
        """See :meth:`Answering.body`; an option that would change the answer and isn't known here is refused."""
        given = super().body()
        for name, value in given.items():
            if name not in (_TAKEN | _UNHEARD) and value not in (None, [], _NEUTRAL.get(name)):
                raise UsageError("serve.option", name=name[:80])
        return given


class Models(_OpenAI):
    """``GET /v1/models``."""

    def get(self) -> None:
        """The one model."""
        model = {"id": self.served.name, "object": "model", "created": 0, "owned_by": "modelnook"}
        self.answer({"object": "list", "data": [model]})


class Embeddings(_OpenAI):
    """``POST /v1/embeddings``."""

    async def post(self) -> None:
        """A vector for each input, as numbers or as base64 of 32-bit floats, which OpenAI's own client asks for."""
        self.served.must("sentence-similarity", "feature-extraction")
        given = self.body()
        form = given.get("encoding_format") or "float"
        if form not in ("float", "base64"):
            raise UsageError("serve.format", format=shown(form))
        answers = await self.for_client(self.served.predict(_needed(given, "input")))
        vectors = [a["vector"] if form == "float" else _packed(a["vector"]) for a in answers]
        data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        self.answer({"object": "list", "model": self.served.name, "data": data})


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


class _Writing(_OpenAI, ABC):
    """What chat and plain completions share; ``kind`` begins their ids, ``chunk`` names a piece of a stream."""

    kind: ClassVar[str]
    whole: ClassVar[str]
    chunk: ClassVar[str]

    @abstractmethod
    def row(self, given: dict[str, Any]) -> Any:
        """The row that the model is to answer."""

    @abstractmethod
    def choice(self, text: str, *, piece: bool) -> dict[str, Any]:
        """The text in its place."""

    async def post(self) -> None:
        """What the model writes, whole or as it comes."""
        self.served.must(*_WRITES)
        given = self.body()
        rows, options = self.served.rows([self.row(given)]), self._options(given)
        head = {"id": f"{self.kind}-{uuid.uuid4().hex}", "created": int(time.time()), "model": self.served.name}
        await self.for_client(self._written(head, rows[0], options, streams=bool(given.get("stream"))))

    async def _written(self, head: dict[str, Any], row: Any, options: dict[str, Any], *, streams: bool) -> None:
        """Whole it is put together of its pieces: a client that goes away ends the writing either way."""
        async with aclosing(self.served.stream(row, **options)) as pieces:
            if streams:
                await self._streamed(head, pieces)
                return
            text, reason = "", "stop"
            async for piece, ended in pieces:
                text, reason = text + piece, ended or reason
        choice = {"index": 0, **self.choice(text.strip(), piece=False), "finish_reason": reason}
        self.answer({**head, "object": self.whole, "choices": [choice]})

    async def _streamed(self, head: dict[str, Any], pieces: AsyncIterator[Piece]) -> None:
        """Server-sent events, one a piece."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        try:
            async for text, reason in pieces:
                choice = {"index": 0, **self.choice(text, piece=True), "finish_reason": reason}
                said = json.dumps({**head, "object": self.chunk, "choices": [choice]}, ensure_ascii=False)
                self.write(f"data: {said}\n\n")
                await self.flush()
            self.write("data: [DONE]\n\n")
            await self.finish()
        except StreamClosedError:
            return

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        """What a runtime takes of the request's options: the length; a temperature above 0 draws at random.

        Raises:
            UsageError: an option that is no number, or out of its range.
        """
        most = self.served.most_tokens
        lengths = [whole(given, name, most) for name in _LENGTHS if given.get(name) is not None]
        found: dict[str, Any] = {"max_new_tokens": lengths[0]} if lengths else {}
        if not given.get("temperature"):
            return found
        for name, (low, high) in _RANGES.items():
            value = given.get(name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if value is not None and not (number and low <= value <= high):
                raise UsageError("serve.number", name=name, value=shown(value), low=low, high=high)
        return {**found, "do_sample": True, **{name: float(given[name]) for name in _RANGES if given.get(name)}}


class Chat(_Writing):
    """``POST /v1/chat/completions``."""

    kind, whole, chunk = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def row(self, given: dict[str, Any]) -> Any:
        """The conversation so far."""
        return {"messages": _needed(given, "messages")}

    def choice(self, text: str, *, piece: bool) -> dict[str, Any]:
        """A message, or the next part of it."""
        if piece:
            return {"delta": {"content": text} if text else {}}
        return {"message": {"role": "assistant", "content": text}}


class Completions(_Writing):
    """``POST /v1/completions``."""

    kind, whole, chunk = "cmpl", "text_completion", "text_completion"

    def row(self, given: dict[str, Any]) -> Any:
        """The prompt; with a chat template it is a user's turn, as ``predict`` has it."""
        prompt = _needed(given, "prompt")
        if not isinstance(prompt, str):
            raise UsageError("serve.one_prompt")
        return prompt

    def choice(self, text: str, *, piece: bool) -> dict[str, Any]:
        """A text, or the next part of it."""
        return {"text": text}


def _needed(given: dict[str, Any], name: str) -> Any:
    if given.get(name) in (None, "", []):
        raise UsageError("serve.missing", name=name)
    return given[name]


ROUTES = [
    (r"/v1/models", Models),
    (r"/v1/embeddings", Embeddings),
    (r"/v1/chat/completions", Chat),
    (r"/v1/completions", Completions),
]
