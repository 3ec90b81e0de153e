"""RunList: several runs, as a list of them is shown and walked through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelnook.domain.run import RunRecord
from modelnook.domain.shown import Shown
from modelnook.domain.table import Table
from modelnook.run import Run
from modelnook.store import Store

__all__ = ["RunList"]


@dataclass(frozen=True, slots=True, repr=False)
class RunList(Shown):
    """Runs, newest first; iterable of :class:`Run`.

    >>> found = mn.runs()
    >>> len(found), found[0].name, [run.kind for run in found]
    (1, 'spam', ['finetune'])
    """

    items: tuple[RunRecord, ...]
    store: Store
    total: int = 0
    narrowed: bool = False
    """Whether runs of a kind, a state … alone were asked for."""

    def __iter__(self) -> Iterator[Run]:
        return (Run(self.store, record.id) for record in self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> Run:
        return Run(self.store, self.items[at].id)

    def table(self) -> Table:
        """The columns that a list of runs shows.

        >>> mn.runs().table().columns[:4]
        ('id', 'name', 'kind', 'state')
        """
        rows = tuple(
            (r.id, r.name, r.kind, r.state, r.primary_metric, r.primary, r.model, r.started, r.ended, _wandb(r))
            for r in self.items
        )
        names = ("id", "name", "kind", "state", "metric", "value", "model", "started", "ended", "wandb")
        return Table(names, rows)

    def to_frame(self) -> Any:
        """A DataFrame, one row a run.

        >>> mn.runs().to_frame()[["name", "metric", "value"]].values.tolist()
        [['spam', 'accuracy', 1.0]]
        """
        return self.table().to_frame()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form.

        >>> sorted(mn.runs().to_dict())
        ['cursor', 'items']
        """
        return {"items": [r.to_dict() for r in self.items], "cursor": self.store.index.cursor()}


def _wandb(record: RunRecord) -> str | None:
    said = record.wandb or {}
    return said.get("url") or said.get("path")
