"""Where the real things are required (MODELNOOK_REQUIRE_REAL=1, as in CI), no test is left out for a package."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.conftest import REQUIRE_REAL

TESTS = Path(__file__).parents[1]
ELSEWHERE = {"gptqmodel"}
"""Installed only where there is a GPU."""
BEHIND = {"torch.utils.tensorboard": "tensorboard"}
"""Module -> the package without which it can't be imported, where it is another's."""


def skipped_without() -> dict[str, str]:
    """Module -> a test file that skips where it isn't there: ``importorskip("m")``, or ``package = "m"`` in a suite."""
    found = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            value: ast.expr | None = None
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
                value = node.args[0]
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "package":
                value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[value.value] = path.relative_to(TESTS).as_posix()
    return found


def test_the_backends_are_among_what_is_looked_for() -> None:
    assert {"onnxruntime", "torchao", "nncf", "optimum.quanto", "cyllama"} <= set(skipped_without())


@pytest.mark.skipif(not REQUIRE_REAL, reason="a package may be missing where the real things aren't required")
@pytest.mark.parametrize("module", sorted(set(skipped_without()) - ELSEWHERE))
def test_no_test_is_left_out_for_want_of(module: str) -> None:
    package = BEHIND.get(module, module)
    parts = package.split(".")
    missing = [name for name in (".".join(parts[: n + 1]) for n in range(len(parts))) if find_spec(name) is None]
    assert not missing, f"{skipped_without()[module]} would be skipped without {missing[0]}"
