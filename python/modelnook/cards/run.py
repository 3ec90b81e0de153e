"""Cards of runs: one in each of its states, and the list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.cards import tuning
from modelnook.cards.candidates import candidates
from modelnook.cards.card import Bar, Card, Chart, Facts, Grid, Line, Piece
from modelnook.cards.exported import parity
from modelnook.cards.figures import count, duration, interval, metric, millis, moment, rate, seconds_between, size
from modelnook.cards.plan import takes
from modelnook.cards.scores import scores
from modelnook.domain.run import RunRecord, off_cpu
from modelnook.finetune import alone
from modelnook.finetune.plan import Plan
from modelnook.messages import has, t
from modelnook.tasks import TASKS
from modelnook.tracking.destination import line

__all__ = ["kind_of", "logged_line", "progress_line", "run", "runs"]

TONES = {"queued": "warn", "running": "busy", "finished": "good", "stopped": "warn", "failed": "bad", "crashed": "bad"}

# The packages that a card names; the record has more.
_NAMED = ("torch", "transformers")

Series = dict[str, dict[str, list[Any]]]


def run(value: Any, series: Series | None = None) -> Card:
    """A run, by its handle or its record. ``series`` (metric -> step, time, value) draws its chart."""
    record: RunRecord = value if isinstance(value, RunRecord) else value.record
    note = getattr(value, "note", "")
    pieces: list[Piece] = [Line(said, "quiet") for said in (logged_line(record), note) if said]
    if record.error:
        # First what went wrong, and what helps against it; then the facts.
        pieces += [Line(record.error.get("message", ""), "bad"), Line(record.error.get("hint", ""))]
    pieces.append(_way(record))
    if record.live:
        pieces.append(_progress(record))
        pieces += _planned(record)
    if record.report and "before" in record.report:
        pieces += _smaller(record, record.report)
    elif record.report and "equal" in record.report:
        pieces += [Facts((("", str(record.report.get("path") or "")),), whole=True), *parity(record.report)]
    elif record.report and record.report.get("models"):
        pieces.append(_compared(record))
    elif record.report and record.report.get("path"):
        pieces.append(Facts((("", size(record.report.get("bytes"))), ("", record.report["path"])), whole=True))
    elif record.report and record.report.get("published"):
        pieces.append(Facts((("", record.report["published"]), ("", size(record.report.get("bytes"))))))
    elif record.kind == "tune":
        pieces += tuning.trials(record)
    elif record.metrics:
        pieces += scores(record.metrics, record.intervals, record.baselines, record.primary_metric, _keeping(record))
    if record.report and record.report.get("unlabelled"):
        pieces.append(Line(_unlabelled(record.report["unlabelled"]), "warn"))
    pieces += (tuning.history if record.kind == "tune" else _charts)(record, series or {})
    pieces += [_facts(record), Facts(()) if record.live else _wandb(record), _environment(record)]
    told = tuple(
        p for p in pieces if not (p.said == () if isinstance(p, Facts) else isinstance(p, Line) and not p.text)
    )
    badge = " · ".join((kind_of(record.kind), t(f"state.{record.shown_state}")))
    name, where = record.name or record.id, f"%model runs show {record.id}"
    return Card(name, badge, TONES[record.state], told, record.warnings, _next(record), where)


def _smaller(record: RunRecord, report: dict[str, Any]) -> list[Piece]:
    """What became of a model; of one that goes on or was refused, the steps that are done and what was tried."""
    steps, tried = report.get("steps") or (), candidates(report, record.id)
    if len(steps) > bool(report.get("after")):
        return [_steps(record), *tried]
    return [_report(record), *tried] if report.get("after") else tried


def logged_line(record: RunRecord) -> str:
    """Where a run that goes on is logged; a training that is logged nowhere says that too."""
    if not record.live or (record.wandb is None and record.kind != "finetune"):
        return ""
    return line(record.wandb)


def kind_of(kind: str) -> str:
    """What a run does, in words."""
    key = f"cards.kind.{kind}"
    return t(key) if has(key) else kind


def _way(record: RunRecord) -> Facts:
    base = record.base or ""
    way = f"{base} → {record.model}" if record.model and base else record.model or base
    task = record.task if record.kind in ("finetune", "tune") else ""
    return Facts((("", way), ("", task or ""), _rows(record), (t("cards.run"), record.id)))


def _rows(record: RunRecord) -> tuple[str, str]:
    """How many rows were used; for a measured report, which; of a training, how many validate."""
    report, plan = record.report or {}, record.plan or {}
    if report.get("rows"):
        keys = {"validation": "cards.on_validation", "own": "cards.on_own"}
        return "", t(keys.get(str(report.get("data")), "cards.on_rows"), n=count(report["rows"]))
    if record.kind == "finetune" and plan.get("held_out"):
        return "", t("cards.rows_split", n=count(plan.get("rows")), out=count(plan["held_out"]))
    return t("cards.rows"), count((record.data or {}).get("rows"))


def progress_line(record: RunRecord) -> str:
    """Where a live run stands, in one line: phase, steps, loss, speed, time left."""
    p = record.progress or {}
    if record.state == "queued" and p.get("phase") == "waiting":
        behind = p.get("behind") or {}
        said = f"{behind['name']} ({behind['id']})" if behind.get("name") else behind.get("id")
        return t("cards.queued_behind", run=said) if said else t("cards.queued")
    phase = p.get("phase") or "starting"
    parts = [t(f"cards.phase.{phase}") if has(f"cards.phase.{phase}") else phase]
    if p.get("total"):
        measure = size if phase in ("downloading", "uploading") else count
        parts.append(f"{measure(p.get('step'))}/{measure(p['total'])}")
    if p.get("epochs"):
        parts.append(t("cards.epoch", epoch=f"{p.get('epoch') or 0:.1f}", epochs=f"{p['epochs']:g}"))
    if p.get("loss") is not None:
        parts.append(t("cards.loss", value=metric(p["loss"])))
    if p.get("rows_per_s"):
        parts.append(rate(p["rows_per_s"]))
    if p.get("eta_s") is not None:
        parts.append(t("cards.left", time=duration(p["eta_s"])))
    return " · ".join(parts)


def _planned(record: RunRecord) -> list[Piece]:
    """What a training that goes on was said to take, and why it is done so."""
    if record.kind != "finetune" or not record.plan:
        return []
    value = Plan.from_dict(record.plan)
    return [Line(value.reason, "quiet"), *takes(value, _measured(record))]


def _measured(record: RunRecord) -> float | None:
    """Seconds that a training takes in all, by its own pace; None before it has one."""
    left = (record.progress or {}).get("eta_s")
    so_far = seconds_between(record.started, None) if record.started else None
    return None if left is None or so_far is None else so_far + left


def part_of(record: RunRecord) -> float | None:
    """How far a live run is, between 0 and 1; None where that isn't known."""
    p = record.progress or {}
    return (p.get("step") or 0) / p["total"] if p.get("total") else None


