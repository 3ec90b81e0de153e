"""The login that ``wandb login`` has stored, found without the wandb library: a kernel never imports that."""

from __future__ import annotations

import configparser
import json
import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["address", "key_of", "stored"]

_ADDRESS = "https://api.wandb.ai"


def address() -> str:
    """Where the wandb library would log to: ``WANDB_BASE_URL``, its settings file, its own server."""
    said = os.environ.get("WANDB_BASE_URL")
    if said:
        return said.rstrip("/")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(_configuration() / "settings", encoding="utf-8")
    except (OSError, ValueError, configparser.Error):
        return _ADDRESS
    return parser.get("default", "base_url", fallback=_ADDRESS).rstrip("/")


def key_of(host: str) -> str | None:
    """The API key that is stored for a host."""
    for path in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        try:
            found = netrc.netrc(os.path.expanduser(path)).authenticators(host) if path else None
        except (OSError, netrc.NetrcParseError):
            continue
        if found:
            return found[2]
    return None


def stored() -> str | None:
    """The host that a login is stored for, a key in the netrc file or a token in wandb's own; None without one."""
    url = address()
    host = urlsplit(url).netloc
    return host if key_of(host) or _token_of(url) else None


def _token_of(url: str) -> bool:
    said = os.environ.get("WANDB_CREDENTIALS_FILE")
    path = Path(os.path.expanduser(said or "~/.config/wandb/credentials.json"))
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return any(name.rstrip("/") == url for name in held.get("credentials", ()))
    except (OSError, ValueError, AttributeError):
        return False


def _configuration() -> Path:
    return Path(os.path.expanduser(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"))
