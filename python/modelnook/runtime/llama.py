"""llama.cpp on a CPU, through the package ``cyllama``: a GGUF file runs in the precision that it has.

Texts become tokens as for the transformers runtime (tokenizer, chat template, where a long text is cut), so that both
say the same of a row; PyTorch is imported for that and holds no weights. A row is computed by itself: what it gives
doesn't depend on the rows beside it, and a batch would save nothing on a CPU, where a row's tokens are a batch.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cyllama.llama import llama_cpp
from numpy.typing import NDArray

from modelnook.catalog.folder import layer_tree, tensors_of
from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.runtime import folder
from modelnook.runtime.base import Runtime
from modelnook.runtime.silence import first_line
from modelnook.settings import current
from modelnook.tasks import TASKS
from modelnook.tasks.answered import answered
from modelnook.tasks.pretrained_heavy import load_tokenizer
from modelnook.tasks.text_generation import PLACES, TIE

__all__ = ["TASK", "LlamaRuntime"]

TASK = "text-generation"
NEW_TOKENS = 128
TOKENS = 512
"""Tokens computed at once; a context grows by as many."""
SAMPLING = ("do_sample", "temperature", "top_k", "top_p")

llama_cpp.disable_logging()


class _Model(llama_cpp.LlamaModel):  # type: ignore[misc]
    """The binding reads its own model's ``n_vocab`` where it gives logits, and only the vocabulary has it (0.2.18)."""

    @property
    def n_vocab(self) -> int:
        return int(self.get_vocab().n_vocab)


