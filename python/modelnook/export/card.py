"""The README.md of an export: what it is, its origin and licence, how like the original, how to load it."""

from __future__ import annotations

import json
from typing import Any

from modelnook.domain.model import ModelInfo
from modelnook.export.base import Exporter, shown
from modelnook.messages import t

__all__ = ["card"]


def card(exporter: Exporter, task: str, info: ModelInfo, report: dict[str, Any], config: dict[str, Any]) -> str:
    """The card as Markdown, its head in the form that hubs read.

    Args:
        config: that of the folder that was written.
        report: what was measured, see :mod:`modelnook.export.engine`.
    """
    name = info.name or info.id
    lines = ["---", *_head(exporter, task, info), "---", "", f"# {name}", ""]
    lines += [t("export.card.what", format=exporter.name, model=shown(info.ref), task=task), ""]
    if len(report["lineage"]) > 1:
        lines += [t("export.card.lineage", lineage=" ← ".join(map(shown, report["lineage"]))), ""]
    lines += [t("export.card.licence", licence=info.license or t("export.card.unknown")), ""]
    if info.labels:
        lines += [t("export.card.labels", labels=", ".join(info.labels)), ""]
    if info.metrics:
        said = ", ".join(f"{metric} {value:.4g}" for metric, value in info.metrics.items())
        lines += [t("export.card.metrics", metrics=said), ""]
    lines += [f"## {t('export.card.same')}", "", _same(report), ""]
    lines += [f"## {t('export.card.load')}", "", "```python", exporter.example(task, config).rstrip(), "```", ""]
    return "\n".join(lines)


def _head(exporter: Exporter, task: str, info: ModelInfo) -> list[str]:
    said: dict[str, Any] = {
        "license": info.license or "unknown",
        "language": list(info.language) or None,
        "pipeline_tag": "tabular-classification" if task == "table" else task,
        "library_name": {"safetensors": "transformers"}.get(exporter.name, exporter.name),
        "base_model": shown(info.base_model) if info.base_model else None,
        "tags": ["modelnook", exporter.name],
    }
    lines = []
    for key, value in said.items():
        if isinstance(value, list):
            lines += [f"{key}:", *(f"- {_plain(one)}" for one in value)]
        elif value:
            lines.append(f"{key}: {_plain(value)}")
    return lines


def _plain(value: str) -> str:
    """A YAML scalar: quoted as JSON is, which YAML reads, where anything in it could be read otherwise."""
    simple = all(c.isalnum() or c in "-_./@" for c in value) and value[:1].isalnum()
    return value if simple else json.dumps(value, ensure_ascii=False)


def _same(report: dict[str, Any]) -> str:
    equal = f"{100 * report['equal']:.1f}"
    if report["max_difference"] is None:
        return t("export.card.texts", equal=equal, rows=report["rows"])
    difference, tolerance = f"{report['max_difference']:.2g}", f"{report['tolerance']:g}"
    return t("export.card.numbers", equal=equal, rows=report["rows"], difference=difference, tolerance=tolerance)
