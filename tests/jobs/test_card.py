"""What is imported before a fork leaves the GPU closed; a worker that can't use it starts afresh."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelnook.jobs import card, warm, worker

ASKS = """
import sys
import torch

asked = []
# A machine with a card, as far as it is asked without opening it.
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 1
torch.version.cuda = "13.0"
for name in ("_lazy_init", "current_device", "get_device_properties"):
    setattr(torch.cuda, name, lambda *a, **k: asked.append(name) or 0)
torch.cuda.get_device_capability = lambda *a: asked.append("get_device_capability") or (9, 0)
from modelnook.jobs import card, warm

card.has_gpu = lambda: sys.argv[1] == "closed"
warm.bring_in(warm.FIRST)
missing = [name for name in warm.FIRST if name not in sys.modules]
later = sys.modules["transformers.quantizers.quantizer_torchao"].flatten_tensor_state_dict
print(len(asked), len(missing), sum(name.startswith("torchao") for name in sys.modules) > 0)
print(later({"a": torch.zeros(1)})[0].keys())
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["closed", "open"])
def test_the_first_imports_leave_it_closed(how: str) -> None:
    pytest.importorskip("torchao")
    done = subprocess.run([sys.executable, "-c", ASKS, how], capture_output=True, text=True, check=True)
    asked, missing, torchao = done.stdout.splitlines()[0].split()
    assert missing == "0"
    assert (asked == "0", torchao == "False") == (how == "closed",) * 2, "torchao opens it, where nothing keeps it from"
    # What transformers has of torchao works all the same, when it is needed.
    assert done.stdout.splitlines()[1] == "dict_keys(['a'])"


def test_what_would_open_it_fails_and_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("bitsandbytes", "opened = True"), ("needs_it", "import bitsandbytes")):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(card, "has_gpu", lambda: True)
    with card.closed():
        from importlib.util import find_spec

        assert find_spec("bitsandbytes")
        warm.bring_in(["needs_it"])
        assert not {"needs_it", "bitsandbytes"} & set(sys.modules)
        with pytest.raises(ImportError, match="would open the GPU"):
            import bitsandbytes
    import bitsandbytes

    assert bitsandbytes.opened
    # Not by the patch, whose end would bring it back in the place of the real one.
    del sys.modules["bitsandbytes"]


def test_a_worker_that_is_cut_off_starts_afresh(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store_home: Path
) -> None:
    started: list[Any] = []

    class Afresh(Exception):
        pass

    def execve(*command: Any) -> None:
        started.append(command)
        raise Afresh

    monkeypatch.setattr(worker, "_take", lambda arguments: (None, 0, object()))
    monkeypatch.setattr(worker, "_trains", lambda run: True)
    monkeypatch.setattr(warm, "become", lambda home, path: ["abc", "2"])
    monkeypatch.setattr(card, "has_gpu", lambda: True)
    import torch

    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(Afresh):
        worker.main(["abc", "1"])
    program, command, environ = started[0]
    assert (program, command[1:]) == (sys.executable, ["-P", "-m", "modelnook.jobs.worker", "abc", "2"])
    assert environ["MODELNOOK_HOME"] == str(store_home)
