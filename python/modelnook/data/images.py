"""Images: read from the bytes of a file, written to them. Needs Pillow (the extra ``vision``)."""

from __future__ import annotations

import io
from typing import Any

from modelnook.domain.errors import MissingPackage
from modelnook.messages import t

__all__ = ["decode", "is_image", "problem", "write"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "ICO", "TGA")
"""What is read. Formats that run another program to be read (EPS) aren't among them."""

# What a whole file ends with; where it doesn't, only decoding tells whether anything is missing.
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
_WRITABLE = frozenset(("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"))

_OVER = 0.05
"""How far fractions may lie beyond 0 and 1: what was resized or sharpened does a little."""

_DARK = 8
"""Fractions up to here are neither from 0 to 1 nor, as an image that is all but black, from 0 to 255."""


def is_image(value: Any) -> bool:
    """Whether it is an image of PIL; imports nothing."""
    return any(c.__module__ == "PIL.Image" and c.__name__ == "Image" for c in type(value).__mro__)


def decode(blob: bytes, mode: str = "RGB") -> Any:
    """The image of PIL in ``mode`` (``RGB`` or ``L``), turned as its camera says.

    Raises:
        ValueError: not an image, or a damaged one.
    """
    image = _pillow()
    from PIL import ImageOps

    try:
        with image.open(io.BytesIO(blob), formats=_formats()) as opened:
            return _eight_bits(ImageOps.exif_transpose(opened)).convert(mode)
    except (OSError, SyntaxError, EOFError, image.DecompressionBombError) as error:
        raise ValueError(_reason(error)) from None


def problem(blob: bytes) -> str | None:
    """Why a file can't be read as an image; None where it can. Decoded are only what looks cut short, and fractions."""
    image = _pillow()
    try:
        with image.open(io.BytesIO(blob), formats=_formats()) as opened:
            end = _ENDS.get(opened.format or "")
            if end is not None and end not in blob[-64:]:
                opened.load()
            if opened.mode == "F":
                _eight_bits(opened)
    except (ValueError, OSError, SyntaxError, EOFError, image.DecompressionBombError) as error:
        return _reason(error)
    return None


def write(value: Any) -> bytes:
    """PNG bytes of an image of PIL, or of pixels: (height, width) or (height, width, 1, 3 or 4); whole numbers from 0
    to 255, or fractions from 0 to 1.

    Raises:
        ValueError: anything else.
    """
    image = _pillow()
    if is_image(value):
        from PIL import ImageOps

        made = ImageOps.exif_transpose(value)
        made = _eight_bits(made) if made.mode == "F" else made
        made = made if made.mode in _WRITABLE else made.convert("RGB")
    else:
        made = image.fromarray(_pixels(value))
    out = io.BytesIO()
    made.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _pixels(value: Any) -> Any:
    """Pixels as uint8 of shape (height, width) or (height, width, colours)."""
    import numpy as np

    try:
        found = np.asarray(value)
    except ValueError:
        found = np.asarray(value, dtype=object)
    if found.dtype == object and found.ndim == 1 and len(found):
        # Rows of pixels, as tables of lists give them.
        found = np.stack([np.asarray(row) for row in found])
    if found.ndim == 3 and found.shape[2] == 1:
        found = found[:, :, 0]
    if found.dtype.kind not in "uifb" or not found.size or not (found.ndim == 2 or found.shape[2:] in ((3,), (4,))):
        raise ValueError(f"{type(value).__name__} {found.shape or ''}".strip())
    if found.dtype == np.uint8:
        return found
    if not np.isfinite(found).all():
        raise ValueError("NaN")
    low, high = float(found.min()), float(found.max())
    if found.dtype == np.uint16 and high > 255:
        return (found >> 8).astype(np.uint8)
    real = found.dtype.kind == "f"
    if found.dtype.kind == "b" or (real and low >= -_OVER and high <= 1 + _OVER):
        return np.round(found.astype(np.float64).clip(0, 1) * 255).astype(np.uint8)
    if low < 0 or high > 255 or (real and high <= _DARK and (found % 1).any()):
        raise ValueError(f"{low:g} … {high:g}")
    return np.round(found).astype(np.uint8)


def _eight_bits(image: Any) -> Any:
    """Pillow clips 16-bit greys and fractions at 255 when it converts them."""
    if image.mode == "F":
        return _pillow().fromarray(_pixels(image))
    if not image.mode.startswith("I"):
        return image
    import numpy as np

    pixels = np.asarray(image)
    shift = 8 if pixels.max(initial=0) > 255 else 0
    return _pillow().fromarray((pixels >> shift).astype(np.uint8))


def _formats() -> list[str]:
    image = _pillow()
    image.init()
    return [name for name in FORMATS if name in image.OPEN]


def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise MissingPackage(
            "core.missing_package", family=t("what.file"), name="image", package="pillow", extra="vision"
        ) from None
    return Image


def _reason(error: BaseException) -> str:
    said = str(error)
    return t("data.no_known_format") if "cannot identify" in said or not said else said
