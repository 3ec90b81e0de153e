"""View: the front end's views in a notebook cell, fed by this kernel over one comm.

Protocol. Traits: ``view`` (a name of ``src/views``), ``params``, ``lang``, ``state`` (topic -> value, what was pushed
so far), ``live`` (calls are answered now). Messages from the front end: ``{id, method, params}``, answered by
``{id, result}`` or ``{id, error: {code, message, hint}}``; pushes to it: ``{push: topic, data}``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from modelnook import rpc
from modelnook.domain.errors import InternalError, ModelnookError
from modelnook.settings import language

__all__ = ["View"]

_STATIC = Path(__file__).parents[1] / "static"


class View(anywidget.AnyWidget):  # type: ignore[misc]
    """One view in a cell.

    >>> View("run", {"run": "20261124-abc"})       # doctest: +SKIP
    """

    _esm = _STATIC / "widget.js"
    _css = _STATIC / "widget.css"

    view = traitlets.Unicode("run").tag(sync=True)
    params = traitlets.Dict().tag(sync=True)
    lang = traitlets.Unicode("en").tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    live = traitlets.Bool(False).tag(sync=True)

    def __init__(self, view: str, params: dict[str, Any], **more: Any) -> None:
        super().__init__(view=view, params=params, lang=language(), **more)
        self.on_msg(self._on_call)
        if self.comm is not None:
            # ipykernel >= 7.4 hands a message to the shell that pushed last: here the one that waits in a cell, which
            # would answer at the cell's end. Each message names its own subshell; that is the one to take.
            self.comm._reply_subshell_for = lambda data, default: default

    @property
    def mime(self) -> dict[str, Any]:
        """The part of a mime bundle that shows this view where widgets are understood."""
        reference = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"application/vnd.jupyter.widget-view+json": reference}

    def push(self, topic: str, data: Any) -> None:
        """Send one topic's new value; it is kept in ``state`` too, for a page that is loaded again."""
        # In place: setting the trait would send every topic again.
        self.state[topic] = data
        self.send({"push": topic, "data": data})

    def _on_call(self, _: object, content: Any, buffers: object) -> None:
        """Answer one call. With subshells this runs beside the waiting cell, on a thread of its own."""
        if not isinstance(content, dict) or "method" not in content:
            return
        try:
            answer: dict[str, Any] = {"result": rpc.call(str(content["method"]), content.get("params") or {})}
        except ModelnookError as error:
            answer = {"error": error.to_dict()}
        except Exception as error:
            answer = {"error": InternalError("core.internal", error=f"{type(error).__name__}: {error}").to_dict()}
        self.send({"id": content.get("id"), **answer})
