"""The verb that lets a model write."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from modelnook.api.reading import spec_of
from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.domain.written import Written, gathered
from modelnook.model import Model

__all__ = ["run", "streamed"]


def run(
    ref_or_model: str | Model,
    prompt: Any,
    *,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
) -> Written:
    """Let a model write: go on from a text, answer a question, translate.

    A cell and a terminal show the text while it is written; :meth:`Model.stream` gives its pieces. An interrupt ends
    it, and what was written is kept.

    Args:
        ref_or_model: a reference, or a loaded model.
        prompt: the text; a model with a chat template gets it as a person's turn. Or a whole conversation, dicts with
            ``role`` and ``content``.
        max_new_tokens: how long the text may be, in tokens; without it what the model's own settings say, else 128.
        temperature: draws each token at random, the higher the more daring; without it the likeliest is taken.
        seed: of the drawing: the same text again.

    Returns:
        A ``str``; its ``ended`` says whether it came to its end (``stop``), had no more room (``length``) or was
        ``interrupted``.

    Raises:
        NotFoundError: no such model.
        UnsupportedError: a model that doesn't write, or that nothing here runs.
        UsageError: a temperature that isn't above zero, or a prompt that is neither a text nor a conversation.
        MissingPackage: what runs the model isn't installed.

    >>> text = mn.run("./writer", "win free", max_new_tokens=8)
    >>> isinstance(text, str), text.ended in ("stop", "length")
    (True, True)
    """
    return gathered(streamed(ref_or_model, prompt, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed))


def streamed(
    ref_or_model: str | Model,
    prompt: Any,
    *,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
) -> Generator[str, None, str]:
    """:func:`run`'s text in pieces, as they come; whole, where a model's answer comes at once."""
    from modelnook.api.models import answering

    if temperature is not None and temperature <= 0:
        raise UsageError("api.temperature", value=temperature)
    model = ref_or_model if isinstance(ref_or_model, Model) else answering(ref_or_model)
    options: dict[str, Any] = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
    if temperature is not None:
        options |= {"do_sample": True, "temperature": float(temperature), **({} if seed is None else {"seed": seed})}
    return _pieces(model, _row(model, prompt), options)


def _row(model: Model, prompt: Any) -> dict[str, Any]:
    """The prompt as a row of the model's task."""
    spec = spec_of(model.task)
    if "text" not in spec.predicts or set(spec.inputs) & {"audio", "image"}:
        raise UnsupportedError("api.does_not_write", ref=model.ref, task=spec.name)
    if isinstance(prompt, str):
        return {spec.inputs[0]: prompt}
    chats = any("messages" in form for form in spec.shapes(asked=True))
    if not chats or not isinstance(prompt, list | tuple) or not all(isinstance(turn, Mapping) for turn in prompt):
        raise UsageError("api.no_prompt", kind=type(prompt).__name__)
    return {"messages": [dict(turn) for turn in prompt]}


def _pieces(model: Model, row: dict[str, Any], options: dict[str, Any]) -> Generator[str, None, str]:
    try:
        pieces = model.runtime.stream(row, **options)
    except UnsupportedError as error:
        if error.code != "task.cant_stream":
            raise
        (answer,) = model.runtime.predict([row], **options)
        yield answer["text"]
        return "stop"
    ended: str = yield from pieces
    return ended
