"""Everything that is set from outside, read here and nowhere else.

========================  ==============================================================================
``MODELNOOK_HOME``        the person's folder: runs, models, snapshots, index (default: user data folder)
``MODELNOOK_OFFLINE``     ``1``: no socket but loopback
``MODELNOOK_LANG``        ``en`` or ``zh``; else the saved setting, else the environment's ``LANG``
``MODELNOOK_DEBUG``       ``1``: tracebacks instead of one-sentence errors
``MODELNOOK_THREADS``     threads a job may use (default: the cores this process may run on)
``MODELNOOK_WARM``        minutes that an idle process keeps the imports for the next job (default 10; 0: none does)
``MODELNOOK_SERVE_TOKEN`` what requests to a served model must bring (default: drawn anew for each server)
``MODELNOOK_MIRROR``      a folder where finished checkpoints and run records are copied as well
``MODELNOOK_WANDB_PROJECT``, ``WANDB_PROJECT``, ``WANDB_ENTITY``, ``WANDB_MODE``, ``WANDB_API_KEY``, ``WANDB_BASE_URL``
``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HOME``, ``HF_HUB_OFFLINE``   as huggingface_hub means them
========================  ==============================================================================

What a person sets with ``%model settings name=value`` is kept in ``MODELNOOK_HOME/settings.json``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelnook.domain.errors import StoreError

__all__ = ["SAVED", "Settings", "current", "expanded", "language", "save", "save_sources", "user"]

FILE = "settings.json"

# name -> (allowed values or None for free text, default)
SAVED: dict[str, tuple[tuple[str, ...] | None, str]] = {
    "language": (("auto", "en", "zh"), "auto"),
    "offline": (("on", "off"), "off"),
    "wandb": (("offline", "online", "none"), "offline"),
    "wandb_project": (None, "modelnook"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One reading of the environment and of settings.json."""

    home: Path
    saved: Mapping[str, Any]
    environ: Mapping[str, str]
    unread: str = ""
    """Why settings.json can't be read, where it is there."""

    @property
    def offline(self) -> bool:
        """No socket but loopback; also as long as nobody can tell what the person has set."""
        said = self.environ.get("MODELNOOK_OFFLINE")
        return _true(said) if said else self.saved.get("offline") == "on" or bool(self.unread)

    @property
    def hub_offline(self) -> bool:
        """The Hugging Face hub is not to be asked."""
        return self.offline or _true(self.environ.get("HF_HUB_OFFLINE"))

    @property
    def debug(self) -> bool:
        """Tracebacks instead of one-sentence errors."""
        return _true(self.environ.get("MODELNOOK_DEBUG"))

    @property
    def threads(self) -> int:
        """Threads a job may use."""
        said = self.environ.get("MODELNOOK_THREADS", "")
        if said.isdigit() and int(said) > 0:
            return int(said)
        try:
            return len(os.sched_getaffinity(0))
        except AttributeError:
            return os.cpu_count() or 1

    @property
    def warm_minutes(self) -> float:
        """Minutes that an idle process keeps a job's imports; 0: none does."""
        try:
            return max(0.0, float(self.environ.get("MODELNOOK_WARM", "10")))
        except ValueError:
            return 10.0

    @property
    def mirror(self) -> Path | None:
        """Where finished checkpoints and records are copied as well."""
        said = self.environ.get("MODELNOOK_MIRROR")
        return Path(os.path.expanduser(said)) if said else None

    @property
    def serve_token(self) -> str:
        """What requests to a served model must bring; empty: it is drawn."""
        return self.environ.get("MODELNOOK_SERVE_TOKEN", "").strip()

    @property
    def wandb_project(self) -> str:
        """The W&B project that runs are logged to."""
        for name in ("MODELNOOK_WANDB_PROJECT", "WANDB_PROJECT"):
            if self.environ.get(name):
                return self.environ[name]
        return str(self.saved.get("wandb_project") or "modelnook")

    @property
    def wandb_mode(self) -> str:
        """``online`` only where the person said so, ``none`` where they said no tracker, else ``offline``.

        See promise 1 of the contract: WANDB_MODE, then an API key in the environment, then the saved setting.
        """
        mode = self.environ.get("WANDB_MODE", "").lower()
        if self.offline:
            return "none" if mode == "disabled" or self.saved.get("wandb") == "none" else "offline"
        if mode in ("online", "offline"):
            return mode
        if mode in ("disabled", "dryrun"):
            return "none" if mode == "disabled" else "offline"
        saved = self.saved.get("wandb")
        if saved in ("online", "none"):
            return str(saved)
        return "online" if self.environ.get("WANDB_API_KEY") and saved is None else "offline"

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The catalogue sources that the person added, in their order: ``{name, url, kind, token_env}``."""
        return list(self.saved.get("sources") or [])

    def get(self, name: str) -> str:
        """A saved setting or its default."""
        return str(self.saved.get(name, SAVED[name][1]))

    def damaged(self) -> StoreError | None:
        """What to raise where a setting or a source is missed; None where settings.json is whole, or there is none."""
        from modelnook.domain.errors import StoreError

        if not self.unread:
            return None
        return StoreError("core.settings_unread", path=self.home / FILE, why=self.unread)


def _true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "yes", "on")


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path whose ``~`` or ``~name`` is the folder that it stands for.

    Raises:
        UsageError: nobody here has that name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        from modelnook.domain.errors import UsageError

        raise UsageError("core.no_home", path=os.fspath(path)) from None


def home(environ: Mapping[str, str] | None = None) -> Path:
    """``MODELNOOK_HOME`` or the platform's user data folder."""
    environ = os.environ if environ is None else environ
    said = environ.get("MODELNOOK_HOME")
    if said:
        # As a shell does it: what stands for nobody's folder is a name like any other.
        return Path(os.path.expanduser(said))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "modelnook"
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "modelnook"
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "modelnook"


