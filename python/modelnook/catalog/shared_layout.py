"""How a team's place is laid out, and how what lies there is read: as something that anybody may have written.

::

    oci-layout                                    {"imageLayoutVersion": "1.0.0"}, written once
    blobs/sha256/HEX                              files, configs and manifests; never changed
    models/NS/NAME/v/000007.json                  a version: put once, only where there is none
    models/NS/NAME/alias/ALIAS/000003.json        what an alias means: the highest number counts, the others are history
    models/NS/NAME/withdrawn/000007.json          that a version was taken back, by whom and why
    cache/index.json                              a listing made from the versions, never the truth

Manifests are OCI image manifests with the media types of CNCF ModelPack, so that other tools can read them.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelnook.domain.errors import RefusedError, StoreError, UsageError
from modelnook.domain.model import RELATIONS, ModelInfo, Risk

__all__ = [
    "LAYOUT",
    "File",
    "Version",
    "alias_folder",
    "blob",
    "check_alias",
    "check_id",
    "files_of",
    "info_of",
    "is_alias",
    "is_id",
    "manifest_of",
    "model_folder",
    "needed_by",
    "numbered",
    "shown_info",
    "version_of",
    "withdrawn_folder",
]

LAYOUT = b'{"imageLayoutVersion": "1.0.0"}\n'
_NAME = re.compile(r"[^\W_][\w.-]{0,99}")
_ALIAS = re.compile(r"[a-z][a-z0-9._-]{0,39}")
_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(rf"sha256:({_HEX.pattern})")
_NUMBERED = re.compile(r"(\d{6})\.json")
_TYPE = "application/vnd.cncf.model."
_PATH = "org.cncf.model.filepath"
_WEIGHTS = (".safetensors", ".onnx", ".gguf", ".data")
_DEPTH, _FILES = 4, 5000
_LONGEST = 2000
# More numbers of a type, or more types, no weights have.
_NUMBERS, _TYPES = 1 << 50, 40


@dataclass(frozen=True, slots=True)
class File:
    """A file of a version: its name with ``/`` between folders, its content's sha256 (hex) and bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Version:
    """A version's pointer. ``manifest`` is a sha256 (hex), ``nonce`` tells one publication from another."""

    id: str
    number: int
    manifest: str
    author: str
    time: str
    info: ModelInfo
    nonce: str = ""

    def to_bytes(self) -> bytes:
        """The pointer's content."""
        said = {
            "schema": 1,
            "id": self.id,
            "version": self.number,
            "manifest": f"sha256:{self.manifest}",
            "author": self.author,
            "time": self.time,
            "nonce": self.nonce,
            "info": self.info.to_dict(),
        }
        return json.dumps(said, ensure_ascii=False, indent=1).encode() + b"\n"


def check_id(text: str, source: str) -> str:
    """A model's id as it is kept: ``name`` or ``team/name``.

    >>> check_id("nlp/spam", "team")
    'nlp/spam'

    Raises:
        UsageError: it has other parts, ``..``, or characters that no name has.
    """
    id = unicodedata.normalize("NFC", text)
    if not is_id(id):
        raise UsageError("shared.bad_id", id=printable(text), source=source)
    return id


def is_id(text: str) -> bool:
    """Whether a model may have this id."""
    parts = text.split("/")
    return len(parts) <= 2 and all(_NAME.fullmatch(p) and ".." not in p and not p.endswith(".") for p in parts)


def check_alias(text: str) -> str:
    """An alias as it is kept.

    Raises:
        UsageError: not a word of small letters.
    """
    if not is_alias(text):
        raise UsageError("shared.bad_alias", alias=printable(text))
    return text


def is_alias(text: str) -> bool:
    """Whether a version may be called so: a number is a version itself, and the newest needs no name."""
    return bool(_ALIAS.fullmatch(text)) and ".." not in text and text not in ("last", "latest")


def model_folder(id: str) -> str:
    """Where a model's versions and aliases lie; ``_`` can't be a name, so it stands for none."""
    return f"models/{id}" if "/" in id else f"models/_/{id}"


def alias_folder(id: str, alias: str) -> str:
    """Where an alias's history lies."""
    return f"{model_folder(id)}/alias/{alias}"


def withdrawn_folder(id: str) -> str:
    """Where it is said which of a model's versions were taken back."""
    return f"{model_folder(id)}/withdrawn"


def blob(sha256: str) -> str:
    """Where a content lies."""
    return f"blobs/sha256/{sha256}"


def numbered(paths: Iterable[str], folder: str) -> list[int]:
    """The numbers of the files in a folder, lowest first.

    >>> numbered(["a/v/000002.json", "a/v/000001.json", "a/v/x.json", "a/v/b/000003.json"], "a/v")
    [1, 2]
    """
    head = folder + "/"
    found = (_NUMBERED.fullmatch(path[len(head) :]) for path in paths if path.startswith(head))
    return sorted(int(match[1]) for match in found if match)


