"""OpenVINO on a CPU: a folder with ``openvino_model.xml``, ``tokenizer.json`` and ``config.json``; no PyTorch needed.

Both ways to use the cores (see :mod:`modelnook.runtime.program`) are OpenVINO's own: one stream over all threads for a
batch by itself, as many streams as threads for many.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.domain.errors import UnsupportedError
from modelnook.runtime import folder
from modelnook.runtime.program import Feed, ProgramRuntime
from modelnook.runtime.silence import first_line, mute_telemetry

mute_telemetry()

import openvino  # noqa: E402

__all__ = ["OpenVinoRuntime"]

# A width that it hasn't met costs OpenVINO as much again as the text itself, and a table's texts have a hundred widths.
# Rounded up they have a dozen, for 3.5 tokens of padding on average.
STEP = 8


class OpenVinoRuntime(ProgramRuntime):
    """See :class:`~modelnook.runtime.base.Runtime`. Thread-safe: a call at a time runs, others wait.

    Raises:
        NotFoundError: no ``tokenizer.json``.
        UnsupportedError: a program that OpenVINO refuses, or a device other than the CPU.
    """

    name = "openvino"
    formats = ("openvino",)
    program = "openvino_model.xml"

    def __init__(
        self, path: Path, *, task: str | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        super().__init__(path, task=task, device=device, threads=threads)
        self._graph: Any = _read(path / self.program)
        self._compiled: Any = _compile(self._graph, self.threads, streams=1)
        self._request: Any = self._compiled.create_infer_request()
        self._queue: Any = None
        self._lock = threading.Lock()
        self._outputs = [p.get_any_name() for p in self._compiled.outputs]
        self._inputs = {p.get_any_name(): np.dtype(p.get_element_type().to_dtype()) for p in self._compiled.inputs}
        # Without a mask, or where nothing says which token pads, a text by itself would read its padding.
        if "attention_mask" in self._inputs and folder.config(path).get("pad_token_id") is not None:
            self._step = STEP

    def layers(self) -> str:
        """The program's inputs and outputs, and its operations by count."""
        graph = self._open()
        lines = [self.program]
        lines += [f"├── in   {p.get_any_name()} {p.get_partial_shape()}" for p in graph.inputs]
        lines += [f"├── out  {p.get_any_name()} {p.get_partial_shape()}" for p in graph.outputs]
        counts = Counter(op.get_type_name() for op in graph.get_ops())
        lines += [f"├── {n:>4} x {op}" for op, n in counts.most_common(12)]
        return "\n".join([*lines[:-1], lines[-1].replace("├", "└", 1)])

    def close(self) -> None:
        """See :meth:`Runtime.close`."""
        self._graph = self._compiled = self._request = self._queue = None

    def _open(self) -> Any:
        if self._graph is None:
            raise UnsupportedError("runtime.closed", path=self.path.name)
        return self._graph

    def _run(self, feeds: list[Feed]) -> Generator[list[NDArray[np.float32]], None, None]:
        graph, count = self._open(), range(len(self._outputs))
        with self._lock:
            if not self._side_by_side(feeds):
                made = (self._request.infer(feed, share_inputs=True) for feed in feeds)
                yield from ([np.array(values[at]) for at in count] for values in made)
                return
            if self._queue is None:
                side = _compile(graph, self.threads, streams=self.threads)
                self._queue = openvino.AsyncInferQueue(side, self.threads)
            found: list[Any] = [None] * len(feeds)
            given = 0

            def keep(request: Any, number: int) -> None:
                found[number] = [np.array(request.get_output_tensor(at).data) for at in count]

            self._queue.set_callback(keep)
            try:
                for number, feed in enumerate(feeds):
                    self._queue.start_async(feed, userdata=number)
                    while given <= number and found[given] is not None:
                        yield found[given]
                        given += 1
            finally:
                self._queue.wait_all()
            yield from found[given:]


def _read(program: Path) -> Any:
    try:
        return openvino.Core().read_model(str(program))
    except Exception as error:
        raise UnsupportedError("runtime.cant_load", path=program, error=first_line(error)) from error


def _compile(graph: Any, threads: int, *, streams: int) -> Any:
    # The library sizes its pool from the machine's cores, not from those that this process may use.
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
    try:
        return openvino.Core().compile_model(graph, "CPU", options)
    except Exception as error:
        raise UnsupportedError("runtime.cant_load", path=graph.get_friendly_name(), error=first_line(error)) from error
