"""The card of a publication: where the model is now, what went along, what was checked, and what forbids it."""

from __future__ import annotations

from modelnook.cards.card import Card, Facts, Fold, Line, Piece
from modelnook.cards.figures import count, size
from modelnook.cards.table import grid
from modelnook.domain.publication import Publication
from modelnook.messages import t

__all__ = ["publication"]


def publication(value: Publication) -> Card:
    """Licence, files with their checksums and the model's card; in a dry run what would be sent."""
    badge = t("cards.publication.sent" if value.sent else "cards.publication.dry")
    pieces: list[Piece] = [
        Facts(
            (
                (t("cards.licence"), value.license),
                ("", t("cards.publication.private" if value.private else "cards.publication.public")),
                ("", ", ".join(value.alias)),
                (t("cards.column.author"), value.author),
                (t("cards.run"), value.run or ""),
                (t("cards.publication.files"), count(len(value.files))),
                (t("cards.size"), size(value.bytes)),
            )
        ),
        *(Line(told, "bad") for told in value.problems[:2]),
        *(Line(told, "quiet") for told in value.checks[:2]),
    ]
    if value.left_out:
        pieces.append(Line(t("cards.publication.left_out", files=", ".join(value.left_out[:5])), "quiet"))
    pieces += [grid(value.files), Fold(t("cards.publication.card"), value.card)]
    if value.problems:
        return Card(value.ref, f"{badge} · {t('cards.publication.problem')}", "bad", tuple(pieces))
    hint = t("cards.publication.next", ref=value.ref) if value.sent else t("cards.publication.do")
    return Card(value.ref, badge, "good" if value.sent else "plain", tuple(pieces), hint=hint)
