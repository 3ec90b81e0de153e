"""Everything that is sent of a model, and everything that is checked before."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelnook.catalog.base import RUN_FILE, Parcel
from modelnook.catalog.folder import formats_of, safetensors_header
from modelnook.catalog.shared_publish import digest
from modelnook.domain.errors import ModelnookError, RefusedError
from modelnook.domain.model import ModelInfo, is_path
from modelnook.domain.publication import Finding, Publication
from modelnook.domain.run import RunRecord
from modelnook.domain.table import Table
from modelnook.jobs.environment import hardware
from modelnook.messages import t
from modelnook.publish.card import Made, card
from modelnook.publish.licences import Part, judge
from modelnook.publish.lineage import lineage
from modelnook.publish.record import name_of, portable, stripped
from modelnook.publish.scan import scan_files
from modelnook.store import Store
from modelnook.store.contents import was_of
from modelnook.store.models import CARD
from modelnook.tasks.near import NEAR

__all__ = ["Asked", "Package", "pack"]

_WEIGHTS = (".safetensors", ".onnx", ".onnx.data", ".gguf")
_SENT = (*_WEIGHTS, ".json", ".txt", ".model", ".jinja", ".tiktoken")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".joblib")
# Vocabularies hold everybody's words.
_UNSCANNED = (NEAR, *"tokenizer.json vocab.json vocab.txt merges.txt sentencepiece.bpe.model spiece.model".split())
_BASES = ("_name_or_path", "base_model_name_or_path", "name_or_path")
_SCANNED_TO = 5_000_000


@dataclass(frozen=True, slots=True)
class Package:
    """A parcel, what it is to be called, and why it must not go where it must not."""

    parcel: Parcel
    publication: Publication
    problems: tuple[ModelnookError, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person wants of a publication. ``public``: everybody could take it."""

    ref: str
    target: str
    license: str | None = None
    data_license: str | None = None
    alias: tuple[str, ...] = ()
    private: bool = True
    public: bool = False
    author: str = ""
    allow: tuple[str, ...] = ()


def pack(info: ModelInfo, folder: Path, asked: Asked) -> Package:
    """Gather a model's files, write its card and its run's record, compare licences, look for what must not go."""
    store = Store()
    record = _record(store, info)
    sent, left_out, problems = _chosen(folder, info)
    parts, unseen = lineage(info, folder, asked.data_license)
    licence, conflicts, notes = judge(asked.license, parts, public=asked.public)
    notes = [*unseen, *notes]
    entry = _entry(info, sent, licence, record, parts)
    contents = {name: _elsewhere(path) for name, path in sent.items()}
    if record is not None:
        contents[RUN_FILE] = json.dumps(portable(store, record), ensure_ascii=False, indent=1).encode()
    files = [(name, _size(content), digest(content)) for name, content in sorted(contents.items())]
    name = asked.target.partition(":")[2].rpartition("/")[2]
    made = Made(stripped(record) if record else None, _tested(store, info), _hardware(record), _mask(folder))
    text = card(name, asked.target, entry, licence, parts, made, files)
    contents["README.md"] = text.encode()
    found = _found(contents, entry, name)
    bad = [f for f in found if f.kind not in asked.allow]
    problems = [*problems, *conflicts]
    if bad:
        told = "; ".join(f"{t(f'publish.kind.{f.kind}')} {f.shown} ({f.where})" for f in bad[:5])
        kinds = ",".join(dict.fromkeys(f.kind for f in bad))
        problems.append(RefusedError("publish.found", n=len(bad), found=told, kinds=kinds))
    files.append(("README.md", len(text.encode()), digest(text.encode())))
    publication = Publication(
        ref=asked.target,
        model=asked.ref,
        license=licence,
        files=Table(("file", "bytes", "sha256"), tuple(sorted(files))),
        card=text,
        sent=False,
        private=asked.private,
        alias=asked.alias,
        checks=_checks(parts, licence, conflicts, notes, found, bad),
        problems=tuple(str(p) for p in problems),
        findings=tuple(found),
        left_out=tuple(left_out),
        run=record.id if record else None,
        author=asked.author,
        tags=entry.tags,
    )
    parcel = Parcel(contents, entry, asked.author, asked.alias, asked.private)
    return Package(parcel, publication, tuple(problems))


def _record(store: Store, info: ModelInfo) -> RunRecord | None:
    return store.run(info.run).record() if info.run else None


def _tested(store: Store, info: ModelInfo) -> RunRecord | None:
    """The newest evaluation on rows that the person kept apart; one that was warned of says less than it seems to."""
    for record in store.index.runs(kind="evaluate", model=info.ref, limit=20):
        apart = (record.report or {}).get("data") == "data" and not record.warnings
        own = record.state == "finished" and record.base == info.ref and record.origin == "local"
        if own and apart and was_of(store, record, info):
            return stripped(record)
    return None


