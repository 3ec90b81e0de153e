"""Models of Kaggle, where TensorFlow Hub's live now, through its own clients (``kagglehub``, ``kagglesdk``).

A model is named ``SOURCE:owner/model/framework/variation[@version]``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from modelnook.catalog.base import Query
from modelnook.catalog.hub_errors import Place, by_status, stumbled, translated, unreachable
from modelnook.catalog.hub_files import RepoFile
from modelnook.catalog.remote import HEAD, Listing, RemoteSource, licence_id
from modelnook.catalog.transfer import Tally
from modelnook.catalog.words import languages_named, task_named
from modelnook.domain.errors import ModelnookError, NotFoundError, OfflineError, StoreError, UsageError
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.messages import t
from modelnook.store.files import folder_bytes

__all__ = ["KaggleSource"]

_PAGE = 100
_SORTS = {"likes": "VOTE_COUNT", "updated": "UPDATE_TIME"}


class KaggleSource(RemoteSource):
    """``sources add kaggle https://www.kaggle.com --kind kaggle``; there is one Kaggle, whatever the address says.

    Without ``--token-env`` the client uses the person's own login (``~/.kaggle``, ``KAGGLE_API_TOKEN``).
    """

    kind = "kaggle"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # What it brings is told by us.
        os.environ.setdefault("KAGGLEHUB_VERBOSITY", "error")
        from kagglesdk.kaggle_env import get_env, get_web_endpoint

        login = self.place.login if self._token_env else t("kaggle.login")
        self.place = Place(name, get_web_endpoint(get_env()), login, lambda: self.token, self.page)

    def page(self, id: str) -> str:
        """Where one accepts the terms of a model that has some."""
        return f"{self.place.endpoint}/models/{id}"

    def search(self, query: Query) -> list[ModelInfo]:
        """The variations of the models that the site finds for the words typed; filters are applied here.

        Raises:
            OfflineError: off or out of reach.
        """
        found, _ = self._page(query.text, "", query.sort)
        return [info for info in found if query.matches(info)][: query.limit]

    def listing(self, limit: int) -> list[ModelInfo]:
        """The most downloaded models' variations, page by page."""
        found, token = self._page("", "")
        while token and len(found) < limit:
            more, token = self._page("", token)
            found += more
        return found[:limit]

    def _page(self, text: str, token: str, sort: str = "downloads") -> tuple[list[ModelInfo], str]:
        from modelnook.settings import current

        if current().offline:
            raise OfflineError("catalog.offline_ref", ref=text, source=self.name)
        from kagglesdk.models.types.model_api_service import ApiListModelsRequest
        from kagglesdk.models.types.model_enums import ListModelsOrderBy

        request = ApiListModelsRequest()
        request.search, request.page_size, request.page_token = text, _PAGE, token
        # The site orders by downloads and doesn't tell them.
        request.sort_by = ListModelsOrderBy[f"LIST_MODELS_ORDER_BY_{_SORTS.get(sort, 'DOWNLOAD_COUNT')}"]
        with self.told(text), self._client() as client:
            answer = client.models.model_api_client.list_models(request)
        rows = [self._row(model, instance) for model in answer.models for instance in model.instances or ()]
        return rows, answer.next_page_token or ""

    def _row(self, model: Any, instance: Any) -> ModelInfo:
        from kagglehub.enum import enum_to_str

        id = f"{model.ref}/{enum_to_str(instance.framework)}/{instance.slug}"
        tags = tuple(tag.name for tag in model.tags or () if tag.name)
        return ModelInfo(
            ref=f"{self.name}:{id}",
            id=id,
            source=self.name,
            revision=str(instance.version_number),
            name=instance.slug,
            # The site has no fields for these two: tags are all that it says.
            task=next(filter(None, map(task_named, tags)), None),
            language=languages_named(tags),
            license=licence_id(instance.license_name),
            bytes=instance.total_uncompressed_bytes or None,
            likes=model.vote_count,
            summary=model.subtitle or "",
            tags=tags,
            updated=model.update_time.isoformat() if model.update_time else None,
        )

    def told(self, shown: str) -> AbstractContextManager[None]:
        """Turns the clients' errors into ours."""
        return translated(_translate, self.place, shown)

    def ask(self, ref: ModelRef) -> Listing:
        """The files of a version, the newest where none is named."""
        from kagglesdk.models.types.model_api_service import ApiGetModelInstanceRequest
        from kagglesdk.models.types.model_api_service import ApiListModelInstanceVersionFilesRequest as Request

        handle = self._handle(ref)
        place = {"owner_slug": handle.owner, "model_slug": handle.model, "instance_slug": handle.variation}
        place["framework"] = handle.framework_enum()
        with self._client() as client:
            api = client.models.model_api_client
            instance = api.get_model_instance(_filled(ApiGetModelInstanceRequest(), **place))
            version = handle.version or instance.version_number
            files: list[RepoFile] = []
            token: str | None = None
            while token != "":
                asked = _filled(Request(), **place, version_number=version, page_size=_PAGE, page_token=token)
                answer = api.list_model_instance_version_files(asked)
                files += [RepoFile(f.name, f.size) for f in answer.files or ()]
                token = answer.next_page_token or ""
        facts = {"license": licence_id(instance.license_name), "base_model": self._base(instance)}
        return Listing(str(version), tuple(files), facts)

    def _base(self, instance: Any) -> str | None:
        """The variation that another was made from, or its address elsewhere."""
        from kagglehub.enum import enum_to_str

        base = instance.base_model_instance_information
        if base is None or base.owner is None:
            return instance.external_base_model_url or None
        return f"{self.name}:{base.owner.slug}/{base.model_slug}/{enum_to_str(base.framework)}/{base.instance_slug}"

    def text(self, ref: ModelRef, listing: Listing, file: RepoFile) -> bytes:
        """A small file's content."""
        with self._client() as client, self._open(client, ref.at(listing.revision), file) as answer:
            return bytes(answer.content)

    def head(self, ref: ModelRef, listing: Listing, file: RepoFile, size: int = HEAD) -> bytes:
        """The first bytes of a weight file: the answer is closed when they have come."""
        with self._client() as client, self._open(client, ref.at(listing.revision), file) as answer:
            return next(answer.iter_content(size), b"")

    def bring(self, ref: ModelRef, listing: Listing, files: Sequence[RepoFile], folder: Path, tally: Tally) -> None:
        """Through the client, which goes on with parts and compares checksums."""
        from kagglehub.clients import download_file

        pinned = ref.at(listing.revision)
        handle = self._handle(pinned)

        def work() -> None:
            with self._client() as client:
                for file in files:
                    target = folder / file.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with self._open(client, pinned, file) as answer:
                        download_file(answer, str(target), handle)
                    if target.stat().st_size != file.size:
                        target.unlink()
                        raise StoreError("hub.damaged", ref=tally.ref, file=file.name)

        tally.alongside(lambda: folder_bytes(folder), work)

    def _open(self, client: Any, ref: ModelRef, file: RepoFile) -> Any:
        from kagglesdk.models.types.model_api_service import ApiDownloadModelInstanceVersionRequest as Request

        handle = self._handle(ref)
        asked = _filled(
            Request(),
            owner_slug=handle.owner,
            model_slug=handle.model,
            framework=handle.framework_enum(),
            instance_slug=handle.variation,
            version_number=handle.version,
            path=file.name,
        )
        return client.models.model_api_client.download_model_instance_version(asked)

    def _handle(self, ref: ModelRef) -> Any:
        """The client's own form of a reference."""
        from kagglehub.handle import parse_model_handle

        try:
            if ref.revision and not ref.revision.isdigit():
                raise NotFoundError("hub.no_revision", ref=self.shown(ref))
            handle = parse_model_handle("/".join(filter(None, (ref.id, ref.revision))))
            handle.framework_enum()
        except ValueError as error:
            raise UsageError("kaggle.bad_id", ref=self.shown(ref), source=self.name) from error
        return handle

    def _client(self) -> Any:
        from kagglehub.config import get_kaggle_credentials
        from kagglesdk.kaggle_client import KaggleClient

        said = {"user_agent": "modelnook"}
        if self.token:
            return KaggleClient(api_token=self.token, **said)
        # kagglehub's own client names itself by a look at every frame and every loaded module: a second beside PyTorch.
        own = get_kaggle_credentials()
        if own is None:
            return KaggleClient(**said)
        return KaggleClient(username=own.username, password=own.key, api_token=own.api_key, **said)


def _filled(request: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        if value is not None:
            setattr(request, name, value)
    return request


def _translate(error: Exception, place: Place, ref: str) -> ModelnookError | None:
    import requests
    from kagglehub.exceptions import DataCorruptionError, UnauthenticatedError

    said: dict[str, Any] = {"ref": ref, "source": place.source, "host": place.host, "login": place.login}
    if isinstance(error, DataCorruptionError):
        return StoreError("hub.damaged_again", **said)
    if isinstance(error, UnauthenticatedError):
        return by_status(401, said, place)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        after = error.response.headers.get("Retry-After", "")
        return by_status(error.response.status_code, said, place, wait=int(after) if after.isdigit() else None)
    return stumbled(place, error) or (
        unreachable(place, error) if isinstance(error, requests.RequestException) else None
    )