def version_of(data: bytes | None, id: str, number: int, shown: str) -> Version:
    """Read a version's pointer.

    Raises:
        StoreError: it isn't one, or is another's.
    """
    try:
        said = json.loads(data or b"")
        match = _DIGEST.fullmatch(said["manifest"])
        if not match or said["id"] != id or said["version"] != number:
            raise ValueError(said["id"])
        author, time = (printable(str(said.get(name) or ""))[:100] for name in ("author", "time"))
        return Version(id, number, match[1], author, time, info_of(said.get("info")), str(said.get("nonce") or ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError("shared.bad_version", ref=shown) from error


def info_of(said: Any) -> ModelInfo:
    """An entry that a stranger wrote: fields of the wrong kind are left out, texts are cut and printable."""
    fields = said if isinstance(said, dict) else {}
    kept: dict[str, Any] = {}
    for name in ("name", "task", "license", "architecture", "base_model", "summary", "updated", "layers", "run"):
        if isinstance(fields.get(name), str):
            kept[name] = printable(fields[name], keep="\n" if name == "layers" else "")[:_LONGEST]
    if _HEX.fullmatch(str(fields.get("digest"))):
        kept["digest"] = fields["digest"]
    for name in ("parameters", "bytes", "downloads", "likes"):
        if isinstance(fields.get(name), int) and fields[name] >= 0:
            kept[name] = int(fields[name])
    for name in ("bases", "language", "formats", "labels", "tags"):
        if isinstance(fields.get(name), list):
            kept[name] = tuple(printable(v)[:200] for v in fields[name][:1000] if isinstance(v, str))
    if fields.get("relation") in RELATIONS:
        kept["relation"] = fields["relation"]
    if isinstance(fields.get("dtypes"), dict):
        types = [(k, v) for k, v in fields["dtypes"].items() if type(v) is int and 0 < v <= _NUMBERS]
        kept["dtypes"] = {printable(str(k))[:20]: v for k, v in types[:_TYPES]}
    if isinstance(fields.get("metrics"), dict):
        metrics = [(k, v) for k, v in fields["metrics"].items() if isinstance(v, int | float)]
        kept["metrics"] = {printable(str(k))[:100]: float(v) for k, v in metrics if abs(v) <= sys.float_info.max}
    if isinstance(fields.get("risks"), list):
        risks = [r for r in fields["risks"][:20] if isinstance(r, dict)]
        kept["risks"] = tuple(Risk(printable(str(r.get("code")))[:40], printable(str(r.get("message")))) for r in risks)
    return ModelInfo(ref="", id="", source="", **kept)


def printable(text: str, keep: str = "") -> str:
    """A text without control characters, which could move a terminal's cursor or hide what follows."""
    return "".join(c for c in text if c in keep or not unicodedata.category(c).startswith("C"))


def manifest_of(files: Iterable[File], config: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """``(manifest, its config)`` as OCI and ModelPack have them; the same files give the same bytes."""
    from hashlib import sha256

    layers = sorted(files, key=lambda f: f.name)
    told = {
        "descriptor": config,
        "config": {},
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{f.sha256}" for f in layers]},
    }
    head = _json(told)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": f"{_TYPE}manifest.v1+json",
        "config": {
            "mediaType": f"{_TYPE}config.v1+json",
            "digest": f"sha256:{sha256(head).hexdigest()}",
            "size": len(head),
        },
        "layers": [
            {
                "mediaType": _TYPE + _kind(f.name),
                "digest": f"sha256:{f.sha256}",
                "size": f.size,
                "annotations": {_PATH: f.name},
            }
            for f in layers
        ],
    }
    return _json(manifest), head


def _kind(name: str) -> str:
    if name.endswith(_WEIGHTS):
        return "weight.v1.raw"
    return "doc.v1.raw" if name.endswith((".md", ".txt")) or "LICEN" in name.upper() else "weight.config.v1.raw"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False).encode()


def files_of(manifest: bytes, shown: str) -> tuple[list[File], str]:
    """``(the files of a manifest, its config's sha256)``.

    Raises:
        StoreError: it isn't a manifest.
        RefusedError: it names a file outside the model's folder, or twice.
    """
    try:
        said = json.loads(manifest)
        config = _digest(said["config"]["digest"])
        found = [
            File(layer["annotations"][_PATH], _digest(layer["digest"]), int(layer["size"])) for layer in said["layers"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError("shared.bad_version", ref=shown) from error
    names = set()
    for file in found:
        # Two names that differ in case alone are one file on some disks.
        folded = file.name.casefold() if isinstance(file.name, str) else ""
        if not _inside(file.name) or folded in names or file.size < 0 or len(found) > _FILES:
            raise RefusedError("shared.bad_file", file=printable(str(file.name))[:200], ref=shown)
        names.add(folded)
    return found, config


def needed_by(version: Version, read: Callable[[str], bytes | None], shown: str) -> set[str]:
    """The paths of all contents that a version needs.

    Raises:
        StoreError, RefusedError: its manifest isn't one, or is gone.
    """
    files, config = files_of(read(blob(version.manifest)) or b"", shown)
    return {blob(version.manifest), blob(config), *(blob(f.sha256) for f in files)}


def _digest(text: str) -> str:
    match = _DIGEST.fullmatch(text)
    if not match:
        raise ValueError(text)
    return match[1]


def _inside(name: object) -> bool:
    """Whether a name stays in its folder on every system.

    >>> [_inside(n) for n in ("a/b.json", "../a", "/a", "a\\\\b", "C:x", "a//b", "")]
    [True, False, False, False, False, False, False]
    """
    if not isinstance(name, str) or len(name) > 300 or printable(name) != name or re.search(r'[\\:*?"<>|]', name):
        return False
    parts = name.split("/")
    return len(parts) <= _DEPTH and all(p and p == p.strip() and not p.endswith(".") for p in parts)


def shown_info(version: Version, source: str, *, newest: bool, summary: str = "") -> ModelInfo:
    """A version's entry under the source's name; the newest one needs no number."""
    ref = f"{source}:{version.id}" + ("" if newest else f"@{version.number}")
    name = version.id.rpartition("/")[2]
    return replace(
        version.info,
        ref=ref,
        id=version.id,
        source=source,
        revision=str(version.number),
        name=name,
        path=None,
        updated=version.info.updated or version.time,
        summary=summary or version.info.summary,
    )
