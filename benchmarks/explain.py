"""Whether ``explain`` finds the words that a model goes by, and what that takes.

``python benchmarks/explain.py [--data cr|clinc150|bbc-news|PATH] [--texts 60] [--most ROWS] [--json]``

The deletion test (Samek et al. 2017): the words that speak most for the predicted label are taken away, one, three and
five of them, and the more its probability falls the better they were found. Beside the methods: words in random order,
and gradient x input of the same model by hand, which needs PyTorch's weights. Of one word ``occlusion`` is best by its
making: it is the word whose lack costs most. MiniLM is fine-tuned on the set first (once, some minutes), the int8 model
is ONNX Runtime's, and TF-IDF is learnt from the same rows. Seconds are of texts made of the set's own words.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from machine import line, machine
from sets import Rows, fine_tuned, load

from modelnook.classic.base import write
from modelnook.classic.tfidf import Tfidf
from modelnook.explain.engine import explained
from modelnook.explain.units import divided
from modelnook.quantize import QUANTIZERS
from modelnook.runtime import runtime
from modelnook.tasks import TASKS

TASK = "text-classification"
GONE = (1, 3, 5)
LENGTHS = (10, 50, 200, 1000, 5000)
LEAST_WORDS = 8
LONG_S = 5.0
SEED = 13

Ranked = list[int]
Way = Callable[[Any, Sequence[str]], list[Ranked]]


def by(method: str, model: Any, texts: Sequence[str], predictions: int = 1000) -> list[Ranked]:
    """The words of each text, by their score for the label that the model gives it."""
    found = explained(model, model.spec(), texts, method=method, label=None, most=predictions, seed=SEED)
    ranked = []
    for text, one in zip(texts, found, strict=True):
        # Words that are taken together have their span's score, shared.
        score = {
            at: part.score / max(1, len(part.token.split()))
            for at, unit in enumerate(divided(text, model.spec()).units)
            for part in one.parts
            if part.start <= unit.start < part.end
        }
        ranked.append(sorted(score, key=lambda at: -score[at]))
    return ranked


def at_random(model: Any, texts: Sequence[str]) -> list[Ranked]:
    """The words in any order."""
    drawn = random.Random(SEED)
    counts = [len(divided(text, model.spec()).units) for text in texts]
    return [drawn.sample(range(count), count) for count in counts]


def gradient_x_input(folder: Path, model: Any, texts: Sequence[str]) -> list[Ranked]:
    """By hand: the gradient of the label's log-odds at each token's vector, times that; a word's tokens added up."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    net = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ranked = []
    for text in texts:
        read = tokenizer(
            text, return_tensors="pt", truncation=True, max_length=model.max_length, return_offsets_mapping=True
        )
        places = read.pop("offset_mapping")[0].tolist()
        vectors = net.get_input_embeddings()(read.pop("input_ids")).detach().requires_grad_()
        logits = net(inputs_embeds=vectors, **read).logits[0].double()
        best = int(logits.argmax())
        others = torch.cat([logits[:best], logits[best + 1 :]])
        (logits[best] - others.logsumexp(0)).backward()
        weight = (vectors.grad * vectors).sum(-1)[0].tolist()
        units = divided(text, model.spec()).units
        score = [
            sum(w for w, (a, b) in zip(weight, places, strict=True) if a < b and unit.start <= a < unit.end)
            for unit in units
        ]
        ranked.append(sorted(range(len(units)), key=lambda at: -score[at]))
    return ranked


def deletion(model: Any, texts: Sequence[str], ranked: Sequence[Ranked]) -> dict[int, np.ndarray[Any, Any]]:
    """Words taken away -> how far the probability of each text's label falls."""
    before = model.predict(texts)
    falls = {}
    for gone in GONE:
        left = []
        for text, order in zip(texts, ranked, strict=True):
            row = divided(text, model.spec())
            left.append(row.keep([at not in order[:gone] for at in range(len(row.units))]))
        after = model.predict(left)
        falls[gone] = np.array([b["score"] - a["scores"][b["label"]] for b, a in zip(before, after, strict=True)])
    return falls


