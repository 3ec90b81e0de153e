"""A team's models in a shared folder or bucket, safe without a server: see :mod:`modelnook.catalog.shared_layout`.

A version exists once its pointer does, and the pointer is put last and only where there is none: two people who
publish at once get two versions, a killed publication is never seen, and nobody reads half a model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from modelnook.catalog.base import RUN_FILE, Held, Parcel, Query, Source
from modelnook.catalog.shared_aliases import Aliases
from modelnook.catalog.shared_cache import SharedCache
from modelnook.catalog.shared_layout import (
    LAYOUT,
    Version,
    blob,
    check_id,
    files_of,
    is_id,
    model_folder,
    numbered,
    shown_info,
    version_of,
)
from modelnook.catalog.shared_place import Place, place_of
from modelnook.catalog.shared_withdrawn import Withdrawals
from modelnook.domain.errors import (
    ModelnookError,
    NotFoundError,
    OfflineError,
    RefusedError,
    StoreError,
    UnsupportedError,
    near,
)
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.domain.table import Table
from modelnook.messages import t
from modelnook.settings import current, expanded

__all__ = ["SharedSource"]

_INDEX = "cache/index.json"


class SharedSource(Source):
    """A source that was added with ``--kind folder``: a path, or any address of fsspec's."""

    kind = "folder"

    def __init__(self, name: str, url: str | None = None) -> None:
        super().__init__(name)
        said = next((s for s in current().sources if s["name"] == name), {})
        self.url = str(said.get("url") or "") if url is None else url
        self.networked = "://" in self.url and not self.url.startswith(("file:", "local:", "memory:"))
        self.fleeting = self.url.startswith("memory:")
        self.cache = SharedCache(self.url)
        self._place: Place | None = None

    @classmethod
    def admit(cls, name: str, url: str) -> str:
        """Try the place once: whether it is there, and puts a file only where there is none; a path becomes whole.

        Raises:
            UnsupportedError: it overwrites what was to be put only if absent, so two publications could be one.
            NotFoundError, RefusedError, StoreError, OfflineError: it isn't there, or can't be read or written.
        """
        url = url if "://" in url or not url.strip() else os.path.abspath(expanded(url))
        place = cls(name, url).place
        place.names("models")
        path = f"cache/probe-{token_hex(8)}"
        try:
            first = place.put_new(path, b"first")
        except (StoreError, RefusedError):
            # Whoever may only read can still use what is there.
            if place.read("oci-layout") is None:
                raise
            return url
        try:
            if not first or place.put_new(path, b"second") or place.read(path) != b"first":
                raise UnsupportedError("shared.not_conditional", place=url)
            place.put_new("oci-layout", LAYOUT)
        finally:
            place.remove(path)
        return url

    @property
    def place(self) -> Place:
        """Where the models lie; a bucket's client is loaded on first use."""
        if self._place is None:
            self._place = place_of(self.url, self.name)
        return self._place

    def search(self, query: Query) -> list[ModelInfo]:
        """The newest version of each model that matches, newest first."""
        found = [info for info in self._all() if query.matches(info)]
        return found[: query.limit]

    def listing(self, limit: int) -> list[ModelInfo]:
        """The newest version of each model; the place's own listing is brought up to date by the way."""
        found = self._newest()
        self._list_again(found)
        return [shown_info(v, self.name, newest=True) for v in found.values()][:limit]

    def _all(self) -> list[ModelInfo]:
        found = sorted(self._newest().values(), key=lambda v: v.time, reverse=True)
        return [shown_info(version, self.name, newest=True) for version in found]

    def _newest(self) -> dict[str, Version]:
        """Each model's newest version. Which there are is told by the pointers' names; the listing spares reading."""
        newest = newest_of(self.place.names("models"))
        listed = self._listed()
        found = {}
        for id, number in newest.items():
            held = listed.get(id)
            if held is not None and held.number == number:
                found[id] = held
                continue
            try:
                found[id] = self.version(id, number)
            except StoreError:
                # One damaged version hides itself alone; asked for by name it says what is wrong.
                continue
        return found

    def _listed(self) -> dict[str, Version]:
        try:
            rows = json.loads(self.place.read(_INDEX) or b"{}")
            return {id: version_of(json.dumps(row).encode(), id, row["version"], id) for id, row in rows.items()}
        except (ValueError, TypeError, KeyError, AttributeError, StoreError):
            return {}

    def _list_again(self, found: dict[str, Version]) -> None:
        """Write the listing; it is no loss where nothing may be written."""
        listed = self._listed()
        if {i: v.number for i, v in listed.items()} == {i: v.number for i, v in found.items()}:
            return
        rows = {id: json.loads(version.to_bytes()) for id, version in found.items()}
        try:
            self.place.put(_INDEX, json.dumps(rows, ensure_ascii=False).encode())
        except ModelnookError:
            return

    def versions(self, id: str) -> list[int]:
        """A model's versions that can be had, oldest first."""
        return self._numbers(id)[0]

    def highest(self, id: str) -> int:
        """The highest version that a model ever had, withdrawn ones included; 0 where it had none."""
        return max((n for numbers in self._numbers(id) for n in numbers), default=0)

    def _numbers(self, id: str) -> tuple[list[int], list[int]]:
        """``(the versions that can be had, the withdrawn ones)``, oldest first."""
        folder = model_folder(id)
        paths = self.place.names(folder)
        every, gone = (numbered(paths, f"{folder}/{kind}") for kind in ("v", "withdrawn"))
        return [n for n in every if n not in set(gone)], gone

    def version(self, id: str, number: int) -> Version:
        """One version.

        Raises:
            StoreError: its pointer is damaged.
        """
        shown = f"{self.name}:{id}@{number}"
        return version_of(self.place.read(f"{model_folder(id)}/v/{number:06}.json"), id, number, shown)

    def find(self, ref: ModelRef) -> Version:
        """The version that a reference means: the newest, a number, or what an alias means now.

        Raises:
            UsageError: not an id.
            NotFoundError: no such model, version or alias here, or it was withdrawn.
        """
        id = check_id(ref.id, self.name)
        held, gone = self._numbers(id)
        shown = f"{self.name}:{id}"
        if not held and gone and ref.revision is None:
            raise Withdrawals(self.place, id).error(shown, gone[-1], "")
        if not held and not gone:
            close = near(id, self.names())
            values = {"ref": shown, "source": self.name, "near": f"{self.name}:{close}"}
            raise NotFoundError("shared.no_model_near" if close else "shared.no_model", **values)
        said = ref.revision
        if said is None:
            return self.version(id, held[-1])
        aliases = Aliases(self.place, id)
        number = int(said) if said.isdecimal() and len(said) < 7 else aliases.now(said)
        if number in gone:
            raise Withdrawals(self.place, id).error(f"{shown}@{said}", number, ", ".join(map(str, held[-5:])))
        if number not in held:
            known = [*map(str, held[-5:]), *(name for name in aliases.names() if aliases.now(name) in held)]
            raise NotFoundError("shared.no_version", ref=shown, revision=said, known=", ".join(known))
        return self.version(id, number)

    def pinned(self, ref: ModelRef) -> ModelRef:
        """With the version's number: an alias may mean another one tomorrow."""
        id = check_id(ref.id, self.name)
        if ref.revision and ref.revision.isdecimal() and self.cache.folder(id, ref.revision):
            return ref
        try:
            return ref.at(str(self.find(ref).number))
        except OfflineError:
            held = self.cache.newest(id)
            if held is None or (ref.revision and not ref.revision.isdecimal()):
                raise
            return ref.at(ref.revision or held)

    def info(self, ref: ModelRef) -> ModelInfo:
        """What its publisher said of a version, who and when that was, and which aliases mean it."""
        version = self.find(ref)
        aliases = Aliases(self.place, version.id)
        mine = [name for name in aliases.names() if aliases.now(name) == version.number]
        parts = [t("shared.by", version=version.number, author=version.author or "?", day=version.time[:10])]
        parts += [", ".join(mine)] if mine else []
        return shown_info(version, self.name, newest=False, summary=" · ".join(parts))

    def fetch(
        self, ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False, allow_pickle: bool = False
    ) -> Path:
        """The version's files in a folder of this machine, each checked; what was cut goes on where it was.

        Raises:
            NotFoundError: no such model or version.
            RefusedError: its manifest names a file outside its folder.
            StoreError: a file isn't what its checksum says, or there is no room.
            ConflictError: stopped; the next call goes on.
        """
        if ref.revision and ref.revision.isdecimal():
            held = self.cache.folder(check_id(ref.id, self.name), ref.revision)
            if held is not None:
                return held
        version = self.find(ref)
        shown = f"{self.name}:{version.id}@{version.number}"
        files, _ = files_of(self.content(version.manifest, shown), shown)
        return self.cache.bring(self.place, version, files, shown, emit, stop, allow_pickle=allow_pickle)

    def here(self, ref: ModelRef) -> Path | None:
        """The folder of a version that was brought here; without one, of the newest that was."""
        id = check_id(ref.id, self.name)
        number = ref.revision or self.cache.newest(id)
        return self.cache.folder(id, number) if number and number.isdecimal() else None

    def held(self) -> list[Held]:
        """Every version that was brought here."""
        return self.cache.held(self.name)

    def discard(self, ref: ModelRef) -> None:
        """Remove what was brought of a model; what the team has stays."""
        if ref.revision is None or ref.revision.isdecimal():
            self.cache.discard(check_id(ref.id, self.name), ref.revision)

    def content(self, digest: str, shown: str) -> bytes:
        """A small blob, checked.

        Raises:
            StoreError: it is gone or isn't what its name says.
        """
        data = self.place.read(blob(digest))
        if data is None or sha256(data).hexdigest() != digest:
            raise StoreError("shared.damaged", file=digest[:12], ref=shown)
        return data

    def names(self) -> list[str]:
        """The ids in a folder; of a bucket those that were seen before: completion asks no network."""
        if self.networked:
            from modelnook.catalog.index import CatalogIndex
            from modelnook.store import Store

            seen = [*CatalogIndex(current().home).all(self.name), *Store().index.models(source=self.name)]
            return sorted({info.id for info in seen} | set(self.cache.names()))
        try:
            return sorted(newest_of(self.place.names("models")))
        except ModelnookError:
            return []

    def has(self, id: str) -> bool:
        """Whether a model is there; of a folder it is looked at itself, however many others there are."""
        if self.networked:
            return super().has(id)
        try:
            return bool(self.versions(check_id(id, self.name)))
        except ModelnookError:
            return False

    def destination(self, id: str, *, ask: bool = True) -> str:
        """The id as it is kept."""
        return check_id(id, self.name)

    def publish(self, id: str, parcel: Parcel, emit: Emit, *, stop: Callable[[], bool] = lambda: False) -> ModelRef:
        """Send a model; see :class:`~modelnook.catalog.shared_publish.Delivery`."""
        from modelnook.catalog.shared_publish import Delivery

        version = Delivery(self, check_id(id, self.name), parcel, emit, stop).run()
        try:
            self._list_again(self._newest())
        except ModelnookError:
            # The version is there; the listing is made anew by whoever lists next.
            pass
        return ModelRef(self.name, version.id, str(version.number))

    def alias(self, ref: ModelRef, name: str | None = None, *, back: bool = False) -> Table:
        """See :meth:`Source.alias`; without a name, what each alias means now."""
        id = check_id(ref.id, self.name)
        aliases, gone = Aliases(self.place, id), self._numbers(id)[1]
        if name and back and gone:
            # What it means now may just have been withdrawn: that is when one goes back.
            aliases.undo(name, gone)
            return aliases.table(name)
        version = self.find(ref)
        if name and back:
            aliases.undo(name)
        elif name and ref.revision:
            aliases.set(name, version.number)
        return aliases.table(name)

    def withdraw(self, ref: ModelRef, why: str = "", *, back: bool = False) -> Table:
        """See :meth:`Source.withdraw`; contents stay until ``sources gc``."""
        id, said = check_id(ref.id, self.name), ref.revision or ""
        number = int(said) if said.isdecimal() and len(said) < 7 else Aliases(self.place, id).now(said)
        held, gone = self._numbers(id)
        withdrawals = Withdrawals(self.place, id)
        if number in gone and back:
            withdrawals.undo(number, self.version(id, number), f"{self.name}:{id}@{number}")
        elif number in held and not back:
            withdrawals.add(number, why)
        elif number not in gone and number not in held:
            # Says what there is.
            self.find(ref)
        try:
            self._list_again(self._newest())
        except ModelnookError:
            pass
        return self._history(id)

    def _history(self, id: str) -> Table:
        """A model's versions, newest first: who published and who withdrew them."""
        (held, gone), withdrawals = self._numbers(id), Withdrawals(self.place, id)
        aliases = Aliases(self.place, id)
        meant = {name: aliases.now(name) for name in aliases.names()}
        rows = []
        for number in sorted({*held, *gone}, reverse=True):
            try:
                version = self.version(id, number)
                by = (version.author, version.time)
            except StoreError:
                by = ("", "")
            said = withdrawals.said(number) if number in gone else None
            named = ", ".join(name for name, at in meant.items() if at == number)
            rows.append((number, *by, named, said.time if said else "", said.why if said else ""))
        return Table(("version", "author", "updated", "alias", "withdrawn", "why"), tuple(rows))

    def run_files(self, known: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """``(reference, run's record)`` of every newest version whose run isn't known."""
        for version in self._newest().values():
            if not version.info.run or version.info.run in known:
                continue
            shown = f"{self.name}:{version.id}@{version.number}"
            try:
                files, _ = files_of(self.content(version.manifest, shown), shown)
                held = next((f for f in files if f.name == RUN_FILE), None)
                if held is not None:
                    yield shown, self.content(held.sha256, shown)
            except (StoreError, RefusedError):
                continue

    def gc(self) -> tuple[int, int]:
        """Remove what no version needs; ``(how many blobs, bytes)``."""
        from modelnook.catalog.shared_gc import collect

        return collect(self.place, self.name)


def newest_of(paths: Iterable[str]) -> dict[str, int]:
    """Model id -> its highest version that wasn't withdrawn, from the names of all files below ``models``."""
    versions: dict[str, set[int]] = {}
    gone: dict[str, set[int]] = {}
    for path in paths:
        parts = path.split("/")
        if len(parts) == 5 and parts[3] in ("v", "withdrawn") and numbered([path], path.rpartition("/")[0]):
            id = parts[2] if parts[1] == "_" else f"{parts[1]}/{parts[2]}"
            # A folder that was not made by publishing has no say, nor what its name would do to a terminal.
            if is_id(id):
                (versions if parts[3] == "v" else gone).setdefault(id, set()).add(int(parts[4][:6]))
    left = {id: numbers - gone.get(id, set()) for id, numbers in versions.items()}
    return {id: max(numbers) for id, numbers in left.items() if numbers}
