"""What the hub's client raises, as one sentence and the next step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from json import JSONDecodeError
from traceback import walk_tb
from typing import Any, TypeVar
from urllib.parse import urlsplit

from modelnook.domain.errors import (
    ModelnookError,
    NotFoundError,
    OfflineError,
    RefusedError,
    UnsupportedError,
    UsageError,
)
from modelnook.messages import t

__all__ = ["Place", "by_status", "patiently", "seconds_to_wait", "stumbled", "told", "translated", "unreachable"]

T = TypeVar("T")

# Above this many seconds a person is told of the rate limit and not kept waiting.
_PATIENCE = 5
# The client's HTTP library has changed its name twice; its errors are known by where they come from.
_TRANSPORTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint, as errors name it. ``login`` says how one logs in there, ``token`` gives what it is asked with.

    ``page`` gives the address of a model's page, where one may ask for access; an empty one where that is no help.
    """

    source: str
    endpoint: str
    login: str
    token: Callable[[], str | bool | None] = lambda: None
    page: Callable[[str], str] = lambda id: ""

    @property
    def host(self) -> str:
        """The endpoint's host."""
        return urlsplit(self.endpoint).netloc or self.endpoint


Translate = Callable[[Exception, Place, str], Exception | None]
"""What a client's error means, in ours; None for one that isn't the client's."""


@contextmanager
def translated(
    translate: Callable[[Exception, Place, str], Exception | None], place: Place, ref: str
) -> Iterator[None]:
    """Raise what ``translate`` makes of a client's error; ours, and what it makes nothing of, pass through."""
    try:
        yield
    except ModelnookError:
        raise
    except Exception as error:
        ours = translate(error, place, ref)
        if ours is None:
            raise
        raise ours from error


def told(place: Place, ref: str = "") -> AbstractContextManager[None]:
    """Turn the hub client's errors into ours."""
    return translated(_translate, place, ref)


def _translate(error: BaseException, place: Place, ref: str) -> ModelnookError | None:
    from huggingface_hub import errors

    said: dict[str, Any] = {"ref": ref, "source": place.source, "host": place.host, "login": place.login}
    if isinstance(error, errors.GatedRepoError):
        page = f"{place.endpoint}/{_id(ref)}"
        return RefusedError(f"hub.gated_{_gate(error, place)}", page=page, **said)
    if isinstance(error, errors.RevisionNotFoundError):
        return NotFoundError("hub.no_revision", **said)
    if isinstance(error, errors.RepositoryNotFoundError):
        return NotFoundError("hub.no_model", **said)
    if isinstance(error, errors.HFValidationError):
        return UsageError("hub.bad_id", **said)
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return _translate(error.__cause__, place, ref) or unreachable(place, error.__cause__)
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        # An upload's failure is told by the client in words of its own.
        return _translate(error.__cause__, place, ref)
    if isinstance(error, errors.HfHubHTTPError):
        return _by_status(error, said, place)
    if isinstance(error, JSONDecodeError):
        return UnsupportedError("hub.odd_answer", **said)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return OfflineError("hub.offline", **said)
    if isinstance(error, (ConnectionError, TimeoutError)) or type(error).__module__.split(".")[0] in _TRANSPORTS:
        return unreachable(place, error)
    return None


def _gate(error: Any, place: Place) -> str:
    """Which step into a gated model is missing: to log in, to ask, to be let in, or a token with that right."""
    from huggingface_hub import get_token

    token = place.token()
    if not (get_token() if token is None else token):
        return "login"
    words = str(error.server_message or error).lower()
    return "wait" if "awaiting" in words else "token" if "fine-grained" in words else "ask"


def _by_status(error: Any, said: dict[str, Any], place: Place) -> ModelnookError:
    if error.response.status_code == 401 and "expired" in str(error.server_message or error).lower():
        return UsageError("hub.expired_token", **said)
    return by_status(error.response.status_code, said, place, wait=seconds_to_wait(error))


def by_status(status: int, said: dict[str, Any], place: Place, *, wait: int | None = None) -> ModelnookError:
    """What an HTTP status means at a place that keeps models."""
    if status == 401:
        return UsageError("hub.bad_token", **said)
    if status in (404, 405):
        return NotFoundError("hub.no_model", **said)
    if status == 403:
        id = _id(said["ref"])
        page = place.page(id) if id else ""
        return RefusedError("hub.not_let_in" if page else "hub.forbidden", **said, page=page)
    if status == 429:
        return OfflineError("hub.rate_limit", seconds=wait or 60, **said)
    return OfflineError("hub.unreachable", why=f"HTTP {status}", **said)


def _id(ref: str) -> str:
    return ref.partition(":")[2].partition("@")[0]


def unreachable(place: Place, error: BaseException | None = None) -> OfflineError:
    """The endpoint doesn't answer."""
    return OfflineError("hub.unreachable", source=place.source, host=place.host, why=_why(error))


def _why(error: BaseException | None) -> str:
    """A client's error in words, where its name is one that nobody but a programmer knows."""
    name = type(error).__name__
    if error is None or "Timeout" in name:
        return t("hub.why_timeout")
    return t("hub.why_connect") if "Connect" in name else name


def stumbled(place: Place, error: BaseException) -> UnsupportedError | None:
    """A client's own stumble over an answer that isn't what it takes it for; None for an error of another kind.

    Where it arose tells it from a bug of ours.
    """
    if not isinstance(error, (AttributeError, LookupError, TypeError, ValueError)):
        return None
    frames = list(walk_tb(error.__traceback__))
    if not frames or frames[-1][0].f_globals.get("__name__", "").startswith("modelnook."):
        return None
    return UnsupportedError("hub.odd_answer", source=place.source, host=place.host)


def patiently(call: Callable[[], T], *, most: int = _PATIENCE, pause: Callable[[int], None] = time.sleep) -> T:
    """Make a call of the client that doesn't wait out a rate limit itself, again where the wait is short.

    Args:
        most: how many seconds it may wait in all.
        pause: waits so many seconds; may end the call by raising.
    """
    while True:
        try:
            return call()
        except Exception as error:
            seconds = _limited(error)
            if seconds is None or seconds >= most:
                raise
        most -= seconds + 1
        pause(seconds + 1)


def _limited(error: BaseException) -> int | None:
    """Seconds until the rate limit ends that an error tells of, directly or as its cause."""
    if isinstance(error, ModelnookError):
        return int(str(error.values["seconds"])) if error.code == "hub.rate_limit" else None
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return seconds_to_wait(error) if error.response.status_code == 429 else None
    return _limited(error.__cause__) if error.__cause__ is not None else None


def seconds_to_wait(error: Any) -> int | None:
    """Seconds until the rate limit ends, where the answer says."""
    from huggingface_hub import utils

    headers = error.response.headers
    info = getattr(utils, "parse_ratelimit_headers", lambda headers: None)(headers)
    if info is not None:
        return int(info.reset_in_seconds)
    after = headers.get("Retry-After", "")
    return int(after) if after.isdigit() else None
