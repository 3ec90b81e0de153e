"""ONNX Runtime on a CPU: a folder with ``model.onnx``, ``tokenizer.json`` and ``config.json``; no PyTorch is imported.

Both ways to use the cores (see :mod:`modelnook.runtime.program`) are ONNX Runtime's own (MiniLM int8, 2 cores: 1,240
rows/s divided, 1,400 side by side; benchmarks/predict.py).
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.program import Feed, ProgramRuntime
from modelnook.runtime.silence import first_line

__all__ = ["DISABLED", "OnnxRuntime"]

# ONNX Runtime joins these while it loads a graph; on a CPU its joined kernels are slower than what they replace
# (SkipLayerNormalization is scalar: 4.4 ns an element against 0.4 for LayerNormalization).
DISABLED = ["BiasGeluFusion", "SkipLayerNormFusion"]

QUIET = 3


class OnnxRuntime(ProgramRuntime):
    """See :class:`~modelnook.runtime.base.Runtime`. Thread-safe: sessions and tokenizer may be called from any thread.

    Raises:
        NotFoundError: no ``tokenizer.json``.
        UnsupportedError: a program that ONNX Runtime refuses, or a device other than the CPU.
    """

    name = "onnx"
    formats = ("onnx",)
    program = "model.onnx"

    def __init__(
        self, path: Path, *, task: str | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        super().__init__(path, task=task, device=device, threads=threads)
        self._session: onnxruntime.InferenceSession | None = _session(path / self.program, self.threads)
        self._side: onnxruntime.InferenceSession | None = None
        self._lock = threading.Lock()
        self._outputs = [o.name for o in self._session.get_outputs()]
        self._inputs = {i.name: np.dtype(_DTYPES.get(i.type, "int64")) for i in self._session.get_inputs()}

    def layers(self) -> str:
        """The program's inputs and outputs, and its operations by count where the package onnx is installed."""
        return _describe(self.path / self.program, self._main)

    def close(self) -> None:
        """See :meth:`Runtime.close`."""
        self._session = self._side = None

    @property
    def _main(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise UnsupportedError("runtime.closed", path=self.path.name)
        return self._session

    def _run(self, feeds: list[Feed]) -> Generator[list[NDArray[np.float32]], None, None]:
        main = self._main
        if not self._side_by_side(feeds):
            yield from (main.run(None, feed) for feed in feeds)
            return
        with self._lock:
            if self._side is None:
                self._side = _session(self.path / self.program, 1)
        side = self._side
        with ThreadPoolExecutor(self.threads) as pool:
            yield from pool.map(lambda feed: side.run(None, feed), feeds)


_DTYPES = {"tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(float)": "float32", "tensor(bool)": "bool"}


def _session(program: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # The library sizes its pool from the machine's cores, not from those that this process may use.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    # A plan of the memory is kept for each shape; texts have hundreds, and the plans' blocks were a third of the peak.
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(
            str(program), options, providers=["CPUExecutionProvider"], disabled_optimizers=DISABLED
        )
    except Exception as error:
        raise UnsupportedError("runtime.cant_load", path=program, error=first_line(error)) from error


def _describe(program: Path, session: onnxruntime.InferenceSession) -> str:
    lines = [f"{program.name}"]
    lines += [f"├── in   {i.name} {i.shape}" for i in session.get_inputs()]
    lines += [f"├── out  {o.name} {o.shape}" for o in session.get_outputs()]
    try:
        import onnx
    except ImportError:
        return "\n".join(lines)
    from collections import Counter

    graph = onnx.load(str(program), load_external_data=False).graph
    counts = Counter(node.op_type for node in graph.node)
    lines += [f"├── {n:>4} x {op}" for op, n in counts.most_common(12)]
    return "\n".join([*lines[:-1], lines[-1].replace("├", "└", 1)])
