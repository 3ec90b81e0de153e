"""``python tools/wheel.py WHEEL``: installs a wheel where there is no Node, by itself and with ``[lab]``, and looks.

What a person gets from the index is looked at, not this folder: another environment, another working directory.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
DATA = "modelnook-{v}.data/data"
NEEDED = (
    "modelnook/static/widget.js",
    "modelnook/static/widget.css",
    "modelnook/messages/en/core.json",
    "modelnook/messages/zh/core.json",
    "modelnook/py.typed",
    f"{DATA}/share/jupyter/labextensions/modelnook/package.json",
    f"{DATA}/share/jupyter/labextensions/modelnook/install.json",
    f"{DATA}/etc/jupyter/jupyter_server_config.d/modelnook.json",
)
HEAVY = ("torch", "transformers", "pandas", "jupyter-server", "ipywidgets")


def check(condition: bool, said: str) -> None:
    """Say what holds, or end with what doesn't."""
    print(f"  {'ok ' if condition else 'NO '} {said}", flush=True)
    if not condition:
        sys.exit(1)


def look_inside(wheel: Path) -> None:
    """Everything that no Python import would miss."""
    version = wheel.name.split("-")[1]
    names = zipfile.ZipFile(wheel).namelist()
    for need in NEEDED:
        need = need.format(v=version)
        check(names.count(need) == 1, f"holds {need}")
    check(not [n for n in names if n.startswith(("tests/", "src/")) or "__pycache__" in n], "holds nothing else")
    entry = [n for n in names if "/labextensions/modelnook/static/remoteEntry." in n and n.endswith(".js")]
    check(len(entry) == 1, "holds one build of the lab extension")


class Place:
    """A fresh environment without Node, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        venv.create(folder / "venv", with_pip=True)
        blocked = folder / "no-node"
        blocked.mkdir()
        for name in ("node", "npm", "npx", "yarn", "jlpm"):
            (blocked / name).write_text("#!/bin/sh\necho there is no Node here >&2\nexit 127\n")
            (blocked / name).chmod(0o755)
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "JUPYTER", "MODELNOOK"))}
        self.environ |= {
            "PATH": os.pathsep.join((str(blocked), str(self.bin), "/usr/bin", "/bin")),
            "HOME": str(folder),
            "MODELNOOK_HOME": str(folder / "home"),
            "MODELNOOK_LANG": "en",
        }

    def run(self, *command: str) -> str:
        """The output of a command, both streams; ends with it where it fails."""
        done = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def install(self, what: str) -> None:
        """With the versions that are tested; wheels alone, as on a machine without compilers."""
        pip = (str(self.bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        self.run(*pip, "--only-binary", ":all:", "-c", str(CONSTRAINTS), what)


def main() -> int:
    """Look at the wheel, by itself and with JupyterLab."""
    wheel = Path(sys.argv[1]).resolve()
    print(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB")
    look_inside(wheel)
    with tempfile.TemporaryDirectory(prefix="modelnook-wheel-") as made:
        place = Place(Path(made))
        python = str(place.bin / "python")
        place.install(str(wheel))
        where = place.run(python, "-c", "import modelnook; print(modelnook.__file__, modelnook.__version__)")
        check(str(place.folder) in where, "import modelnook")
        check("finetune" in place.run(str(place.bin / "modelnook"), "--help"), "modelnook --help")
        listed = json.loads(place.run(python, "-m", "pip", "list", "--format", "json"))
        held = {one["name"].lower().replace("_", "-") for one in listed}
        check(not held.intersection(HEAVY), f"pip install modelnook is light: {len(held)} packages")
        place.install(f"modelnook[lab] @ {wheel.as_uri()}")
        for what in (("labextension",), ("server", "extension")):
            said = place.run(str(place.bin / "jupyter"), *what, "list")
            plain = re.sub(r"\x1b\[\d*m", "", said)
            lines = [" ".join(line.split()) for line in plain.splitlines() if line.split()[:1] == ["modelnook"]]
            check(any("enabled" in line for line in lines), f"jupyter {' '.join(what)} list: {', '.join(lines)}")
            check("OK" in " ".join(lines), f"jupyter {' '.join(what)} list finds nothing wrong with it")
        place.run(python, "-c", "import modelnook.widgets.view as v; v.View('runs', {})")
        check(True, "the widget is made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
