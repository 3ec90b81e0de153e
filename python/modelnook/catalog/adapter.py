"""Folders that hold an adapter alone (peft): what it changes, and the model that it changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.catalog.papers import json_in
from modelnook.domain.errors import ModelnookError, NotFoundError

__all__ = ["adapter_in", "base_of", "task_of"]

FILE = "adapter_config.json"

_TASKS = {
    "CAUSAL_LM": "text-generation",
    "FEATURE_EXTRACTION": "feature-extraction",
    "QUESTION_ANS": "question-answering",
    "SEQ_2_SEQ_LM": "text2text-generation",
    "SEQ_CLS": "text-classification",
    "TOKEN_CLS": "token-classification",
}


def adapter_in(path: Path) -> dict[str, Any]:
    """``adapter_config.json`` of a folder without a model of its own; empty for every other folder."""
    if (path / "config.json").is_file():
        return {}
    return json_in(path / FILE)


def task_of(adapter: dict[str, Any]) -> str | None:
    """The task that an adapter was trained for, as peft names it."""
    return _TASKS.get(str(adapter.get("task_type")))


def base_of(path: Path, adapter: dict[str, Any]) -> Path:
    """The folder of the model that an adapter changes, fetched where it isn't here.

    Raises:
        NotFoundError: no such model; the adapter is named.
    """
    from modelnook.catalog.search import fetch, resolve

    name = str(adapter.get("base_model_name_or_path") or "")
    beside = Path(name)
    if name and beside.is_dir():
        return beside
    try:
        return fetch(resolve(name).ref, lambda event: None)
    except ModelnookError as error:
        raise NotFoundError(
            "catalog.no_base", path=path, base=name or "-", error=error.message.rstrip(".。")
        ) from error
