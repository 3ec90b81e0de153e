"""How quickly a model is found among many, and what the index of them costs.

``python benchmarks/catalog.py [--json] [--sizes 10000,100000] [--data PATH]``; ``--data`` takes a table of well-known
models of the form of ``tests/catalog/known_models.psv``. The catalogue is generated (``benchmarks/generated.py`` says
how). Each size is built and searched in a process of its own, so that memory is its own.

Speed without recall is empty: beside it stands how much of what 228 real questions mean (``queries.json`` beside that
table) is among the first ten of all rows.

Targets at 2,500,000: first page p95 < 10 ms, facets of a broad word < 100 ms, < 300 MB, >= 50,000 rows/s, < 400 MB on
disk; recall at 10 >= 0.95, of Chinese questions >= 0.8; with eight processes searching while one refreshes: no error,
p95 within twice that of eight that search alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import generated
from machine import line, machine

from modelnook.catalog.base import Query
from modelnook.catalog.index import CatalogIndex
from modelnook.catalog.index_file import IndexWriter
from modelnook.catalog.search import search
from modelnook.measure.memory import peak

SIZES = (10_000, 100_000, 1_000_000, 2_500_000)
REPEATS = 7
CHUNK = 50_000
SEARCHERS = 8
PAUSE = 0.01
SECONDS = 10.0

QUERIES = {
    "selective": [
        Query("all minilm l6"),
        Query("bert-base-cased"),
        Query("whisper large v3 turbo"),
        Query("gpt-oss 20b"),
        Query("distilbert sst2"),
        Query("meta-llama/Llama-3.1-8B-Instruct"),
    ],
    "broad": [
        Query("bert"),
        Query("llama"),
        Query("qwen"),
        Query("my model"),
        Query("finetuned"),
        Query("transformers"),
    ],
    "prefix": [Query("ber"), Query("dist"), Query("lla"), Query("qw"), Query("whisp"), Query("fine"), Query("sent")],
    "chinese": [
        Query("中文 情感"),
        Query("中文向量"),
        Query("语音识别"),
        Query("翻译 中文"),
        Query("文生图"),
        Query("千问"),
    ],
    "filtered": [
        Query("bert", task="text-classification"),
        Query("llama", license="commercial"),
        Query("qwen", language="zh", params=(1e9, 8e9)),
        Query("bert", format="onnx", gated=False),
        Query(task="text-generation", license="permissive"),
        Query(params=(1e7, 5e8), license="apache-2.0"),
        Query("中文", task="text-generation"),
    ],
    "rare filter": [
        Query("bert", license="agpl-3.0"),
        Query("llama", language="mt"),
        Query("bert", task="text-to-image"),
        Query(language="mt", license="gpl-3.0"),
        Query("flux", task="text-classification"),
        Query("sdxl", license="bsd-3-clause", gated=True),
    ],
    "by downloads": [
        Query("bert", sort="downloads"),
        Query("qwen 7b", sort="downloads"),
        Query("bert", task="text-to-image", sort="downloads"),
        Query("中文", license="permissive", sort="downloads"),
        Query(sort="downloads"),
    ],
    "nothing": [Query("zzyzx"), Query("no such model at all zzyzx"), Query("zz")],
}


def timed(queries: list[Query], repeats: int = REPEATS) -> list[float]:
    """Milliseconds of every search, in rounds over all of them: the whole of it, variants grouped, twenty entries."""
    found = []
    for _ in range(repeats):
        for query in queries:
            start = time.perf_counter()
            search(query, "hub", live=())
            found.append((time.perf_counter() - start) * 1000)
    return found


def p95(values: list[float]) -> float:
    """The 95th of a hundred."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def build(path: Path, size: int) -> float:
    """Seconds that writing takes; making the entries isn't counted."""
    spent = 0.0
    made = generated.entries(size)
    start = time.perf_counter()
    with IndexWriter(path, refreshed="2026-01-01T00:00:00Z") as writer:
        spent += time.perf_counter() - start
        while chunk := list(islice(made, CHUNK)):
            start = time.perf_counter()
            writer.add(chunk)
            spent += time.perf_counter() - start
            del chunk
        start = time.perf_counter()
    return spent + time.perf_counter() - start


def searching(home: Path) -> dict[str, Any]:
    """Every kind of query, facets of broad words, memory: in a process that has done nothing else."""
    os.environ["MODELNOOK_HOME"] = str(home)
    index = CatalogIndex(home)
    timed([Query("warm")], 1)
    by_kind = {kind: timed(queries) for kind, queries in QUERIES.items()}
    every = [ms for values in by_kind.values() for ms in values]
    facets = []
    for word in ("bert", "llama", "my model"):
        index.facets("hub", Query(word))
        start = time.perf_counter()
        index.facets("hub", Query(word))
        facets.append((time.perf_counter() - start) * 1000)
    return {
        "p50_ms": statistics.median(every),
        "p95_ms": p95(every),
        "p95_ms_by_kind": {kind: p95(values) for kind, values in by_kind.items()},
        "facets_ms": max(facets),
        "memory_mb": (peak() or 0) / 1e6,
        "recall_at_10": recall(),
    }


