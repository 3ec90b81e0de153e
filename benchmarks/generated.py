"""A catalogue that has the form of the real hub's, of any length, the same for the same seed.

How it is made. The head are some 600 well-known models (``tests/catalog/known_models.psv``: ids, tasks, licences,
languages, sizes and approximate monthly downloads, written down by hand). The tail are invented ones:

- downloads fall with the rank as ``9e7 / rank ** 1.15`` (a Zipf tail: the 50,000th has some 350, the millionth 11);
- families (llama, qwen, bert …), tasks, licences, formats, languages are drawn with about the shares that the hub
  shows: three of five say no licence, two of three no language; one of twenty has ``bert`` in its name;
- an id is ``owner/family-size-what-it-is-for``; a third of the owners made most of the models, half of them made one;
- two of five name a base model of the head, as a quantization, adapter, fine-tune or merge of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from typing import Any

from modelnook.domain.model import ModelInfo

__all__ = ["entries", "known"]

KNOWN = Path(__file__).parents[1] / "tests" / "catalog" / "known_models.psv"

# family: (share, architecture, task, sizes)
FAMILIES = {
    "llama": (9, "llama", "text-generation", (1e9, 3e9, 8e9, 70e9)),
    "qwen2.5": (9, "qwen2", "text-generation", (5e8, 1.5e9, 3e9, 7e9, 14e9, 32e9)),
    "qwen3": (5, "qwen3", "text-generation", (6e8, 1.7e9, 4e9, 8e9)),
    "mistral": (6, "mistral", "text-generation", (7e9, 12e9, 24e9)),
    "gemma": (4, "gemma2", "text-generation", (1e9, 2e9, 9e9, 27e9)),
    "phi": (2, "phi3", "text-generation", (2.7e9, 3.8e9, 14e9)),
    "gpt2": (2, "gpt2", "text-generation", (1.2e8, 3.5e8)),
    "bert": (5, "bert", "text-classification", (4e6, 1.1e8, 3.3e8)),
    "distilbert": (4, "distilbert", "text-classification", (6.6e7,)),
    "roberta": (3, "roberta", "text-classification", (1.2e8, 3.5e8)),
    "xlm-roberta": (1.5, "xlm-roberta", "token-classification", (2.7e8,)),
    "deberta-v3": (1, "deberta-v2", "text-classification", (1.8e8, 4.3e8)),
    "minilm": (1, "bert", "sentence-similarity", (2.2e7, 3.3e7)),
    "mpnet": (1, "mpnet", "sentence-similarity", (1.1e8,)),
    "t5": (3, "t5", "text2text-generation", (6e7, 2.2e8, 7.4e8)),
    "bart": (1, "bart", "summarization", (1.4e8, 4e8)),
    "opus-mt": (0.5, "marian", "translation", (7.5e7,)),
    "whisper": (2, "whisper", "automatic-speech-recognition", (4e7, 2.4e8, 1.5e9)),
    "wav2vec2": (2, "wav2vec2", "automatic-speech-recognition", (9.5e7, 3.1e8)),
    "vit": (2, "vit", "image-classification", (8.6e7, 3e8)),
    "resnet": (1, "resnet", "image-classification", (2.5e7,)),
    "yolo": (0.5, "yolo", "object-detection", (3e6, 2.5e7)),
    "sdxl": (6, "stable-diffusion", "text-to-image", (None,)),
    "flux": (7, "flux", "text-to-image", (None,)),
    "ppo": (8, "deep-reinforcement-learning", "reinforcement-learning", (None,)),
    "my-model": (15, "transformers", None, (None,)),
}
LICENCES = {
    None: 60,
    "apache-2.0": 17,
    "mit": 8,
    "other": 4,
    "llama3.1": 2,
    "llama3": 1,
    "openrail": 1.5,
    "creativeml-openrail-m": 2.5,
    "cc-by-nc-4.0": 1.5,
    "gemma": 1.5,
    "cc-by-4.0": 0.7,
    "cc-by-sa-4.0": 0.2,
    "gpl-3.0": 0.2,
    "agpl-3.0": 0.1,
    "bsd-3-clause": 0.1,
}
LANGUAGES = {
    (): 66,
    ("en",): 24,
    ("zh",): 1.5,
    ("en", "zh"): 1,
    ("multilingual",): 0.6,
    ("mt",): 0.01,
    **{(code,): 0.7 for code in ("ja", "ko", "de", "fr", "es", "ru", "pt", "ar", "vi")},
}
FORMATS = {
    ("safetensors",): 62,
    (): 17,
    ("pickle",): 9,
    ("gguf",): 9,
    ("safetensors", "onnx"): 1.5,
    ("safetensors", "pickle"): 1.5,
}
RELATIONS = {None: 60, "finetune": 18, "adapter": 12, "quantized": 8, "merge": 2}
WORDS = (
    "finetuned sentiment ner squad chat instruct lora v1 v2 v3 merged dpo sft base small large test final qa emotion "
    "imdb summarization english chinese japanese german french medical legal code math reasoning awq gptq 4bit 8bit "
    "epoch checkpoint adapter unsloth classifier tuned custom demo news tweets reviews spam toxic mini max pro "
    "ultra turbo"
).split()
DATASETS = "imdb squad conll2003 glue common_voice wikitext alpaca dolly openhermes ultrachat minds14 emotion".split()
BLOCK = 10_000


def known() -> list[ModelInfo]:
    """The well-known models, the most used first."""
    found = []
    for line in KNOWN.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        id, task, licence, languages, size, downloads, tags, base = line.split("|")
        relation, _, base_id = base.partition(":")
        said = tags.split()
        thousands = int(downloads)
        found.append(
            ModelInfo(
                ref=f"hub:{id}",
                id=id,
                source="hub",
                name=id.rpartition("/")[2],
                task=task or None,
                license=licence or None,
                language=tuple(languages.split()),
                parameters=int(float(size) * 1e6) if size else None,
                formats=tuple(f for f in ("safetensors", "onnx", "gguf") if f in said),
                downloads=1000 * thousands,
                likes=thousands // 20,
                base_model=base_id or None,
                relation=relation or None,
                updated="2025-06-01T00:00:00+00:00",
                tags=tuple(said),
                gated=(licence or "").startswith(("llama", "gemma")),
            )
        )
    return sorted(found, key=lambda i: -(i.downloads or 0))


def entries(count: int, seed: int = 0) -> Iterator[ModelInfo]:
    """That many entries, the most used first."""
    head = known()[:count]
    tail = _invented(count - len(head), seed, [i.id for i in head])
    yield from merge(head, tail, key=lambda i: -(i.downloads or 0))


def _invented(count: int, seed: int, bases: list[str]) -> Iterator[ModelInfo]:
    dice = random.Random(seed)
    owners = [
        f"{dice.choice('abcdefghijklmnoprstuvw')}{dice.randrange(36**4):x}{dice.choice(WORDS)}" for _ in range(5000)
    ]
    families = list(FAMILIES)
    shares = [FAMILIES[f][0] for f in families]

    def drawn(table: dict[Any, float]) -> list[Any]:
        return dice.choices(list(table), list(table.values()), k=BLOCK)

    for start in range(0, count, BLOCK):
        block = zip(
            dice.choices(families, shares, k=BLOCK),
            drawn(LICENCES),
            drawn(LANGUAGES),
            drawn(FORMATS),
            drawn(RELATIONS),
            dice.choices(WORDS, k=BLOCK),
            dice.choices(WORDS, k=BLOCK),
            range(start, min(start + BLOCK, count)),
            strict=False,
        )
        for family, licence, languages, formats, relation, one, two, at in block:
            yield _one(dice, owners, bases, family, licence, languages, formats, relation, f"{one}-{two}", at)


def _one(
    dice: random.Random,
    owners: list[str],
    bases: list[str],
    family: str,
    licence: str | None,
    languages: tuple[str, ...],
    formats: tuple[str, ...],
    relation: str | None,
    what: str,
    at: int,
) -> ModelInfo:
    chance = dice.random()
    owner = owners[int(5000 * chance * chance)] if chance < 0.7 else f"u{dice.randrange(10**7):07d}"
    _, architecture, task, sizes = FAMILIES[family]
    size = sizes[int(len(sizes) * chance)]
    shown = "" if size is None else f"-{size / 1e9:g}b" if size >= 1e9 else f"-{size / 1e6:g}m"
    id = f"{owner}/{family}{shown}-{what}-{at:x}"
    tags = ("transformers", architecture, "region:us")
    if chance < 0.15:
        tags = (*tags, f"dataset:{DATASETS[int(80 * chance)]}")
    base = bases[int(len(bases) * dice.random() ** 3)] if relation and bases else None
    return ModelInfo(
        f"hub:{id}",
        id,
        "hub",
        None,
        id.partition("/")[2],
        task,
        licence,
        languages,
        None if size is None else int(size * (1 + chance / 10)),
        None,
        formats,
        None,
        int(9e7 / (at + 50) ** 1.15),
        int(30000 / (at + 50) ** 0.9 * chance),
        base,
        updated=f"202{3 + int(3 * chance)}-{1 + at % 12:02d}-{1 + at % 28:02d}T00:00:00+00:00",
        tags=tags,
        relation=relation,
        gated=chance < 0.02,
    )
