"""The W&B server as far as it must be known before anything is sent: where it is, the key, whether it answers."""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from modelnook.tracking.wandb_login import key_of

__all__ = ["Answer", "Server", "quieten"]

_WAIT = 3.0


@dataclass(frozen=True, slots=True)
class Answer:
    """``state`` is ``ok``, ``unreachable`` or ``refused`` (the key); ``entity`` is whose the key is."""

    state: str
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A server by its addresses: the one that is asked and the one that people open."""

    url: str
    app: str

    @classmethod
    def current(cls) -> Server:
        """The one that the wandb library would use: its environment variables, then its settings files."""
        quieten()
        from wandb.sdk import wandb_setup

        settings = wandb_setup.singleton().settings
        # Where the library was used before, it still has the environment of then.
        url = os.environ.get("WANDB_BASE_URL", settings.base_url).rstrip("/")
        app = settings.app_url if url == settings.base_url.rstrip("/") else url
        return cls(url, app.rstrip("/"))

    @property
    def host(self) -> str:
        """Its host, as messages name it."""
        return urlsplit(self.url).netloc

    def key(self) -> str | None:
        """The API key from the environment or from where ``wandb login`` puts it; nobody is asked for one."""
        said = os.environ.get("WANDB_API_KEY")
        return said or key_of(self.host)

    @property
    def logged_in(self) -> bool:
        """Whether there is something to log in with."""
        return bool(self.key() or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"))

    def ask(self, seconds: float = _WAIT) -> Answer:
        """One small question. A certificate that only wandb's own client may trust counts as an answer."""
        body = json.dumps({"query": "query Viewer { viewer { entity } }", "variables": {}}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        key = self.key()
        if key:
            request.add_header("Authorization", f"Basic {base64.b64encode(f'api:{key}'.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                viewer = (json.load(answer).get("data") or {}).get("viewer")
        except urllib.error.HTTPError as error:
            return Answer("refused" if error.code in (401, 403) else "unreachable")
        except (ValueError, AttributeError):
            return Answer("unreachable")
        except OSError as error:
            return Answer("ok" if isinstance(getattr(error, "reason", None), ssl.SSLError) else "unreachable")
        if viewer is None and key:
            return Answer("refused")
        return Answer("ok", (viewer or {}).get("entity"))

    def run_url(self, entity: str, project: str, run: str) -> str:
        """Where people see a run."""
        return f"{self.app}/{quote(entity)}/{quote(project)}/runs/{quote(run)}"


def quieten() -> None:
    """Set, before wandb is imported, what keeps it from reporting on itself; what the person set stands."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
