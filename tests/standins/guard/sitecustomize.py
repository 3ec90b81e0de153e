"""Python reads this on start where its folder is on PYTHONPATH: no child of a test leaves this machine unseen, and a
model is timed for a moment."""

import os
import sys


def install() -> None:
    """Guard the socket module as soon as somebody imports it: most children never do."""
    from importlib.abc import MetaPathFinder
    from importlib.machinery import PathFinder

    class OnImport(MetaPathFinder):
        def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
            if name != "socket":
                return None
            sys.meta_path.remove(self)
            spec = PathFinder.find_spec(name, path, target)
            if spec and spec.loader:
                execute = spec.loader.exec_module

                def guarded(module):  # type: ignore[no-untyped-def]
                    execute(module)
                    sys.modules[name] = module
                    guard()

                spec.loader.exec_module = guarded  # type: ignore[method-assign]
            return spec

    if "socket" in sys.modules:
        guard()
    else:
        sys.meta_path.insert(0, OnImport())


def guard() -> None:
    """Replace what connects; every try is noted in the file that the test reads."""
    from network_guard import LOG, guards

    def note(what: str) -> None:
        with open(os.environ[LOG], "a") as log:
            log.write(f"{what} (by {os.path.basename(sys.executable)} {' '.join(sys.argv[:3])})\n")

    for owner, name, replacement in guards(note):
        setattr(owner, name, replacement)


def shorten(said: list[str]) -> None:
    """Time a model for a moment: seconds make a figure steady, and no test of a job asks for a steady one."""
    if "--seconds" in said:
        said[said.index("--seconds") + 1] = "0.2"


if os.environ.get("NETWORK_GUARD_LOG"):
    install()
    if "modelnook.jobs.followed" in sys.orig_argv:
        shorten(sys.argv)
