"""``python -m modelnook.jobs.rank RUN RANK COUNT PORT PID START``: takes part in a run's training, beside its worker.

The worker, named by its pid and when that began, is the first rank. This one writes nothing but, where it fails, why:
``ranks/RANK.json`` in the run's folder. The worker tells it when to end; it goes with the worker, however that ends.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback

from modelnook.catalog.search import fetch
from modelnook.domain.errors import ModelnookError
from modelnook.domain.model import ModelRef
from modelnook.finetune.engine import assist
from modelnook.finetune.plan import Plan
from modelnook.jobs.followed import follow
from modelnook.jobs.steps.context import training_rows
from modelnook.store import Store
from modelnook.store.files import read_json, write_json
from modelnook.training.base import Place

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """The program; 1 where it failed."""
    id, rank, count, port = arguments[0], *map(int, arguments[1:4])
    for number in (signal.SIGTERM, signal.SIGINT):
        # Sent to the whole group, they are the worker's to answer.
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=follow, args=arguments[-2:], name="modelnook-follow", daemon=True).start()
    store = Store()
    run = store.run(id)
    recipe = run.recipe()
    if recipe is None:
        return 1
    ranks = run.path / "ranks"
    try:
        train, evaluation = training_rows(store, run, recipe)
        model = fetch(ModelRef.parse(recipe.model), lambda event: None)
        planned = Plan.from_dict(read_json(ranks / "plan.json"))
        assist(recipe, model, train, evaluation, run.checkpoints, planned, Place(rank, count, port))
    except ModelnookError as error:
        write_json(ranks / f"{rank}.json", error.to_dict())
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
