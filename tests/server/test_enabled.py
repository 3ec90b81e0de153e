"""The file that is installed into Jupyter's configuration enables the extension, and it validates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_CONFIG = Path(__file__).parents[2] / "labextension" / "server-config"


@pytest.mark.slow
def test_jupyter_lists_it_as_enabled_and_ok(tmp_path):
    shutil.copytree(_CONFIG, tmp_path / "jupyter_server_config.d")
    environ = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "server", "extension", "list"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    said = done.stdout + done.stderr
    assert "modelnook enabled" in said.replace("\x1b[32m", "").replace("\x1b[0m", ""), said
    lines = [line for line in said.splitlines() if "modelnook" in line]
    assert any("OK" in line for line in lines), said
