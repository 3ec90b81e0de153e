"""How a result reads: as a sentence where it is something done and no value, with all of its rows where asked so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelnook.messages import t

if TYPE_CHECKING:
    from modelnook.verbs import Call

__all__ = ["in_full", "said"]


def in_full(call: Call) -> bool:
    """Whether a person wants to see all: who says how many rows, or which run, or asks what a training would do."""
    plan = call.verb.name == "finetune" and call.kwargs.get("dry_run")
    return "limit" in call.kwargs or call.verb.name == "runs show" or bool(plan)


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
