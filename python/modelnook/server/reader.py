"""The W&B reader: a helper process that writes a project's runs into the index, alive while somebody looks at them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
from importlib.util import find_spec

from modelnook.server.children import Children
from modelnook.server.opened import OpenedStore
from modelnook.settings import current
from modelnook.store.lease import Holder, Lease

__all__ = ["Reader"]

_MODULE = "modelnook.tracking.reader"
_CHECK_EVERY = 2.0
_RESTART_AFTER = 30.0


class Reader:
    """Started when the run history is looked at and W&B is online; ended ``idle`` seconds after the last look.

    One a store: the server that started it holds a lease, which dies with that server.
    """

    def __init__(
        self, opened: OpenedStore, children: Children, log: logging.Logger, *, idle: float, module: str = _MODULE
    ) -> None:
        self._opened, self._children, self._log = opened, children, log
        self._idle, self._module = idle, module
        self._wanted = float("-inf")
        self._started = float("-inf")
        self._keeper: asyncio.Task[None] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._generation = 0
        self._lease: Lease | None = None
        self._holder: Holder | None = None
        self.check_every = _CHECK_EVERY

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._child is not None and self._child.poll() is None

    def watched(self, topics: set[str]) -> None:
        """Somebody looks; the run history is what counts."""
        if "runs" not in topics:
            return
        self._wanted = time.monotonic()
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.ensure_future(self._keep())

    async def close(self) -> None:
        """End it."""
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        await asyncio.to_thread(self._end)

    async def _keep(self) -> None:
        try:
            while time.monotonic() - self._wanted < self._idle:
                await asyncio.to_thread(self._settle)
                await asyncio.sleep(self.check_every)
        except Exception as error:
            # The next who looks at the runs tries again.
            self._log.warning("modelnook: the W&B reader could not be started: %s", error)
        await asyncio.to_thread(self._end)

    def _settle(self) -> None:
        """Start it where it is wanted and isn't running, end it where W&B went offline."""
        if current().wandb_mode != "online" or find_spec("wandb") is None:
            self._end()
            return
        self._opened()
        if self.running and self._generation != self._opened.generation:
            # It takes for listed what a lost index has lost.
            self._end()
        if not self.running and time.monotonic() - self._started > _RESTART_AFTER:
            self._start()

    def _start(self) -> None:
        store = self._opened()
        place = store.home / "wandb-reader"
        if self._holder is None:
            self._lease = Lease(place)
            self._holder = None if self._lease.live() else self._lease.take(self._lease.epoch())
            if self._holder is None:
                return
            self._lease.tidy()
        self._started, self._generation = time.monotonic(), self._opened.generation
        self._child = self._children.start(store, self._module, log=place / "log")

    def _end(self) -> None:
        if self._child:
            self._children.end(self._child)
            self._child = None
            self._started = float("-inf")
        if self._lease and self._holder:
            self._lease.give_back(self._holder.epoch)
            self._lease = self._holder = None
