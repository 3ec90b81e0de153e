"""A card as text: at most twelve lines, columns aligned, Chinese counted as wide."""

from __future__ import annotations

from modelnook.cards.card import MAX_LINES, Bar, Card, Chart, Dots, Facts, Fold, Grid, Line, Marked, Piece, Shares
from modelnook.cards.figures import count, width
from modelnook.domain.errors import as_written
from modelnook.messages import t

__all__ = ["WIDTH", "plain"]

WIDTH = 118
_NARROWEST = 12
_PAGE = 10_000
_SHARES = 4
_WARNINGS = 12
"""So many are told of a card that is shown whole; a table of many columns may have one for each."""


def plain(card: Card) -> str:
    """The card's lines. Where they don't fit, the longest tables and folds give way, and say so."""
    # Nobody's name or licence begins a line of its own.
    return "\n".join(as_written(line.replace("\n", " ")) for line in _laid_out(card))


def _laid_out(card: Card) -> list[str]:
    head = " · ".join(filter(None, (card.title, card.badge)))
    tail = [*_warnings(card.warnings, card.where), *(_wrapped(card.hint) if card.hint else [])]
    pieces: list[Piece] = [p for p in card.pieces if not isinstance(p, Chart | Dots)]
    if card.whole:
        every = [line for warning in card.warnings[:_WARNINGS] for line in _wrapped(f"! {warning}", _PAGE)]
        if (left := len(card.warnings) - _WARNINGS) > 0:
            every.append(t("cards.warnings", n=left, where=".to_dict()"))
        tail = [*every, *(_wrapped(card.hint) if card.hint else [])]
        return [head, *(line for p in pieces for line in _lines(p, _PAGE)), "", *tail]
    room = MAX_LINES - 1 - len(tail)
    fixed = sum(len(_lines(p, 1)) for p in pieces if not isinstance(p, Grid | Fold))
    growing = [p for p in pieces if isinstance(p, Grid | Fold)]
    left = room - fixed
    while len(growing) > 1 and sum(map(_least, growing)) > left:
        # A heading without a row says nothing: the last table stays where there is room for it, in HTML and the value.
        last = next((p for p in reversed(growing) if not _is_first(p)), growing[-1])
        growing.remove(last)
        if isinstance(last, Grid) and last.brief:
            _tell_below(pieces, last)
        pieces.remove(last)
    body: list[str] = []
    for piece in pieces:
        if isinstance(piece, Grid | Fold):
            growing.pop(0)
            lines = _lines(piece, max(2, left - sum(map(_least, growing))))
            left -= len(lines)
            body += lines
        else:
            body += _lines(piece, 1)
    return [head, *body[:room], *map(_cut, tail)]


def _tell_below(pieces: list[Piece], grid: Grid) -> None:
    """Say what a table is in brief on the next line of facts."""
    for at, piece in enumerate(pieces[pieces.index(grid) :], pieces.index(grid)):
        if isinstance(piece, Facts):
            pieces[at] = Facts((("", grid.brief), *piece.pairs), piece.whole)
            return


def _kept(piece: Piece) -> bool:
    """Whether its line is never cut: what a person copies, a path or an address."""
    return piece.whole if isinstance(piece, Facts) else isinstance(piece, Line) and bool(piece.href)


def _is_first(piece: Grid | Fold) -> bool:
    """Whether it is the table that the card is about, to which others give way."""
    return isinstance(piece, Grid) and piece.first


def _warnings(warnings: tuple[str, ...], where: str) -> list[str]:
    """The first whole, and where the rest is: half of a warning helps nobody."""
    if not warnings:
        return []
    rest = f" {t('cards.warnings', n=len(warnings) - 1, where=where or '.to_dict()')}" if len(warnings) > 1 else ""
    first = _wrapped(f"! {warnings[0]}{rest}")
    return first if not first[-1].endswith("…") else [*_wrapped(f"! {warnings[0]}"), *filter(None, [rest.strip()])]


def _one_row(cells: tuple[str, ...], widths: list[int], right: tuple[int, ...]) -> list[str]:
    return [_row(cells, widths, right)]


def _page_row(cells: tuple[str, ...], widths: list[int], right: tuple[int, ...]) -> list[str]:
    told = _wrapped(cells[-1], 9, widths[-1])
    return [_row((*first, part), widths, right) for first, part in zip(_firsts(cells, len(told)), told, strict=True)]


def _firsts(cells: tuple[str, ...], lines: int) -> list[tuple[str, ...]]:
    return [cells[:-1], *[("",) * (len(cells) - 1)] * (lines - 1)]


def _wrapped(text: str, most: int = 2, wide: int = WIDTH) -> list[str]:
    """``most`` lines, broken at blanks where there are some (Chinese has none); what is left over is cut."""
    lines: list[str] = []
    while text and len(lines) < most - 1 and width(text) > wide:
        end = len(_cut(text, wide)) - 1
        blank = text.rfind(" ", 0, end + 1)
        end = blank if blank > end // 2 else end
        lines.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return [*lines, _cut(text, wide)] if text or not lines else lines


