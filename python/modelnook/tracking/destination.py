"""Where a run is going to be logged, said before it starts and without loading a tracker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelnook.messages import t
from modelnook.settings import Settings, current
from modelnook.tracking.wandb_login import stored

__all__ = ["line", "mode_of", "offer", "planned"]


def mode_of(asked: str, settings: Settings) -> str:
    """``online`` only where that was said, for this run or for all; never where modelnook is offline."""
    if asked in ("online", "offline"):
        return "offline" if settings.offline else asked
    return settings.wandb_mode


def planned(track: Sequence[str]) -> dict[str, Any] | None:
    """What a run's record says of W&B before it begins, by its rows of trackers; None where it isn't logged there."""
    settings = current()
    asked = _asked(track)
    mode = "none" if asked is None else mode_of(asked, settings)
    if mode == "none":
        return None
    return {"mode": mode, "project": settings.wandb_project, "url": None, "path": None, "synced": False}


def line(said: dict[str, Any] | None) -> str:
    """:func:`planned` as a sentence."""
    if said is None:
        return t("tracking.to_nowhere")
    if said.get("mode") == "online":
        return t("tracking.to_online", project=said.get("project") or current().wandb_project)
    return t("tracking.to_folder")


def offer(track: Sequence[str]) -> str:
    """What a person who has logged in to W&B and has said nothing more may want to say; once, then never again."""
    settings = current()
    silent = not any(settings.environ.get(name) for name in ("WANDB_MODE", "WANDB_API_KEY"))
    if _asked(track) != "auto" or settings.offline or not silent or settings.saved.get("wandb") is not None:
        return ""
    host = stored()
    told = settings.home / "wandb-offered"
    if host is None or told.exists():
        return ""
    told.touch()
    return t("tracking.offer", host=host)


def _asked(track: Sequence[str]) -> str | None:
    """The mode that the row of W&B names, None without such a row."""
    modes = [mode or "auto" for name, _, mode in (row.partition(":") for row in track) if name == "wandb"]
    return modes[0] if modes else None
