"""Several processes that train one model together, through accelerate: one a GPU, or as many as were asked for.

Each takes its share of every batch and computes its part of the gradient of the batch's mean loss; the parts are added
up, and all take the same step. So the batch, the order of the rows and the curve are those of one process. The first
process alone evaluates, logs, saves and says when it ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, check_cuda_p2p_ib_support, reduce
from torch import nn

from modelnook.training.base import Place

__all__ = ["Ranks", "joined"]

ENDS = ("finished", "stopped", "patience", "budget")

PATIENT = timedelta(days=1)
"""How long a process waits for the first one, which evaluates alone."""

BUCKET = 1 << 24
"""Numbers that are added up in one message; a reasonable size for a network, small beside a model."""


class Ranks:
    """This process's part. Its random numbers (dropout) are its own, its weights those of the first process."""

    def __init__(self, place: Place, device: torch.device) -> None:
        self.rank, self.count, self.device = place.rank, place.count, device

    @property
    def first(self) -> bool:
        """Whether it is the one that evaluates, logs and saves."""
        return self.rank == 0

    def share(self, index: list[int]) -> list[int]:
        """The rows of a batch that this process computes; none where there are fewer rows than processes."""
        return index[self.rank :: self.count]

    def align(self, model: nn.Module) -> None:
        """Give every process the first one's weights."""
        with torch.no_grad():
            for parameter in model.parameters():
                broadcast(parameter.data)

    def part_ways(self, seed: int, step: int) -> None:
        """Other random numbers than those of the first process, whose own are those of a run by itself."""
        if not self.first:
            torch.manual_seed(seed + 1_000_003 * self.rank + step)

    def add(self, parameters: Sequence[nn.Parameter], loss: torch.Tensor) -> torch.Tensor:
        """Make every process's gradients the sum of all of theirs; gives the sum of their losses.

        A parameter that no process has a gradient of has none afterwards either.
        """
        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        said = reduce(torch.cat([has, loss.detach().float().reshape(1)]), "sum")
        used = [p for p, count in zip(parameters, said[:-1].tolist(), strict=True) if count]
        for bucket in _buckets(used):
            flat = torch.cat([_gradient(p) for p in bucket])
            parts = reduce(flat, "sum").split([p.numel() for p in bucket])
            for parameter, part in zip(bucket, parts, strict=True):
                parameter.grad = part.view_as(parameter).to(parameter.dtype)
        total: torch.Tensor = said[-1]
        return total

    def agree(self, reason: str) -> str:
        """Why training ends, or that it goes on (``finished``), as the first process says it."""
        code = torch.tensor(ENDS.index(reason), device=self.device)
        return ENDS[int(broadcast(code))]


@contextmanager
def joined(place: Place | None, device: torch.device) -> Iterator[Ranks | None]:
    """Meet the other processes, on this machine alone; None where there are none."""
    if place is None:
        yield None
        return
    before = dict(os.environ)
    os.environ |= _environment(place, device)
    state: Any = PartialState(cpu=device.type == "cpu", timeout=PATIENT)
    try:
        yield Ranks(place, device)
    finally:
        state.destroy_process_group()
        PartialState._reset_state()
        os.environ.clear()
        os.environ |= before


def _environment(place: Place, device: torch.device) -> dict[str, str]:
    """What torchrun sets, and what keeps messages on this machine: gloo by itself takes the outward address."""
    found = {"RANK": str(place.rank), "LOCAL_RANK": str(place.rank)}
    found |= {"WORLD_SIZE": str(place.count), "LOCAL_WORLD_SIZE": str(place.count)}
    found |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(place.port)}
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    if loopback:
        found |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    # Said, so that accelerate doesn't choose a number of threads: the loop has its own.
    found["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    if device.type == "cuda" and not check_cuda_p2p_ib_support():
        found |= {"NCCL_P2P_DISABLE": "1", "NCCL_IB_DISABLE": "1"}
    return found


def _gradient(parameter: nn.Parameter) -> torch.Tensor:
    """A parameter's gradient in float32, flat; zeros where this process has none."""
    if parameter.grad is None:
        return torch.zeros(parameter.numel(), device=parameter.device)
    return parameter.grad.detach().float().reshape(-1)


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if bucket and size + parameter.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket
