"""What every backend makes of a fine-tuned MiniLM: bytes, speed, quality on real texts, and what the control does.

    python benchmarks/quantize.py --keep FOLDER --data cr            one set, kept
    python benchmarks/quantize.py --keep FOLDER --data clinc150      … another, and the table of both
    python benchmarks/quantize.py --keep FOLDER --data               what is there
    python benchmarks/quantize.py --peers --optimum .venv-peer/bin/python [--backends NAME,NAME] [--attempts] [--json]

Every backend and scheme of this machine, and what ``auto`` takes, race with the fp32 model in PyTorch, each in a
process of its own, taking turns; ``--attempts`` adds each backend's more careful attempts, ``--peers`` what three
libraries make of it by hand (peers.py). Ours and the peers calibrate on the same validation rows, which the model
didn't see, and ``auto`` chooses on them; what is told is of the test rows, which nothing has seen. ``drop`` is in
points of the set's metric (accuracy; macro F1 where classes are of unlike size) with its paired 95% interval. ``auto``
is told beside the quickest of our ways and of the peers that stay within a point, and beside the time that the
fine-tuning took. Last, a collapse is planted (a layer's scale ruined) and must be refused. Targets: int8 at most 27% of
the bytes, at least 4x the rows/s of batches as they come and 2.3x of sorted ones, p50 at most 20%; the interval of the
drop within a point; ``auto`` at most 5% slower than the best peer,
within 3x of the fine-tuning's time or said first to take longer. Each is told as met or missed, by what ``auto`` took.
A set that fails is told at the end and leaves the others.

The fine-tuned models are kept in the temporary folder. ``--rows 120`` shows in two minutes that all of it runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from contenders import Contender, race
from kept import measured, parts, unlike
from machine import line
from sets import SETS, Rows, fine_tuned, load, tuning_seconds

from modelnook.domain.errors import RefusedError, UnsupportedError
from modelnook.domain.event import Event, Warned
from modelnook.measure.outputs import write_rows
from modelnook.measure.probe import Probe, measure, probe_args, read_probe
from modelnook.measure.race import race_args, read_race
from modelnook.measure.score import paired_drop
from modelnook.measure.speed import Speed
from modelnook.quantize import QUANTIZERS, ways
from modelnook.quantize.base import Quantizer
from modelnook.quantize.candidates import called
from modelnook.quantize.compress import compress
from modelnook.registry import Entry
from modelnook.runtime.folder import config, max_length
from modelnook.runtime.folder import labels as labels_of
from modelnook.settings import current
from modelnook.store.files import folder_bytes
from modelnook.tasks.text_classification import TextClassification

TASK = "text-classification"
TARGETS = {
    "bytes": 0.27,
    "over_as_they_come": 4.0,
    "over_sorted": 2.3,
    "p50": 0.20,
    "drop_high": 0.01,
    "auto_over_peer": 0.95,
    "auto_over_tuning": 3.0,
}
AT_LEAST = ("over_as_they_come", "over_sorted", "auto_over_peer")
OF_AUTO = ("bytes", "over_as_they_come", "over_sorted", "p50", "drop_high")
BUDGET = 120.0
PEERS = Path(__file__).with_name("peers.py")
SAID_FIRST = ("quantize.longer_than_training", "quantize.takes_longer")


class Ruined(Quantizer):
    """The best backend's result with the scale of one layer ruined, as a bad range does."""

    name = "ruined"
    schemes = ("int8",)
    runtime = "transformers"

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """One."""
        return [{}]

    def quantize(self, source: Path, target: Path, scheme: str, **options: Any) -> None:
        """Copy, and multiply the last layer's output."""
        from safetensors.torch import load_file, save_file

        shutil.copytree(source, target)
        weights = load_file(target / "model.safetensors")
        name = next(n for n in sorted(weights, reverse=True) if n.endswith("output.dense.weight"))
        weights[name] *= -60.0
        save_file(weights, target / "model.safetensors", metadata={"format": "pt"})


def one_set(rows: Rows, source: Path, said: argparse.Namespace) -> dict[str, Any]:
    """What each way makes of a model, on one set."""
    names = said.backends.split(",") if said.backends else None
    with tempfile.TemporaryDirectory() as work:
        contenders = [
            Contender("PyTorch fp32, as they come", source, sort=False),
            Contender("PyTorch fp32, sorted", source),
        ]
        took: dict[str, float] = {}
        failed: dict[str, str] = {}
        for name, scheme in ways("auto", "auto", TASK):
            if names and name not in names:
                continue
            quantizer = QUANTIZERS.load(name)()
            for number, options in enumerate(quantizer.attempts(scheme)[: None if said.attempts else 1]):
                out, title = Path(work) / f"{name}-{scheme}-{number}", called(name, scheme, options)
                began = time.perf_counter()
                rest = {"task": TASK, "calibration": _calibration(rows), "emit": _quiet}
                try:
                    quantizer.quantize(source, out, scheme, **rest, **options)
                except UnsupportedError as error:
                    failed[title] = error.message
                    continue
                took[title] = time.perf_counter() - began
                contenders.append(Contender(title, out))
        if said.peers:
            contenders += _peers(rows, source, Path(work), said.optimum, took, failed)
        auto = _auto(rows, source, Path(work) / "auto")
        if "error" not in auto:
            contenders.append(Contender("auto", Path(work) / "auto"))
        found = race(contenders, rows.texts, rounds=said.rounds)
        table = _table(contenders, found, rows, labels_of(config(source)), took)
    part = {
        "data": rows.name,
        "rows": len(rows.texts),
        "chosen_on": len(rows.valid),
        "metric": rows.metric,
        "contenders": table,
        "failed": failed,
        "auto": {**auto, **_beside(table, auto, source)},
        "collapse": _collapse(rows, source),
    }
    return {**part, "verdicts": verdicts(part)}


def _calibration(rows: Rows) -> list[str]:
    return [text for text, _ in rows.valid[:64]]


