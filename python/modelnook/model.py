"""Model: the handle of a loaded model. Its methods forward to the runtime; what is loaded here is listed by ``ps``."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.explanation import Explanation
from modelnook.domain.model import ModelInfo
from modelnook.domain.shown import Shown

__all__ = ["Model", "here", "load", "loaded", "moved", "unload"]

_KEEP = 3
"""Models that ``predict`` keeps between calls; those that a person loaded stay until they close them."""

_lock = threading.RLock()
_Key = tuple[str, str, str, str]
"""Reference, task, where it runs, and what the model is by: files under a path may be another model's by now."""
_loaded: dict[_Key, Model] = {}


class Model(Shown):
    """A model in memory.

    >>> model = mn.load("spam")
    >>> model.ref, model.task, model.labels
    ('local:spam@1', 'text-classification', ['ham', 'spam'])
    >>> model(["win free money"])["label"][0]
    'spam'
    """

    def __init__(self, info: ModelInfo, runtime: Any, key: _Key, held: bool) -> None:
        self.info = info
        self.runtime = runtime
        self.held = held
        self.note = ""
        """What there is to say of where its reference was found."""
        self._key = key

    @property
    def ref(self) -> str:
        """Its reference, with the revision."""
        return self.info.ref

    @property
    def task(self) -> str | None:
        """Its task."""
        return self.runtime.task or self.info.task

    @property
    def labels(self) -> list[str]:
        """The names of its outputs."""
        return list(self.runtime.labels)

    def predict(self, inputs: Any = None, **options: Any) -> Any:
        """A DataFrame, one row an input in its order and with its index; see :func:`modelnook.predict`.

        Args:
            inputs: the texts, or the rows.
            options: those of :func:`modelnook.predict`.

        Raises:
            UsageError, DataError, NotFoundError: as for :func:`modelnook.predict`.

        >>> mn.load("spam").predict(["win free money", "lunch and report"])["label"].tolist()
        ['spam', 'ham']
        """
        from modelnook.api import predict
        from modelnook.api.door import opened

        return opened(predict)(self, inputs, **options)

    __call__ = predict

    def explain(self, inputs: Any, **options: Any) -> Explanation:
        """What speaks for its answers and what against them, word by word; see :func:`modelnook.explain`.

        Args:
            inputs: the texts, or the rows.
            options: those of :func:`modelnook.explain`.

        Raises:
            UsageError, UnsupportedError, DataError: as for :func:`modelnook.explain`.

        >>> mn.load("spam").explain("win free money", label="ham").items[0].label
        'ham'
        """
        from modelnook.api import explain
        from modelnook.api.door import opened

        found: Explanation = opened(explain)(self, inputs, **options)
        return found

    def stream(self, prompt: Any, **options: Any) -> Generator[str, None, str]:
        """The pieces of what a model writes, as they come; together they are :func:`modelnook.run`'s text.

        Args:
            prompt: the text, or a conversation.
            options: those of :func:`modelnook.run`.

        Raises:
            UsageError, UnsupportedError: as for :func:`modelnook.run`.

        >>> pieces = mn.load("./writer").stream("win free", max_new_tokens=8)
        >>> "".join(pieces) == mn.run("./writer", "win free", max_new_tokens=8)
        True
        """
        from modelnook.api.writing import streamed

        return streamed(self, prompt, **options)

    def layers(self) -> str:
        """The layer tree as text.

        >>> print(mn.load("spam").layers().splitlines()[0])
        model ...
        """
        return self.info.layers or str(self.runtime.layers())

    def close(self) -> None:
        """Give its memory back; it can't be used after.

        >>> model = mn.load("spam")
        >>> model.close()
        >>> len(mn.ps())
        0
        """
        with _lock:
            _loaded.pop(self._key, None)
        self.runtime.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Model({self.ref!r}, task={self.task!r}, runtime={self.runtime.name!r}, device={self.runtime.device!r})"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; ``bytes`` are those of its folder.

        >>> mn.load("spam").to_dict()["ref"]
        'local:spam@1'
        """
        return {
            "ref": self.ref,
            "task": self.task,
            "runtime": self.runtime.name,
            "device": self.runtime.device,
            "bytes": self.info.bytes,
            "labels": self.labels,
        }


def load(ref: str, *, task: str | None = None, runtime: str = "auto", device: str = "auto", held: bool = True) -> Model:
    """The loaded model of a reference; the same one where it is loaded already. See :func:`modelnook.load`."""
    from modelnook.catalog.search import resolve
    from modelnook.runtime import runtime as load_runtime
    from modelnook.store import Store
    from modelnook.store.contents import content

    found = resolve(ref)
    key = (str(found.ref), task or "", f"{runtime}/{device}", content(Store(), found.ref) or "")
    with _lock:
        model = _loaded.get(key)
        if model is None:
            _close_spare(other for other in _loaded.values() if other._key[:3] == key[:3])
            info, path, task = here(ref, found, task)
            model = Model(info, load_runtime(path, task=task, name=runtime, device=device), key, held)
            _loaded[key] = model
            _make_room()
        model.held = model.held or held
        model.note = found.note
        # The most recently used one last, so that room is made at the front.
        _loaded[key] = _loaded.pop(key)
        return model


def here(ref: str, found: Any, task: str | None) -> tuple[ModelInfo, Path, str]:
    """``(what is known of it, its folder, what it is to do)`` of a resolved reference; downloaded where it isn't here.

    Raises:
        UnsupportedError: its files don't tell its task, and ``task`` is None.
    """
    from modelnook.catalog.search import fetch

    info = found.source.info(found.ref)
    path = fetch(found.ref, lambda event: None)
    task = task or info.task
    if task is None:
        raise UnsupportedError("api.no_task", ref=ref)
    return info, path, task


def _make_room() -> None:
    spare = [m for m in _loaded.values() if not m.held]
    _close_spare(spare[: max(0, len(spare) - _KEEP)])


def _close_spare(models: Iterable[Model]) -> None:
    """Close those of some that nobody holds."""
    for model in [m for m in models if not m.held]:
        model.close()


def moved(known: Mapping[str, ModelInfo | None]) -> None:
    """Models were removed or renamed: what is kept of them goes, and a person's handle has the new reference.

    Args:
        known: the reference each had -> its entry now, None for one that is gone.
    """
    with _lock:
        changed = [m for m in _loaded.values() if m.ref in known]
        _close_spare(changed)
        for model in (m for m in changed if m.held):
            now = known[model.ref]
            if now is not None:
                del _loaded[model._key]
                model.info, model._key = now, (now.ref, *model._key[1:])
                _loaded[model._key] = model


def loaded() -> list[Model]:
    """What this process holds."""
    with _lock:
        return list(_loaded.values())


def unload(ref: str | None = None) -> list[str]:
    """Close one model, by the reference that it has here, or all; the references closed."""
    with _lock:
        gone = [m for m in _loaded.values() if ref in (None, m.ref)]
    for model in gone:
        model.close()
    return [m.ref for m in gone]
