"""Refuses every connection and name look-up beyond loopback; the fixture puts it into the test, `sitecustomize` into
the Python processes that a test starts."""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, NoReturn

LOG = "NETWORK_GUARD_LOG"
"""The variable that names the file where child processes note what they tried."""

LOCAL_NAMES = ("localhost", "ip6-localhost", "")


class NetworkUse(AssertionError):
    """A test, or what it tests, reached for something beyond this machine."""


def guards(note: Callable[[str], object]) -> list[tuple[Any, str, Any]]:
    """``(owner, name, replacement)`` of what must be replaced; ``note`` is told of every try."""

    def refuse(what: str) -> NoReturn:
        note(what)
        raise NetworkUse(f"a test reached for {what}")

    def guarded(real: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
                refuse(f"{address[0]}:{address[1]}")
            return real(self, address)

        return call

    getaddrinfo = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not is_local(name):
            refuse(name)
        return getaddrinfo(host, *args, **kwargs)

    return [
        (socket.socket, "connect", guarded(socket.socket.connect)),
        (socket.socket, "connect_ex", guarded(socket.socket.connect_ex)),
        (socket, "getaddrinfo", look_up),
    ]


def is_local(host: str) -> bool:
    """Whether a host is this machine: a loopback address, its own name, or the wildcard to listen on."""
    if host in LOCAL_NAMES or host == socket.gethostname():
        return True
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
