"""Which task a table is for, by its columns: asked where a person named none."""

from __future__ import annotations

from collections.abc import Callable, Container

__all__ = ["ALONE", "WRITTEN", "infer"]

ALONE = ("fill-mask", "text-generation")
"""The tasks of texts that stand alone."""
WRITTEN: tuple[tuple[str, ...], ...] = (("messages",), ("prompt", "completion"))
"""The roles of tables from which writing is learnt, whatever else they hold."""

# Roles that must be there -> task, the most telling first. A text with a label comes before a source with a target:
# "target" is a label's name as well.
_BY_ROLES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("question", "context", "answers"), "question-answering"),
    (("tokens", "ner_tags"), "token-classification"),
    (("messages",), "text-generation"),
    (("image", "label"), "image-classification"),
    (("audio", "label"), "audio-classification"),
    (("audio", "text"), "automatic-speech-recognition"),
    (("anchor", "positive"), "sentence-similarity"),
    (("text", "label"), "text-classification"),
    (("prompt", "completion"), "text-generation"),
    (("source", "target"), "text2text-generation"),
    (("text", "text_pair"), "sentence-similarity"),
    # Of what has a name of its own a part is enough: what is missing is asked for.
    (("image",), "image-classification"),
    (("audio",), "audio-classification"),
    (("tokens",), "token-classification"),
    (("question", "context"), "question-answering"),
    (("question", "answers"), "question-answering"),
    (("anchor",), "sentence-similarity"),
    (("text",), "fill-mask"),
    (("label",), "table"),
    (("prompt",), "text-generation"),
    (("completion",), "text-generation"),
    (("source",), "text2text-generation"),
    (("target",), "text2text-generation"),
)


def infer(has: Callable[[str], bool], kind: Callable[[], str], known: Container[str], causal: bool = False) -> str:
    """The task of a table.

    Args:
        has: whether a column plainly has the role.
        kind: what the label column holds: ``lists``, ``numbers`` (quantities, not class numbers) or ``classes``.
        known: the tasks there are.
        causal: whether the base model writes; its task on plain texts is to go on writing.

    >>> infer({"tokens", "ner_tags"}.__contains__, lambda: "lists", ("token-classification",))
    'token-classification'
    """
    for roles, task in _BY_ROLES:
        if not all(map(has, roles)):
            continue
        if task == "text-classification":
            task = _labelled(kind(), has("text_pair"))
        if task == "fill-mask" and causal:
            task = "text-generation"
        if task in known:
            return task
    return "text-classification"


def _labelled(kind: str, pair: bool) -> str:
    if kind == "lists":
        return "multi-label-classification"
    if kind == "numbers":
        return "sentence-similarity" if pair else "text-regression"
    return "text-classification"