def _progress(record: RunRecord) -> Bar:
    return Bar(part_of(record), progress_line(record))


def _charts(record: RunRecord, series: Series) -> list[Chart]:
    """Loss, and the validation metric that chooses."""
    losses = {name: series[key] for name, key in (("loss", "loss"), ("eval_loss", "eval_loss")) if key in series}
    charts = [Chart(t("cards.chart.loss"), {n: (s["step"], s["value"]) for n, s in losses.items()})] if losses else []
    chosen = f"eval_{record.primary_metric}"
    if chosen in series:
        s = series[chosen]
        charts.append(Chart(t("cards.chart.metric"), {record.primary_metric or "": (s["step"], s["value"])}))
    return charts


def _loading(seconds: float | None) -> str:
    return millis(None if seconds is None else 1000 * seconds)


_MEASURES = (
    (("bytes", "peak_memory_bytes"), size),
    (("tokens",), count),
    (("layers",), count),
    (("p50_ms", "p95_ms"), millis),
    (("rows_per_s",), count),
    (("load_s",), _loading),
)
"""The lines of a report, and how their values are said: two that are read together share a line."""

_STEP_MEASURES = tuple((names, say) for names, say in _MEASURES if names[0] not in ("tokens", "layers"))


def _report(record: RunRecord) -> Grid:
    """Before and after, as one table; what it cost in quality first."""
    report = record.report or {}
    before, after = report.get("before") or {}, report.get("after") or {}
    name = report.get("metric") or record.primary_metric or ""
    rows = []
    old, new = (before.get("metrics") or {}).get(name), (after.get("metrics") or {}).get(name)
    if old is not None and new is not None:
        sides = (f"{metric(value)}{_between(side, name)}" for value, side in ((old, before), (new, after)))
        rows.append((name, *sides, f"{new - old:+.3f}"))
    for names, say in _MEASURES:
        pairs = {n: (before.get(n), after.get(n)) for n in names if (before.get(n), after.get(n)) != (None, None)}
        if pairs:
            told = ([t(f"cards.column.{n}"), say(old), say(new), _change(old, new)] for n, (old, new) in pairs.items())
            rows.append(tuple(" / ".join(filter(None, cells)) for cells in zip(*told, strict=True)))
    if off_cpu((before, after)):
        rows.append((t("cards.column.device"), *(side.get("device") or "cpu" for side in (before, after)), ""))
    heads = ("", t("cards.before"), t("cards.after"), t("cards.change"))
    return Grid(heads, tuple(rows), (1, 2, 3), (0,) if rows and rows[0][0] == name else (), first=True)


