"""The forms of OpenAI's API, so that programs written for it can be pointed here."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, ClassVar

from tornado.iostream import StreamClosedError

from modelnook.domain.errors import ModelnookError, UsageError
from modelnook.serve.app import Answering, whole

__all__ = ["ROUTES"]

_WRITES = ("text-generation",)
_LENGTHS = ("max_completion_tokens", "max_tokens")


class _OpenAI(Answering):
    def told(self, error: ModelnookError) -> dict[str, Any]:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        return {"error": {"message": f"{error.message} {error.hint}".strip(), "type": kind, "code": error.code}}


class Models(_OpenAI):
    """``GET /v1/models``."""

    def get(self) -> None:
        """The one model."""
        model = {"id": self.served.name, "object": "model", "created": 0, "owned_by": "modelnook"}
        self.answer({"object": "list", "data": [model]})


class Embeddings(_OpenAI):
    """``POST /v1/embeddings``."""

    async def post(self) -> None:
        """A vector for each input."""
        self.served.must("sentence-similarity", "feature-extraction")
        given = self.body()
        if given.get("encoding_format", "float") != "float":
            raise UsageError("serve.format", format=given["encoding_format"])
        answers = await self.served.predict(_needed(given, "input"))
        data = [{"object": "embedding", "index": n, "embedding": a["vector"]} for n, a in enumerate(answers)]
        self.answer({"object": "list", "model": self.served.name, "data": data})


class _Writing(_OpenAI):
    """What chat and plain completions share; ``kind`` begins their ids, ``chunk`` names a piece of a stream."""

    kind: ClassVar[str]
    whole: ClassVar[str]
    chunk: ClassVar[str]

    def row(self, given: dict[str, Any]) -> Any:
        """The row that the model is to answer."""
        raise NotImplementedError

    def choice(self, text: str, *, piece: bool, end: bool) -> dict[str, Any]:
        """The text in its place."""
        raise NotImplementedError

    async def post(self) -> None:
        """What the model writes, whole or as it comes."""
        self.served.must(*_WRITES)
        given = self.body()
        rows, options = self.served.rows([self.row(given)]), _options(given)
        head = {"id": f"{self.kind}-{uuid.uuid4().hex}", "created": int(time.time()), "model": self.served.name}
        if given.get("stream"):
            async with aclosing(self.served.stream(rows[0], **options)) as pieces:
                await self._streamed(head, pieces)
            return
        answers = await self.served.batches.ask(rows, options)
        choice = {"index": 0, **self.choice(answers[0]["text"], piece=False, end=True)}
        self.answer({**head, "object": self.whole, "choices": [choice]})

    async def _streamed(self, head: dict[str, Any], pieces: AsyncIterator[str]) -> None:
        """Server-sent events, one a piece; a client that goes away ends the writing."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        try:
            async for piece in pieces:
                await self._event(head, piece, end=False)
            await self._event(head, "", end=True)
            self.write("data: [DONE]\n\n")
            await self.finish()
        except StreamClosedError:
            return

    async def _event(self, head: dict[str, Any], text: str, *, end: bool) -> None:
        choice = {"index": 0, **self.choice(text, piece=True, end=end)}
        said = json.dumps({**head, "object": self.chunk, "choices": [choice]}, ensure_ascii=False)
        self.write(f"data: {said}\n\n")
        await self.flush()


class Chat(_Writing):
    """``POST /v1/chat/completions``."""

    kind, whole, chunk = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def row(self, given: dict[str, Any]) -> Any:
        """The conversation so far."""
        return {"messages": _needed(given, "messages")}

    def choice(self, text: str, *, piece: bool, end: bool) -> dict[str, Any]:
        """A message, or the next part of it."""
        reason = "stop" if end else None
        if piece:
            return {"delta": {"content": text} if text else {}, "finish_reason": reason}
        return {"message": {"role": "assistant", "content": text}, "finish_reason": reason}


class Completions(_Writing):
    """``POST /v1/completions``."""

    kind, whole, chunk = "cmpl", "text_completion", "text_completion"

    def row(self, given: dict[str, Any]) -> Any:
        """The prompt; with a chat template it is a user's turn, as ``predict`` has it."""
        prompt = _needed(given, "prompt")
        if not isinstance(prompt, str):
            raise UsageError("serve.one_prompt")
        return prompt

    def choice(self, text: str, *, piece: bool, end: bool) -> dict[str, Any]:
        """A text, or the next part of it."""
        return {"text": text, "finish_reason": "stop" if end else None}


def _needed(given: dict[str, Any], name: str) -> Any:
    if given.get(name) in (None, "", []):
        raise UsageError("serve.missing", name=name)
    return given[name]


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """What ``predict`` takes of the request's options: the length; a temperature above 0 draws at random.

    Raises:
        UsageError: an option that is no number.
    """
    lengths = [whole(given, name) for name in _LENGTHS if given.get(name) is not None]
    found: dict[str, Any] = {"max_new_tokens": lengths[0]} if lengths else {}
    if not given.get("temperature"):
        return found
    for name in ("temperature", "top_p"):
        value = given.get(name)
        if value is not None and (not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0):
            raise UsageError("serve.number", name=name, value=json.dumps(value))
    drawn = {name: float(given[name]) for name in ("temperature", "top_p") if given.get(name) is not None}
    return {**found, "do_sample": True, **drawn}


ROUTES = [
    (r"/v1/models", Models),
    (r"/v1/embeddings", Embeddings),
    (r"/v1/chat/completions", Chat),
    (r"/v1/completions", Completions),
]
