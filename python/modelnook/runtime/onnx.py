"""ONNX Runtime on a CPU: a folder with ``model.onnx``, ``tokenizer.json`` and ``config.json``; no PyTorch is imported.

Two ways to use the cores, both ONNX Runtime's own. A single batch is divided among the session's threads, which is the
quickest for one text. Many batches run side by side instead, one core each: short texts make many small operations, and
threads that meet after each of them wait more than they work (MiniLM int8, 2 cores: 1,240 rows/s divided, 1,400 side
by side; benchmarks/predict.py).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from modelnook.domain.errors import NotFoundError, UnsupportedError
from modelnook.runtime import folder
from modelnook.runtime.base import Runtime
from modelnook.runtime.batches import plan
from modelnook.runtime.silence import first_line
from modelnook.settings import current
from modelnook.tasks.text import CHARS_A_TOKEN, SLACK, as_text

__all__ = ["DISABLED", "OnnxRuntime"]

PROGRAM = "model.onnx"

# ONNX Runtime joins these while it loads a graph; on a CPU its joined kernels are slower than what they replace
# (SkipLayerNormalization is scalar: 4.4 ns an element against 0.4 for LayerNormalization).
DISABLED = ["BiasGeluFusion", "SkipLayerNormFusion"]

# Texts tokenised and sorted at a time: enough for full batches of one length, little beside the model's memory.
CHUNK = 8192
# A second session costs the model's size again; side by side isn't worth that for a large one, whose operations are
# long enough to divide.
MOST_BYTES_TWICE = 400_000_000
QUIET = 3


class OnnxRuntime(Runtime):
    """See :class:`~modelnook.runtime.base.Runtime`. Thread-safe: sessions and tokenizer may be called from any thread.

    Raises:
        NotFoundError: no ``tokenizer.json``.
        UnsupportedError: a program that ONNX Runtime refuses, or a device other than the CPU.
    """

    name = "onnx"
    formats = ("onnx",)

    def __init__(
        self, path: Path, *, task: str | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        said = folder.config(path)
        super().__init__(path, task=task or folder.task_of(said))
        if device not in ("auto", "cpu"):
            raise UnsupportedError("runtime.device", runtime=self.name, device=device)
        self.device = "cpu"
        self.threads = threads or current().threads
        self.labels = folder.labels(said)
        self.max_length = folder.max_length(path)
        self._pad = folder.pad_id(path)
        self._learnt = folder.learnt(said)
        self._tokenizer = _tokenizer(path, self.max_length)
        self._session: onnxruntime.InferenceSession | None = _session(path / PROGRAM, self.threads)
        self._side: onnxruntime.InferenceSession | None = None
        self._lock = threading.Lock()
        self._inputs = {i.name: np.dtype(_DTYPES.get(i.type, "int64")) for i in self._session.get_inputs()}

    def outputs(self, rows: Sequence[Any], *, batch_size: int | str = 32, sort: bool = True) -> Any:
        """See :meth:`Runtime.outputs`: what the program gives, as the task reads it."""
        if self.task is None:
            return self._logits(rows, batch_size, sort)
        spec = self.spec()
        found = self._logits(spec.worded(rows, self._learnt), batch_size, sort)
        return spec.settled(found, self._learnt, rows)

    def _logits(self, rows: Sequence[Any], batch_size: int | str, sort: bool) -> NDArray[np.float32]:
        """The program's first output, float32 of shape (rows, …)."""
        found: NDArray[np.float32] | None = None
        for start in range(0, len(rows), CHUNK):
            encoded = self._encode(rows[start : start + CHUNK])
            batches = plan([len(e) for e in encoded], batch_size=batch_size, sort=sort)
            for batch, values in zip(batches, self._run([self._feed(encoded, b) for b in batches]), strict=True):
                if found is None:
                    found = np.empty((len(rows), *values.shape[1:]), dtype=np.float32)
                found[[start + i for i in batch]] = values
        return np.empty((0, len(self.labels)), dtype=np.float32) if found is None else found

    def layers(self) -> str:
        """The program's inputs and outputs, and its operations by count where the package onnx is installed."""
        return _describe(self.path / PROGRAM, self._main)

    def close(self) -> None:
        """See :meth:`Runtime.close`."""
        self._session = self._side = None

    @property
    def _main(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise UnsupportedError("runtime.closed", path=self.path.name)
        return self._session

    def _run(self, feeds: list[dict[str, NDArray[Any]]]) -> list[NDArray[np.float32]]:
        main = self._main
        if self.threads == 1 or len(feeds) < 2 * self.threads or not self._two_fit():
            return [main.run(None, feed)[0] for feed in feeds]
        with self._lock:
            if self._side is None:
                self._side = _session(self.path / PROGRAM, 1)
        side = self._side
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(lambda feed: side.run(None, feed)[0], feeds))

    def _two_fit(self) -> bool:
        return (self.path / PROGRAM).stat().st_size <= MOST_BYTES_TWICE

    def _encode(self, rows: Sequence[Any]) -> list[Encoding]:
        if len(rows) and isinstance(rows[0], Mapping):
            pairs = [(as_text(row["text"]), as_text(row.get("text_pair"))) for row in rows]
            found: list[Encoding] = self._tokenizer.encode_batch_fast(pairs)
            return found
        # Long texts are read as a prefix first, as in modelnook.tasks.text; only those need the tokens' offsets.
        texts = [as_text(row) for row in rows]
        cut = CHARS_A_TOKEN * self.max_length + SLACK
        encoded = list(self._tokenizer.encode_batch_fast([text if len(text) <= cut else "" for text in texts]))
        long = [i for i, text in enumerate(texts) if len(text) > cut]
        for i, found_ in zip(long, self._tokenizer.encode_batch([texts[i][:cut] for i in long]), strict=True):
            end = max((end for _, end in found_.offsets), default=0)
            encoded[i] = found_ if end <= cut - SLACK else self._tokenizer.encode(texts[i])
        return encoded

    def _feed(self, encoded: Sequence[Encoding], batch: list[int]) -> dict[str, NDArray[Any]]:
        # Rows of token ids, padded on the right to the batch's longest; shape (rows of the batch, longest).
        ids = [encoded[i].ids for i in batch]
        width = max(1, max(map(len, ids)))
        filled = np.full((len(ids), width), self._pad, dtype=np.int64)
        mask = np.zeros_like(filled)
        for row, values in enumerate(ids):
            filled[row, : len(values)] = values
            mask[row, : len(values)] = 1
        feed = {"input_ids": filled, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            kinds = np.zeros_like(filled)
            for row, i in enumerate(batch):
                kinds[row, : len(ids[row])] = encoded[i].type_ids
            feed["token_type_ids"] = kinds
        return {name: feed[name].astype(dtype, copy=False) for name, dtype in self._inputs.items() if name in feed}


_DTYPES = {"tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(float)": "float32", "tensor(bool)": "bool"}


def _tokenizer(path: Path, max_length: int) -> Tokenizer:
    file = path / "tokenizer.json"
    if not file.is_file():
        raise NotFoundError("runtime.no_tokenizer", path=path)
    made: Tokenizer = Tokenizer.from_file(str(file))
    made.enable_truncation(max_length)
    made.no_padding()
    return made


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
