"""What the hub's client raises, as one sentence and the next step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from modelnook.domain.errors import ModelnookError, NotFoundError, OfflineError, RefusedError, UsageError

__all__ = ["Place", "patiently", "seconds_to_wait", "told", "unreachable"]

T = TypeVar("T")

# Above this many seconds a person is told of the rate limit and not kept waiting.
_PATIENCE = 5
# The client's HTTP library has changed its name twice; its errors are known by where they come from.
_TRANSPORTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint, as errors name it. ``login`` says how one logs in there."""

    source: str
    endpoint: str
    login: str

    @property
    def host(self) -> str:
        """The endpoint's host."""
        return urlsplit(self.endpoint).netloc or self.endpoint


@contextmanager
def told(place: Place, ref: str = "") -> Iterator[None]:
    """Turn the client's errors into ours; what isn't the hub's passes through."""
    try:
        yield
    except ModelnookError:
        raise
    except Exception as error:
        ours = _translate(error, place, ref)
        if ours is None:
            raise
        raise ours from error


def _translate(error: BaseException, place: Place, ref: str) -> ModelnookError | None:
    from huggingface_hub import errors

    said: dict[str, Any] = {"ref": ref, "source": place.source, "host": place.host, "login": place.login}
    if isinstance(error, errors.GatedRepoError):
        page = f"{place.endpoint}/{ref.partition(':')[2].partition('@')[0]}"
        return RefusedError("hub.gated", page=page, **said)
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
    if isinstance(error, errors.OfflineModeIsEnabled):
        return OfflineError("hub.offline", **said)
    if isinstance(error, (ConnectionError, TimeoutError)) or type(error).__module__.split(".")[0] in _TRANSPORTS:
        return unreachable(place, error)
    return None


def _by_status(error: Any, said: dict[str, Any], place: Place) -> ModelnookError:
    status = error.response.status_code
    if status == 401:
        return UsageError("hub.bad_token", **said)
    if status in (404, 405):
        return NotFoundError("hub.no_model", **said)
    if status == 403:
        return RefusedError("hub.forbidden", **said)
    if status == 429:
        return OfflineError("hub.rate_limit", seconds=seconds_to_wait(error) or 60, **said)
    return OfflineError("hub.unreachable", why=f"HTTP {status}", **said)


def unreachable(place: Place, error: BaseException | None = None) -> OfflineError:
    """The endpoint doesn't answer."""
    why = type(error).__name__ if error else "timeout"
    return OfflineError("hub.unreachable", source=place.source, host=place.host, why=why)


def patiently(call: Callable[[], T]) -> T:
    """Make a call of the client that doesn't wait out a rate limit itself; once more where the wait is short."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return call()
    except HfHubHTTPError as error:
        seconds = seconds_to_wait(error)
        if error.response.status_code != 429 or seconds is None or seconds > _PATIENCE:
            raise
        time.sleep(seconds + 1)
        return call()


def seconds_to_wait(error: Any) -> int | None:
    """Seconds until the rate limit ends, where the answer says."""
    from huggingface_hub import utils

    headers = error.response.headers
    info = getattr(utils, "parse_ratelimit_headers", lambda headers: None)(headers)
    if info is not None:
        return int(info.reset_in_seconds)
    after = headers.get("Retry-After", "")
    return int(after) if after.isdigit() else None
