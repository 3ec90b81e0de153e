"""The card of an explanation: the text, each word tinted by what it does for the answer, and the strongest of them."""

from __future__ import annotations

from modelnook.cards.card import Card, Facts, Grid, Line, Mark, Marked, Piece
from modelnook.cards.figures import count, metric
from modelnook.domain.explanation import LOG_ODDS, Explained, Explanation, Part
from modelnook.messages import t

__all__ = ["explanation"]

INPUTS = 7
"""Inputs that a card of several shows."""
STRONG, MOST_STRONG = 1 / 3, 8
"""Words that come so near the strongest, and no more of them, have their number beside them."""
LITTLE = 0.1
"""Log-odds that have the full tone where no word has more: they change a probability by 2.5 points at most."""
CHARS = 3_000
"""Of a text that is shown; several share them."""
ROWS = 60


def explanation(value: Explanation) -> Card:
    """One input with its words in a table; of several each one's strongest words."""
    why = Line(value.why or t("cards.explained.method", method=value.method), "quiet")
    note = [Line(value.note, "quiet")] if value.note else []
    if len(value) != 1:
        shown = [_marked(item, value, at) for at, item in enumerate(value.items[:INPUTS])]
        left = len(value) - len(shown)
        more = [Line(t("cards.explained.more", n=count(left), at=len(shown)), "quiet")] if left else []
        badge = t("cards.on_rows", n=count(len(value)))
        return Card(value.model, badge, pieces=(*note, *shown, *more, why))
    (item,) = value.items
    facts = Facts(
        (
            (t(f"cards.explained.{value.unit}"), _signed(item.value, value.unit)),
            (t("cards.explained.base"), _signed(item.base, value.unit)),
            (t("cards.explained.predictions"), count(item.predictions)),
        )
    )
    unread = [Line(t("cards.explained.unread", n=count(item.unread)), "warn")] if item.unread else []
    marked, strongest = _marked(item, value), _strongest(item, value)
    pieces: tuple[Piece, ...] = (*note, marked, *unread, strongest, facts, why)
    return Card(value.model, _answer(item), pieces=pieces)


def _answer(item: Explained) -> str:
    if item.label is None:
        return metric(item.value)
    own = f" ({t('cards.explained.likeliest', label=item.likeliest)})" if item.likeliest else ""
    return f"{item.label} {metric(item.score)}{own}"


def _signed(score: float, unit: str) -> str:
    said = f"{score:+.2f}" if unit == LOG_ODDS else f"{score:+.3g}"
    return said.replace("-", "−") if float(said) else "0"


def _most(item: Explained, unit: str) -> float:
    """The score that has the full tone; where hardly anything counts no word stands out."""
    least = LITTLE if unit == LOG_ODDS else 0.0
    return max([least, *(abs(part.score) for part in item.parts)]) or 1.0


def _strong(item: Explained, most: float) -> list[Part]:
    """The parts that count, the strongest first."""
    parts = sorted(item.parts, key=lambda part: -abs(part.score))[:MOST_STRONG]
    return [part for part in parts if abs(part.score) >= STRONG * most]


def _is_row(value: Explanation) -> bool:
    """Whether each column is one part: the row of a table."""
    return value.task == "table"


def _marked(item: Explained, value: Explanation, at: int | None = None) -> Marked:
    unit, room = value.unit, CHARS if at is None else CHARS // INPUTS
    most = _most(item, unit)
    strong, row = _strong(item, most), _is_row(value)
    marks: list[Mark] = []
    shown = 0
    for part, follows in zip(item.parts, [*item.parts, None][1:], strict=True):
        if shown > room:
            marks.append(Mark("…"))
            break
        text = f"{part.column}: {part.token}" if row else part.token
        said = _signed(part.score, unit)
        marks.append(Mark(text, part.score / most, said, part in strong, _between(item, part, follows, row)))
        shown += len(text)
    if at is None:
        brief = "".join(f"{m.text}[{m.said}]{m.after}" if m.strong else m.text + m.after for m in marks)
        return Marked("", tuple(marks), " ".join(brief.split()), _legend(unit, item.label))
    head = f"{at}  {_answer(item)}"
    told = ", ".join(
        f"{' '.join(m.text.split())} {m.said}" for m in sorted(marks, key=lambda m: -abs(m.weight)) if m.strong
    )
    return Marked(head, tuple(marks), f"{head}: {told}" if told else head, "" if at else _legend(unit))


def _legend(unit: str, label: str | None = None) -> str:
    if unit != LOG_ODDS:
        return t("cards.explained.legend_number")
    return t("cards.explained.legend", label=label) if label else t("cards.explained.legend_each")


def _between(item: Explained, part: Part, follows: Part | None, row: bool) -> str:
    """What stands between a part and the next one."""
    if follows is None:
        return ""
    if row or follows.column != part.column:
        return "; " if row else " | "
    return str(item.given[part.column])[part.end : follows.start]


def _strongest(item: Explained, value: Explanation) -> Grid:
    """The words by what they do, with the error where it was measured."""
    parts = sorted(item.parts, key=lambda part: -abs(part.score))
    errors = any(part.error for part in parts)
    several = len({part.column for part in parts}) > 1
    columns = [t("cards.explained.column")] if several else []
    columns += [t(f"cards.explained.{'cell' if _is_row(value) else 'word'}"), t("cards.explained.score")]
    columns += [t("cards.explained.error")] if errors else []
    rows = []
    for part in parts[:ROWS]:
        cells = [part.column] if several else []
        cells += [" ".join(part.token.split()), _signed(part.score, value.unit)]
        cells += ["" if part.error is None else f"{part.error:.2g}"] if errors else []
        rows.append(tuple(cells))
    first = int(several) + 1
    return Grid(tuple(columns), tuple(rows), tuple(range(first, len(columns))), total=len(parts))
