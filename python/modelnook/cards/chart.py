"""Small charts as inline SVG: lines with a folded table of the same data, a scatter of what a table lists, bars."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import dist, isfinite

from modelnook.cards.card import Chart, Dot, Dots, Shares
from modelnook.cards.figures import count, metric
from modelnook.messages import t

__all__ = ["bars", "scatter", "svg"]

_W, _H, _LEFT, _BOTTOM, _TOP = 320, 100, 42, 16, 6
_COLOURS = ("var(--jp-brand-color1,#1976d2)", "var(--jp-warn-color0,#b26a00)", "var(--jp-success-color0,#2e7d32)")
_DASHES = ("", "5 3", "2 2")
_POINTS, _ROWS = 200, 10
_LETTER, _LINE = 6, 9
"""How wide a letter of a mark is, and how high."""
_BAR, _NAMES, _NUMBERS = 15, 110, 36
"""Of bars: the height of one with its gap, the room for names at their left and for numbers at their right."""

Points = list[tuple[float, float]]


def svg(chart: Chart) -> str:
    """The chart, or nothing where no line has two points."""
    lines = {name: _points(*pair) for name, pair in chart.series.items()}
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if not lines:
        return ""
    every = [p for points in lines.values() for p in points]
    x0, x1 = min(x for x, _ in every), max(x for x, _ in every)
    y0, y1 = min(y for _, y in every), max(y for _, y in every)
    label = ", ".join(f"{name}: {metric(points[0][1])} → {metric(points[-1][1])}" for name, points in lines.items())
    drawn = "".join(_line(points, i, (x0, x1), (y0, y1)) for i, points in enumerate(lines.values()))
    return (
        f'<svg role="img" viewBox="0 0 {_W} {_H}" width="{_W}" height="{_H}" style="max-width:100%;display:block" '
        f'fill="none" font-size="10" font-family="sans-serif"><title>{escape(f"{chart.title}. {label}")}</title>'
        f"{_axes((x0, x1), (y0, y1))}{drawn}</svg>{_legend(lines)}{_table(chart, lines)}"
    )


def _points(steps: Sequence[float], values: Sequence[float]) -> Points:
    points = [(x, y) for x, y in zip(steps, values, strict=False) if y is not None and isfinite(y)]
    every = max(1, -(-len(points) // _POINTS))
    return points[::every] if points[::every][-1:] == points[-1:] else [*points[::every], points[-1]]


def _at(point: tuple[float, float], xs: tuple[float, float], ys: tuple[float, float]) -> str:
    x, y = _place(point, xs, ys)
    return f"{x:.1f},{y:.1f}"


def _place(point: tuple[float, float], xs: tuple[float, float], ys: tuple[float, float]) -> tuple[float, float]:
    x = _LEFT + (point[0] - xs[0]) / ((xs[1] - xs[0]) or 1) * (_W - _LEFT - 4)
    y = _TOP + (ys[1] - point[1]) / ((ys[1] - ys[0]) or 1) * (_H - _BOTTOM - _TOP)
    return x, y


def _line(points: Points, i: int, xs: tuple[float, float], ys: tuple[float, float]) -> str:
    dash = f' stroke-dasharray="{_DASHES[i % 3]}"' if _DASHES[i % 3] else ""
    path = " ".join(_at(p, xs, ys) for p in points)
    return f'<polyline points="{path}" stroke="{_COLOURS[i % 3]}" stroke-width="1.6"{dash}/>'


def _axes(xs: tuple[float, float], ys: tuple[float, float], name: str | None = None) -> str:
    text = 'fill="var(--jp-ui-font-color2,#757575)"'
    base = _H - _BOTTOM
    return (
        f'<path d="M{_LEFT} {_TOP}V{base}H{_W - 4}" stroke="var(--jp-border-color1,#9e9e9e)"/>'
        f'<text {text} x="{_LEFT - 4}" y="{_TOP + 8}" text-anchor="end">{metric(ys[1])}</text>'
        f'<text {text} x="{_LEFT - 4}" y="{base}" text-anchor="end">{metric(ys[0])}</text>'
        f'<text {text} x="{_LEFT}" y="{_H - 3}">{count(xs[0])}</text>'
        f'<text {text} x="{_W - 4}" y="{_H - 3}" text-anchor="end">{name or t("cards.step")} {count(xs[1])}</text>'
    )


def _legend(lines: dict[str, Points]) -> str:
    marks = ("─", "╌", "┄")
    names = (
        f'<span style="color:{_COLOURS[i % 3]}">{marks[i % 3]} {escape(name)}</span>' for i, name in enumerate(lines)
    )
    return f"<div>{' &nbsp; '.join(names)}</div>"


def _table(chart: Chart, lines: dict[str, Points]) -> str:
    rows = []
    for name, points in lines.items():
        every = max(1, -(-len(points) // _ROWS))
        cells = "".join(f"<td>{count(x)}: {metric(y)}</td>" for x, y in points[::every])
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    title = escape(t("cards.chart_table", title=chart.title))
    return (
        f'<details><summary style="cursor:pointer;opacity:.8">{title}</summary>'
        f'<table style="font-size:inherit"><tbody>{"".join(rows)}</tbody></table></details>'
    )


def scatter(chart: Dots) -> str:
    """Dots over two axes, or nothing where there are fewer than two; those that nothing beats are filled and joined.

    A dot's mark is the number of its row in the table above, its name is in its title.
    """
    if len(chart.dots) < 2:
        return ""
    xs = min(d.x for d in chart.dots), max(d.x for d in chart.dots)
    ys = min(d.y for d in chart.dots), max(d.y for d in chart.dots)
    xs, ys = _wider(xs), _wider(ys)
    best = sorted(((d.x, d.y) for d in chart.dots if d.front), key=lambda point: point[0])
    joined = " ".join(_at(point, xs, ys) for point in best)
    said = "; ".join(f"{d.mark} {d.name}: {metric(d.y)}, {chart.x} {count(d.x)}" for d in chart.dots)
    places = [_place((dot.x, dot.y), xs, ys) for dot in chart.dots]
    marks = _marks([(dot.mark, place) for dot, place in zip(chart.dots, places, strict=True)])
    dots = "".join(map(_dot, chart.dots, places, marks))
    return (
        f'<svg role="img" viewBox="0 0 {_W} {_H}" width="{_W}" height="{_H}" style="max-width:100%;display:block" '
        f'fill="none" font-size="10" font-family="sans-serif"><title>{escape(f"{chart.title}. {said}")}</title>'
        f'{_axes(xs, ys, chart.x)}<polyline points="{joined}" stroke="{_COLOURS[0]}" stroke-dasharray="2 2"/>'
        f"{dots}</svg><div>{escape(chart.title)}</div>"
    )


def _wider(pair: tuple[float, float]) -> tuple[float, float]:
    """A range with room for the dots at its ends; one of positive numbers stays that, one of shares too."""
    room = 0.08 * ((pair[1] - pair[0]) or abs(pair[1]) or 1.0)
    low, high = pair[0] - room, pair[1] + room
    if pair[0] < 0:
        return low, high
    return max(low, 0.0), min(high, 1.0) if pair[1] <= 1 else high


def _marks(dots: list[tuple[str, tuple[float, float]]]) -> list[tuple[float, float]]:
    """Where each dot's mark stands (its left, its base line): nearest to its own dot, and on no other mark."""
    taken: list[tuple[float, float, float]] = []
    for i, (mark, (x, y)) in enumerate(dots):
        wide = _LETTER * len(mark)
        others = [place for j, (_, place) in enumerate(dots) if j != i]
        corners = [(left, base) for base in (y - 3, y + 11) for left in (x + 5, x - 5 - wide)]
        inside = [
            (left, base) for left, base in corners if _LEFT <= left <= _W - wide and _LINE <= base <= _H - _BOTTOM
        ]
        free = [
            (left, base)
            for left, base in inside
            if not any(left < at + w and at < left + wide and abs(base - line) < _LINE for at, line, w in taken)
        ]
        left, base = next((c for c in free if _nearest(c, wide, (x, y), others)), (free or inside or corners)[0])
        taken.append((left, base, wide))
    return [(left, base) for left, base, _ in taken]