def _between(side: dict[str, Any], name: str) -> str:
    """The 95% interval of one side's metric, after it."""
    told = interval((side.get("intervals") or {}).get(name))
    return f" ({told})" if told else ""


def _steps(record: RunRecord) -> Grid:
    """A chain: the first model, and what each step left of it."""
    report = record.report or {}
    steps, name = report["steps"], report.get("metric") or record.primary_metric or ""
    sides = [(t("cards.step.original"), steps[0]["before"]), *((step_name(step), step["after"]) for step in steps)]
    elsewhere = off_cpu(side for _, side in sides)
    rows = tuple(
        (
            said,
            f"{metric((side.get('metrics') or {}).get(name))}{_between(side, name)}",
            *(" / ".join(say(side.get(n)) for n in names) for names, say in _STEP_MEASURES),
            *((side.get("device") or "cpu",) if elsewhere else ()),
        )
        for said, side in sides
    )
    heads = [" / ".join(t(f"cards.column.{n}") for n in names) for names, _ in _STEP_MEASURES]
    last = (t("cards.column.device"),) if elsewhere else ()
    return Grid((t("cards.column.step"), name, *heads, *last), rows, tuple(range(1, 2 + len(heads))))


def step_name(step: dict[str, Any]) -> str:
    """A step of a chain in words, with the backend that it chose.

    >>> step_name({"step": "int8", "backend": "onnx"}), step_name({"step": "int8:onnx", "backend": "onnx"})
    ('int8 (onnx)', 'int8:onnx')
    """
    said, chosen = str(step["step"]), step.get("backend")
    return f"{said} ({chosen})" if chosen and ":" not in said else said


def _compared(record: RunRecord) -> Grid:
    """The models that a comparing run measured."""
    metric_name = record.primary_metric or ""
    rows = tuple(
        (
            m.get("model", ""),
            metric((m.get("metrics") or {}).get(metric_name)),
            size(m.get("bytes")),
            millis(m.get("p50_ms")),
        )
        for m in (record.report or {})["models"]
    )
    heads = (t("cards.column.model"), metric_name, t("cards.column.bytes"), t("cards.column.p50_ms"))
    return Grid(heads, rows, (1, 2, 3))


def _unlabelled(found: dict[str, Any]) -> str:
    """What rows without a label came to, in one sentence."""
    said = {"offered": count(found["offered"]), "taken": count(found["taken"]), "metric": found["metric"]}
    if found.get("with_them") is None:
        return t("cards.unlabelled_none", offered=said["offered"], fresh=count(found["fresh"]))
    right = t("cards.unlabelled_unknown")
    if found.get("precision") is not None:
        percent = f"{100 * found['precision']:.0f}"
        right = t("cards.unlabelled_right", percent=percent, rows=count(found["precision_rows"]))
    # Reports of before know no teacher: it was always the model.
    by = t("cards.unlabelled_by_model")
    if found.get("teacher") == "tfidf":
        by = t("cards.unlabelled_by_both") if found["agree"] else t("cards.unlabelled_by_tfidf")
    said |= {"by": by, "precision": right, "plain": metric(found["plain"]), "with_them": metric(found["with_them"])}
    return t("cards.unlabelled_kept", **said) if found["kept"] else t("cards.unlabelled_lost", **said)


def _keeping(record: RunRecord) -> dict[str, str]:
    """Baseline -> the command that makes it the model, on the rows of a training run."""
    task = record.task or ""
    # Cards are also shown where nothing can be trained.
    if record.kind != "finetune" or record.origin != "local" or task not in TASKS or TASKS[task].missing:
        return {}
    methods = TASKS.load(task, light=True).methods
    call = f"%model runs rerun {record.id}"
    return {m: f"{call} --method {m} --name {record.name}-{m}" for m in methods if alone(m)}


