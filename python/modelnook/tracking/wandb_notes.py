"""What a run's tracking folder remembers of W&B: its local folders in order, and the last step that was logged."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelnook.store.files import read_json, write_json

__all__ = ["Notes"]


@dataclass
class Notes:
    """``folders`` maps the name of a folder below ``wandb/`` to whether all of it is on the server.

    A run that was resumed has several; they are uploaded in the order in which they were made.
    """

    path: Path
    folders: dict[str, bool] = field(default_factory=dict)
    last_step: int = -1
    run: str = ""
    project: str = ""
    entity: str | None = None
    url: str | None = None

    @classmethod
    def read(cls, folder: Path) -> Notes:
        """The notes of a tracking folder, empty where there are none."""
        path = folder / "wandb.json"
        said = read_json(path)
        known = said if isinstance(said, dict) else {}
        names = ("folders", "last_step", "run", "project", "entity", "url")
        return cls(path, **{n: known[n] for n in names if n in known})

    def save(self) -> None:
        """Write them."""
        data: dict[str, Any] = asdict(self)
        del data["path"]
        write_json(self.path, data)

    def logs(self, step: int) -> None:
        """Remember a step that is about to be logged: before it may be on the disk, so that none is logged twice."""
        if step > self.last_step:
            self.last_step = step
            self.save()
