"""Results that are no value to show but something done: the sentence that a person reads instead."""

from __future__ import annotations

from typing import Any

from modelnook.messages import t

__all__ = ["said"]


def said(verb: str, result: Any) -> str | None:
    """What a verb did, in a sentence; None where its result shows itself."""
    if verb == "offline":
        return t("faces.offline_on" if result else "faces.offline_off")
    if verb == "unload":
        names = (t("faces.kept_imports") if ref == "warm" else ref for ref in result)
        return t("faces.unloaded", refs=", ".join(names)) if result else t("faces.nothing_loaded")
    if verb == "rm":
        return t("faces.removed", ref=result)
    if verb == "rename":
        return t("faces.renamed", ref=result)
    if verb == "runs delete":
        model = result.record.model
        return t("faces.deleted_kept", run=result.id, model=model) if model else t("faces.deleted", run=result.id)
    return None
