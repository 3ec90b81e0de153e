"""Scripts of ``run.code()`` in a process of their own, forked from one that has transformers and nothing of ours."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from tests.standins.guard.forked_workers import hub_folders

__all__ = ["output_of"]

PRELOAD = ["torch", "transformers", "datasets", "peft", "tests.standins.scripts"]


def output_of(text: str, folder: Path) -> str:
    """What a script prints, run in ``folder`` without a network; fails with its last lines where it fails."""
    from modelnook.jobs.device import has_gpu

    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    said, wrong = folder / "script.out", folder / "script.err"
    # peft imports bitsandbytes, which opens a GPU: what has done so can't be forked for a script that needs it.
    forks = sys.platform == "linux" and not has_gpu()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(PRELOAD)  # type: ignore[attr-defined]
    process = context.Process(target=_run, args=(text, str(folder), environ, str(said), str(wrong)))
    # What a test has left as the main module isn't to be loaded again there.
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main
    process.join()
    assert process.exitcode == 0, wrong.read_text()[-2000:]
    return said.read_text()


def _run(text: str, folder: str, environ: dict[str, str], said: str, wrong: str) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    assert not any(name.partition(".")[0] == "modelnook" for name in sys.modules), "a script stands alone"
    constants = sys.modules.get("huggingface_hub.constants")
    if constants:
        for name, place in {**hub_folders(Path(environ["HF_HOME"])), "HF_HUB_OFFLINE": True}.items():
            setattr(constants, name, place if place is True else str(place))
    sys.path[:] = ["", *(entry for entry in sys.path if entry.startswith(sys.prefix) or "lib/python" in entry)]
    sys.argv = ["script.py"]
    for stream, path in ((1, said), (2, wrong)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    try:
        exec(compile(text, "<script>", "exec"), {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
