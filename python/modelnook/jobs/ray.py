"""A machine of a Ray cluster: the recipe and what it reads go there, the records come back while it runs.

The run belongs to this machine. A worker here holds its lease, its record, its curves and its trackers as for any other
run; in place of training it follows :class:`~modelnook.jobs.remote.Remote`, an actor on the cluster that trains, and
takes over what that says: events, points of curves, the log, checkpoints, the finished model. So a stop, the waiting
cell and the list of runs know no difference, and where the actor's machine is lost the run goes on elsewhere from the
last checkpoint that came back. Of a tuning the trials alone go there, see :mod:`modelnook.jobs.slots`.

``ray://HOST:PORT`` is a cluster's client server, ``ray://auto`` the cluster that this machine is a part of.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from modelnook import __version__
from modelnook.domain.errors import (
    ConflictError,
    InternalError,
    ModelnookError,
    OfflineError,
    UnsupportedError,
    UsageError,
)
from modelnook.domain.event import Finished, Warned
from modelnook.domain.recipe import Recipe
from modelnook.jobs.base import Process
from modelnook.jobs.parallel import needed
from modelnook.jobs.recorder import Recorder
from modelnook.jobs.relay import Relay
from modelnook.jobs.steps.context import Context
from modelnook.settings import current, language
from modelnook.store import Store
from modelnook.store.runs import RunFolder

if TYPE_CHECKING:
    from modelnook.jobs.remote import Remote

__all__ = ["Ray"]

AUTO = "ray://auto"

_PORT = 10001
"""Where a cluster's client server listens, unless it was told otherwise."""

_ON_CORES = 8
"""Trials at the same time without GPUs, unless another number is asked for: of more, each would know less of others."""

_CONNECT_S = 5.0
_CONNECTED_S = 120.0
_ANSWER_S = 300.0
"""Seconds for one answer of the actor, the transfer of a part of a file included."""


