"""A run's curves: one small binary file a metric, appended while training, drawn from a down-sampled reading."""

from __future__ import annotations

import os
import struct
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from modelnook.store.files import PRIVATE_FILE, disk_errors, folder

__all__ = ["Series"]

_POINT = struct.Struct("<ddd")


class Series:
    """Curves below ``path``; a point is (step, seconds since the run began, value), three little-endian doubles.

    A torn last point, from a process killed in mid-write, is left out when reading and cut off before appending.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Add one point to each named curve."""
        folder(self.path)
        with disk_errors(self.path):
            for name, value in values.items():
                descriptor = os.open(self._file(name), os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
                try:
                    torn = os.fstat(descriptor).st_size % _POINT.size
                    if torn:
                        os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn)
                    os.write(descriptor, _POINT.pack(step, seconds, value))
                finally:
                    os.close(descriptor)

    def names(self) -> list[str]:
        """The curves there are."""
        try:
            return sorted(unquote(n[:-4]) for n in os.listdir(self.path) if n.endswith(".bin"))
        except FileNotFoundError:
            return []

    def curves(self) -> list[str]:
        """The curves to draw: all but the epoch, which is another way to say the step."""
        return [name for name in self.names() if name != "epoch"]

    def read(self, name: str) -> array[float]:
        """A curve as a flat array ``step, seconds, value, step, …``."""
        flat = array("d")
        try:
            data = self._file(name).read_bytes()
        except FileNotFoundError:
            return flat
        flat.frombytes(data[: len(data) - len(data) % _POINT.size])
        return flat

    def cut(self, step: int) -> None:
        """Forget points after ``step``, before a resumed run writes them again."""
        for name in self.names():
            flat = self.read(name)
            keep = next((i for i in range(0, len(flat), 3) if flat[i] > step), None)
            if keep is not None:
                os.truncate(self._file(name), keep * flat.itemsize)

    def sampled(self, points: int = 500, names: list[str] | None = None) -> dict[str, dict[str, list[Any]]]:
        """Curves of at most about ``points`` points: the lowest and highest of each bucket, the first and the last.

        Min-max keeps every spike that a picture of this width could show (Steinarsson 2013, section 4).
        """
        return {name: _columns(self.read(name), points) for name in (self.curves() if names is None else names)}

    def total(self) -> int:
        """Points of the longest curve."""
        sizes = [self._file(n).stat().st_size // _POINT.size for n in self.names()]
        return max(sizes, default=0)

    def _file(self, name: str) -> Path:
        return self.path / f"{quote(name, safe='')}.bin"


def _columns(flat: array[float], points: int) -> dict[str, list[Any]]:
    chosen = sample(flat[2::3], points)
    steps, times, values = flat[0::3], flat[1::3], flat[2::3]
    return {
        "step": [int(steps[i]) for i in chosen],
        "time": [round(times[i], 3) for i in chosen],
        "value": [values[i] if abs(values[i]) < float("inf") else None for i in chosen],
    }


def sample(values: array[float], points: int) -> list[int]:
    """Indices of a min-max down-sampling to at most about ``points``.

    >>> sample(array("d", [0, 9, 0, 0, -5, 0]), 4)
    [0, 1, 4, 5]
    """
    count = len(values)
    if count <= points:
        return list(range(count))
    buckets = max(1, (points - 2) // 2)
    edges = [1 + (count - 2) * b // buckets for b in range(buckets + 1)]
    chosen = {0, count - 1}
    for low, high in pairwise(edges):
        part = values[low:high]
        if part:
            chosen.add(low + part.index(min(part)))
            chosen.add(low + part.index(max(part)))
    return sorted(chosen)
