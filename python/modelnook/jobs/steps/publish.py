"""Sending a model to where others find it, outside of whoever asked for it."""

from __future__ import annotations

from modelnook.domain.errors import ConflictError
from modelnook.domain.event import Finished
from modelnook.jobs.steps.context import Context
from modelnook.publish.order import Order, send
from modelnook.store.files import write_json

__all__ = ["publish"]


def publish(context: Context) -> Finished:
    """Send a model; the end's report says what it is called there, its folder keeps all that there is to say."""
    recipe = context.recipe
    context.phase("packing")
    try:
        made = send(Order.of(recipe.model, recipe.knobs), context.emit, context.stop)
    except ConflictError as error:
        if error.code != "publish.stopped":
            raise
        # A client may still be in the middle of a file, on threads that would be waited for.
        context.recorder.leave(Finished(stopped=True))
    write_json(context.run.publication, made.to_dict())
    return Finished(report={"published": made.ref, "bytes": made.bytes})