class Ray(Process):
    """See :class:`~modelnook.jobs.base.Executor`. The worker that follows is a process of this machine.

    Raises:
        UsageError: an address that is none.
    """

    here = False

    def __init__(self, on: str) -> None:
        self.host, self.port = "", 0
        if on != AUTO:
            self.host, self.port = _address(on)
            on = f"ray://{self.host}:{self.port}"
        super().__init__(on)

    def check(self) -> None:
        """Refuse a cluster that doesn't answer, or one beyond this machine where no network is to be used.

        Raises:
            OfflineError: with the reason.
        """
        if current().offline and not _loopback(self.host):
            raise OfflineError("jobs.ray_offline", address=self.on)
        if self.on == AUTO:
            # Whether there is one is ray's to find out, in the worker: importing it takes a second.
            return
        try:
            socket.create_connection((self.host.strip("[]"), self.port), _CONNECT_S).close()
        except OSError as error:
            raise OfflineError("jobs.ray_unreachable", address=self.on, error=error.strerror or error) from None

    def execute(self, store: Store, run: RunFolder, recipe: Recipe, recorder: Recorder, *, resume: bool) -> Finished:
        """See :meth:`Executor.execute`.

        Raises:
            ConflictError: the machine or the cluster was lost (``jobs.node_lost``).
            UnsupportedError: other versions there.
            InternalError: something failed there that no one foresaw (``jobs.ray_failed``).
        """
        context = Context(store, run, recipe, recorder, resume)
        with self._connected(context) as ray:
            if recipe.verb == "tune":
                return self._tuned(ray, context)
            from modelnook.jobs.remote import Remote

            room = _room(ray.nodes(), recipe.device)
            with self._told(ray, run.id):
                call = self._actor(ray, Remote, room, context.stop, context.phase)
                return Finished(stopped=True) if call is None else Relay(context, call).run()

    def _tuned(self, ray: Any, context: Context) -> Finished:
        """The study here, its trials there."""
        from modelnook.jobs.remote_trials import RemoteTrials
        from modelnook.jobs.slots import Call, Slot, Slots, Stop
        from modelnook.jobs.steps.tune import tune

        recipe = context.recipe
        asked, most = recipe.knobs.get("parallel"), recipe.knobs.get("trials")
        count, room = _slots(ray.nodes(), recipe.device, asked, most, needed(context) or 0)
        if asked and count < min(asked, most or asked):
            context.emit(Warned.of("tune.fewer_slots", asked=asked, count=count))

        def start(stop: Stop, phase: Callable[[str], None]) -> Call | None:
            with self._told(ray, context.run.id):
                call = self._actor(ray, RemoteTrials, room, stop, phase)

            def told(method: str, *arguments: Any) -> Any:
                with self._told(ray, context.run.id):
                    return call(method, *arguments) if call else None

            return told if call else None

        return tune(context, Slots(context, [Slot(context, start) for _ in range(count)]))

    @contextmanager
    def _told(self, ray: Any, run: str) -> Iterator[None]:
        """What ray raises as our errors."""
        try:
            yield
        except ray.exceptions.RayTaskError as error:
            raise self._failed(error, run) from error
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise ConflictError("jobs.node_lost", address=self.on, error=_first(error)) from error

    @contextmanager
    def _connected(self, context: Context) -> Iterator[Any]:
        """The module ``ray``, connected to the cluster."""
        # Nothing is told to ray's makers of a person's cluster.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        done = threading.Event()
        threading.Thread(target=self._watch, args=(context, done), name="modelnook-ray", daemon=True).start()
        # Of a worker a signal is a wish to stop; ray would end it.
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        context.phase("connecting")
        try:
            self._connect(ray)
        except (ConnectionError, TimeoutError) as error:
            raise OfflineError("jobs.ray_unreachable", address=self.on, error=_first(error)) from error
        except RuntimeError as error:
            raise UnsupportedError("jobs.ray_refused", address=self.on, error=_first(error)) from error
        finally:
            done.set()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        try:
            yield ray
        finally:
            ray.shutdown()

    def _connect(self, ray: Any) -> None:
        for last in (False, True):
            try:
                ray.init("auto" if self.on == AUTO else self.on, log_to_driver=False, logging_level=logging.WARNING)
                return
            except ConnectionError as error:
                # The cluster starts a process for each client, which may take longer than it waits for that.
                if last or "Initialization failure" not in str(error):
                    raise

    def _watch(self, context: Context, done: threading.Event) -> None:
        """End the job from here where it is stopped, or takes too long, before ray has answered: it may never."""
        recorder, until = context.recorder, time.monotonic() + _CONNECTED_S
        while not done.wait(0.2):
            if time.monotonic() > until:
                recorder.leave(OfflineError("jobs.ray_unreachable", address=self.on, error=f"{_CONNECTED_S:g} s"))
            if recorder.stop():
                recorder.leave(Finished(stopped=True))

    def _actor(
        self, ray: Any, kind: type[Remote], room: dict[str, int], stop: Callable[[], bool], phase: Callable[[str], None]
    ) -> Callable[..., Any] | None:
        """Start the actor and wait until the cluster has room for it; None where the run was stopped meanwhile.

        Gives a function that calls one of its methods and waits for the answer.
        """
        made = ray.remote(kind).options(max_restarts=0, **room)
        try:
            actor = made.remote(_settings(room["num_cpus"]))
            ready = actor.told.remote()
            phase("waiting")
            while not ray.wait([ready], timeout=0.5)[0]:
                if stop():
                    ray.kill(actor)
                    return None
            told = ray.get(ready)
        except Exception as error:
            if "No module named 'modelnook" not in str(error):
                raise
            raise self._other(_asked(ray)) from error
        if told["version"] != __version__:
            raise self._other(told["version"])

        def call(method: str, *arguments: Any) -> Any:
            return ray.get(getattr(actor, method).remote(*arguments), timeout=_ANSWER_S)

        return call

    def _failed(self, error: Any, run: str) -> ModelnookError:
        """What a method of the actor raised; the trace, with that machine's paths and address, is the log's."""
        cause = getattr(error, "cause", None)
        if isinstance(cause, ModelnookError):
            return cause
        print(error, file=sys.stderr, flush=True)
        why = f": {_first(cause)}" if cause is not None else ""
        return InternalError("jobs.ray_failed", address=self.on, error=f"{type(cause or error).__name__}{why}", run=run)

    def _other(self, there: str | None) -> UnsupportedError:
        """Another modelnook there, or none: it may read the recipe otherwise."""
        if there is None:
            return UnsupportedError("jobs.ray_without", address=self.on, version=__version__)
        return UnsupportedError("jobs.ray_versions", address=self.on, there=there, here=__version__)