def _chosen(folder: Path, info: ModelInfo) -> tuple[dict[str, Path], list[str], list[ModelnookError]]:
    """``(files to send, those left out, what is wrong)``: weights that are numbers alone, configuration, tokenizer."""
    sent, left_out = {}, []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        paper = path.name.upper().startswith(("LICENSE", "LICENCE", "NOTICE", "USE_POLICY"))
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.name in (CARD, "README.md", RUN_FILE) or hidden:
            continue
        if path.name.endswith(_SENT) or (paper and not path.name.endswith(_PICKLES)):
            sent[name] = path
        else:
            left_out.append(name)
    problems: list[ModelnookError] = []
    if not any(name.endswith(_WEIGHTS) for name in sent):
        pickled = [n for n in left_out if n.endswith(_PICKLES)]
        code = "publish.only_pickles" if pickled else "publish.no_weights"
        problems.append(RefusedError(code, ref=info.ref, files=", ".join(pickled[:3])))
    for name, path in sent.items():
        if name.endswith(".safetensors") and not safetensors_header(path):
            problems.append(RefusedError("publish.not_safetensors", ref=info.ref, file=name))
    return sent, left_out, problems


def _elsewhere(path: Path) -> Path | bytes:
    """A file, without where its base lay on this machine: libraries note that in a model's configuration."""
    if not path.name.endswith("config.json"):
        return path
    try:
        said = json.loads(path.read_bytes())
    except ValueError:
        return path
    if not isinstance(said, dict):
        return path
    places = {k: Path(said[k]).name for k in _BASES if isinstance(said.get(k), str) and is_path(said[k])}
    return json.dumps({**said, **places}, indent=2, ensure_ascii=False).encode() if places else path


def _entry(
    info: ModelInfo, sent: dict[str, Path], licence: str, record: RunRecord | None, parts: Sequence[Part]
) -> ModelInfo:
    """The entry that others find the model by: nothing of this machine in it."""
    # A local model means nothing elsewhere: what is named is the base that it comes from.
    bases = tuple(dict.fromkeys(p.name for p in parts if p.role == "base"))
    base = next(iter(bases), name_of(info.base_model))
    tags = ["modelnook", *(t for t in info.tags if ":" not in t)]
    tags += [f"base:{base}"] if base else []
    if record is not None:
        tags += [record.kind, f"run:{record.id}"]
        fingerprint = (record.data or {}).get("fingerprint")
        tags += [f"data:{str(fingerprint)[:12]}"] if fingerprint else []
    return replace(
        info,
        ref="",
        source="",
        license=licence,
        base_model=base,
        bases=bases if len(bases) > 1 else (),
        formats=formats_of(sent),
        bytes=sum(path.stat().st_size for path in sent.values()),
        risks=tuple(risk for risk in info.risks if risk.code != "pickle"),
        metrics=dict(record.metrics) if record else info.metrics,
        summary="",
        tags=tuple(dict.fromkeys(tags)),
        path=None,
        memory_run=None,
        memory_lora=None,
        memory_full=None,
        memory_free=None,
    )


def _hardware(record: RunRecord | None) -> str:
    """The chips that the run computed on: as it recorded them, else this machine's processor where it was here."""
    if record is None:
        return ""
    told = str((record.environment or {}).get("hardware") or "")
    here = record.device == "cpu" and record.host == platform.node()
    return told or (hardware("cpu") if here else "")


def _mask(folder: Path) -> str:
    """The word that the tokenizer leaves open."""
    try:
        said = json.loads((folder / "tokenizer_config.json").read_bytes())["mask_token"]
    except (OSError, ValueError, KeyError, TypeError):
        return "[MASK]"
    word = said.get("content") if isinstance(said, dict) else said
    return word if isinstance(word, str) and re.fullmatch(r"[\w<>|\[\]]{1,20}", word) else "[MASK]"


def _found(contents: dict[str, Path | bytes], entry: ModelInfo, name: str) -> list[Finding]:
    """What looks like a secret or like a person's data, each place once."""

    def small() -> Iterable[tuple[str, bytes]]:
        for file, content in contents.items():
            if file.endswith(_WEIGHTS) or file.rpartition("/")[2] in _UNSCANNED:
                continue
            data = content if isinstance(content, bytes) else content.read_bytes()
            if len(data) <= _SCANNED_TO:
                yield file, data

    extra = [("labels", json.dumps(list(entry.labels)).encode()), ("name", name.encode())]
    return list(dict.fromkeys(scan_files([*small(), *extra])))


def _checks(
    parts: Sequence[Part],
    licence: str,
    conflicts: Sequence[Any],
    notes: Sequence[str],
    found: Sequence[Finding],
    bad: Sequence[Finding],
) -> tuple[str, ...]:
    told = list(notes)
    if not conflicts:
        fits = ", ".join(p.license or "–" for p in parts if p.compared)
        told.insert(0, t("publish.licence_fits", license=licence, parts=fits))
    if not bad:
        told.append(t("publish.allowed", n=len(found)) if found else t("publish.nothing_found"))
    return tuple(told)


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