def current() -> Settings:
    """The settings as they are now. Cheap: one small file, read when asked."""
    folder, unread = home(), ""
    try:
        # Editors of Windows put a mark at the beginning.
        saved = json.loads((folder / FILE).read_text(encoding="utf-8-sig"))
        unread = _unlike(saved)
    except (FileNotFoundError, NotADirectoryError):
        saved = {}
    except (OSError, ValueError) as error:
        unread = str(getattr(error, "strerror", None) or error)
    return Settings(folder, {} if unread else saved, os.environ, unread)


def _unlike(saved: Any) -> str:
    """The form that a file of settings has to have, where this one hasn't; a person may have written in it."""
    if not isinstance(saved, dict):
        return "{…}"
    added = saved.get("sources") or []
    named = isinstance(added, list) and all(isinstance(s, dict) and isinstance(s.get("name"), str) for s in added)
    return "" if named else '"sources": [{"name": …}, …]'


def save(**values: Any) -> Settings:
    """Keep settings in settings.json; None removes one.

    Raises:
        UsageError: an unknown name or a value that isn't allowed.
        StoreError: the file can't be read, so that it would be lost, or not be written.
    """
    from modelnook.domain.errors import UsageError, unknown

    for name, value in values.items():
        if name not in SAVED:
            raise unknown("setting", name, SAVED)
        allowed = SAVED[name][0]
        plain, kind = isinstance(value, (str, int, float, NoneType)), type(value).__name__
        if not plain and allowed is None:
            raise UsageError("core.not_a_word", name=name, kind=kind, example=SAVED[name][1])
        if allowed and value is not None and value not in allowed:
            said = value if plain else kind
            raise UsageError("core.bad_value", name=name, value=said, allowed=", ".join(allowed))
    return _change(lambda saved: {**saved, **values})


def save_sources(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Settings:
    """Keep what ``change`` makes of the sources as they are by then: two who add one each add two.

    Raises:
        StoreError: as for :func:`save`.
    """
    return _change(lambda saved: {**saved, "sources": change(list(saved.get("sources") or [])) or None})


def _change(change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Settings:
    """Read, change and write, with nobody else in between."""
    from filelock import FileLock

    from modelnook.store.files import disk_errors, folder, write_json

    path = folder(home()) / FILE
    with disk_errors(path):
        lock = FileLock(path.with_name(f".{FILE}.lock")).acquire()
    with lock:
        settings = current()
        if (damaged := settings.damaged()) is not None:
            raise damaged
        saved = {name: value for name, value in change(settings.saved).items() if value is not None}
        write_json(path, saved)
    return current()


def user() -> str:
    """The name that this person has on this machine, as a published version names its author."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def language() -> str:
    """``zh`` or ``en``: MODELNOOK_LANG, the saved setting, the environment's locale."""
    said = os.environ.get("MODELNOOK_LANG", "").lower()
    if not said:
        saved = str(current().saved.get("language", "auto"))
        said = saved if saved != "auto" else (os.environ.get("LC_ALL") or os.environ.get("LANG") or "").lower()
    return "zh" if said.startswith("zh") else "en"
