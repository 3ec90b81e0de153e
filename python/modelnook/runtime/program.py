"""What runtimes of traced programs share: texts become padded token ids without transformers, and batches outputs.

Whole texts are read here, and no PyTorch is imported for them. Images, sounds, and texts that are read in windows are
encoded by the task's heavy half as they are for PyTorch, and the program stands in the model's place.

Two ways to use the cores, whatever runs the program. A single batch is divided among the threads, which is the quickest
for one text. Many batches run side by side instead, one core each: short texts make many small operations, and threads
that meet after each of them wait more than they work.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from modelnook.domain.errors import NotFoundError, UnsupportedError
from modelnook.runtime import folder
from modelnook.runtime.base import Runtime
from modelnook.runtime.batches import auto_tokens, plan, room
from modelnook.settings import current
from modelnook.tasks import TASKS
from modelnook.tasks.answered import answered
from modelnook.tasks.text import as_text, read_texts

__all__ = ["Feed", "ProgramRuntime"]

Feed = dict[str, NDArray[Any]]
"""A program's inputs of one batch, e.g. ``input_ids`` of shape (rows, tokens)."""

# Texts tokenised and sorted at a time: enough for full batches of one length, little beside the model's memory.
CHUNK = 8192
# Side by side may cost the model's size again, which isn't worth it for a large one: its operations are long enough to
# divide.
MOST_BYTES_TWICE = 400_000_000


class ProgramRuntime(Runtime):
    """A folder with a program, ``tokenizer.json`` and ``config.json``, on the CPU.

    Raises:
        NotFoundError: no ``tokenizer.json``.
        UnsupportedError: a device other than the CPU.
    """

    program: ClassVar[str]
    """The program's file."""

    def __init__(
        self, path: Path, *, task: str | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        said = folder.config(path)
        super().__init__(path, task=folder.task_as(path, task))
        if device not in ("auto", "cpu"):
            raise UnsupportedError("runtime.device", runtime=self.name, device=device)
        self.device = "cpu"
        self.threads = threads or current().threads
        self.labels = folder.labels(said)
        self.max_length = folder.max_length(path)
        # Many batches are computed side by side, one a thread; of a large model one after the other, and memory holds
        # besides what a library keeps of the one before.
        self._room = room(path, beside=max(2, self.threads if self._bytes() <= MOST_BYTES_TWICE else 0))
        self._pad = folder.pad_id(path)
        # A batch is as wide as a multiple of this many tokens, or as the model reads at most.
        self._step = 1
        self._learnt = folder.learnt(said)
        self._heavy = self._driven()
        self._tokenizer = None if self._heavy else _tokenizer(path, self.max_length, self.name)
        self._inputs: dict[str, np.dtype[Any]] = {}
        self._outputs: list[str] = []

    @abstractmethod
    def _run(self, feeds: list[Feed]) -> Generator[list[NDArray[np.float32]], None, None]:
        """The program's outputs for each batch, as they come: float32 of (rows, …), in the order of ``_outputs``."""

    def outputs(self, rows: Sequence[Any], *, batch_size: int | str = 32, sort: bool = True) -> Any:
        """See :meth:`Runtime.outputs`: what the program gives, as the task reads it."""
        if self.task is None:
            return self._logits(rows, batch_size, sort)
        if self._heavy:
            return self._drive(rows, batch_size, sort)
        spec = self.spec()
        found = self._logits(spec.worded(rows, self._learnt), batch_size, sort)
        return spec.settled(found, self._learnt, rows)

    def _driven(self) -> tuple[Any, Any] | None:
        """``(task, processor)`` where the task's heavy half encodes the rows; None where they are whole texts."""
        if self.task not in TASKS or self.spec().whole():
            return None
        task = TASKS.load(self.task or "")()
        task.learnt = self._learnt
        return task, task.prepare(str(self.path))

    def _drive(self, rows: Sequence[Any], batch_size: int | str, sort: bool) -> Any:
        from modelnook.runtime.driven import Program, outputs

        assert self._heavy is not None
        task, processor = self._heavy

        def run(feed: Feed) -> list[NDArray[np.float32]]:
            (found,) = self._run([feed])
            return found

        program = Program(run, self._inputs, self._outputs)
        given: dict[str, Any] = {"batch_size": batch_size, "sort": sort, "tokens": self._room}
        return outputs(task, processor, program, rows, self.max_length, **given)

    def _logits(self, rows: Sequence[Any], batch_size: int | str, sort: bool) -> NDArray[np.float32]:
        found: NDArray[np.float32] | None = None
        for start in range(0, len(rows), CHUNK):
            encoded = self._encode(rows[start : start + CHUNK])
            widths = [self._width(len(e)) for e in encoded]
            batches = plan(widths, batch_size=batch_size, sort=sort, tokens=self._held)
            # Closed here: an interrupt's traceback would keep it, and the lock that it holds.
            with closing(self._run([self._feed(encoded, b) for b in batches])) as made:
                for batch, (values, *_) in zip(batches, made, strict=True):
                    if found is None:
                        found = np.empty((len(rows), *values.shape[1:]), dtype=np.float32)
                    found[[start + i for i in batch]] = values
                    answered(len(batch))
        return np.empty((0, len(self.labels)), dtype=np.float32) if found is None else found

    def _width(self, longest: int) -> int:
        """Tokens to which a batch is padded."""
        return max(longest, min(self.max_length, -(-longest // self._step) * self._step), 1)

    def _held(self) -> int:
        """Rows x longest of one batch, however many rows were asked for: more falls out of a core's cache (ONNX
        Runtime, 32 texts of 128 tokens: 110 rows/s at once, 145 in eights), and a program that finds the scale of its
        activations as it runs finds a finer one for less.
        """
        left = self._room()
        return auto_tokens if left is None else min(auto_tokens, left)

    def _side_by_side(self, feeds: list[Feed]) -> bool:
        """Whether these batches are better run one a core."""
        return self.threads > 1 and len(feeds) >= 2 * self.threads and self._bytes() <= MOST_BYTES_TWICE

    def _bytes(self) -> int:
        return sum(file.stat().st_size for file in self.path.glob(f"{Path(self.program).stem}.*"))

    def _encode(self, rows: Sequence[Any]) -> list[Encoding]:
        assert self._tokenizer is not None
        if len(rows) and isinstance(rows[0], Mapping):
            pairs = [(as_text(row["text"]), as_text(row.get("text_pair"))) for row in rows]
            found: list[Encoding] = self._tokenizer.encode_batch_fast(pairs)
            return found
        return read_texts(self._tokenizer, [as_text(row) for row in rows], self.max_length)

    def _feed(self, encoded: Sequence[Encoding], batch: list[int]) -> Feed:
        # Rows of token ids, padded on the right; shape (rows of the batch, width).
        ids = [encoded[i].ids for i in batch]
        width = self._width(max(map(len, ids)))
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


def _tokenizer(path: Path, max_length: int, runtime: str) -> Tokenizer:
    file = path / "tokenizer.json"
    if not file.is_file():
        raise NotFoundError("runtime.no_tokenizer", path=path, runtime=runtime)
    made: Tokenizer = Tokenizer.from_file(str(file))
    made.enable_truncation(max_length)
    made.no_padding()
    return made
