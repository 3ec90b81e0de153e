"""Image classification, the heavy half: images are decoded batch by batch, so that memory holds their files only."""

from __future__ import annotations

from typing import Any

import torch

from modelnook.data.images import decode
from modelnook.domain.errors import DataError
from modelnook.tasks.classification_heavy import ClassificationTask
from modelnook.tasks.image_classification import ImageClassification, patches
from modelnook.tasks.pretrained_heavy import load_image_processor
from modelnook.tasks.spec import Columns

__all__ = ["ImageClassificationTask"]


class ImageClassificationTask(ClassificationTask):
    """A classifying head on any image model that transformers has one for."""

    spec = ImageClassification
    auto = "AutoModelForImageClassification"
    no_head = "task.no_image_head"

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`; the processor is the folder's own, computed by Pillow and numpy."""
        model = self.load_classifier(path)
        return model, self.processor_of(path, model.config)

    def processor_of(self, path: str, config: Any) -> Any:
        """See :meth:`ClassificationTask.processor_of`; images are read in the mode that the config says."""
        said = config.to_dict()
        self.mode = "L" if said.get("num_channels") == 1 else "RGB"
        self.size = patches(said)
        return load_image_processor(path)

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``image`` (the bytes of files), ``row`` (its number) and ``labels`` (ints) where they are given."""
        files = list(columns["image"])
        rows: dict[str, list[Any]] = {"image": files, "row": list(range(len(files)))}
        if "label" in columns:
            rows["labels"] = self.spec().truth(columns, self.labels).tolist()
        return rows

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """``pixel_values``, float32 of shape (rows, channels, height, width), and ``labels``, int64 of shape (rows,).

        Raises:
            DataError: an image that can't be decoded; its row is named.
        """
        found = [self._image(blob, row) for blob, row in zip(rows["image"], rows["row"], strict=True)]
        batch = {"pixel_values": processor(found, return_tensors="pt")["pixel_values"]}
        if "labels" in rows:
            batch["labels"] = torch.tensor(rows["labels"], dtype=torch.int64)
        return batch

    def lengths(self, rows: dict[str, list[Any]]) -> list[int]:
        """The patches of an image, as many for each."""
        return [self.size] * len(rows["image"])

    def set_length(self, processor: Any, max_length: int) -> None:
        """Nothing: images are never cut."""

    def _image(self, blob: bytes, row: int) -> Any:
        try:
            return decode(blob, self.mode)
        except ValueError as error:
            raise DataError("data.not_image", column="image", row=row, error=error) from None
