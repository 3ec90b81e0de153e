"""The example of somebody else's package: built, installed beside, found by its entry point, held by our suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PLUGIN = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the plugin is installed; nothing of ours knows of it."""
    target = tmp_path_factory.mktemp("plugin")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "--target", str(target), str(PLUGIN)], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    # Made once for all tests, before the home of any of them: without its own, a run would be the person's.
    alone = {"MODELNOOK_HOME": str(target / "home"), "MODELNOOK_WARM": "0"}
    return {**os.environ, **alone, "PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])}


def run(command: list[str], environ: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, check=False)


def test_its_tests_pass(installed: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(PLUGIN / "tests")], env=installed, cwd=tmp_path, capture_output=True, text=True
    )
    assert not done.returncode, done.stdout
    assert "passed" in done.stdout


def test_a_run_is_written_by_it(installed: dict[str, str], tmp_path: Path) -> None:
    script = """
import modelnook as mn
from modelnook.testing import tiny_model, tiny_rows
from pathlib import Path
run = mn.finetune(str(tiny_model(Path("base").resolve())), tiny_rows(64, seed=0), epochs=1, track=["csv"])
print(run.folder.path / "tracking" / "curves.csv")
"""
    done = run([sys.executable, "-c", script], {**installed, "MODELNOOK_THREADS": "1"}, tmp_path)
    assert not done.returncode, done.stderr
    lines = Path(done.stdout.splitlines()[-1]).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "step,epoch,name,value"
    assert any(",loss," in line for line in lines)