def _lines(piece: Piece, room: int) -> list[str]:
    lines = _drawn(piece, room)
    return lines if room >= _PAGE or _kept(piece) else [_cut(line) for line in lines]


def _drawn(piece: Piece, room: int) -> list[str]:
    if isinstance(piece, Line):
        said = f"{piece.text} {piece.href}".strip() if piece.href not in piece.text else piece.text
        # What a person must know is never cut in half.
        return [said] if piece.tone == "quiet" or _kept(piece) else _wrapped(said)
    if isinstance(piece, Facts):
        return ["  " + " · ".join(f"{label} {value}".strip() for label, value in piece.said)]
    if isinstance(piece, Bar):
        return ["  " + " ".join(filter(None, (_bar(piece.part), piece.label)))]
    if isinstance(piece, Shares):
        return [f"  {piece.title} " + ", ".join(f"{name} {share:.0%}" for name, share in piece.shares[:_SHARES])]
    if isinstance(piece, Marked):
        return _wrapped(piece.brief, 1 if piece.head else 2)
    if isinstance(piece, Grid):
        return _grid(piece, room)
    if isinstance(piece, Fold):
        return _fold(piece, room)
    return []


def _least(piece: Grid | Fold) -> int:
    """Lines a piece takes at least: a table its caption, heading, a row and how many are left; the first one all."""
    if not isinstance(piece, Grid):
        return 2
    return len(_grid(piece, _PAGE)) if piece.first else 3 + bool(piece.caption)


def _fold(fold: Fold, room: int) -> list[str]:
    """The text where it fits; else its upper levels, as deep as they fit, and how many lines are left."""
    lines = fold.text.splitlines()
    shown = lines
    if len(lines) + 1 > room:
        levels = sorted({_indent(line) for line in lines}, reverse=True)
        shown = next((s for s in (_above(lines, level) for level in levels) if len(s) + 2 <= room), lines[: room - 2])
    left = len(lines) - len(shown)
    if left and len(shown) < 2 and (told := _in_one_line(lines)):
        return [f"  {fold.title}", f"    {told}"]
    more = [t("cards.cut", n=left)] if left else []
    return [f"  {fold.title}", *("    " + line for line in shown), *more]


def _in_one_line(lines: list[str]) -> str:
    """A tree's upper levels, as deep as a line holds, and how many lines are left; nothing where that is none."""
    for level in sorted({_indent(line) for line in lines}, reverse=True):
        shown = [" ".join(line[_indent(line) :].split()) for line in _above(lines, level)]
        said = " · ".join([*shown, t("cards.cut", n=len(lines) - len(shown)).strip()])
        if shown and width(said) <= WIDTH - 4:
            return said
    return ""


def _above(lines: list[str], level: int) -> list[str]:
    return [line for line in lines if _indent(line) < level]


def _indent(line: str) -> int:
    """Characters before the first letter or digit: the depth in a tree, however it is drawn."""
    return next((i for i, c in enumerate(line) if c.isalnum()), 0)


def _bar(part: float | None, cells: int = 24) -> str:
    if part is None:
        return ""
    full = round(min(max(part, 0.0), 1.0) * cells)
    return "█" * full + "░" * (cells - full) + f" {part:4.0%}"


def _grid(grid: Grid, room: int) -> list[str]:
    has_head = any(grid.columns)
    fits = room - has_head
    rows = grid.rows if len(grid.rows) + (grid.left(len(grid.rows)) > 0) <= fits else grid.rows[: max(1, fits - 1)]
    table = [grid.columns, *rows] if has_head else list(rows)
    widths = _fitting([max(width(row[i]) for row in table) for i in range(len(grid.columns))])
    lines = ["", grid.caption] if grid.caption else []
    # A help page has no heads and all the room it wants: its sentences go on below themselves.
    draw = _page_row if not has_head and room >= _PAGE else _one_row
    lines += ["  " + line for row in table for line in draw(row, widths, grid.right)]
    left = grid.left(len(rows))
    if left:
        lines.append("  " + (grid.more or t("cards.more")).format(n=count(left)))
    return lines


def _fitting(widths: list[int]) -> list[int]:
    """The widths with the widest columns narrowed until a row fits a line."""
    widths = list(widths)
    while sum(widths) + 2 * len(widths) > WIDTH and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _row(cells: tuple[str, ...], widths: list[int], right: tuple[int, ...]) -> str:
    parts = []
    for i, (whole, wide) in enumerate(zip(cells, widths, strict=True)):
        cell = _cut(whole, wide)
        pad = " " * (wide - width(cell))
        parts.append(pad + cell if i in right else cell + pad)
    return "  ".join(parts).rstrip()


def _cut(line: str, most: int = WIDTH) -> str:
    if width(line) <= most:
        return line
    kept, used = "", 0
    for c in line:
        used += width(c)
        if used > most - 1:
            break
        kept += c
    return kept.rstrip() + "…"
