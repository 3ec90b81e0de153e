"""``python -m modelnook.jobs.trials RUN PLACE EPOCH UNTIL PID START``: tries in the study of a tuning run's worker.

It writes trials into the study and models into the run's folder; the record, the curves and the end are the worker's.
It goes with the worker, however that ends: what it was trying is then over, as what the worker was. It ends as well
when another process takes the run over: ``EPOCH`` is that of the worker's lease, ``PID`` and ``START``
say which process that is.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from typing import Any, cast

from modelnook.domain.errors import ModelnookError
from modelnook.domain.event import Warned
from modelnook.domain.run import RunRecord
from modelnook.jobs.followed import follow
from modelnook.jobs.recorder import Recorder
from modelnook.jobs.steps.context import Context
from modelnook.jobs.steps.tune import take_part
from modelnook.store import Store
from modelnook.store.runs import RunFolder

__all__ = ["main"]


@dataclass
class Beside:
    """What stands in a recorder's place: it reads the run's record and writes none."""

    run: RunFolder
    record: RunRecord
    epoch: int

    def emit(self, event: Any) -> None:
        """Warnings go to the run's log."""
        if isinstance(event, Warned):
            print(event.message, flush=True)

    def change(self, **fields: Any) -> None:
        """The record is the worker's."""

    @property
    def lost(self) -> bool:
        """Whether another process has taken the run over."""
        return not self.run.lease.held(self.epoch)

    def stop(self) -> bool:
        """Whether somebody asked the run to end, or the worker has lost it."""
        return self.lost or self.run.stop_requested()


def main(arguments: list[str]) -> int:
    """The program; 1 where it failed."""
    id, place, epoch, until = arguments[0], int(arguments[1]), int(arguments[2]), arguments[3]
    for number in (signal.SIGTERM, signal.SIGINT):
        # Sent to the whole group, they are the worker's to answer.
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=follow, args=arguments[-2:], name="modelnook-follow", daemon=True).start()
    store = Store()
    run = store.run(id)
    recipe, record = run.recipe(), run.record()
    if recipe is None or record is None:
        return 1
    context = Context(store, run, recipe, cast(Recorder, Beside(run, record, epoch)), True)
    try:
        take_part(context, place, float(until) if until else None)
    except ModelnookError as error:
        print(error.message, file=sys.stderr, flush=True)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
