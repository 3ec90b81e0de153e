"""Words in a colour can be read: 4.5:1 against Lab's light and dark pages, reckoned from the style sheets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelnook.cards.page import _TONES, AGAINST, DEEPEST, FOR

STYLE = Path(__file__).parents[2] / "labextension" / "style"
ENOUGH = 4.5
Colour = tuple[float, float, float, float]

THEMES = {
    "light": (
        "#ffffff",
        (0.0, 0.0, 0.0, 0.87),
        "#1976d2",
        {"success": "#1b5e20", "warn": "#e65100", "error": "#b71c1c"},
    ),
    "dark": (
        "#212121",
        (255.0, 255.0, 255.0, 1.0),
        "#2196f3",
        {"success": "#388e3c", "warn": "#f57c00", "error": "#d32f2f"},
    ),
}
"""Lab's page, text, brand, and tones."""


def colour(code: str) -> Colour:
    red, green, blue = (float(int(code[i : i + 2], 16)) for i in (1, 3, 5))
    return red, green, blue, 1.0


def mixed(one: Colour, share: float, other: Colour) -> Colour:
    """``color-mix(in srgb, one share, other)``."""
    alpha = one[3] * share + other[3] * (1 - share)
    red, green, blue = (
        (a * one[3] * share + b * other[3] * (1 - share)) / alpha for a, b in zip(one[:3], other[:3], strict=True)
    )
    return red, green, blue, alpha


def contrast(text: Colour, page: Colour) -> float:
    shown = mixed((*text[:3], 1.0), text[3], page)
    lighter, darker = sorted((luminance(shown), luminance(page)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(of: Colour) -> float:
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in of[:3]))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", THEMES)
def test_tones_and_the_first_button_can_be_read(theme: str) -> None:
    page, text, brand, tones = THEMES[theme]
    views, controls = ((STYLE / name).read_text() for name in ("views.css", "controls.css"))
    found = re.findall(r"--mn-(?:good|warn|bad): color-mix\(in srgb, (#\w{6}) (\d+)%, var\(--mn-text\)\)", views)
    assert len(found) == 3
    for name, tone in tones.items():
        (share,) = re.findall(rf"--jp-{name}-color0,#\w+\) (\d+)%,var\(--jp-ui-font-color1", " ".join(_TONES.values()))
        found.append((tone, share))
    for tone, share in found:
        assert contrast(mixed(colour(tone), int(share) / 100, text), colour(page)) >= ENOUGH, tone
    for share in re.findall(r"\.mn-primary.*?var\(--mn-brand\) (\d+)%, #000", controls, re.DOTALL):
        assert contrast(colour("#ffffff"), mixed(colour(brand), int(share) / 100, colour("#000000"))) >= ENOUGH, share


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", [FOR, AGAINST])
def test_a_tinted_word_can_be_read(theme: str, ground: str) -> None:
    page, text, *_ = THEMES[theme]
    red, green, blue = map(float, ground.split(","))
    tinted = mixed((red, green, blue, 1.0), DEEPEST, colour(page))
    assert contrast(text, tinted) >= ENOUGH
    assert contrast((red, green, blue, 1.0), colour(page)) >= 3, "the line below it, as a graphic"
