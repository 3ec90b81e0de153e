"""The rows of the verbs that make a model smaller by other means than quantization: they differ in little."""

from __future__ import annotations

from dataclasses import replace

from modelnook.verbs.verb import Arg, Verb

__all__ = ["rows"]

_TRAINING = ("size", "epochs", "learning_rate", "budget")
_DATA = (Arg("data", "data", example="valid"), Arg("unlabelled", "data", example="texts"))
_DROP = Arg("max_drop", "float", 0.01, low=0, example="0.02")


def rows(
    ref: Arg, columns: tuple[Arg, ...], ends: tuple[Arg, ...], training: tuple[Arg, ...]
) -> tuple[Verb, Verb, Verb, Verb]:
    """``trim``, ``prune``, ``distil`` and ``shrink``.

    Args:
        ends: the arguments that every verb which makes a model has.
        training: those of ``finetune``, of which some are taken as they are.
    """
    own = {arg.name: arg for arg in training}

    def verb(name: str, *first: Arg, example: str, late: tuple[Arg, ...] = (), drop: Arg = _DROP) -> Verb:
        return Verb(
            name,
            f"modelnook.api:{name}",
            (ref, *first, *_DATA, *columns, drop, *ends, *late),
            group="make",
            runs="job",
            action="execute",
            doors=("magic", "python", "terminal"),
            body="options",
            example=example,
        )

    tokens = Arg("tokens", "int", "auto", ("auto", "fewest"), low=1, example="fewest")
    taught = (
        Arg("temperature", "float", 2.0, above=0, example="4"),
        Arg("soft", "float", 0.7, low=0, example="0.5"),
        *(own[name] for name in _TRAINING),
        own["seed"],
        own["track"],
    )
    return (
        verb("trim", tokens, example="%model trim topics --name small"),
        verb(
            "prune",
            Arg("layers", default="auto", example="4"),
            Arg("recover", default="auto", choices=("auto", "never"), example="never"),
            example="%model prune topics --layers 4 --max-drop 0.02",
        ),
        verb(
            "distil",
            Arg("student", "ref", "auto", example="layers:3"),
            late=taught,
            drop=replace(_DROP, default=0.03, example="0.05"),
            example="%model distil topics --student layers:3 --unlabelled texts",
        ),
        verb(
            "shrink",
            Arg("steps", "list", "trim,int8", example="distil:layers:3,trim,int8"),
            late=(own["budget"], own["seed"], own["track"]),
            example="%model shrink topics --steps trim,int8",
        ),
    )
