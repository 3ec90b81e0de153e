"""A card as HTML that stands alone: semantic tags, inline styles from JupyterLab's variables with fall-backs.

Where styles are stripped (GitHub) the tables, lists and details still read; colours follow light and dark where the
variables exist (Lab), and the surrounding text colour where they don't (VS Code, Colab).
"""

from __future__ import annotations

from html import escape

from modelnook.cards.card import MAX_LINES, Bar, Card, Chart, Dots, Facts, Fold, Grid, Line, Mark, Marked, Piece, Shares
from modelnook.cards.chart import bars, scatter, svg
from modelnook.cards.figures import count
from modelnook.domain.errors import as_written
from modelnook.messages import t
from modelnook.settings import language

__all__ = ["page"]

# Without Lab's variables: the text around it, a little paler. Paler than Lab's own it would be hard to read.
_QUIET = "color:var(--jp-ui-font-color2,color-mix(in srgb,currentColor 75%,transparent))"
_EDGE = "var(--jp-border-color2,rgba(128,128,128,.4))"
# Towards the text: Lab's own tones are too dark on a dark page, or too pale on a light one.
_TOWARDS = "color-mix(in srgb,var({}) 70%,var(--jp-ui-font-color1,currentColor))"
_TONES = {
    "plain": "var(--jp-ui-font-color2,#616161)",
    "good": _TOWARDS.format("--jp-success-color0,#2e7d32"),
    "busy": "var(--jp-brand-color1,#1976d2)",
    "warn": _TOWARDS.format("--jp-warn-color0,#b26a00"),
    "bad": _TOWARDS.format("--jp-error-color0,#c62828"),
}
FOR, AGAINST = "211,47,47", "25,118,210"
"""Grounds of words, as SHAP has them: red for an answer, blue against it; the deepest leaves the text its contrast."""
DEEPEST, FAINT = 0.45, 0.1
_CELL = "padding:1px 12px 1px 0;border:0;background:none;max-width:none;vertical-align:baseline"


def page(card: Card) -> str:
    """The card as one ``<div>``."""
    tone = _TONES[card.tone]
    badge = f' <span style="color:{tone};font-weight:600">{escape(card.badge)}</span>' if card.badge else ""
    head = f'<div style="margin-bottom:2px"><strong>{escape(card.title)}</strong>{badge}</div>'
    body = "".join(_grid(p, card.whole) if isinstance(p, Grid) else _piece(p) for p in card.pieces)
    hint = f'<div style="{_QUIET}">{escape(card.hint)}</div>' if card.hint else ""
    style = (
        "font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:var(--jp-ui-font-size1,13px);"
        f"line-height:1.5;color:var(--jp-ui-font-color1,inherit);border-left:3px solid {tone};"
        "padding:2px 0 2px 10px;margin:2px 0;max-width:100%;overflow-x:auto"
    )
    lang = "zh-CN" if language() == "zh" else "en"
    return as_written(f'<div lang="{lang}" style="{style}">{head}{body}{_warnings(card.warnings)}{hint}</div>')


def _warnings(warnings: tuple[str, ...]) -> str:
    if not warnings:
        return ""
    title = t("cards.warning_title", n=len(warnings), first=warnings[0])
    items = "".join(f"<li>{escape(w)}</li>" for w in warnings)
    return (
        f'<details><summary style="color:{_TONES["warn"]};cursor:pointer">{escape(title)}</summary>'
        f'<ul style="margin:2px 0 2px 18px;padding:0">{items}</ul></details>'
    )


def _piece(piece: Piece) -> str:
    if isinstance(piece, Line):
        return _line(piece)
    if isinstance(piece, Facts):
        pairs = (f'<span style="{_QUIET}">{escape(k)}</span> {escape(v)}'.strip() for k, v in piece.said)
        return f"<div>{' · '.join(pairs)}</div>"
    if isinstance(piece, Bar):
        return _bar(piece)
    if isinstance(piece, Grid):
        return _grid(piece, False)
    if isinstance(piece, Chart):
        drawn = svg(piece)
        return drawn and f'<div style="display:inline-block;vertical-align:top;margin-right:16px">{drawn}</div>'
    if isinstance(piece, Dots):
        drawn = scatter(piece)
        return drawn and f"<div>{drawn}</div>"
    if isinstance(piece, Marked):
        return _marked(piece)
    return _shares(piece) if isinstance(piece, Shares) else _fold(piece)


def _marked(piece: Marked) -> str:
    head = f'<span style="{_QUIET}">{escape(piece.head)}</span> ' if piece.head else ""
    text = "".join(f"{_mark(mark)}{escape(mark.after)}" for mark in piece.marks)
    legend = f'<div style="{_QUIET}">{escape(piece.legend)}</div>' if piece.legend else ""
    return f'<div style="margin:4px 0;line-height:1.9;white-space:pre-wrap">{head}{text}</div>{legend}'


