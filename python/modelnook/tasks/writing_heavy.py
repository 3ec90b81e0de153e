"""What a model writes: batches of prompts alike in length, padded on the left, each up to its end of text."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from modelnook.tasks.answered import answered
from modelnook.tasks.heads import room_to_write
from modelnook.tasks.padding_heavy import pad
from modelnook.tasks.pretrained_heavy import quiet

__all__ = ["new_tokens", "streamed", "write", "written"]

NEW_TOKENS = 128
"""How much is written by a model whose settings don't say."""

BATCH = 8


def write(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    batch_size: int | str = "auto",
    max_length: int = 0,
    max_new_tokens: int | None = None,
    **options: Any,
) -> list[str]:
    """The text after each prompt, or that an encoder-decoder makes of it; see :func:`written`.

    Args:
        prompts: token ids. What doesn't fit beside the new tokens loses its start; an encoder's loses its end.
        max_length: not used: what a model was trained on doesn't bound what it reads.
    """
    new = new_tokens(model, max_new_tokens)
    apart = bool(model.config.is_encoder_decoder)
    kept = [_fitting(model, ids, new) for ids in prompts]
    size = BATCH if batch_size == "auto" else int(batch_size)
    order = sorted(range(len(kept)), key=lambda i: len(kept[i]))
    found = [""] * len(kept)
    for start in range(0, len(order), size):
        index = order[start : start + size]
        ids, there = pad([kept[i] for i in index], tokenizer.pad_token_id, left=not apart)
        inputs = {"input_ids": ids, "attention_mask": torch.from_numpy(there.astype("int64"))}
        inputs = {name: value.to(model.device) for name, value in inputs.items()}
        for i, text in zip(index, written(model, tokenizer, inputs, new, **options), strict=True):
            found[i] = text
        answered(len(index))
    return found


def streamed(
    model: Any, tokenizer: Any, prompt: list[int], *, max_new_tokens: int | None = None, **options: Any
) -> Generator[str, None, str]:
    """What :func:`write` gives for one prompt, in pieces of a word or so; closed early, the model stops writing.

    Returns:
        Why it ended: ``stop`` at an end of text, ``length`` where there was no room for more.

    Raises:
        Exception: what the model's ``generate`` raises.
    """
    new = new_tokens(model, max_new_tokens)
    ids = torch.tensor([_fitting(model, prompt, new)], device=model.device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    pieces = _Pieces(tokenizer, skip_prompt=not model.config.is_encoder_decoder, skip_special_tokens=True)
    left, failed = _Left(), []

    def work() -> None:
        try:
            criteria = StoppingCriteriaList([left])
            written(model, tokenizer, inputs, new, streamer=pieces, stopping_criteria=criteria, **options)
        except Exception as error:
            failed.append(error)
            pieces.end()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        begun = False
        for piece in pieces:
            # Whole texts are given without the space that many templates begin with.
            said = piece if begun else piece.lstrip()
            begun = begun or bool(said)
            if said:
                yield said
    finally:
        left.set()
        thread.join()
    if failed:
        raise failed[0]
    return "stop" if pieces.last in (_ends(model, tokenizer) or ()) or pieces.tokens < new else "length"


class _Pieces(TextIteratorStreamer):  # type: ignore[misc]
    """Counts the tokens, and keeps the last one; the prompt comes first, all at once."""

    tokens, last = -1, -1

    def put(self, value: Any) -> None:
        self.tokens, self.last = self.tokens + 1, int(value.reshape(-1)[-1])
        super().put(value)


class _Left(threading.Event, StoppingCriteria):  # type: ignore[misc]
    """Whether nobody listens any more."""

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        return torch.full((input_ids.shape[0],), self.is_set(), device=input_ids.device, dtype=torch.bool)


def _fitting(model: Any, ids: list[int], new: int) -> list[int]:
    """What of a prompt has place beside the new tokens."""
    apart = bool(model.config.is_encoder_decoder)
    room = _positions(model) - (0 if apart else new)
    return ids[:room] if apart else ids[-room:] if room > 0 else ids[-1:]


def new_tokens(model: Any, asked: int | None = None) -> int:
    """How much is written at most: what is asked for, what the model's own settings say, 128; by a decoder beside
    an encoder no more than it has places for.
    """
    wanted = int(asked or getattr(model.generation_config, "max_new_tokens", None) or NEW_TOKENS)
    room = room_to_write(model.config.to_dict()) if model.config.is_encoder_decoder else None
    return min(wanted, room) if room else wanted


def written(model: Any, tokenizer: Any, inputs: dict[str, Any], new: int, **options: Any) -> list[str]:
    """What the model writes for a batch, up to its end of text: the likeliest token each time.

    Args:
        inputs: ``input_ids``, on the left where the model goes on from them, and ``attention_mask``.
        options: those of transformers' ``generate``, for another way of choosing; and a ``seed`` for drawing.
    """
    seed = options.pop("seed", None)
    asked = {"do_sample": False, "num_beams": 1, "use_cache": True, **options}
    if not asked["do_sample"]:
        # Settings of sampling that a model's own generation_config has are of no use to a greedy search.
        asked = {"temperature": None, "top_p": None, "top_k": None, **asked}
    with torch.inference_mode(), quiet(), _seeded(seed, model.device):
        made = model.generate(
            **inputs,
            max_new_tokens=new,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=_ends(model, tokenizer),
            **asked,
        )
    start = 0 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    texts: list[str] = tokenizer.batch_decode(made[:, start:], skip_special_tokens=True)
    return [text.strip() for text in texts]


@contextmanager
def _seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Random numbers from a seed, for the time of one text; those of the person's notebook go on as they were."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _ends(model: Any, tokenizer: Any) -> list[int] | None:
    """Every token that ends a text: what generation_config says, and the tokenizer's own."""
    said = model.generation_config.eos_token_id
    known = set(said if isinstance(said, (list, tuple)) else [said]) | {tokenizer.eos_token_id}
    return sorted(token for token in known if token is not None) or None


def _positions(model: Any) -> int:
    config = model.config.get_text_config()
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(found) if found else 1_000_000