def verdicts(part: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Target -> what was reached by what ``auto`` took, and whether it was met; None where it wasn't measured."""
    row = next((row for row in part["contenders"] if row["name"] == "auto"), None)
    beside = part["auto"]
    reached = {
        "bytes": row and row["bytes_ratio"],
        "over_as_they_come": row and row["over_as_they_come"],
        "over_sorted": row and row["over_sorted"],
        "p50": row and row["p50_ratio"],
        "drop_high": row and row["drop_interval"][1],
        "auto_over_peer": beside["over_peer"],
        "auto_over_tuning": beside["over_tuning"],
    }
    found: dict[str, dict[str, Any]] = {}
    for name, value in reached.items():
        target = TARGETS[name]
        met = None if value is None else value >= target if name in AT_LEAST else value <= target
        if name == "auto_over_tuning" and met is False:
            met = bool(beside.get("said_first"))
        # What auto refuses meets nothing that was to be had.
        found[name] = {"value": value, "target": target, "met": False if row is None and name in OF_AUTO else met}
    found["collapse_refused"] = {"value": None, "target": None, "met": part["collapse"].startswith("refused")}
    return found


def _peers(
    rows: Rows, source: Path, work: Path, optimum: str, took: dict[str, float], failed: dict[str, str]
) -> list[Contender]:
    """What peers.py makes, each by the Python that has its libraries."""
    texts = work / "calibration.json"
    texts.write_text(json.dumps(_calibration(rows)))
    found = []
    length, threads = str(max_length(source)), str(current().threads)
    for kind, python in (("openvino", sys.executable), ("torchao", sys.executable), ("optimum", optimum)):
        if not python:
            continue
        name, out, began = f"by hand: {kind} int8", work / f"peer-{kind}", time.perf_counter()
        command = [python, str(PEERS), "make", kind, str(source), str(out), str(texts), length, threads]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            failed[name] = (done.stderr.strip().splitlines() or ["?"])[-1]
            continue
        took[name] = time.perf_counter() - began
        run = (python, str(PEERS), "run", kind, str(out), "TEXTS", length, threads)
        found.append(Contender(name, out, command=run))
    return found


def _auto(rows: Rows, source: Path, out: Path) -> dict[str, Any]:
    """What ``to="auto"`` takes of the validation rows within two minutes, measured in clean processes as a job does."""
    chosen = {"text": [text for text, _ in rows.valid], "label": [label for _, label in rows.valid]}
    began = time.perf_counter()
    told: list[Event] = []

    def probe(path: Path, texts: list[str]) -> Probe:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            write_rows(work / "rows.json", texts)
            arguments = probe_args(path, work / "rows.json", work, task=TASK, seconds=BUDGET / 30)
            done = subprocess.run([sys.executable, "-P", "-m", *arguments], check=False)
            return read_probe(work, done.returncode)

    def in_turns(paths: list[Path], texts: list[str]) -> list[Speed]:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            write_rows(work / "rows.json", texts)
            arguments = race_args(paths, work / "rows.json", work, task=TASK)
            done = subprocess.run([sys.executable, "-P", "-m", *arguments], check=False)
            return read_race(work, done.returncode)

    try:
        result = compress(
            source,
            out,
            scheme="auto",
            task_name=TASK,
            rows=chosen,
            max_drop=0.01,
            metric=rows.metric,
            probe=probe,
            race=in_turns,
            emit=told.append,
            budget=BUDGET,
            trained=tuning_seconds(source),
        )
    except RefusedError as error:
        return {"error": error.message, "seconds": time.perf_counter() - began, "said_first": _said_first(told)}
    report = result.report
    tried = [called(a["backend"], a["scheme"], a["options"]) for a in report["attempts"]]
    took = called(result.backend, result.scheme, result.options)
    return {
        "took": took,
        "tried": tried,
        "untried": report["untried"],
        "seconds": time.perf_counter() - began,
        "said_first": _said_first(told),
        "drop_where_chosen": report["drop"],
    }


def _said_first(told: list[Event]) -> list[str]:
    return [event.message for event in told if isinstance(event, Warned) and event.code in SAID_FIRST]


def _beside(table: list[dict[str, Any]], auto: dict[str, Any], source: Path) -> dict[str, Any]:
    """``auto`` beside the quickest within a point, ours and by hand, and beside the fine-tuning of the model."""
    rates = {row["name"]: row["rows_per_s"] for row in table[2:] if row["name"] == "auto" or row["drop"] <= 0.01}
    tuning = tuning_seconds(source)
    found: dict[str, Any] = {"tuning_s": tuning, "over_tuning": auto["seconds"] / tuning if tuning else None}
    for what, by_hand in (("best", False), ("peer", True)):
        others = {n: rate for n, rate in rates.items() if n != "auto" and n.startswith("by hand") == by_hand}
        best = max(others, key=others.__getitem__, default=None)
        found[what] = best
        found[f"over_{what}"] = rates["auto"] / others[best] if best and "auto" in rates else None
    return found


def _quiet(event: Any) -> None:
    """Engines emit; a benchmark doesn't listen."""


def _table(
    contenders: list[Contender], found: dict[str, Any], rows: Rows, names: list[str], took: dict[str, float]
) -> list[dict[str, Any]]:
    truth = np.array([names.index(label) for label in rows.labels])
    spec = TextClassification()
    # Only the labels matter for the metric: each answer as a row with a one.
    outputs = {name: np.eye(len(names))[[names.index(g) for g in said.pop("guess")]] for name, said in found.items()}
    first, ordered = contenders[0].name, contenders[1].name
    table = []
    for contender in contenders:
        said, mine = found[contender.name], outputs[contender.name]
        drop, (low, high) = paired_drop(spec, rows.metric, truth, outputs[first], mine, names)
        table.append(
            {
                "name": contender.name,
                "quality": spec.score(truth, mine, names)[rows.metric],
                "drop": drop,
                "drop_interval": (low, high),
                **said,
                "bytes": folder_bytes(contender.path),
                "bytes_ratio": folder_bytes(contender.path) / folder_bytes(contenders[0].path),
                "over_as_they_come": said["rows_per_s"] / found[first]["rows_per_s"],
                "over_sorted": said["rows_per_s"] / found[ordered]["rows_per_s"],
                "p50_ratio": said["p50_ms"] / found[first]["p50_ms"],
                "quantize_s": took.get(contender.name),
            }
        )
    return table


def _collapse(rows: Rows, source: Path) -> str:
    """``refused`` where the control does its work."""
    QUANTIZERS._all["ruined"] = Entry(f"{__name__}:Ruined", "for this benchmark")
    sys.modules.setdefault("quantize", sys.modules[__name__])

    def probe(path: Path, texts: list[str]) -> Probe:
        return measure(path, texts, seconds=0.5)

    with tempfile.TemporaryDirectory() as work:
        try:
            compress(
                source,
                Path(work) / "out",
                scheme="int8",
                backend="ruined",
                task_name=TASK,
                rows={
                    "text": [text for text, _ in rows.valid[:500]],
                    "label": [label for _, label in rows.valid[:500]],
                },
                max_drop=0.01,
                probe=probe,
                emit=_quiet,
            )
        except RefusedError as error:
            return f"refused: {error.message}"
        finally:
            QUANTIZERS._all.pop("ruined")
    return "NOT refused"


def show(found: dict[str, Any]) -> None:
    """One table a set, then one of all."""
    print(f"targets {found['targets']}")
    for part in found["sets"]:
        print(f"\n{part['data']}, {part['rows']} texts; {line(part['machine'])}")
        print(
            f"{'':<34}{part['metric']:>9}{'drop':>7}{'95%':>15}{'MB':>7}{'bytes':>7}{'rows/s':>8}"
            f"{'x come':>8}{'x sorted':>9}{'p50 ms':>8}{'p50':>6}{'made s':>8}"
        )
        for row in part["contenders"]:
            low, high = row["drop_interval"]
            made = f"{row['quantize_s']:.1f}" if row["quantize_s"] else ""
            print(
                f"{row['name']:<34}{row['quality']:>9.4f}{100 * row['drop']:>7.2f}"
                f"{f'{100 * low:.2f} to {100 * high:.2f}':>15}{row['bytes'] / 1e6:>7.1f}{row['bytes_ratio']:>7.1%}"
                f"{row['rows_per_s']:>8.0f}{row['over_as_they_come']:>8.2f}{row['over_sorted']:>9.2f}"
                f"{row['p50_ms']:>8.2f}{row['p50_ratio']:>6.0%}{made:>8}"
            )
        for name, error in part["failed"].items():
            print(f"{name}: {error}")
        print(f"auto: {json.dumps(part['auto'])}")
        print(f"planted collapse: {part['collapse']}")
        for name, verdict in part["verdicts"].items():
            print(f"  {_verdict(verdict):<10} {name:<18} {_against(name, verdict)}")
    differ = unlike(found["sets"])
    print(f"\nsets on unlike machines ({', '.join(differ)}): not one table" if differ else "\nwhat auto took, all sets")
    for part in found["sets"]:
        row = next((row for row in part["contenders"] if row["name"] == "auto"), None)
        if row is None:
            print(f"{part['data']:<20} refused")
            continue
        beside, (_, high) = part["auto"], row["drop_interval"]
        said = " (said first)" if beside["said_first"] else ""
        print(
            f"{part['data']:<20} {beside['took']:<24} bytes {row['bytes_ratio']:.1%}, "
            f"{row['over_as_they_come']:.2f}x as they come, {row['over_sorted']:.2f}x sorted, "
            f"p50 {row['p50_ratio']:.0%}, drop at most {100 * high:.2f}, "
            f"{_times(beside['over_peer'])} of the best by hand, "
            f"{_times(beside['over_tuning'])} of the fine-tuning's time{said}, "
            f"collapse {part['collapse'].partition(':')[0]}"
        )


def _verdict(verdict: dict[str, Any]) -> str:
    return {True: "met", False: "missed", None: "unmeasured"}[verdict["met"]]


def _against(name: str, verdict: dict[str, Any]) -> str:
    if verdict["target"] is None:
        return ""
    value = "–" if verdict["value"] is None else f"{verdict['value']:.3f}"
    return f"{value} ({'at least' if name in AT_LEAST else 'at most'} {verdict['target']:g})"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}x"


