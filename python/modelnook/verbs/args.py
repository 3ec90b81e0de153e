"""Arguments that many verbs have, the same in each."""

from __future__ import annotations

from modelnook.verbs.verb import Arg

__all__ = ["AGAIN", "BACKGROUND", "COLUMNS", "HANDS", "NAME", "REF", "TASK", "TASKS"]

HANDS = ("magic", "python", "terminal")
TASKS = "modelnook.tasks:TASKS"

REF = Arg("ref", "ref", positional=True, required=True, example="topics")
TASK = Arg("task", choices=(TASKS,), what="task", example="text-classification")
COLUMNS = (
    Arg("text", example="body"),
    Arg("label", example="is_spam"),
    Arg("columns", "pairs", example="text=body,label=is_spam"),
)
NAME = Arg("name", example="topics")
AGAIN = Arg("again", "flag", False)
BACKGROUND = Arg("background", "flag", False)
