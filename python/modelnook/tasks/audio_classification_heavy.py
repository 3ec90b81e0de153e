"""Audio classification, the heavy half: how sounds and labels meet a model of transformers."""

from __future__ import annotations

from typing import Any

import torch

from modelnook.tasks.audio_classification import AudioClassification
from modelnook.tasks.classification_heavy import ClassificationTask
from modelnook.tasks.pretrained_heavy import load_feature_extractor
from modelnook.tasks.sound_heavy import heard, lengths, repeatable
from modelnook.tasks.spec import Columns

__all__ = ["AudioClassificationTask"]


class AudioClassificationTask(ClassificationTask):
    """A classifying head on any audio model that transformers has one for."""

    spec = AudioClassification
    auto = "AutoModelForAudioClassification"
    no_head = "task.no_audio_head"

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`; the processor is the folder's own feature extractor."""
        model = self.load_classifier(path)
        return model, self.processor_of(path, model.config)

    def processor_of(self, path: str, config: Any) -> Any:
        """See :meth:`ClassificationTask.processor_of`."""
        self.config = config.to_dict()
        return load_feature_extractor(path)

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``audio`` (bytes of files), ``row`` (its number), ``frames``, and ``labels`` (ints) where they are given."""
        files = list(columns["audio"])
        found = lengths(self.config, int(processor.sampling_rate), files)
        rows: dict[str, list[Any]] = {"audio": files, "row": list(range(len(files))), "frames": found}
        if "label" in columns:
            rows["labels"] = self.spec().truth(columns, self.labels).tolist()
        return rows

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """See :func:`~modelnook.tasks.sound_heavy.heard`; ``labels`` are int64 of shape (rows,)."""
        batch = heard(processor, rows)
        if "labels" in rows:
            batch["labels"] = torch.tensor(rows["labels"], dtype=torch.int64)
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """See :meth:`ClassificationTask.loss`."""
        repeatable(model)
        return super().loss(model, batch)

    def lengths(self, rows: dict[str, list[Any]]) -> list[int]:
        """The frames that the model makes of each sound."""
        return rows["frames"]

    def set_length(self, processor: Any, max_length: int) -> None:
        """Nothing: a sound is cut at 30 seconds, whatever it was trained on."""
