"""Audio classification, the light half: one label out of two or more for a sound.

::

    run = modelnook.finetune("./wav2vec2-base", [{"audio": "calls/1.wav", "label": "complaint"}, …])
    modelnook.predict(run.model, ["new.flac", {"array": samples, "sampling_rate": 44_100}])

A cell of the column ``audio`` is a path, the bytes of a file, ``{"array": …, "sampling_rate": …}``, or what
``datasets`` gives. Sounds are brought to one channel and the model's rate; of longer ones the first 30 seconds are
heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelnook.domain.event import Warned
from modelnook.tasks.classification import Classification
from modelnook.tasks.spec import Columns, require

__all__ = ["LONGEST", "AudioClassification", "durations", "frames"]

LONGEST = 30
"""Seconds of a sound that are heard: what most models were trained on, and what memory holds."""

RATE = 16_000
SAMPLE = 200
"""Sounds whose heads are read to learn how long they are."""


class AudioClassification(Classification):
    """One label out of two or more for a sound."""

    name = "audio-classification"
    inputs = ("audio",)
    baselines = ("majority", "spectrum")
    autos = ("AutoModelForAudioClassification",)
    no_head = "task.no_audio_head"

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Classification.check`; fatal as well is a row without a sound."""
        self.check_inputs(columns)
        warned = super().check(columns)
        known = durations(columns)
        long = sum(seconds > LONGEST for seconds in known)
        if long:
            percent = max(1, round(100 * long / len(known)))
            warned.append(Warned.of("task.long_audio", percent=percent, seconds=LONGEST))
        return warned

    def check_inputs(self, columns: Columns) -> None:
        """See :meth:`Spec.check_inputs`: a row without a sound."""
        require(columns, "audio")

    def texts(self, columns: Columns) -> None:
        """None: a sound says nothing in letters."""

    def sizes(self, config: Mapping[str, Any], columns: Columns) -> list[int]:
        """The frames that the model makes of each of a sample of sounds."""
        return [frames(config, int(min(seconds, LONGEST) * RATE)) for seconds in durations(columns)]


def durations(columns: Columns, *, every: bool = False) -> list[float]:
    """Seconds of each of up to 200 sounds spread over the table, or of ``every`` one."""
    from modelnook.data.sounds import seconds

    files = columns["audio"]
    return [seconds(blob) for blob in files[:: 1 if every else max(1, len(files) // SAMPLE)]]


def frames(config: Mapping[str, Any], samples: int) -> int:
    """Vectors that a model makes of so many samples, by its configuration; at least one.

    >>> frames({"conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}, 16_000)
    49
    >>> frames({"max_source_positions": 1500}, 16_000)
    1500
    """
    if "conv_stride" in config and "conv_kernel" in config:
        for kernel, stride in zip(config["conv_kernel"], config["conv_stride"], strict=True):
            samples = (samples - kernel) // stride + 1
        return max(1, samples)
    if "max_source_positions" in config:
        return int(config["max_source_positions"])
    if {"num_mel_bins", "patch_size", "frequency_stride", "time_stride", "max_length"} <= set(config):
        high = (config["num_mel_bins"] - config["patch_size"]) // config["frequency_stride"] + 1
        wide = (config["max_length"] - config["patch_size"]) // config["time_stride"] + 1
        return max(1, int(high * wide + 2))
    return max(1, samples // 320)
