"""Images and sounds as a few numbers each, for the baselines: what can be told without any model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pixels", "spectrum"]

SIDE = 16
RATE = 16_000
BANDS = 40
SECONDS = 30
_WINDOW, _HOP = 400, 160


def pixels(files: Sequence[bytes]) -> NDArray[np.float32]:
    """Grey thumbnails of 16 x 16, from 0 to 1; shape (rows, 256)."""
    from modelnook.data.images import decode

    found = [np.asarray(decode(blob, "L").resize((SIDE, SIDE)), dtype=np.float32).ravel() for blob in files]
    return np.stack(found) / np.float32(255)


def spectrum(files: Sequence[bytes]) -> NDArray[np.float32]:
    """Mean and spread over time of the log power in 40 mel bands, of the first 30 seconds; shape (rows, 80)."""
    from modelnook.data.sounds import decode

    bands = _mel_bands()
    return np.stack([_log_bands(decode(blob, RATE)[: SECONDS * RATE], bands) for blob in files])


def _log_bands(samples: NDArray[np.float32], bands: NDArray[Any]) -> NDArray[np.float32]:
    if len(samples) < _WINDOW:
        samples = np.pad(samples, (0, _WINDOW - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1)) ** 2
    logs = np.log(power @ bands + 1e-8)
    return np.concatenate([logs.mean(axis=0), logs.std(axis=0)]).astype(np.float32)


def _mel_bands() -> NDArray[np.float64]:
    """Triangles evenly spaced in mel (O'Shaughnessy 1987), as weights of a spectrum's bins; shape (bins, bands)."""
    bins = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2) / 2595) - 1)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (middle - low)
    falling = (high - bins[:, None]) / (high - middle)
    found: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return found
