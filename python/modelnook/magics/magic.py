"""``%model``: a line is parsed, its plain function called, its result returned for IPython to display."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import InternalError, ModelnookError
from modelnook.magics.show import Said, shown_already, unfolded
from modelnook.messages import t

if TYPE_CHECKING:
    from modelnook.verbs import Call

__all__ = ["install"]


def install(ipython: Any) -> None:
    """Register ``%model`` and ``%%model``; IPython's own expansion of ``$`` and braces stays off."""
    from IPython.core.magic import no_var_expand

    def model(line: str, cell: str | None = None) -> Any:
        return run(ipython, line, cell)

    model.__doc__ = (
        "%model VERB …: small language models. %model alone lists the verbs, %model VERB --help explains one."
    )
    ipython.register_magic_function(no_var_expand(model), "line_cell", "model")


def run(ipython: Any, line: str, cell: str | None = None) -> Any:
    """Do what a line, and the body below it, say.

    Raises:
        ModelnookError: as one sentence and a next step; ``--debug`` lets the whole traceback through.
    """
    from modelnook.magics.scope import Namespace
    from modelnook.verbs import overview, parse, split, usage

    words = split(line)
    if not words or words[0] in ("-h", "--help", "help"):
        return overview()
    scope = Namespace(ipython.user_ns, getattr(ipython, "user_ns_hidden", ()))
    call = parse(words, scope=scope, body=cell)
    if call.help:
        return usage(call.verb)
    result = _guarded(call, lambda: _do(ipython, call))
    if call.output:
        ipython.push({call.output: result})
    return Said.of(result, call.verb)


def _guarded(call: Call, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except KeyboardInterrupt as stop:
        if not call.debug:
            # Where it was is of no interest to who pressed the button.
            stop._render_traceback_ = lambda: [t("faces.interrupted")]  # type: ignore[attr-defined]
        raise
    except ModelnookError as error:
        from modelnook.verbs.options import as_options

        error.debug = call.debug
        error.message, error.hint = as_options(error.message), as_options(error.hint)
        raise
    except Exception as error:
        if call.debug:
            raise
        raise InternalError("core.internal", error=f"{type(error).__name__}: {error}") from error


def _do(ipython: Any, call: Call) -> Any:
    if call.verb.pieces:
        return _written(ipython, call)
    from modelnook.live import carried, in_kernel
    from modelnook.verbs.said import in_full

    result, shown, _ = carried(call, call.verb.finish, waits=call.waits)
    if shown:
        shown_already(ipython, result)
    elif not in_kernel() and in_full(call):
        unfolded(ipython, result)
    return result


def _written(ipython: Any, call: Call) -> Any:
    """A notebook sees it as it comes; IPython in a terminal has a prompt before a value, and shows it whole."""
    from modelnook.live import in_kernel

    if not in_kernel():
        return call()
    from modelnook.live.writing import show

    written = show(call)
    shown_already(ipython, written)
    return written