def _nearest(
    corner: tuple[float, float], wide: float, own: tuple[float, float], others: list[tuple[float, float]]
) -> bool:
    """Whether no other dot is nearer to the middle of a mark than its own."""
    middle = corner[0] + wide / 2, corner[1] - _LINE / 2
    return all(dist(middle, own) <= dist(middle, other) for other in others)


def _dot(dot: Dot, place: tuple[float, float], mark: tuple[float, float]) -> str:
    fill = _COLOURS[0] if dot.front else "none"
    text = 'fill="var(--jp-ui-font-color1,#424242)"'
    return (
        f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="3" fill="{fill}" stroke="{_COLOURS[0]}">'
        f"<title>{escape(dot.name)}</title></circle>"
        f'<text {text} x="{mark[0]:.1f}" y="{mark[1]:.1f}">{escape(dot.mark)}</text>'
    )


def bars(piece: Shares) -> str:
    """A bar for each share, its name before it and its percentage behind it."""
    said = ", ".join(f"{name} {share:.0%}" for name, share in piece.shares)
    drawn = "".join(_bar(name, share, _BAR * i) for i, (name, share) in enumerate(piece.shares))
    height = _BAR * len(piece.shares) + 2
    return (
        f'<svg role="img" viewBox="0 0 {_W} {height}" width="{_W}" height="{height}" style="max-width:100%;'
        f'display:block" font-size="10" font-family="sans-serif"><title>{escape(f"{piece.title}: {said}")}</title>'
        f"{drawn}</svg>"
    )


def _bar(name: str, share: float, y: float) -> str:
    wide = max(1.0, min(max(share, 0.0), 1.0) * (_W - _NAMES - _NUMBERS))
    text = f'fill="var(--jp-ui-font-color1,#757575)" y="{y + 11}"'
    return (
        f'<text {text} x="{_NAMES - 6}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_NAMES}" y="{y + 3}" width="{wide:.1f}" height="{_BAR - 5}" fill="{_COLOURS[0]}"/>'
        f'<text {text} x="{_NAMES + wide + 4:.1f}">{share:.0%}</text>'
    )
