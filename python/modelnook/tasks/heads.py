"""What a base model can be trained for, by the forms that the installed transformers has of its kind. No torch.

transformers' own tables are read from its source: importing them imports torch, and takes seconds.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelnook.catalog.adapter import adapter_in, base_of
from modelnook.catalog.gguf import read_header
from modelnook.catalog.papers import json_in, sane_config

__all__ = ["Base", "base_in", "base_named", "chats_by", "room_to_write"]

_SENSES = tuple(
    f"AutoModelFor{name}"
    for name in (
        *("AudioClassification", "CTC", "SpeechSeq2Seq", "ImageClassification", "ObjectDetection"),
        *("SemanticSegmentation", "DepthEstimation", "VideoClassification", "ZeroShotImageClassification"),
    )
)
"""Forms of models that see or hear."""

_MEMORIES = ("causal_conv1d", "rg_lru")
"""What the source of a model says that has a memory of the tokens before, beside its attention."""

_GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Tokenizer classes without special tokens of their own."""


@dataclass(frozen=True, slots=True)
class Base:
    """What is known of a model before it is loaded; None where nothing tells.

    Args:
        name: as a person named it.
        kind: the ``model_type`` of its config.
        classes: its ``architectures``.
        paired: whether it is an encoder and a decoder.
        decodes: whether its config makes a decoder of what is an encoder otherwise.
        chats: whether its tokenizer has a chat template.
        masks: whether its tokenizer has a mask.
    """

    name: str
    kind: str | None
    classes: tuple[str, ...] = ()
    paired: bool | None = None
    decodes: bool = False
    chats: bool | None = None
    masks: bool | None = None

    @property
    def architecture(self) -> str:
        """How its architecture is called in a message."""
        return next(iter(self.classes), self.kind or self.name)

    @property
    def known(self) -> bool:
        """Whether the installed transformers has models of its kind."""
        return any(self.kind in table for table in _tables().values())

    def has(self, *autos: str) -> bool:
        """Whether there is a form of it in one of these automatic classes; True where its kind isn't known."""
        return not self.known or any(self.kind in _tables().get(auto, {}) for auto in autos)

    @property
    def senses(self) -> bool:
        """Whether it sees or hears."""
        return self.known and self.has(*_SENSES)

    @property
    def packs(self) -> bool | None:
        """Whether its attention tells the rows of one sequence apart by their positions."""
        return _packs(self.kind or "")

    @property
    def encodes(self) -> bool:
        """Whether it is an encoder of texts, which was not trained to write, whatever form there is of it."""
        return self.known and self.has("AutoModelForMaskedLM") and not self.decodes


def base_named(name: str, architecture: str | None) -> Base:
    """A base of which only the architecture's name is known, or its kind."""
    tables = _tables()
    kinds = [kind for table in tables.values() for kind, names in table.items() if architecture in names]
    if kinds:
        return Base(name, kinds[0], (architecture or "",))
    return Base(name, architecture)


def base_in(name: str, folder: Path, config: Mapping[str, Any]) -> Base:
    """A base whose folder is here.

    Args:
        config: its ``config.json``, or what stands for one.
    """
    config, adapter = sane_config(dict(config)), adapter_in(folder)
    if adapter and not (folder / "tokenizer_config.json").is_file():
        folder = base_of(folder, adapter)
    said = json_in(folder / "tokenizer_config.json")
    return Base(
        name,
        config.get("model_type"),
        tuple(config.get("architectures") or ()),
        paired=config.get("is_encoder_decoder"),
        decodes=bool(config.get("is_decoder")),
        chats=_chats(folder, said),
        masks=_masks(folder, said),
    )


def _chats(folder: Path, said: dict[str, Any]) -> bool | None:
    if said.get("chat_template") or (folder / "chat_template.jinja").is_file():
        return True
    if any(folder.glob("additional_chat_templates/*.jinja")):
        return None
    if any(folder.glob("tokenizer*.json")):
        return False
    headers = [read_header(file) for file in sorted(folder.glob("*.gguf"))[:1]]
    return False if headers and not any(h.text("tokenizer.chat_template") for h in headers) else None


def chats_by(read: Callable[[str], bytes | None]) -> bool | None:
    """Whether a tokenizer has a chat template, by files that ``read`` gives.

    Empty is one that the model hasn't got, None one that nobody tells.
    """
    template, said = read("chat_template.jinja"), read("tokenizer_config.json")
    if template:
        return True
    if template is None or not said:
        return None
    try:
        return bool(json.loads(said).get("chat_template"))
    except (ValueError, AttributeError, RecursionError):
        return None


def _masks(folder: Path, said: dict[str, Any]) -> bool | None:
    if said.get("mask_token") or json_in(folder / "special_tokens_map.json").get("mask_token"):
        return True
    return False if said.get("tokenizer_class") in _GENERIC else None


@cache
def _models() -> Path:
    """Where transformers has its models; nowhere where it isn't installed."""
    found = find_spec("transformers")
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) / "models" if places else Path("/nowhere")


@cache
def _tables() -> dict[str, dict[str, tuple[str, ...]]]:
    """Automatic class of transformers -> kind of model -> its classes; empty where they can't be read."""
    try:
        body = ast.parse((_models() / "auto" / "modeling_auto.py").read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return {}
    lists = {_target(node): node.value for node in body if isinstance(node, ast.Assign)}
    autos: dict[str, dict[str, tuple[str, ...]]] = {}
    for node in (node for node in body if isinstance(node, ast.ClassDef)):
        for inner in node.body:
            if isinstance(inner, ast.Assign) and _target(inner) == "_model_mapping":
                mapping = getattr(inner.value, "id", "")
                autos[node.name] = _pairs(lists.get(f"{mapping}_NAMES"))
    return {name: table for name, table in autos.items() if table}


@cache
def _packs(kind: str) -> bool | None:
    """By the source of its model: a mask is made of positions there, and nothing but attention mixes tokens."""
    name = kind.replace("-", "_")
    try:
        source = (_models() / name / f"modeling_{name}.py").read_text(encoding="utf-8")
    except OSError:
        return None
    masked = "create_causal_mask" in source and "position_ids=position_ids" in source
    return masked and not any(word in source for word in _MEMORIES)


def _target(node: ast.Assign) -> str:
    return getattr(node.targets[0], "id", "")


def _pairs(value: Any) -> dict[str, tuple[str, ...]]:
    """``OrderedDict([("bert", "BertModel"), …])`` as kind -> names; empty where it isn't written so."""
    try:
        pairs = ast.literal_eval(value.args[0])
        return {str(kind): (names,) if isinstance(names, str) else tuple(names) for kind, names in pairs}
    except (AttributeError, IndexError, TypeError, ValueError):
        return {}


def room_to_write(config: Mapping[str, Any]) -> int | None:
    """The most tokens for which the decoder beside an encoder has places; None where it has them for any number.

    >>> room_to_write({"model_type": "bart", "max_position_embeddings": 1024}), room_to_write({"n_positions": 512})
    (1024, None)
    """
    # An n_positions is T5's: the length of its first training, its places are relative.
    said = {**config, **(config.get("decoder") or {})}
    found = said.get("max_decoder_position_embeddings") or said.get("max_position_embeddings")
    return found if isinstance(found, int) and found > 0 else None