def _address(on: str) -> tuple[str, int]:
    """Host and port.

    >>> _address("ray://head"), _address("ray://[::1]:7000")
    (('head', 10001), ('[::1]', 7000))
    """
    found = re.fullmatch(r"ray://(\[[0-9a-fA-F:]+\]|[^:/\s]+)(?::(\d{1,5}))?", on)
    port = int(found[2] or _PORT) if found else 0
    if not found or not 0 < port < 65536:
        raise UsageError("core.bad_value", name="on", value=on, allowed=f"ray://HOST:PORT, {AUTO}")
    return found[1], port


def _settings(cores: int) -> dict[str, str]:
    """What of this person's settings decides what a run does or says: the language, and threads; else one a core."""
    said = current().environ.get("MODELNOOK_THREADS") or str(max(1, cores))
    return {"MODELNOOK_LANG": language(), "MODELNOOK_THREADS": said}


def _room(nodes: list[dict[str, Any]], device: str = "auto") -> dict[str, int]:
    """What a run takes: a GPU with its share of the cores where there are some, else all cores of the largest machine.

    One for the ``cpu`` waits for no GPU.

    >>> _room([{"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}}, {"Alive": True, "Resources": {"CPU": 64.0}}])
    {'num_gpus': 1, 'num_cpus': 4}
    """
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    with_gpu = [machine for machine in machines if machine.get("GPU", 0) >= 1]
    if with_gpu and device != "cpu":
        return {"num_gpus": 1, "num_cpus": min(int(m.get("CPU", 0) // m["GPU"]) for m in with_gpu)}
    return {"num_cpus": max([1, *(int(machine.get("CPU", 0)) for machine in machines)])}


def _slots(
    nodes: list[dict[str, Any]], device: str, asked: int | None, most: int | None, memory: int
) -> tuple[int, dict[str, int]]:
    """How many trials there may be at the same time, and what each takes: a GPU with its share of the cores, or cores.

    Args:
        asked: how many are wanted at most; None: as many as there are GPUs, or a few where there are none.
        most: trials in all.
        memory: bytes that each needs, reserved where it runs on cores.

    >>> machines = [{"Alive": True, "Resources": {"CPU": 8.0, "memory": 1e9}}] * 2
    >>> _slots(machines, "auto", None, 4, 10**8)
    (4, {'num_cpus': 4, 'memory': 100000000})
    >>> _slots([{"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}}], "auto", None, 20, 10**8)
    (2, {'num_gpus': 1, 'num_cpus': 4})
    """
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
    cores = [int(machine.get("CPU", 0)) for machine in machines]
    with_gpu = gpus and device != "cpu"
    there = gpus if with_gpu else sum(cores)
    limit = asked or (gpus if with_gpu else _ON_CORES)
    count = max(1, min(limit, most or limit, there))
    if with_gpu:
        return count, _room(nodes, device)
    each = max(1, *(n for n in range(1, max([1, *cores]) + 1) if sum(c // n for c in cores) >= count), 1)
    largest = max((int(machine.get("memory", 0)) for machine in machines), default=0)
    reserved = min(memory, largest)
    return count, {"num_cpus": each, **({"memory": reserved} if reserved else {})}


def _asked(ray: Any) -> str | None:
    """The version of modelnook there, asked by code that travels whole; None where there is none."""

    def version() -> str | None:
        try:
            import modelnook

            return str(modelnook.__version__)
        except ImportError:
            return None

    found: str | None = ray.get(ray.remote(version).remote(), timeout=_ANSWER_S)
    return found


def _loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _first(error: BaseException) -> str:
    """An error's first sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).partition(". ")[0][:300].rstrip(".")
