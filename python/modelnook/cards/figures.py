"""Numbers as people say them: 22.7M, 90.9 MB, 1 min 20 s."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from modelnook.messages import t

__all__ = ["count", "duration", "interval", "metric", "millis", "moment", "rate", "seconds_between", "size", "width"]


def count(n: float | None) -> str:
    """
    >>> count(22_713_216), count(2225), count(7)
    ('22.7M', '2,225', '7')
    """
    if n is None:
        return ""
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if n >= unit:
            return f"{n / unit:.1f}{letter}"
    return f"{n:,.0f}"


def size(n: float | None) -> str:
    """
    >>> size(90_868_376), size(812), size(1_500)
    ('90.9 MB', '812 B', '1.5 kB')
    """
    if n is None:
        return ""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= unit:
            return f"{n / unit:.1f} {name}"
    return f"{n:.0f} B"


def duration(seconds: float | None) -> str:
    """
    >>> duration(80), duration(3), duration(0.4), duration(7260)
    ('1 min 20 s', '3 s', '0.4 s', '2 h 1 min')
    """
    if seconds is None:
        return ""
    if seconds < 1:
        return t("cards.time.s", s=f"{max(seconds, 0):.1f}")
    s = round(seconds)
    if s < 60:
        return t("cards.time.s", s=s)
    if s < 3600:
        return t("cards.time.min_s", min=s // 60, s=s % 60)
    if s < 86400:
        return t("cards.time.h_min", h=s // 3600, min=s % 3600 // 60)
    return t("cards.time.d_h", d=s // 86400, h=s % 86400 // 3600)


def rate(n: float | None) -> str:
    """Rows a second."""
    return "" if n is None else t("cards.rows_per_s", n=f"{n:,.0f}" if n >= 10 else f"{n:.1f}")


def millis(n: float | None) -> str:
    """
    >>> millis(2.345), millis(123.4), millis(2394)
    ('2.3 ms', '123 ms', '2.4 s')
    """
    if n is None:
        return ""
    if n >= 1000:
        return t("cards.time.s", s=f"{n / 1000:.1f}")
    return f"{n:.0f} ms" if n >= 100 else f"{n:.1f} ms" if n >= 1 else f"{n:.2f} ms"


def metric(value: float | None) -> str:
    """
    >>> metric(0.98234), metric(15.2), metric(None)
    ('0.982', '15.20', '–')
    """
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.2f}"


def interval(pair: tuple[float | None, float | None] | None) -> str:
    """
    >>> interval((0.971, 0.99))
    '0.971–0.990'
    """
    if not pair or None in pair:
        return ""
    return f"{metric(pair[0])}–{metric(pair[1])}"


def _read(time: str | None) -> datetime | None:
    try:
        read = datetime.fromisoformat((time or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Seconds from one ISO time to another, to now where ``end`` isn't said."""
    a, b = _read(start), _read(end) or (datetime.now(UTC) if not end else None)
    return (b - a).total_seconds() if a and b else None


def moment(time: str | None) -> str:
    """How long ago, as people say it; the date once it is more than a week."""
    since = seconds_between(time, None)
    if since is None:
        return ""
    if since < 60:
        return t("cards.time.now")
    if since > 7 * 86400:
        return (time or "")[:10]
    n, unit = (since // 60, "min") if since < 3600 else (since // 3600, "h") if since < 86400 else (since // 86400, "d")
    return t(f"cards.time.ago_{unit}", n=int(n))


def width(text: str) -> int:
    """
    Columns of a terminal that a text takes: Chinese characters take two.

    >>> width("abc"), width("模型")
    (3, 4)
    """
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
