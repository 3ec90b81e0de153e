"""What whoever adds a source, task, method, backend or tracker inherits for its tests; pytest is needed for it.

>>> from modelnook.testing import TrackerSuite
>>> TrackerSuite.__module__
'modelnook.testing.trackers'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "ExplainerSuite": "explainers",
    "ExporterSuite": "exporters",
    "MethodSuite": "methods",
    "QuantizerSuite": "quantizers",
    "RuntimeSuite": "runtimes",
    "SourceSuite": "sources",
    "StepSuite": "steps",
    "TaskSuite": "tasks",
    "TrackerSuite": "trackers",
    "tiny_model": "models",
    "tiny_rows": "models",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    """Each is imported when it is asked for: some need torch."""
    if name not in _WHERE:
        raise AttributeError(f"module 'modelnook.testing' has no attribute {name!r}")
    return getattr(import_module(f"modelnook.testing.{_WHERE[name]}"), name)
