"""One plain function a verb: domain values in, domain values out. The only door for the faces.

Nothing heavy is imported here; each function imports its engine when it is called.
"""

from __future__ import annotations

from modelnook.api.cache import cache, rm_cached
from modelnook.api.explaining import explain
from modelnook.api.exporting import export, exported
from modelnook.api.finding import info, search
from modelnook.api.measuring import compare, comparison, evaluate, evaluation, quantize
from modelnook.api.models import list, load, predict, ps, rename, rm, unload
from modelnook.api.places import add_source, complete, offline, remove_source, settings, sources
from modelnook.api.publishing import alias, publish, published, withdraw
from modelnook.api.pulling import pull, pulled
from modelnook.api.runs import rerun, resume, run_of, runs, stop, sync
from modelnook.api.serving import serve
from modelnook.api.shrinking import distil, prune, shrink, trim
from modelnook.api.training import finetune
from modelnook.api.tuning import tune
from modelnook.api.upkeep import gc_sources, refresh_sources
from modelnook.api.writing import run

push = publish
"""Another name of :func:`publish`."""

__all__ = [
    "add_source",
    "alias",
    "cache",
    "compare",
    "comparison",
    "complete",
    "distil",
    "evaluate",
    "evaluation",
    "explain",
    "export",
    "exported",
    "finetune",
    "gc_sources",
    "info",
    "list",
    "load",
    "offline",
    "predict",
    "prune",
    "ps",
    "publish",
    "published",
    "pull",
    "pulled",
    "push",
    "quantize",
    "refresh_sources",
    "remove_source",
    "rename",
    "rerun",
    "resume",
    "rm",
    "rm_cached",
    "run",
    "run_of",
    "runs",
    "search",
    "serve",
    "settings",
    "shrink",
    "sources",
    "stop",
    "sync",
    "trim",
    "tune",
    "unload",
    "withdraw",
]
