"""Sounds: read from the bytes of a file, written to them. Needs soundfile (the extra ``audio``)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import MissingPackage
from modelnook.messages import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["decode", "problem", "seconds", "write"]

_LOUDEST = 2.0
"""Sounds that were mixed, resampled or packed with loss go a little beyond 1."""

_CHANNELS = 8
"""As many as films have; a table of samples with more of them is something else."""


def decode(blob: bytes, rate: int) -> NDArray[np.float32]:
    """Samples of one channel at ``rate`` a second, float32 of shape (samples,), mostly within -1 and 1.

    Channels are averaged; another rate is changed by a polyphase filter, which lets nothing above half of it fold back.

    Raises:
        ValueError: not a sound, or a damaged one.
    """
    import numpy as np

    file = _soundfile()
    try:
        samples, own = file.read(io.BytesIO(blob), dtype="float32", always_2d=True)
    except (file.LibsndfileError, RuntimeError) as error:
        raise ValueError(_reason(error)) from None
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if own != rate and len(mono):
        from scipy.signal import resample_poly

        mono = resample_poly(mono, rate, own)
    return np.ascontiguousarray(mono, dtype=np.float32)


def problem(blob: bytes) -> str | None:
    """Why a file can't be read as a sound; None where it can. Reads its head only."""
    file = _soundfile()
    try:
        head = file.info(io.BytesIO(blob))
    except (file.LibsndfileError, RuntimeError) as error:
        return _reason(error)
    return None if head.frames > 0 else t("data.no_samples")


def seconds(blob: bytes) -> float:
    """How long a sound is, by its head."""
    head = _soundfile().info(io.BytesIO(blob))
    return float(head.frames / head.samplerate)


def write(value: Any) -> bytes:
    """WAV bytes of ``{"array": samples, "sampling_rate": rate}``, or of ``(samples, rate)``; samples of shape
    (samples,), or with up to 8 channels, last or first (as torchaudio has them); whole numbers of 8, 16 or 32 bits, or
    numbers from -1 to 1.

    Raises:
        ValueError: anything else.
    """
    import numpy as np

    if isinstance(value, Mapping):
        samples, rate = value.get("array"), value.get("sampling_rate")
    elif isinstance(value, tuple) and len(value) == 2:
        samples, rate = value
        samples, rate = (rate, samples) if np.ndim(samples) == 0 else (samples, rate)
    else:
        samples, rate = value, None
    found = np.asarray(samples)
    if found.dtype.kind not in "fi" or found.ndim not in (1, 2) or not found.size:
        raise ValueError(f"{type(value).__name__}")
    if not rate or not float(rate) >= 1:
        raise ValueError(t("data.no_rate"))
    if not np.isfinite(found).all():
        raise ValueError("NaN")
    whole = found.dtype == np.int16
    out = io.BytesIO()
    samples = _channels_last(found if whole else _fractions(found))
    file = _soundfile()
    try:
        file.write(out, samples, int(rate), format="WAV", subtype="PCM_16" if whole else "FLOAT")
    except (file.LibsndfileError, RuntimeError, OverflowError) as error:
        raise ValueError(_reason(error)) from None
    return out.getvalue()


def _channels_last(samples: NDArray[Any]) -> NDArray[Any]:
    """Samples of shape (samples,) or (samples, channels); the shorter axis is the channels'."""
    if samples.ndim == 1 or samples.size == 1:
        return samples
    few, many = sorted(samples.shape)
    if few > _CHANNELS or few == many:
        raise ValueError(t("data.no_channels", shape=samples.shape, most=_CHANNELS))
    return samples if samples.shape[1] == few else samples.T


def _fractions(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples as numbers from -1 to 1."""
    import numpy as np

    # Numbers of 64 bits are those of a list, which doesn't tell how many bits they were of.
    if samples.dtype.kind == "i" and samples.dtype.itemsize < 8:
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    low, high = float(samples.min()), float(samples.max())
    if max(-low, high) > _LOUDEST:
        raise ValueError(f"{low:g} … {high:g}")
    return samples.astype(np.float32)


def _soundfile() -> Any:
    try:
        import soundfile
    except (ModuleNotFoundError, OSError):
        # An OSError is a machine without libsndfile.
        raise MissingPackage(
            "core.missing_package", family=t("what.file"), name="audio", package="soundfile", extra="audio"
        ) from None
    return soundfile


def _reason(error: BaseException) -> str:
    said = str(error)
    return t("data.no_known_format") if "Format not recogni" in said or not said else said.rpartition(">: ")[2]
