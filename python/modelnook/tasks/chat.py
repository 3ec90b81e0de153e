"""Conversations: rows of messages as people have them, and as the text that a model's chat template makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modelnook.domain.errors import DataError, UnsupportedError

__all__ = ["Message", "has_answer", "messages_of", "segments", "template"]

Message = dict[str, str]
"""``role`` (system, user, assistant, tool) and ``content``."""

ASSISTANT = "assistant"

# ShareGPT's names, and those that people write by hand.
_ROLES = {
    **dict.fromkeys(("user", "human", "用户", "人类"), "user"),
    **dict.fromkeys((ASSISTANT, "gpt", "bot", "model", "chatgpt", "助手"), ASSISTANT),
    **dict.fromkeys(("system", "系统"), "system"),
    "developer": "developer",
    "tool": "tool",
}


def messages_of(cell: Any, row: int) -> list[Message]:
    """A cell's messages: a list of dicts with role and content (or from and value), or that list as JSON.

    Raises:
        DataError: it isn't that; the row is named.

    >>> messages_of('[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]', 0)
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    """
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except ValueError:
            raise DataError("task.not_messages", row=row, kind="str", value=_short(cell)) from None
    if isinstance(cell, (str, bytes, Mapping)) or not hasattr(cell, "__iter__"):
        raise DataError("task.not_messages", row=row, kind=type(cell).__name__, value=_short(cell))
    return [_message(message, row, place) for place, message in enumerate(cell)]


def _message(message: Any, row: int, place: int) -> Message:
    if not isinstance(message, Mapping):
        raise DataError("task.not_messages", row=row, kind=type(message).__name__, value=_short(message))
    role, content = message.get("role") or message.get("from"), message.get("content", message.get("value"))
    known = _ROLES.get(str(role).strip().lower()) if role is not None else None
    if known is None:
        raise DataError("task.message_role", row=row, place=place, role=role, known="system, user, assistant, tool")
    if content is None:
        content = message.get("value")
    if not isinstance(content, str):
        raise DataError("task.message_content", row=row, place=place, kind=type(content).__name__)
    return {"role": known, "content": content}


def has_answer(messages: Sequence[Message]) -> bool:
    """Whether the assistant says anything."""
    return any(m["role"] == ASSISTANT and m["content"].strip() for m in messages)


def template(tokenizer: Any, messages: Sequence[Message], *, asks: bool = False) -> str:
    """The messages as the tokenizer's own chat template writes them.

    Args:
        asks: whether the assistant's next turn is begun.

    Raises:
        UnsupportedError: the model has no chat template.
        DataError: the template doesn't take such a conversation; what it says is quoted.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise UnsupportedError("task.no_chat_template", model=getattr(tokenizer, "name_or_path", "") or "-")
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=asks))
    except TemplateError as error:
        roles = ", ".join(m["role"] for m in messages)
        raise DataError("task.template_refuses", roles=roles, error=str(error).rstrip(".")) from None


def segments(tokenizer: Any, messages: Sequence[Message]) -> list[tuple[str, bool]]:
    """``(text, whether the assistant says it)``, in order; what comes after the last answer is left out.

    An answer is what the template adds to a conversation whose next turn is begun, its end of turn included: just what
    the model has to write when it is asked.
    """
    found: list[tuple[str, bool]] = []
    done = ""
    turns = [i for i, message in enumerate(messages) if message["role"] == ASSISTANT]
    for i in turns:
        before = template(tokenizer, messages[:i], asks=True)
        after = template(tokenizer, messages[: i + 1])
        if not (before.startswith(done) and after.startswith(before)):
            return _last(tokenizer, messages, turns[-1])
        found += [(before[len(done) :], False), (after[len(before) :], True)]
        done = after
    return found


def _last(tokenizer: Any, messages: Sequence[Message], turn: int) -> list[tuple[str, bool]]:
    # Some templates write earlier turns otherwise once there are later ones: then the last answer alone is learnt.
    after = template(tokenizer, messages[: turn + 1])
    before = template(tokenizer, messages[:turn], asks=True)
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    return [(after[:same], False), (after[same:], True)]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text[:40] + ("…" if len(text) > 40 else "")
