"""The heavy half of a task: how its rows meet a model. The light one is :class:`modelnook.tasks.spec.Spec`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from typing import Any, ClassVar

from modelnook.domain.errors import UnsupportedError
from modelnook.tasks.spec import Columns, Spec

__all__ = ["Task", "in_order"]


class Task(ABC):
    """The heavy half, reached through the registry only.

    Args:
        labels: the label names in the order of the model's outputs.
    """

    spec: ClassVar[type[Spec]]
    cuts_vocabulary: ClassVar[bool] = False
    """Whether token ids are inputs alone, so that training may leave the unused rows of the embedding table out."""
    new_head: bool = True
    """Whether its head is made for the labels at hand; False where the base model comes with the one that it keeps."""
    bare: ClassVar[bool] = False
    """Whether a model without any head does the task already."""
    checks_by_loss: bool = False
    """Whether those in mid-training use :meth:`check`, because :meth:`outputs` takes long (a model that writes)."""

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self.labels = list(labels)
        self.learnt: dict[str, Any] = {}
        """See :meth:`Spec.learn`; set before :meth:`load`."""

    @abstractmethod
    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """``(model, processor)`` with the task's head, from a local folder. Nothing of the folder is executed.

        The processor is what turns a row into numbers: a tokenizer, an image processor, a feature extractor.

        Raises:
            NotFoundError: no ``config.json`` there.
            UnsupportedError: an architecture without this head, or weights that are only there as a pickle.
        """

    def prepare(self, path: str) -> Any:
        """The processor alone, for a program that stands in the model's place.

        Labels, and whatever :meth:`encode` and :meth:`outputs` need of the folder's config, are taken over as in
        :meth:`load`.

        Raises:
            UnsupportedError: a task that works with the model's own parts.
        """
        raise UnsupportedError("task.no_program", task=self.spec.name)

    @abstractmethod
    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """Encoded rows: name -> list over rows, unpadded, and ``labels`` where the targets are there.

        Where one row becomes several (a long context in windows), ``owner`` holds the number of each one's row.
        """

    @abstractmethod
    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """One batch of CPU tensors, padded to its own longest row."""

    def can_pack(self, model: Any) -> bool:
        """Whether the model tells the rows of one sequence apart, so that :meth:`pack` changes nothing."""
        return False

    def pack(self, processor: Any, rows: dict[str, list[Any]], max_length: int) -> dict[str, Any]:
        """As :meth:`collate`, with as many rows in a sequence as ``max_length`` tokens hold; the loss is the same.

        Raises:
            UnsupportedError: a task whose rows stand alone.
        """
        raise UnsupportedError("train.no_packing", task=self.spec.name)

    @abstractmethod
    def loss(self, model: Any, batch: dict[str, Any]) -> Any:
        """The mean loss over the batch: a scalar float32 tensor to call ``backward`` on."""

    @abstractmethod
    def outputs(self, model: Any, batch: dict[str, Any]) -> Any:
        """The model's outputs for a batch: a tensor of shape (rows, …) or a list over rows; without gradients."""

    def check(self, model: Any, batch: dict[str, Any]) -> Any:
        """As :meth:`outputs`, for an evaluation in mid-training.

        Where :attr:`checks_by_loss`: each row's sum of losses and its tokens, float32 of shape (rows, 2).
        """
        return self.outputs(model, batch)

    def check_score(self, outputs: Any) -> dict[str, float]:
        """The mean ``loss`` of a token, from :meth:`check`'s outputs where :attr:`checks_by_loss`."""
        import numpy as np

        total, tokens = np.asarray(outputs, dtype=np.float64).sum(axis=0)
        return {"loss": float(total / max(1.0, tokens))}

    def merge(self, rows: dict[str, list[Any]], outputs: Any) -> Any:
        """Outputs of encoded rows as outputs of the rows that they came from; see ``owner`` of :meth:`encode`."""
        return outputs

    def lengths(self, rows: dict[str, list[Any]]) -> list[int]:
        """What each encoded row costs, in tokens or alike: rows of one length make batches without padding."""
        return [len(ids) for ids in rows["input_ids"]]

    def weight(self, rows: dict[str, list[Any]]) -> float:
        """What the mean of :meth:`loss` divides by, e.g. the rows, or the tokens that have a label."""
        return float(len(next(iter(rows.values()))))

    def set_length(self, processor: Any, max_length: int) -> None:
        """Have the processor remember the length that the model was trained with."""
        processor.model_max_length = max_length

    def taught(self, model: Any, rows: dict[str, list[Any]]) -> None:
        """Set in the model what follows from encoded rows that it is trained on, e.g. how much it writes."""

    def traced(self, model: Any) -> Any:
        """The module that a program of it is made from: token ids in, one tensor of a row's numbers out."""
        return model

    def stream(self, model: Any, processor: Any, row: Any, **options: Any) -> Generator[str, None, str]:
        """What a model that writes answers to one row, in pieces as they come.

        Raises:
            UnsupportedError: its answer comes whole.
        """
        raise UnsupportedError("task.cant_stream", task=self.spec.name)

    def answer(self, model: Any, processor: Any, rows: Sequence[Any], **options: Any) -> list[dict[str, Any]] | None:
        """``predict``'s rows where they don't follow from :meth:`outputs` (a model that writes); None where they do."""
        return None


def in_order(pieces: Iterable[tuple[Sequence[int], Any]], count: int) -> Any:
    """Outputs of batches put into the order of the rows: an array where all are alike, else a list.

    Args:
        pieces: the numbers of a batch's rows, and their outputs, an array of shape (rows of the batch, …) or a list.
    """
    import numpy as np

    together = list(pieces)
    arrays = [values for _, values in together if isinstance(values, np.ndarray)]
    if arrays and len(arrays) == len(together) and len({a.shape[1:] for a in arrays}) == 1:
        whole = np.empty((count, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
        for index, values in together:
            whole[list(index)] = values
        return whole
    found: list[Any] = [None] * count
    for index, values in together:
        for at, value in zip(index, values, strict=True):
            found[at] = value
    return found
