"""What a training leaves in memory: the kernels of every length of a batch are not all kept."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from modelnook.training.device import native_bf16
from modelnook.training.memory import KERNELS

GROWTH = """
import sys
import torch
if "bounded" in sys.argv:
    import modelnook.training.memory
torch.set_num_threads(1)
def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
layers = [torch.nn.Linear(96, wide).bfloat16() for wide in (16, 96, 384)]
def passes(lengths):
    for length in lengths:
        rows = torch.ones(16 * length, 96, dtype=torch.bfloat16, requires_grad=True)
        sum(layer(rows).float().sum() for layer in layers).backward()
passes([400])
before = held()
passes(range(1, 200))
print(held() - before)
"""


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in KERNELS} | more


def printed(code: str, *args: str, **more: str) -> str:
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(**more))
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(not (sys.platform == "linux" and native_bf16("cpu")), reason="this CPU has no kernels for bfloat16")
def test_lengths_that_are_over_leave_little_behind() -> None:
    assert int(printed(GROWTH, "bounded")) < 0.5 * int(printed(GROWTH))


SAID = """
import ctypes, os
given = dict(os.environ)
import modelnook.training.memory as memory
assert os.environ == given
# What a worker does that is forked from a process which has imported it.
os.environ.clear()
os.environ.update(given)
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
print(*(getenv(name.encode()).decode() for name in memory.KERNELS))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="its C library has no name there")
def test_it_is_said_to_libraries_alone_and_what_a_person_has_set_stands() -> None:
    assert printed(SAID).split() == list(KERNELS.values())
    assert printed(SAID, LRU_CACHE_CAPACITY="7").split()[0] == "7"
