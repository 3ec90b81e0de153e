"""What to do: the one thing that a job runs, a script is written from, and a second Run All compares."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from modelnook.domain.dataset import DatasetRef

__all__ = ["Recipe"]

_TABLES = ("data", "eval_data", "unlabelled")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A verb with everything it needs, all of it JSON.

    ``model`` is the resolved reference with its revision; ``knobs`` are the verb's own arguments as resolved (no
    ``auto`` left where the plan decided). ``identity`` ignores what doesn't change the result: notebook, tracking,
    interpreter, place. A name is part of the result: whoever asks for another one wants a model of that name.
    ``unlabelled`` are further rows without targets.
    """

    verb: str
    model: str
    data: DatasetRef | None = None
    eval_data: DatasetRef | None = None
    unlabelled: DatasetRef | None = None
    task: str | None = None
    method: str | None = None
    knobs: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    name: str = ""
    track: tuple[str, ...] = ()
    python: str = ""
    notebook: str | None = None
    device: str = "auto"
    threads: int | None = None
    models: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    """What tells the models that are here from others under the same reference, as after a rename."""
    parts: str = ""
    """What tells rows to train from rows to validate, where a column says it: the data's fingerprint leaves it out."""
    on: str = "process"
    """Where a worker carries it out, so that a resume goes there again."""

    def identity(self) -> str:
        """sha256 (hex) of what decides the result."""
        data = self.to_dict()
        for ignored in ("track", "python", "notebook", "threads", "on"):
            data.pop(ignored)
        for optional in ("contents", "parts", "unlabelled"):
            if not data[optional]:
                data.pop(optional)
        for part in _TABLES:
            if data.get(part):
                data[part].pop("name")
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form of ``recipe.json``."""
        return {**asdict(self), "track": list(self.track), "models": list(self.models), "contents": list(self.contents)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """Read :meth:`to_dict`'s form; unknown keys are left out."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
        for part in _TABLES:
            if known.get(part):
                known[part] = DatasetRef.from_dict(known[part])
        known["track"] = tuple(known.get("track") or ())
        known["models"] = tuple(known.get("models") or ())
        known["contents"] = tuple(known.get("contents") or ())
        return cls(**known)