def _change(before: float | None, after: float | None) -> str:
    if not before or after is None:
        return ""
    share = after / before
    return f"×{share:.1f}" if share >= 2 else f"{share - 1:+.0%}"


def _facts(record: RunRecord) -> Facts:
    took = seconds_between(record.started, record.ended) if record.started else None
    params = record.params
    return Facts(
        (
            (t("cards.time"), duration(took)),
            (t("cards.method"), str(params.get("method") or record.method or "")),
            (t("cards.backend"), str((record.report or {}).get("backend") or params.get("backend") or "")),
            (t("cards.epochs"), f"{params['epochs']:g}" if params.get("epochs") else ""),
            (t("cards.batch"), str(params.get("batch_size") or "")),
            (t("cards.device"), record.device or ""),
        )
    )


def _environment(record: RunRecord) -> Facts:
    """What a run of elsewhere was computed with; one of this machine's can be looked at here."""
    said = record.environment or {}
    if record.origin == "local" or not said:
        return Facts(())
    packages = said.get("packages") or {}
    named = [f"{name} {packages[name]}" for name in _NAMED if packages.get(name)]
    python = f"Python {said['python']}" if said.get("python") else ""
    shown = (python, *named, str(said.get("system") or ""), str(said.get("hardware") or ""))
    return Facts(((t("cards.environment"), ", ".join(filter(None, shown))),))


def _wandb(record: RunRecord) -> Piece:
    said = record.wandb or {}
    if said.get("url"):
        return Line(f"W&B {said['url']}", "quiet", said["url"])
    if not said.get("path"):
        return Facts(())
    return Facts((("W&B", t("cards.unsynced", run=record.id)), ("", said["path"])), whole=True)


def _next(record: RunRecord) -> str:
    """The one thing to do next, where there is one that everybody would."""
    if record.shown_state == "stopping":
        begun = (record.progress or {}).get("step", 0) > 0
        return t("cards.next.stopping_kept" if begun and record.kind == "finetune" else "cards.next.stopping")
    if record.state == "running":
        return t("cards.next.stop", run=record.name or record.id)
    if record.resumable:
        return t("cards.next.resume", run=record.id)
    if record.state in ("finished", "stopped") and record.model and record.kind == "finetune":
        return t("cards.next.trained", ref=record.name)
    return ""


def runs(value: Any) -> Card:
    """The list of runs, newest first."""
    records: tuple[RunRecord, ...] = value.items
    total = max(getattr(value, "total", 0), len(records))
    if not records:
        return Card(t("cards.runs", n=0), hint=t("cards.runs_none_match" if value.narrowed else "cards.runs_none"))
    logged = [r.wandb or {} for r in records]
    rows = tuple(
        (
            r.id,
            # What was made names itself; else the name that the run was given.
            r.model or r.name,
            kind_of(r.kind),
            t(f"state.{r.shown_state}"),
            f"{r.primary_metric} {metric(r.primary)}" if r.primary is not None else "",
            duration(seconds_between(r.started, r.ended)) if r.started else "",
            moment(r.started or r.created),
            said.get("url") or (t("cards.offline") if said.get("path") else ""),
        )
        for r, said in zip(records, logged, strict=True)
    )
    names = ("run", "model", "what", "state", "metric", "time", "when")
    heads = (*(t(f"cards.column.{n}") for n in names), "W&B")
    used = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    cells = tuple(tuple(row[i] for i in used) for row in rows)
    places = tuple(str(said.get("url") or said.get("path") or "") for said in logged)
    grid = Grid(tuple(heads[i] for i in used), cells, more=t("cards.more_runs"), total=total, places=places)
    if place := _offline(records):
        return Card(t("cards.runs", n=count(total)), pieces=(grid, place), hint=t("cards.offline_next"))
    return Card(t("cards.runs", n=count(total)), pieces=(grid,))


def _offline(records: tuple[RunRecord, ...]) -> Facts | None:
    """Where the runs lie that are only logged here; each has the same place in a folder of its own."""
    for r in records:
        said = r.wandb or {}
        if said.get("path") and not said.get("url"):
            folder = str(Path(said["path"]).parent).replace(r.id, "RUN")
            return Facts((("", t("cards.offline_at", folder=folder)),), whole=True)
    return None
