"""The one list of verbs, and the one reading of what a person types after them.

``VERBS`` is the table that the magic, the terminal, RPC, completion and the help pages are made from;
:func:`parse` turns words into the keyword arguments of the verb's plain function. Importing this imports no verb.
"""

from __future__ import annotations

from modelnook.verbs.help import overview, usage
from modelnook.verbs.parse import Call, parse
from modelnook.verbs.table import GROUPS, VERBS
from modelnook.verbs.verb import DOORS, Arg, Verb, find
from modelnook.verbs.words import Scope, Value, split

__all__ = [
    "DOORS",
    "GROUPS",
    "VERBS",
    "Arg",
    "Call",
    "Scope",
    "Value",
    "Verb",
    "find",
    "overview",
    "parse",
    "split",
    "usage",
]