class LlamaRuntime(Runtime):
    """See :class:`~modelnook.runtime.base.Runtime`. Calls from several threads wait for one another.

    Raises:
        UnsupportedError: a file or an architecture that llama.cpp refuses, another task, another device.
    """

    name = "llama"
    formats = ("gguf",)

    def __init__(
        self, path: Path, *, task: str | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        super().__init__(path, task=task or folder.task_of(folder.config(path)))
        if device not in ("auto", "cpu"):
            raise UnsupportedError("runtime.device", runtime=self.name, device=device)
        if self.task != TASK:
            raise UnsupportedError("runtime.no_task", task=self.task or "-", known=TASK)
        self.device, self.labels = "cpu", []
        self.threads = threads or current().threads
        self.max_length = folder.max_length(path)
        self._task = TASKS.load(TASK)()
        self._task.learnt = folder.learnt(folder.config(path))
        self._lock = threading.Lock()
        self._context: Any = None
        files = sorted(path.glob("*.gguf"))
        if not files:
            raise UnsupportedError("runtime.no_weights", path=path, found=", ".join(folder.formats(path)) or "-")
        self._model: Any = _loaded(files[0])
        self._tokenizer = load_tokenizer(str(path))

    def outputs(self, rows: Sequence[Any], *, batch_size: int | str = 32, sort: bool = True) -> Any:
        """See :meth:`Runtime.outputs`; neither the size of a batch nor its order changes anything."""
        if not len(rows):
            return np.empty((0, 0), dtype=np.float32)
        encoded = self._task.encode(self._tokenizer, self._task.spec().as_columns(rows), self.max_length)
        ids = encoded["input_ids"]
        with self._lock:
            found = [self._row(*pair) for pair in zip(ids, encoded.get("labels", ids), strict=True)]
        return np.array(found, dtype=np.float32)

    def predict(self, rows: Sequence[Any], *, batch_size: int | str = "auto", **options: Any) -> list[dict[str, Any]]:
        """What the model writes: the likeliest token each time, up to its end of text.

        Args:
            options: ``max_new_tokens`` (128); ``do_sample`` with ``temperature``, ``top_k`` and ``top_p``, and a
                ``seed``.

        Raises:
            UsageError: an option that only the transformers runtime takes.
        """
        new = self._new(options)
        prompts = self._task.prompts(self._tokenizer, rows) if len(rows) else []
        with self._lock:
            made = []
            for ids in prompts:
                made.append(list(self._tokens(ids, new, options)))
                answered(1)
        return [{"text": str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()} for ids in made]

    def stream(self, row: Any, **options: Any) -> Generator[str, None, str]:
        """See :meth:`Runtime.stream`; other calls wait for its end."""
        new, ids = self._new(options), self._task.prompts(self._tokenizer, [row])[0]
        made: list[int] = []
        text = told = ""
        with self._lock:
            for token in self._tokens(ids, new, options):
                made.append(token)
                text = str(self._tokenizer.decode(made, skip_special_tokens=True)).lstrip()
                # A character may be of several tokens; until the last of them it can't be read.
                if not text.endswith("\N{REPLACEMENT CHARACTER}") and len(text) > len(told):
                    yield text[len(told) :]
                    told = text
        if len(text) > len(told):
            yield text[len(told) :]
        return "length" if len(made) >= new else "stop"

    def layers(self) -> str:
        """What the file's list of tensors says."""
        return layer_tree(tensors_of(self.path))

    def close(self) -> None:
        """See :meth:`Runtime.close`."""
        with self._lock:
            for held in (self._context, self._model):
                if held is not None:
                    held.close()
            self._context = self._model = None

    def _new(self, options: dict[str, Any]) -> int:
        """How much is to be written; what is left are known options."""
        new = int(options.pop("max_new_tokens", None) or NEW_TOKENS)
        known = (*SAMPLING, "seed", "max_new_tokens")
        for name in options:
            if name not in known:
                raise UsageError("runtime.option", runtime=self.name, name=name, known=", ".join(known))
        return new

    def _row(self, ids: list[int], labels: list[int]) -> NDArray[np.float64]:
        """See :class:`~modelnook.tasks.text_generation.LanguageModelling`, of what a row's labels say comes next."""
        wanted = [label >= 0 for label in labels[1:]] + [False]
        loss, found = 0.0, np.full(2 + 2 * PLACES, -1.0)
        done = 0
        for start, context in self._read(ids, wanted):
            places = [i for i, want in enumerate(wanted[start : start + TOKENS]) if want]
            for place in places:
                logits = np.array(context.get_logits_ith(place), dtype=np.float32).astype(np.float64)
                top = logits.max()
                loss += top + np.log(np.exp(logits - top).sum()) - logits[labels[start + place + 1]]
                if done < PLACES:
                    second, first = np.argpartition(logits, -2)[-2:]
                    found[2 + done] = first
                    found[2 + PLACES + done] = second if top - logits[second] <= TIE else -1
                done += 1
        found[:2] = loss, sum(wanted)
        return found

    def _read(self, ids: list[int], wanted: Sequence[bool], room: int = 0) -> Any:
        """Compute a row from its beginning; gives ``(first place, context)`` after every part of it.

        Args:
            wanted: the places whose logits are needed.
            room: for how many further tokens there must be place.
        """
        context = self._fit(len(ids) + room)
        context.kv_cache_clear()
        for start in range(0, len(ids), TOKENS):
            part = ids[start : start + TOKENS]
            batch = llama_cpp.LlamaBatch(n_tokens=len(part), embd=0, n_seq_max=1)
            for place, token in enumerate(part):
                batch.add(token, start + place, [0], wanted[start + place])
            context.decode(batch)
            batch.close()
            yield start, context

    def _tokens(self, ids: list[int], new: int, options: dict[str, Any]) -> Iterator[int]:
        """What is written after a prompt; one that doesn't fit beside the new tokens loses its start."""
        most = self._open.n_ctx_train - new
        ids = ids[-most:] if most > 0 else ids[-1:]
        *_, (_, context) = self._read(ids, [False] * (len(ids) - 1) + [True], new)
        vocabulary, end = self._open.get_vocab(), self._tokenizer.eos_token_id
        sampler, batch = _sampler(options), llama_cpp.LlamaBatch(n_tokens=1, embd=0, n_seq_max=1)
        for made in range(new):
            token = sampler.sample(context, -1)
            if token == end or vocabulary.is_eog(token):
                return
            yield int(token)
            if made + 1 < new:
                batch.clear()
                batch.add(token, len(ids) + made, [0], True)
                context.decode(batch)

    def _fit(self, tokens: int) -> Any:
        """A context in which so many tokens have place, the one that is held where it is large enough."""
        if self._context is None or self._context.n_ctx < tokens:
            if self._context is not None:
                self._context.close()
            asked = llama_cpp.LlamaContextParams()
            asked.n_ctx = -(-tokens // TOKENS) * TOKENS
            asked.n_batch = asked.n_ubatch = TOKENS
            asked.n_threads = asked.n_threads_batch = self.threads
            asked.no_perf = True
            self._context = llama_cpp.LlamaContext(self._open, asked)
        return self._context

    @property
    def _open(self) -> Any:
        if self._model is None:
            raise UnsupportedError("runtime.closed", path=self.path.name)
        return self._model


def _loaded(file: Path) -> Any:
    asked = llama_cpp.LlamaModelParams()
    asked.n_gpu_layers = 0
    try:
        return _Model(str(file), asked)
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise UnsupportedError("runtime.cant_load", path=file, error=first_line(error)) from error


def _sampler(options: dict[str, Any]) -> Any:
    chain = llama_cpp.LlamaSampler(llama_cpp.LlamaSamplerChainParams())
    if not options.get("do_sample"):
        chain.add_greedy()
        return chain
    if options.get("top_k"):
        chain.add_top_k(int(options["top_k"]))
    if options.get("top_p"):
        chain.add_top_p(float(options["top_p"]), 1)
    chain.add_temp(float(options.get("temperature") or 1.0))
    chain.add_dist(int(options.get("seed") or 0))
    return chain