def interval(values: np.ndarray[Any, Any], draws: int = 2000) -> tuple[float, float]:
    """The middle 95% of the mean's bootstrap."""
    picks = np.random.default_rng(SEED).integers(0, len(values), size=(draws, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def quality(model: Any, texts: Sequence[str], ways: dict[str, Way]) -> list[dict[str, Any]]:
    """Each way's falls, and how far they are above those of a random order on the same texts."""
    table: list[dict[str, Any]] = []
    chance = deletion(model, texts, at_random(model, texts))
    for name, way in {"random order": at_random, **ways}.items():
        began = time.perf_counter()
        ranked = way(model, texts)
        took = time.perf_counter() - began
        falls = deletion(model, texts, ranked)
        row: dict[str, Any] = {"name": name, "seconds_a_text": took / len(texts)}
        for gone in GONE:
            above = falls[gone] - chance[gone]
            row[f"fall_{gone}"], row[f"above_{gone}"] = float(falls[gone].mean()), interval(above)
        table.append(row)
    return table


def speed(model: Any, rows: Rows, rounds: int = 3) -> list[dict[str, Any]]:
    """Seconds and predictions of one text by its length; once where that takes long."""
    words = " ".join(rows.texts).split()
    table = []
    for length in LENGTHS:
        text = " ".join((words * (length // len(words) + 1))[:length])
        for method in ("occlusion", "shapley"):
            took = []
            for _ in range(rounds):
                began = time.perf_counter()
                (one,) = explained(model, model.spec(), [text], method=method, label=None, most=1000, seed=SEED)
                took.append(time.perf_counter() - began)
                if took[0] > LONG_S:
                    break
            found = {"words": length, "method": method, "seconds": statistics.median(took)}
            table.append({**found, "predictions": one.predictions, "parts": len(one.parts)})
    return table


def measure(data: str, count: int, most: int | None) -> dict[str, Any]:
    """The figures of each model."""
    rows = load(data, most)
    spec = TASKS.load(TASK, light=True)()
    source = fine_tuned(rows)
    columns = {"text": [text for text, _ in rows.taught], "label": [label for _, label in rows.taught]}
    long = [text for text in rows.texts if len(divided(text, spec).units) >= LEAST_WORDS]
    texts = random.Random(SEED).sample(long, min(count, len(long)))
    methods: dict[str, Way] = {name: partial(by, name) for name in ("occlusion", "shapley")}
    found: dict[str, Any] = {"benchmark": "explain", "data": rows.name, "texts": len(texts), "machine": machine()}
    found["words"] = statistics.median(len(divided(text, spec).units) for text in texts)
    with tempfile.TemporaryDirectory() as work:
        small, counted = Path(work) / "int8", Path(work) / "tfidf"
        options = {"task": TASK, "calibration": rows.texts[:64], "emit": lambda event: None}
        QUANTIZERS.load("onnx")().quantize(source, small, "int8", per_channel=True, **options)
        labels = spec.labels(columns)
        learnt = Tfidf.learn(spec, columns, labels)
        if learnt is None:
            raise SystemExit("no text of the set has a word")
        counted.mkdir()
        write(learnt, counted, task=TASK, labels=labels)
        ways = {
            "PyTorch fp32": (source, {**methods, "gradient x input": partial(gradient_x_input, source)}),
            "ONNX Runtime int8": (small, methods),
            "TF-IDF": (counted, {**methods, "linear": partial(by, "linear")}),
        }
        found["models"] = {}
        for name, (folder, wanted) in ways.items():
            model = runtime(folder)
            model.predict(texts[:8])
            found["models"][name] = {"quality": quality(model, texts, wanted), "speed": speed(model, rows)}
            model.close()
    return found


def show(found: dict[str, Any]) -> None:
    """The tables."""
    print(f"{found['data']}, {found['texts']} texts of {found['words']:g} words (median); {line(found['machine'])}")
    for name, told in found["models"].items():
        print(
            f"\n{name:<20}"
            + "".join(f"{f'fall, {n} gone':>16}{'above random':>18}" for n in GONE)
            + f"{'s a text':>10}"
        )
        for row in told["quality"]:
            cells = (f"{row[f'fall_{n}']:>16.3f}{'{:.3f}–{:.3f}'.format(*row[f'above_{n}']):>18}" for n in GONE)
            print(f"{row['name']:<20}" + "".join(cells) + f"{row['seconds_a_text']:>10.3f}")
        for row in told["speed"]:
            print(
                f"{row['words']:>6} words, {row['method']:<10}{row['seconds']:>9.3f} s{row['predictions']:>7} "
                f"predictions{row['parts']:>7} parts"
            )


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cr", help="cr, clinc150, bbc-news, or a csv or jsonl file")
    parser.add_argument("--texts", type=int, default=60, help="of the test rows, with eight words at least")
    parser.add_argument("--most", type=int, help="rows of either part, to see that it runs")
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    found = measure(said.data, said.texts, said.most)
    print(json.dumps(found)) if said.json else show(found)


if __name__ == "__main__":
    main()
