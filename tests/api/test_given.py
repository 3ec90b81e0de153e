"""What a person who writes plain Python gives in the wrong place is told of by us, for every argument of every verb."""

from __future__ import annotations

from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook import api
from modelnook.api.door import opened
from modelnook.domain.errors import UsageError
from modelnook.messages import LANGUAGES
from modelnook.tune.space import space_of
from modelnook.verbs.table import VERBS

VERBS_IN_PYTHON = sorted(name for name in mn._VERBS if VERBS[name].args and name != "settings")
READ_BY_THE_VERB = ("data", "inputs")
"""Kinds that are tables or texts: the readers of rows refuse what is neither."""


class Unwritten:
    """An object of a class that fails to describe itself."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def wrong() -> list[Any]:
    pd, np = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    frame = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    more: list[Any] = [frame, frame["text"], np.array([1, 2]), np.int64(3), float("nan"), b"bytes", object(), len]
    more.append(Unwritten())
    return [3, -1, 0, 1.5, 10**400, True, "", " ", "nonsense", [], ["a"], [[3]], {}, {3: "a"}, Path("x"), *more]


def listening(name: str, got: dict[str, Any]) -> Any:
    """A verb's door, behind which its arguments are kept."""

    def heard(*args: Any, **kwargs: Any) -> None:
        got.update(kwargs)

    function = getattr(api, name)
    heard.__name__ = function.__name__
    heard.__signature__ = signature(function)  # type: ignore[attr-defined]
    return opened(heard)


@pytest.mark.parametrize("name", VERBS_IN_PYTHON)
def test_every_argument_takes_its_kind_or_says_so(name: str) -> None:
    verb, known = VERBS[name], signature(getattr(api, name)).parameters
    needed = {n: "team:a" for n, p in known.items() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL}
    for arg in verb.args:
        if arg.name not in known or known[arg.name].kind is Parameter.VAR_POSITIONAL or arg.kind in READ_BY_THE_VERB:
            continue
        for value in wrong():
            got: dict[str, Any] = {}
            try:
                listening(name, got)(**{**needed, arg.name: value})
            except UsageError as error:
                said = f"{error.message} {error.hint}"
                assert arg.name in said or verb.name in said
                assert len(said) < 300, "a table isn't written out"
                continue
            allowed = str(known[arg.name].annotation)
            kinds = {
                "str": str,
                "int": int,
                "float": (int, float),
                "bool": bool,
                "Run": str,
                "dict": dict,
                "Model": str,
            }
            kinds |= {"Sequence": (list, str), "list": list, "os": str, "Any": object}
            words = {word.strip().partition("[")[0].partition(".")[0] for word in allowed.split("|")} - {"None"}
            table = arg.kind == "ref" and arg.default == "auto" and not isinstance(got[arg.name], str)
            assert table or any(isinstance(got[arg.name], kinds[word]) for word in words), (arg.name, value, got)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("called", "said"),
    [
        (lambda: mn.unload(3), ("ref", "unload", "int", 'modelnook.unload("topics")')),  # type: ignore[arg-type]
        (lambda: mn.settings(wandb_project=["a"]), ("wandb_project", "list", "wandb_project=modelnook")),
        (lambda: mn.search(3), ("query", "search", "3 (int)", 'query="minilm"')),
        (lambda: mn.search(["spam"]), ("query", "search", "['spam'] (list)")),
        (lambda: mn.finetune("a", [], again="maybe"), ("again", "finetune", "maybe", "again=True")),
        (lambda: mn.finetune("a", [], columns=["text"]), ("columns", "finetune", "list", 'columns={"text": "body"')),
        (lambda: mn.finetune("a", [], drop=3.5), ("drop", "finetune", "3.5 (float)", 'drop="id,name"')),
        (lambda: mn.finetune("a", [], batch_size=0), ("batch_size", "1", "0", "batch_size=32")),
        (lambda: mn.finetune("a", [], seed=-1), ("seed", "0", "-1")),
        (lambda: mn.stop(3), ("int", "runs")),
        (lambda: mn.resume(len), ("builtin_function", "runs")),
        (lambda: mn.publish("a", None), ("publish", "to", 'modelnook.publish("topics", "team:topics")')),
        (lambda: mn.settings("wandb=online"), ("settings", 'modelnook.settings(wandb="online")')),
        (lambda: mn.settings(wandb=["online"]), ("wandb", "list", "offline, online, none")),
        (lambda: mn.list("topics"), ("list", "modelnook.list()")),
        (lambda: space_of({"rank": [[4], [8]]}), ("rank", "rank=4|8|16")),
        (lambda: space_of(3), ("3", "quick, balanced, thorough")),
        (lambda: space_of({3: 4}), ("3", "learning_rate")),
    ],
)
def test_what_is_said_of_it(called: Any, said: tuple[str, ...], lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    with pytest.raises(UsageError) as caught:
        called()
    assert [part for part in said if part not in f"{caught.value.message} {caught.value.hint}"] == []


def test_what_can_be_meant_is_taken() -> None:
    pd, np = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    frame = pd.DataFrame({0: ["a"], 1: ["x"]})
    got: dict[str, Any] = {}
    train = listening("finetune", got)
    train("a", frame, text=0, label=np.int64(1), drop=frame.columns[:1], columns="source=en,target=zh")
    assert (got["text"], got["label"], got["drop"], got["columns"]) == (
        "0",
        "1",
        ["0"],
        {"source": "en", "target": "zh"},
    )
    train("a", frame, method=None, size=None, seed=None, columns={"text": 0}, again="no", packing=np.bool_(True))
    assert not {"method", "size", "seed"} & set(got), "None is left out"
    assert (got["columns"], got["again"], got["packing"]) == ({"text": "0"}, False, True)
    train("a", frame, budget=10)
    assert got["budget"] == 10
    listening("offline", got)(False)
    assert got["switch"] == "off"
    listening("export", got)("a", Path("out"), to="onnx")
    assert got["path"] == "out"