def _measured(name: str, said: argparse.Namespace, options: dict[str, Any]) -> dict[str, Any]:
    def make() -> dict[str, Any]:
        rows = load(name, said.rows)
        return one_set(rows, said.model or fine_tuned(rows), said)

    found: dict[str, Any] = measured(said.keep, f"quantize-{Path(name).stem}", options, make)
    return found


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=sorted(SETS))
    parser.add_argument("--keep", type=Path, help="a folder for each set's figures; what is there isn't measured again")
    parser.add_argument("--rows", type=int, help="so many rows of three labels alone: a trial")
    parser.add_argument("--peers", action="store_true", help="beside what libraries make by hand")
    parser.add_argument("--optimum", default="", help="the Python of an environment with optimum-onnx, see peers.py")
    parser.add_argument("--model", type=Path, help="a fine-tuned folder for the set; else MiniLM is fine-tuned first")
    parser.add_argument("--backends", help="names with commas; all that run here without it")
    parser.add_argument("--attempts", action="store_true", help="all attempts of each backend, not the quickest alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    options = {name: getattr(said, name) for name in ("backends", "attempts", "rounds", "rows", "peers")}
    options |= {"optimum": bool(said.optimum), "threads": current().threads, "model": str(said.model or "")}
    sets, broken = [], {}
    for name in said.data:
        try:
            sets.append(_measured(name, said, options))
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            broken[name] = f"{type(error).__name__}: {error}"
    sets = parts(said.keep, "quantize-") if said.keep else sets
    found = {"benchmark": "quantize", "targets": TARGETS, "sets": sets, "broken": broken}
    print(json.dumps(found)) if said.json else show(found)
    if broken:
        raise SystemExit(f"failed: {', '.join(f'{name} ({error})' for name, error in broken.items())}")


if __name__ == "__main__":
    main()
