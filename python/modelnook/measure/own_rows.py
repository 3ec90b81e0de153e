"""Rows to compare two models on where nobody gave any: texts of everyday and the model's own; else noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.domain.errors import DataError
from modelnook.measure.own_texts import own_columns
from modelnook.tasks.spec import Spec

__all__ = ["own_rows"]

MOST = 64
SEED = 11
SIDE = 64
RATE = 16_000
# Sentences of unlike kinds and lengths, so that windows, padding and rare words are met.
_TEXTS = (
    "The train to the coast leaves at a quarter past seven from platform four.",
    "I ordered two and only one arrived; please refund the other.",
    "What a wonderful film! I laughed, I cried, and I would see it again tomorrow.",
    "Shares of the company fell 4.2% on Tuesday after it cut its forecast for the year.",
    "How do I reset my password?",
    "她昨天在北京参加了一个会议，晚上就坐火车回上海了。",
    "Dr. Anna Schmidt of the University of Vienna presented the results in Geneva on 12 March.",
    "ok",
    "The battery lasts a day and a half, but the screen scratches easily and the camera is poor in the dark.",
    "In 1969 two astronauts walked on the Moon while a third one waited in orbit.",
    "这家餐厅的菜很好吃，就是等的时间太长。",
    "To make the dough, mix flour, water, salt and yeast, and let it rest for an hour in a warm place.",
    "def add(a, b): return a + b",
    "The minister denied the report and said that talks would go on next week in spite of the strike.",
    "Ich habe gestern meinen Schlüssel verloren und musste durch das Fenster steigen.",
    "URGENT: you have won a prize!!! Click here to claim it now, free of charge.",
)


def own_rows(path: Path, spec: Spec) -> list[Any]:
    """At most 64 rows as a model's runtime takes them.

    Raises:
        DataError: a task whose rows nobody can make up, such as the columns of a table.
    """
    if spec.features:
        raise DataError("export.needs_rows", task=spec.name)
    wanted = spec.shapes(asked=True)[0]
    if "image" in wanted:
        return _images()
    if "audio" in wanted:
        return _sounds()
    return spec.as_rows(own_columns(spec, path, MOST, also=_TEXTS))


def _images() -> list[Any]:
    import numpy as np

    from modelnook.data.images import write

    rng = np.random.default_rng(SEED)
    found = []
    for i in range(8):
        pixels = rng.integers(0, 255, (SIDE, SIDE + 8 * i, 3), dtype=np.uint8)
        pixels[: 8 * i] = rng.integers(0, 255, 3)
        found.append(write(pixels))
    return found


def _sounds() -> list[Any]:
    import numpy as np

    from modelnook.data.sounds import write

    rng = np.random.default_rng(SEED)
    found = []
    for i in range(8):
        time = np.arange(int(RATE * (0.5 + 0.1 * i))) / RATE
        samples = 0.5 * np.sin(2 * np.pi * 220 * (i + 1) * time) + 0.05 * rng.standard_normal(len(time))
        found.append(write({"array": samples.astype(np.float32), "sampling_rate": RATE}))
    return found
