"""Models on the Hugging Face hub, or at any endpoint that speaks its protocol.

The default endpoint (``hub``) is the person's own: their cache, their token, ``HF_ENDPOINT``. An added one has a cache
of its own, since the cache's keys don't say where a model came from, and sees only the token that it was given.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from modelnook.catalog.base import Held, Parcel, Query, Source
from modelnook.catalog.folder import Tensor, describe, dtypes_of, formats_of, layer_tree, parameters_of, task_of
from modelnook.catalog.hub_cache import HubCache
from modelnook.catalog.hub_download import Download, Repo
from modelnook.catalog.hub_entry import asked, brings_code, entry, evaluations, files_of, flagged, listed, tree_files
from modelnook.catalog.hub_errors import Place, patiently, told
from modelnook.catalog.hub_files import RepoFile, needed, packed, risks
from modelnook.catalog.hub_headers import gguf_tensors
from modelnook.catalog.hub_list import HubList
from modelnook.catalog.hub_patience import Patience
from modelnook.catalog.papers import config_in, licence, sane_config
from modelnook.catalog.transfer import silent_bar
from modelnook.catalog.variants import digest_of
from modelnook.domain.errors import ModelnookError, NotFoundError, OfflineError, UnsupportedError, UsageError
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo, ModelRef, is_path
from modelnook.domain.table import Table
from modelnook.messages import t
from modelnook.settings import Settings, current

__all__ = ["HubSource", "cache_of"]

_DEADLINE = 3.0
_ASK_WITHIN = 10.0
# Above this many weight files their headers aren't read: each is a request.
_SHARDS = 8

# What is known of a commit never changes: (endpoint, id, sha) -> entry.
_KNOWN: dict[tuple[str, str, str], ModelInfo] = {}


class HubSource(Source):
    """``hub``, or a source that was added with ``--kind hub``."""

    kind = "hub"
    networked = True

    def __init__(self, name: str = "hub") -> None:
        super().__init__(name)
        settings = current()
        added = next((s for s in settings.sources if s["name"] == name), None)
        self._added = added is not None
        self.endpoint = ((added or {}).get("url") or _endpoint(settings)).rstrip("/")
        self._token_env: str | None = (added or {}).get("token_env")
        self.place = Place(name, self.endpoint, self._login(), self._token)

    @classmethod
    def admit(cls, name: str, url: str) -> str:
        """See :meth:`Source.admit`; a folder or bucket, added without its kind, is told as that.

        Raises:
            UsageError: no address of a hub.
        """
        from modelnook.catalog.shared_bucket import SCHEMES

        scheme, colon, _ = url.partition("://")
        if is_path(url) or (colon and scheme in SCHEMES):
            raise UsageError("catalog.source_folder", name=name, url=url)
        return super().admit(name, url)

    def search(self, query: Query) -> list[ModelInfo]:
        """What the endpoint finds for the words typed, within 3 s; filters are applied here once more.

        Raises:
            OfflineError: off, out of reach, or too slow.
            UnsupportedError: the endpoint has no list of models, as mirrors have none.
        """
        if current().hub_offline:
            raise self._offline(query.text)
        rows = self._within_deadline(lambda: self._rows(query))
        return [info for info in rows if query.matches(info)][: query.limit]

    def pages(self) -> HubList:
        """The list of models, to be read page by page into an index.

        Raises:
            OfflineError: off.
        """
        if current().hub_offline:
            raise OfflineError("hub.not_read", source=self.name)
        return HubList(self.place, self._token())

    def info(self, ref: ModelRef) -> ModelInfo:
        """Everything that the hub and the file headers say; no weights are taken.

        Raises:
            NotFoundError: no such model or revision, or a private one.
            RefusedError: the token may not see it.
            OfflineError: off or out of reach, and not here.
        """
        known = _KNOWN.get((self.endpoint, ref.id, ref.revision or ""))
        if known is not None:
            here = self._here.folder(ref.id, ref.revision)
            return replace(known, ref=self._shown(ref), path=str(here) if here else None)
        folder = None
        if not current().hub_offline:
            try:
                return self._ask(ref)
            except OfflineError:
                folder = self._here.folder(ref.id, ref.revision)
                if folder is None:
                    raise
        folder = folder or self._here.folder(ref.id, ref.revision)
        if folder is None:
            raise self._offline(self._shown(ref))
        name = ref.id.rpartition("/")[2]
        found = describe(folder, ref=self._shown(ref), id=ref.id, source=self.name, name=name)
        return replace(found, revision=folder.name)

    def fetch(
        self, ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False, allow_pickle: bool = False
    ) -> Path:
        """The commit's folder in the cache: safetensors, configuration, tokenizer; what is here isn't asked for.

        Raises:
            RefusedError: gated, forbidden, or pickled weights that weren't allowed.
            OfflineError: off or out of reach, and not here whole.
            ConflictError: stopped; the next call goes on.
            StoreError: no room, or a damaged file.
        """
        offline = current().hub_offline
        # A commit never changes: one that is here whole needs no question.
        if offline or (ref.revision and re.fullmatch(r"[0-9a-f]{40}", ref.revision)):
            folder = self._here.folder(ref.id, ref.revision, allow_pickle=allow_pickle)
            if folder is not None:
                return folder
        if offline:
            raise self._offline(self._shown(ref))
        patience = Patience(emit, stop, self._shown(ref))
        try:
            found = self._look(ref, patience)
        except OfflineError:
            folder = self._here.folder(ref.id, ref.revision, allow_pickle=allow_pickle)
            if folder is None:
                raise
            return folder
        with told(self.place, self._shown(ref)):
            files = {f.name: f for f in patience(lambda: self._files(found))}
        wanted = [files[name] for name in needed(files, self._shown(ref), allow_pickle=allow_pickle)]
        repo = Repo(ref.id, str(found.sha), self.endpoint, self.cache, self._token())
        with told(self.place, self._shown(ref)):
            return patience(lambda: Download(repo, self._shown(ref), wanted, emit, stop).run())

    def here(self, ref: ModelRef) -> Path | None:
        """The commit's folder in the cache; without a revision, of what ``main`` was when it was last seen."""
        return self._here.folder(ref.id, ref.revision)

    def small(self, ref: ModelRef, name: str) -> bytes | None:
        """See :meth:`Source.small`; it stays in the cache, where :meth:`fetch` finds it."""
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        if current().hub_offline:
            return None
        try:
            return self._read(ref.id, name, ref.revision)
        except LocalEntryNotFoundError:
            return None
        except EntryNotFoundError:
            return b""
        except (OSError, ValueError):
            return None

    def held(self) -> list[Held]:
        """Every commit in this endpoint's cache, and parts of downloads."""
        return self._here.held(self.name)

    def discard(self, ref: ModelRef) -> None:
        """Remove a commit, or all of a model."""
        self._here.discard(ref.id, ref.revision)

    def destination(self, id: str, *, ask: bool = True) -> str:
        """``owner/name``; without an owner, the person's own, as the hub knows them by their token."""
        from modelnook.catalog.hub_publish import owner

        return owner(self, id, ask=ask)

    def publish(self, id: str, parcel: Parcel, emit: Emit, *, stop: Callable[[], bool] = lambda: False) -> ModelRef:
        """Commit a model to a repository; see :class:`~modelnook.catalog.hub_publish.Upload`."""
        from modelnook.catalog.hub_publish import Upload

        return Upload(self, self.destination(id), parcel, emit, stop).run()

    def rows_licence(self, id: str, revision: str | None = None) -> tuple[str | None, bool]:
        """``(licence, whether all may see it)`` of a data set here.

        Raises:
            NotFoundError: no such data set, or a private one.
            OfflineError: off or out of reach.
        """
        shown = f"{self.name}:{id}"
        if current().hub_offline:
            raise self._offline(shown)
        api = self._api()
        with told(self.place, shown):
            found = patiently(lambda: api.dataset_info(id, revision=revision, timeout=_ASK_WITHIN))
        return licence(found.card_data.to_dict() if found.card_data else {}), not found.private

    def alias(self, ref: ModelRef, name: str | None = None, *, back: bool = False) -> Table:
        """What a repository's tags mean and have meant; see :meth:`Source.alias`."""
        from modelnook.catalog.hub_aliases import alias_of

        return alias_of(self, ref, name, back=back)

    def withdraw(self, ref: ModelRef, why: str = "", *, back: bool = False) -> Table:
        """A hub keeps every commit.

        Raises:
            UnsupportedError: always; says where a repository is hidden or deleted.
        """
        page = f"{self.endpoint}/{ref.id}/settings"
        raise UnsupportedError("hub.no_withdrawal", ref=f"{self.name}:{ref.id}", page=page)

    def names(self) -> list[str]:
        """The ids that lie in this endpoint's cache."""
        return self._here.names()

    @property
    def cache(self) -> Path:
        """The person's own cache for ``hub``; one below MODELNOOK_HOME for each added endpoint."""
        if not self._added:
            from huggingface_hub import constants

            return Path(constants.HF_HUB_CACHE)
        return cache_of(self.endpoint)

    @property
    def _here(self) -> HubCache:
        return HubCache(self.cache)

    def _token(self) -> str | bool | None:
        """None lets the client find the person's own; an added endpoint never sees that one."""
        if not self._added:
            return None
        return (os.environ.get(self._token_env) if self._token_env else None) or False

    def _login(self) -> str:
        if not self._added:
            return t("hub.login_hub")
        return t("hub.login_env", name=self._token_env) if self._token_env else t("hub.login_none")

    def _shown(self, ref: ModelRef) -> str:
        return str(ModelRef(self.name, ref.id, ref.revision))

    def _offline(self, shown: str) -> OfflineError:
        return OfflineError("hub.offline", ref=shown, source=self.name)

    def _api(self) -> Any:
        # Its reports of what runs where are off unless the person has imported it with them on.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self._token(), library_name="modelnook")

    def _rows(self, query: Query) -> list[ModelInfo]:
        """One page of the list, asked once: the client's own ``list_models`` tries again for half a minute."""
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

        url, headers = f"{self.endpoint}/api/models", build_hf_headers(token=self._token(), library_name="modelnook")
        answer = get_session().get(url, params=asked(query), headers=headers, timeout=_DEADLINE)
        hf_raise_for_status(answer)
        return listed(answer.json(), self.name)

    def _within_deadline(self, call: Callable[[], list[Any]], seconds: float | None = None) -> list[Any]:
        """Run on a thread that nobody waits for longer: an answer that trickles in has no end of its own."""
        seconds = _DEADLINE if seconds is None else seconds
        box: list[Any] = []

        def work() -> None:
            try:
                with told(self.place):
                    box.append(call())
            except Exception as error:
                box.append(error)

        thread = threading.Thread(target=work, name="modelnook-hub-search", daemon=True)
        thread.start()
        thread.join(seconds)
        values = {"source": self.name, "host": self.place.host}
        if not box:
            raise OfflineError("hub.too_slow", seconds=f"{seconds:g}", **values)
        answer = box[0]
        if isinstance(answer, NotFoundError):
            raise UnsupportedError("hub.no_search", **values) from answer
        if isinstance(answer, Exception):
            raise answer
        rows: list[Any] = answer
        return rows

    def _look(self, ref: ModelRef, patience: Callable[[Callable[[], Any]], Any] = patiently) -> Any:
        """The repository's own answer at a revision, with its files' sizes and checksums."""
        api = self._api()
        more = {"files_metadata": True, "securityStatus": True, "timeout": _ASK_WITHIN}
        with told(self.place, self._shown(ref)):
            return patience(lambda: api.model_info(ref.id, revision=ref.revision, **more))

    def _files(self, found: Any) -> list[RepoFile]:
        """The repository's files. A mirror may leave sizes and checksums out of its answer; the tree has them."""
        files = files_of(found)
        if all(f.git for f in files):
            return files
        return tree_files(self._api().list_repo_tree(found.id, revision=found.sha, recursive=True))

    def _ask(self, ref: ModelRef) -> ModelInfo:
        found = self._look(ref)
        known = _KNOWN.get((self.endpoint, ref.id, str(found.sha)))
        if known is not None:
            return replace(known, ref=self._shown(ref))
        info = entry(found, self.name)
        with told(self.place, self._shown(ref)):
            files = patiently(lambda: self._files(found))
        names = [f.name for f in files]
        config, tensors = self._config(found, names), self._tensors(found, names)
        architectures = config.get("architectures") or []
        try:
            wanted = needed(names, ref.id, allow_pickle=True)
        except ModelnookError:
            wanted = []
        here = self._here.folder(ref.id, str(found.sha))
        info = replace(
            info,
            ref=self._shown(ref),
            page=f"{self.endpoint}/{ref.id}",
            path=str(here) if here else None,
            dtypes=dtypes_of(tensors) or dict(getattr(found.safetensors, "parameters", None) or {}),
            digest=digest_of((f.name, f.sha256) for f in files),
            metrics=evaluations(found.card_data),
            task=info.task or task_of(architectures),
            architecture=next(iter(architectures), info.architecture),
            bytes=sum(f.size for f in files if f.name in wanted) or None,
            formats=formats_of(names) or info.formats,
            risks=risks(names, code=brings_code(found, config), flagged=flagged(found)),
            labels=tuple(str(v) for v in (config.get("id2label") or {}).values()),
            parameters=info.parameters or parameters_of(tensors) or None,
            layers=layer_tree(tensors) or None,
        )
        _KNOWN[self.endpoint, ref.id, str(found.sha)] = info
        return info

    def _config(self, found: Any, names: list[str]) -> dict[str, Any]:
        """config.json whole, where it may be read; else the few keys of it that the hub tells everybody."""
        anyway = sane_config(found.config)
        if "config.json" not in names:
            return anyway
        try:
            return config_in(self._read(found.id, "config.json", found.sha)) or anyway
        except (OSError, ValueError):
            return anyway

    def _read(self, id: str, name: str, revision: str | None) -> bytes:
        """A small file, which stays in the cache; without the client's bar, that is there for what takes long."""
        from huggingface_hub import hf_hub_download

        where: Any = {"endpoint": self.endpoint, "cache_dir": self.cache, "token": self._token()}
        path = hf_hub_download(id, name, revision=revision, tqdm_class=silent_bar(), **where)
        return Path(path).read_bytes()

    def _tensors(self, found: Any, names: list[str]) -> list[Tensor]:
        """The weights' headers, by a ranged request a file; none where they may not be read or are many."""
        weights = [n for n in names if "/" not in n and n.endswith(".safetensors")]
        files = sorted(n for n in names if n.endswith(".gguf"))
        if not weights and files:
            return self._packed(found, packed(files) or files[0])
        if not 0 < len(weights) <= _SHARDS:
            return []
        try:
            repo = self._api().get_safetensors_metadata(found.id, revision=found.sha, timeout=_ASK_WITHIN)
        except Exception:
            return []
        parts = [tensor for file in repo.files_metadata.values() for tensor in file.tensors.items()]
        return [(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in parts]

    def _packed(self, found: Any, name: str) -> list[Tensor]:
        try:
            url = f"{self.endpoint}/{found.id}/resolve/{found.sha}/{quote(name)}"
            return gguf_tensors(url, self._token(), _ASK_WITHIN)
        except Exception:
            return []


def cache_of(endpoint: str) -> Path:
    """The cache of an added endpoint."""
    host = re.sub(r"[^a-z0-9.]+", "-", urlsplit(endpoint).netloc.lower())
    return current().home / "cache" / "hub" / f"{host}-{sha256(endpoint.encode()).hexdigest()[:8]}"


def _endpoint(settings: Settings) -> str:
    """``HF_ENDPOINT`` as it is now: the client reads it once, on import."""
    if settings.environ.get("HF_ENDPOINT"):
        return settings.environ["HF_ENDPOINT"]
    from huggingface_hub import constants

    return str(constants.ENDPOINT)