def _mark(mark: Mark) -> str:
    """A word on its ground. Who sees no colours, and GitHub, which strips styles, has the line and the number."""
    text = escape(mark.text)
    if abs(mark.weight) < FAINT:
        return text
    colour, line = (FOR, "solid") if mark.weight > 0 else (AGAINST, "dotted")
    ground = min(abs(mark.weight), 1.0) * DEEPEST
    number = f"<sup>{escape(mark.said)}</sup>" if mark.strong else ""
    style = f"background:rgba({colour},{ground:.2f});border-bottom:2px {line} rgba({colour},.9);border-radius:2px"
    return f'<span title="{escape(mark.said)}" style="{style}">{text}</span>{number}'


def _shares(piece: Shares) -> str:
    cells = tuple((name, f"{100 * share:.1f}%") for name, share in piece.shares)
    table = _table(Grid((piece.name, piece.share), cells, (1,)), cells, 0)
    title = escape(t("cards.chart_table", title=piece.title))
    folded = f'<details><summary style="{_QUIET};cursor:pointer">{title}</summary>{table}</details>'
    return f'<div><div style="{_QUIET}">{escape(piece.title)}</div>{bars(piece)}{folded}</div>'


def _line(line: Line) -> str:
    text = _linked(escape(line.text), line.href)
    style = {"quiet": _QUIET, "bad": f"color:{_TONES['bad']}", "warn": f"color:{_TONES['warn']}"}.get(line.tone, "")
    return f'<div style="{style}">{text}</div>' if style else f"<div>{text}</div>"


def _linked(text: str, place: str) -> str:
    """A link only to the web."""
    if not place.startswith(("https://", "http://")):
        return text
    return f'<a href="{escape(place)}" target="_blank" rel="noopener">{text}</a>'


def _bar(bar: Bar) -> str:
    value = "" if bar.part is None else f' value="{min(max(bar.part, 0.0), 1.0):.3f}"'
    label = escape(bar.label)
    return (
        f'<div><progress max="1"{value} aria-label="{label}" style="width:180px;vertical-align:middle"></progress> '
        f"{label}</div>"
    )


def _grid(grid: Grid, whole: bool) -> str:
    shown = grid.rows if whole else grid.rows[: MAX_LINES - 3]
    rest = grid.rows[len(shown) :]
    table = _table(grid, shown, 0)
    left = grid.left(len(shown))
    title = escape((grid.more or t("cards.more")).format(n=count(left)))
    if not rest:
        return table if not left else f'{table}<div style="{_QUIET}">{title}</div>'
    folded = _table(grid, rest, len(shown))
    return f'{table}<details><summary style="{_QUIET};cursor:pointer">{title}</summary>{folded}</details>'


def _table(grid: Grid, rows: tuple[tuple[str, ...], ...], offset: int) -> str:
    def cell(tag: str, i: int, text: str, extra: str = "") -> str:
        align = "right" if i in grid.right else "left"
        scope = {"th": ' scope="col"'}.get(tag, "")
        return f'<{tag}{scope} style="{_CELL};text-align:{align}{extra}">{text}</{tag}>'

    caption = (
        f'<caption style="text-align:left;font-weight:600;padding:4px 0 0">{escape(grid.caption)}</caption>'
        if grid.caption
        else ""
    )
    head = ""
    if any(grid.columns):
        edge = f";border-bottom:1px solid {_EDGE};font-weight:600"
        heads = "".join(cell("th", i, escape(c), edge) for i, c in enumerate(grid.columns))
        head = f"<thead><tr>{heads}</tr></thead>"
    lines = []
    for n, row in enumerate(rows):
        strong = ";font-weight:600" if n + offset in grid.strong else ""
        cells = [escape(c) for c in row]
        if place := grid.places[n + offset] if grid.places else "":
            linked = _linked(cells[-1], place)
            cells[-1] = linked if linked != cells[-1] else f'<span title="{escape(place)}">{cells[-1]}</span>'
        lines.append("<tr>" + "".join(cell("td", i, c, strong) for i, c in enumerate(cells)) + "</tr>")
    style = "border-collapse:collapse;margin:2px 0;width:auto;font-size:inherit"
    return f'<table style="{style}">{caption}{head}<tbody>{"".join(lines)}</tbody></table>'


def _fold(fold: Fold) -> str:
    return (
        f'<details><summary style="{_QUIET};cursor:pointer">{escape(fold.title)}</summary>'
        f'<pre style="margin:2px 0;font-size:var(--jp-code-font-size,12px);overflow-x:auto">{escape(fold.text)}</pre>'
        "</details>"
    )
