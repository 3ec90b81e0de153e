"""The trainings of a study on another machine, seen from there: rows and models come once, then knob after knob."""

from __future__ import annotations

import shutil
import threading
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from modelnook.domain.errors import InternalError, ModelnookError
from modelnook.domain.event import Event, Progress, event_to_dict
from modelnook.jobs.remote import Remote
from modelnook.jobs.steps.fitting import Fitting, Parts
from modelnook.store.files import folder

__all__ = ["RemoteTrials"]


class RemoteTrials(Remote):
    """After :meth:`create` and the files: :meth:`open`, then for each trial :meth:`begin_trial` and :meth:`look_trial`.

    It knows no study: what is tried, ended early and kept is decided where it is.
    """

    fitting: Fitting
    events: list[Event]
    end: dict[str, Any] | None = None
    _trial: threading.Thread | None = None

    def open(self, models: Mapping[str, str]) -> None:
        """Read the rows.

        Args:
            models: reference -> the folder that it was sent to.
        """
        assert self.run is not None
        recipe = self.run.recipe()
        assert recipe is not None
        parts = Parts.of(self.store, self.run, recipe)
        self.fitting = Fitting(recipe, parts, lambda ref: self.home / models[ref], None)

    def begin_trial(self, name: str, knobs: Mapping[str, Any]) -> None:
        """Train with these knobs, on a thread; what was trained before is given up."""
        self.give_up()
        # Of its own: what was given up a moment ago must not say more to the one that follows.
        self.events, self.end = [], None
        self.ended, self.dropped = threading.Event(), threading.Event()
        told = (self.events, self.ended, self.dropped)
        self._trial = threading.Thread(
            target=self._work, args=(name, knobs, *told), name=f"modelnook-trial-{name}", daemon=True
        )
        self._trial.start()

    def _work(
        self,
        name: str,
        knobs: Mapping[str, Any],
        events: list[Event],
        ended: threading.Event,
        dropped: threading.Event,
    ) -> None:
        out = self.home / "trials" / name
        folder(out.parent)
        try:
            done = self.fitting(name, knobs, out, events.append, ended.is_set, lambda metrics: not dropped.is_set())
            self.end = {"done": asdict(done)}
        except ModelnookError as error:
            self.end = {"error": {**error.to_dict(), "kind": type(error).__name__}}
        except BaseException as error:
            traceback.print_exc()
            told = InternalError("core.internal", error=f"{type(error).__name__}: {error}")
            self.end = {"error": {**told.to_dict(), "kind": InternalError.__name__}}

    def look_trial(self, events: int, logged: int) -> dict[str, Any]:
        """What the trial has said.

        Args:
            events: how many events were told already.
            logged: how many bytes of the log were.
        """
        assert self.run is not None
        # Asked first: what is read afterwards is all that a trial which has ended has said.
        end = self.end
        new = self.events[events:]
        # Of how far it is only the last is worth the way.
        last = max((at for at, event in enumerate(new) if isinstance(event, Progress)), default=-1)
        told = [
            None if isinstance(event, Progress) and at != last else event_to_dict(event) for at, event in enumerate(new)
        ]
        return {"events": told, "log": self.run.read_log(logged), "end": end}

    def end_trial(self) -> None:
        """End it after its step; its model so far stays."""
        self.ended.set()

    def give_up(self) -> None:
        """End it after its step, and keep nothing of it."""
        if self._trial is None:
            return
        self.dropped.set()
        self.ended.set()
        self._trial.join()
        self.drop()

    def drop(self) -> None:
        """Remove what was trained."""
        shutil.rmtree(self.home / "trials", ignore_errors=True)

    def stop(self) -> None:
        """See :meth:`Remote.stop`."""
        self.ended.set()

    def close(self) -> None:
        """See :meth:`Remote.close`."""
        self.thread = self._trial
        if self._trial is not None:
            self.dropped.set()
            self.ended.set()
        super().close()
