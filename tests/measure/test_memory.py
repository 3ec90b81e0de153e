"""Memory: what was taken, what is free, what will be needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelnook.measure import memory
from modelnook.measure.memory import free, need, peak


def test_the_peak_stays_after_the_memory_is_gone() -> None:
    code = "from modelnook.measure.memory import peak; a = peak(); b = bytearray(200 << 20); del b; print(peak() - a)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 150 << 20
    assert peak()


def test_free_is_less_than_all() -> None:
    psutil = pytest.importorskip("psutil")
    found = free()
    assert found is not None
    torch = pytest.importorskip("torch")
    card = torch.cuda.mem_get_info()[1] if torch.cuda.is_available() else 0
    assert 0 < found <= (card or psutil.virtual_memory().total)


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts(tmp_path: Path, version: int) -> None:
    files = {
        2: ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        1: (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    }[version]
    (tmp_path / "memory").mkdir()
    for name, text in zip(files, ("1000", "700", f"anon 600\n{files[3]} 100"), strict=False):
        (tmp_path / name).write_text(text)
    assert memory._container(tmp_path) == 400
    (tmp_path / files[0]).write_text("max" if version == 2 else str(9223372036854771712))
    assert memory._container(tmp_path) is None


@pytest.mark.parametrize(("controller", "line"), [("", "0::/slurm/job"), ("memory", "4:cpu,memory:/slurm/job\n0::/")])
def test_the_group_that_a_process_is_in_counts_and_those_above_it(tmp_path: Path, controller: str, line: str) -> None:
    """On a cluster, or a JupyterHub, it is not the root's limit that ends a job."""
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controller else ("memory.max", "memory.current")
    job = tmp_path / controller / "slurm" / "job"
    job.mkdir(parents=True)
    for group, limit in ((job, 1000), (job.parent, 5000)):
        for name, text in zip((*names, "memory.stat"), (str(limit), "700", "anon 700"), strict=True):
            (group / name).write_text(text)
    of = tmp_path / "cgroup"
    of.write_text(line)
    assert memory._container(tmp_path, of) == 300
    (job.parent / names[0]).write_text("800")
    assert memory._container(tmp_path, of) == 100


def test_training_all_needs_more_than_lora_needs_more_than_running() -> None:
    for parameters in (1_000_000, 22_700_000, 7_000_000_000):
        wants = need(parameters)
        assert 4 * parameters < wants.run < wants.lora < wants.full
        assert wants.full > 16 * parameters


def test_quantized_weights_run_as_they_are() -> None:
    assert need(100_000_000, bytes_on_disk=110_000_000).run < need(100_000_000, bytes_on_disk=400_000_000).run