def recall() -> dict[str, float]:
    """Language -> the mean part of what a question means that is among its first ten, as a person gets them."""
    asked = json.loads(generated.KNOWN.with_name("queries.json").read_text(encoding="utf-8"))
    parts: dict[str, list[float]] = {}
    for one in asked:
        found = {info.id for info in search(Query(one["query"], limit=10), "hub", live=())}
        parts.setdefault(one["language"], []).append(len(found.intersection(one["expected"])) / len(one["expected"]))
    return {language: statistics.mean(values) for language, values in parts.items()}


def searcher(home: str, ready: Any, over: Any, out: Any) -> None:
    """Search a hundred times a second at most, until it is over; what it took, and errors."""
    os.environ["MODELNOOK_HOME"] = home
    queries = [q for values in QUERIES.values() for q in values]
    timed(queries, 1)
    found: list[float] = []
    errors: list[str] = []
    ready.wait()
    while not over.is_set():
        for query in queries:
            try:
                found += timed([query], 1)
            except Exception as error:
                errors.append(repr(error))
            time.sleep(PAUSE)
    out.put((found, errors))


def crowd(home: Path, size: int, refresh: bool) -> tuple[float, list[str], int]:
    """``(p95, errors, refreshes)`` of eight processes, while one writes the catalogue anew or none does.

    The new catalogue is as long as the old one; everybody searches until the last row of it is in its place.
    """
    context = get_context("spawn")
    out, ready, over = context.Queue(), context.Barrier(SEARCHERS + 1), context.Event()
    workers = [context.Process(target=searcher, args=(str(home), ready, over, out)) for _ in range(SEARCHERS)]
    for worker in workers:
        worker.start()
    ready.wait()
    done, end = 0, time.monotonic() + SECONDS
    while refresh and time.monotonic() < end:
        CatalogIndex(home).write("hub", generated.entries(size))
        done += 1
    time.sleep(max(0.0, end - time.monotonic()))
    over.set()
    answers = [out.get() for _ in workers]
    for worker in workers:
        worker.join()
    return p95([ms for found, _ in answers for ms in found]), [e for _, errors in answers for e in errors], done


def one(size: int) -> dict[str, Any]:
    """All figures of a size."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        path = CatalogIndex(home).path("hub")
        seconds = build(path, size)
        figures = {"rows": size, "rows_per_s": size / seconds, "file_mb": path.stat().st_size / 1e6}
        figures["build_memory_mb"] = (peak() or 0) / 1e6
        script = [sys.executable, __file__, "--search", folder]
        figures |= json.loads(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
    return figures


def together(size: int) -> dict[str, Any]:
    """Eight that search alone, and while one refreshes."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        CatalogIndex(home).write("hub", generated.entries(size))
        alone, errors, _ = crowd(home, size, refresh=False)
        with_one, more, refreshes = crowd(home, size, refresh=True)
    return {
        "rows": size,
        "processes": SEARCHERS,
        "p95_ms_alone": alone,
        "p95_ms_while_refreshing": with_one,
        "refreshes": refreshes,
        "errors": [*errors, *more],
    }


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--build", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.data:
        generated.KNOWN = args.data
    if args.search:
        print(json.dumps(searching(args.search)))
        return
    if args.build:
        print(json.dumps(one(args.build)))
        return
    sizes = [int(size) for size in args.sizes.split(",")]
    more = ["--data", str(args.data)] if args.data else []
    rows = []
    for size in sizes:
        script = [sys.executable, __file__, "--build", str(size), *more]
        rows.append(json.loads(subprocess.run(script, stdout=subprocess.PIPE, text=True, check=True).stdout))
        if not args.json:
            if len(rows) == 1:
                print(line(machine(1)))
            _say(rows[-1], first=len(rows) == 1)
    crowded = together(max(sizes))
    if args.json:
        print(json.dumps({"machine": machine(1), "sizes": rows, "together": crowded}))
        return
    print(
        f"\n{crowded['processes']} processes searching {crowded['rows']:,} rows: "
        f"p95 {crowded['p95_ms_alone']:.1f} ms; while one writes the catalogue anew ({crowded['refreshes']} times): "
        f"{crowded['p95_ms_while_refreshing']:.1f} ms, {len(crowded['errors'])} errors"
    )


def _say(row: dict[str, Any], *, first: bool) -> None:
    kinds = list(row["p95_ms_by_kind"])
    recalls = [f"recall {language}" for language in row["recall_at_10"]]
    if first:
        heads = ("rows", "rows/s", "file MB", "build MB", "search MB", "p50 ms", "p95 ms", "facets ms")
        print(" | ".join(f"{h:>10}" for h in (*heads, *recalls, *kinds)))
    cells = [f"{row['rows']:,}", f"{row['rows_per_s']:,.0f}", f"{row['file_mb']:.0f}", f"{row['build_memory_mb']:.0f}"]
    cells += [f"{row['memory_mb']:.0f}", f"{row['p50_ms']:.2f}", f"{row['p95_ms']:.2f}", f"{row['facets_ms']:.0f}"]
    cells += [f"{part:.3f}" for part in row["recall_at_10"].values()]
    cells += [f"{row['p95_ms_by_kind'][kind]:.2f}" for kind in kinds]
    print(" | ".join(f"{c:>10}" for c in cells), flush=True)


if __name__ == "__main__":
    main()
