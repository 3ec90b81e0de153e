"""The card of a model that is served: where, and how to ask it."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Card, Facts, Line
from modelnook.domain.errors import in_notebook
from modelnook.messages import t

__all__ = ["server"]

_WRITES, _VECTORS = ("text-generation",), ("sentence-similarity", "feature-extraction")


def server(value: Any) -> Card:
    """Its address, what it does, the call that asks it; never its token."""
    said = value.to_dict()
    facts = Facts(
        (
            ("", value.ref),
            (t("cards.task"), said["task"]),
            (t("cards.runtime"), said["runtime"]),
            (t("cards.device"), said["device"]),
        )
    )
    note = (Line(value.note, "quiet"),) if value.note else ()
    if not value.running:
        return Card(value.url, t("cards.server_ended"), "plain", (*note, facts))
    more = (Line(t("cards.openai", url=f"{value.url}/v1")),) if said["task"] in (*_WRITES, *_VECTORS) else ()
    page = Line(t("cards.server_page", url=value.url), href=value.url)
    pieces = (*note, facts, page, *more, Facts((("", _call(value.url)),), whole=True))
    return Card(value.url, t("cards.serving"), "good", pieces, hint=t("cards.server_stop", ref=value.ref))


def _call(url: str) -> str:
    """How it is asked, where the card is read: in a notebook, or in a terminal."""
    if in_notebook():
        sent = 'json={"inputs": ["…"]}, headers={"Authorization": f"Bearer {server.token}"}'
        return f'requests.post(f"{{server.url}}/predict", {sent}).json()'
    headers = '-H "Authorization: Bearer TOKEN" -H "Content-Type: application/json"'
    return f"""curl {headers} -d '{{"inputs": ["…"]}}' {url}/predict"""
