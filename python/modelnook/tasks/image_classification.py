"""Image classification, the light half: one label out of two or more for an image.

::

    run = modelnook.finetune("./vit-small", [{"image": "cats/1.jpg", "label": "cat"}, …])
    modelnook.predict(run.model, ["new.jpg", open("other.png", "rb").read()])

A cell of the column ``image`` is a path, the bytes of a file, an image of PIL, an array of pixels, or what ``datasets``
gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelnook.domain.event import Warned
from modelnook.tasks.classification import Classification
from modelnook.tasks.spec import Columns, require

__all__ = ["ImageClassification", "patches"]


class ImageClassification(Classification):
    """One label out of two or more for an image."""

    name = "image-classification"
    inputs = ("image",)
    baselines = ("majority", "pixels")
    autos = ("AutoModelForImageClassification",)
    no_head = "task.no_image_head"

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Classification.check`; fatal as well is a row without an image."""
        self.check_inputs(columns)
        return super().check(columns)

    def check_inputs(self, columns: Columns) -> None:
        """See :meth:`Spec.check_inputs`: a row without an image."""
        require(columns, "image")

    def texts(self, columns: Columns) -> None:
        """None: an image says nothing in words."""

    def sizes(self, config: Mapping[str, Any], columns: Columns) -> list[int]:
        """The patches that the model cuts an image into; the same for every image."""
        return [patches(config)]


def patches(config: Mapping[str, Any]) -> int:
    """Vectors of an image inside a model, by its configuration: patches and a class token, or a grid of features.

    >>> patches({"image_size": 224, "patch_size": 16}), patches({"image_size": 224})
    (197, 49)
    """
    side = _side(config.get("image_size"), 224)
    return (side // max(1, _side(config.get("patch_size"), 32))) ** 2 + ("patch_size" in config)


def _side(value: Any, otherwise: int) -> int:
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    return int(value) if isinstance(value, (int, float)) and value >= 1 else otherwise
