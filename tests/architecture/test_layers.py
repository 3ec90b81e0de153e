"""The house's rules, held: floors look down only, no circles, rooms have names, the root stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "python" / "modelnook"

# A room's floor; a lower one never imports a higher one.
FLOORS = {
    "messages": 0,
    "domain": 0,
    "registry": 0,
    "settings": 0,
    "store": 1,
    "catalog": 1,
    "data": 1,
    "tasks": 1,
    "tracking": 1,
    "classic": 2,
    "runtime": 2,
    "measure": 2,
    "training": 2,
    "convert": 2,
    "finetune": 3,
    "explain": 3,
    "export": 3,
    "quantize": 3,
    "evaluate": 3,
    "tune": 3,
    "shrink": 3,
    "serve": 3,
    "run": 4,
    "run_list": 4,
    "jobs": 4,
    "publish": 4,
    "model": 4,
    "serving": 4,
    "api": 5,
    "rpc": 5,
    "verbs": 5,
    "cards": 5,
    "live": 5,
    "records": 5,
    "magics": 6,
    "cli": 6,
    "widgets": 6,
    "server": 6,
    "testing": 7,
}
# Messages need the language, which is a setting; saving a setting needs the store's safe writing. Both at call time.
ALLOWED = {("messages", "settings"), ("settings", "store"), ("model", "api"), ("domain", "messages")}
ENGINES = {room for room, floor in FLOORS.items() if floor == 3}
FACES = {"magics", "cli", "widgets", "server"}


def modules() -> list[Path]:
    return [p for p in ROOT.rglob("*.py") if "static" not in p.parts]


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0].removesuffix(".py")


def imports(path: Path, *, top_level: bool = False) -> set[str]:
    """The modelnook modules that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ".".join(("modelnook", *path.relative_to(ROOT).parts[:-1]))
    found: set[str] = set()
    nodes = tree.body if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            name = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            found.add(name)
            found |= {f"{name}.{alias.name}" for alias in node.names if (ROOT / alias.name).exists()}
    return {f for f in found if f.startswith("modelnook.")}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_floors_look_down(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    for name in imports(path):
        there = name.split(".")[1]
        if there not in FLOORS or there == here or (here, there) in ALLOWED:
            continue
        assert FLOORS[there] <= FLOORS[here], f"{here} (floor {FLOORS[here]}) imports {name}"
        if here in ENGINES:
            assert there not in ENGINES, f"the engine {here} imports the engine {there}"
        if here in FACES:
            assert there not in FACES, f"the face {here} imports the face {there}"


def test_every_room_has_a_floor() -> None:
    rooms = {room(p) for p in modules()} - {"__init__", "__main__"}
    assert rooms <= set(FLOORS)


def test_no_circle_of_modules() -> None:
    graph: dict[str, set[str]] = {}
    for path in modules():
        name = ".".join(("modelnook", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        graph[name] = imports(path, top_level=True)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name)) if name in trail else ""
        if name in done or name not in graph:
            return
        for target in sorted(graph[name]):
            if target != name:
                visit(target, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_no_room_without_a_name_of_its_own() -> None:
    banned = {"utils", "helpers", "common", "misc", "manager"}
    front = Path(__file__).parents[2] / "src"
    assert not [p for folder in (ROOT, front) for p in folder.rglob("*.*") if p.stem in banned]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_all_is_sorted_and_there(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            if not isinstance(node.value, ast.List):
                return
            names = ast.literal_eval(node.value)
            # ruff's order (RUF022): constants, classes, then the rest.
            assert names == sorted(names, key=lambda n: (not n.isupper(), not n[:1].isupper(), n))


HEAVY = "torch transformers datasets wandb optuna pandas huggingface_hub ipywidgets anywidget sklearn numpy pyarrow"


@pytest.mark.parametrize(
    "statement",
    ["import modelnook", "import modelnook.api", "import modelnook.verbs", "import modelnook; modelnook.runs()"],
)
def test_the_root_is_light(statement: str) -> None:
    code = f"import sys\n{statement}\nprint(*[m for m in {HEAVY.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_verb_is_not_hidden_by_its_room() -> None:
    import modelnook
    import modelnook.finetune
    from modelnook.finetune import METHODS

    assert callable(modelnook.finetune)
    assert "full" in METHODS


def test_rows_are_alphabetical() -> None:
    from modelnook.catalog import SOURCES
    from modelnook.explain import EXPLAINERS
    from modelnook.export import EXPORTERS
    from modelnook.finetune import METHODS
    from modelnook.quantize import QUANTIZERS
    from modelnook.runtime import RUNTIMES
    from modelnook.tasks import TASKS
    from modelnook.tracking import TRACKERS

    for registry in (SOURCES, EXPLAINERS, EXPORTERS, METHODS, QUANTIZERS, RUNTIMES, TASKS, TRACKERS):
        rows = list(registry._rows)
        assert rows == sorted(rows)
