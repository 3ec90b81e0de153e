"""Runs, models and snapshots on disk, and their index: where kernel, job, server and sidebar meet.

``Store(home)`` is cheap to make and safe to have in any number of processes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from modelnook.domain.errors import ConflictError, NotFoundError, StoreError, UsageError, near
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.settings import home as default_home
from modelnook.store.files import folder, put_if_absent, read_json, remove
from modelnook.store.index import Index
from modelnook.store.models import LocalModels
from modelnook.store.runs import RunFolder, folders

__all__ = ["SCHEMA", "Store"]

SCHEMA = 1
"""The store's layout. It only grows within a major version; ``oldest_reader`` in store.json says who may open it."""


class Store:
    """A person's folder.

    Raises:
        StoreError: it was made by a version that says this one must not read it.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or default_home()
        said = read_json(self.home / "store.json")
        if said is None:
            folder(self.home)
            put_if_absent(self.home / "store.json", b'{"schema": 1, "oldest_reader": 1}\n')
        elif isinstance(said, dict) and int(said.get("oldest_reader", 1)) > SCHEMA:
            raise StoreError("store.newer", home=self.home, schema=said.get("schema"))

    @property
    def data(self) -> Path:
        """Where snapshots lie."""
        return self.home / "data"

    @cached_property
    def models(self) -> LocalModels:
        """Models made here."""
        return LocalModels(self.home / "models")

    @cached_property
    def index(self) -> Index:
        """The index, rebuilt first where its file is gone or damaged."""
        path = self.home / "index.sqlite"
        fresh = not path.exists()
        index = Index(path)
        try:
            index.cursor()
        except sqlite3.DatabaseError:
            for part in ("", "-wal", "-shm"):
                path.with_name(path.name + part).unlink(missing_ok=True)
            index, fresh = Index(path), True
        if fresh:
            self._fill(index)
        return index

    def reindex(self) -> int:
        """Make the index anew from the folders; how many runs it holds."""
        self._fill(self.index)
        return self.index.count()

    def _fill(self, index: Index) -> None:
        from modelnook.store.received import received

        records = (run.record() for run in folders(self.home / "runs"))
        index.put_runs([*received(self), *(r for r in records if r)])
        index.put_models("local", self.models.all(), replace=True)

    def run(self, id: str) -> RunFolder:
        """The folder of a run by its exact id."""
        return RunFolder(self.home / "runs" / id)

    def create_run(self, recipe: Recipe, record: RunRecord, split: dict[str, list[int]] | None = None) -> RunFolder:
        """Publish a new queued run."""
        run = RunFolder.create(self.home / "runs", recipe, record, split)
        self.list_again([record])
        return run

    def list_again(self, records: Iterable[RunRecord]) -> None:
        """Tell the index of new states; a locked or lost index is no reason to fail, it is made from the folders."""
        try:
            if not self.index.path.exists():
                self._fill(self.index)
            self.index.put_runs(records)
        except sqlite3.Error:
            pass

    def check_name(self, name: str, task: str | None) -> None:
        """Refuse a name for a run's model now, which the run's end couldn't give it.

        Raises:
            UsageError: not a name.
            ConflictError: a model of another task holds it, or a run that goes on makes one.
        """
        self.models.check(name, task)
        self.reconcile()
        for record in self.index.live():
            if record.makes and record.name == name and task and record.task and record.task != task:
                raise ConflictError("store.other_task_soon", name=name, run=record.id, task=record.task, wanted=task)

    def free_name(self, name: str, task: str | None) -> str:
        """A name that nobody chose, with a number where :meth:`check_name` refuses it.

        Raises:
            UsageError: not a name.
        """
        made, number = name, 1
        while True:
            try:
                self.check_name(made, task)
                return made
            except ConflictError:
                number += 1
                made = f"{name}-{number}"

    def find(self, text: str, *fits: Callable[[RunRecord], bool]) -> RunFolder:
        """The run that ``text`` means: ``last``, an id, a unique prefix of one, or a name (its newest run).

        Args:
            text: as a person writes it.
            fits: what the caller can use. An evaluation bears the name of the training whose model it looks at: of
                those of a name the newest that fits the first is meant, else the second …, else the newest.

        Raises:
            NotFoundError: no such run.
            UsageError: a prefix of several.
        """
        text = text.strip()
        if text == "last":
            found = self.index.names(1, own=True)
            if not found:
                raise NotFoundError("store.no_runs")
            return self.run(found[0][0])
        if text and "/" not in text and os.path.isfile(self.home / "runs" / text / "state.json"):
            return self.run(text)
        found = self.index.find_runs(text) if text else []
        if not found:
            close = near(text, [n for pair in self.index.names() for n in pair])
            raise NotFoundError("store.no_run_near" if close else "store.no_run", run=text, near=close)
        if len(found) > 1 and found[0][1] != text:
            raise UsageError("store.prefix", run=text, known=", ".join(i for i, _ in found))
        if len(found) > 1 and fits:
            self.reconcile()
            named = [self._judged(record) for record in self.index.named(text)]
            found = [(r.id, r.name) for fit in fits for r in named if fit(r)] or found
        return self.run(found[0][0])

    def _judged(self, record: RunRecord) -> RunRecord:
        """A listed record as it is now."""
        settled = record.state == "finished" or record.origin != "local"
        return record if settled else self.run(record.id).judge(record)

    def runs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        model: str | None = None,
        query: str | None = None,
        limit: int = 100,
    ) -> list[RunRecord]:
        """Runs as they are now, newest first: ``crashed`` where a worker died since, and whether they can be resumed.

        Downloads that are done are left out unless a kind is named.
        """
        if not self.index.path.exists():
            self._fill(self.index)
        self.reconcile()
        found = self.index.runs(state=state, kind=kind, model=model, query=query, shown=kind is None, limit=limit)
        return [self._judged(record) for record in found]

    def reconcile(self) -> list[str]:
        """Write into the index what no worker can write any more: that it crashed; gives the ids."""
        changed = []
        for record in self.index.live():
            run = self.run(record.id)
            seen = run.seen()
            if seen is None:
                if not run.path.exists():
                    self.index.drop_run(record.id)
            elif seen.state != record.state:
                self.list_again([seen])
                changed.append(record.id)
        return changed

    def snapshot_users(self) -> dict[str, list[str]]:
        """Fingerprint -> the ids of the runs that read these rows."""
        users: dict[str, list[str]] = {}
        for run in folders(self.home / "runs"):
            for sha256 in run.snapshots():
                users.setdefault(sha256, []).append(run.id)
        return users

    def delete_run(self, run: RunFolder) -> None:
        """Remove a run's folder and its row; its model stays."""
        remove(run.path)
        self.index.drop_run(run.id)

    def forget(self, received: Path) -> None:
        """Remove what was received of a colleague's run, and its row."""
        remove(received)
        self.index.drop_run(received.name)
