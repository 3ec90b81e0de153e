"""Who may see what on the hub stand-in, and how it refuses: the Hub's statuses and X-Error headers."""

import json
from dataclasses import dataclass, field
from typing import Any, NoReturn

from aiohttp import web

from tests.standins.hub_repos import Commit, Repo
from tests.standins.sending import Throttle

BAD_TOKEN = "Invalid credentials in Authorization header"


@dataclass(frozen=True)
class Person:
    """Who a token belongs to, and whether it may write."""

    name: str
    role: str = "write"
    orgs: tuple[str, ...] = ()

    def owns(self, namespace: str) -> bool:
        return namespace in (self.name, *self.orgs)


@dataclass
class HubState:
    """Everything that the routes read and change. The knobs make it a lesser peer than the real Hub."""

    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    tokens: dict[str, Person] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    spoiled: set[str] = field(default_factory=set)
    blobs: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    throttle: Throttle = field(default_factory=Throttle)
    page_size: int = 100
    part_size: int | None = None
    xet: Any = None
    can_list: bool = True
    can_search: bool = True

    def person(self, request: web.Request) -> Person | None:
        """Whose token the request carries; a token that nobody has is refused everywhere, as on the Hub."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        if token in self.expired:
            refuse(401, f'User Access Token "{self.tokens[token].name}" is expired')
        if token not in self.tokens:
            refuse(401, BAD_TOKEN)
        return self.tokens[token]

    def repo(self, request: web.Request) -> Repo:
        """The repository that the URL names, if the caller may know that it exists."""
        person = self.person(request)
        parts = request.match_info
        repo = self.repos.get((parts.get("kind", "models"), f"{parts['owner']}/{parts['name']}"))
        if repo is None or (repo.private and not (person and person.owns(repo.owner))):
            if person is None:
                refuse(401, "Invalid username or password.", "RepoNotFound")
            refuse(404, "Repository not found", "RepoNotFound")
        return repo

    def readable(self, request: web.Request) -> Repo:
        """Like `repo`, and its files may be read: gated ones only by those who were let in."""
        repo = self.repo(request)
        person = self.person(request)
        if repo.gated and (closed := _closed(repo, person)):
            refuse(403 if person else 401, closed, "GatedRepo")
        return repo

    def writable(self, request: web.Request) -> Repo:
        """Like `repo`, and the caller may write to it."""
        repo = self.repo(request)
        self.may_write(request, repo.owner)
        return repo

    def may_write(self, request: web.Request, namespace: str) -> Person:
        """The caller, if the token has the right to write in this namespace."""
        person = self.person(request)
        if person is None:
            refuse(401, "Invalid username or password.")
        if person.role != "write" or not person.owns(namespace):
            refuse(403, f"You don't have the rights to write in the namespace {namespace}")
        return person


def _closed(repo: Repo, person: Person | None) -> str:
    """Why a gated repository's files may not be read, in the Hub's words; nothing where they may."""
    if person is None:
        return f"Access to model {repo.id} is restricted. You must have access to it and be authenticated."
    if person.role == "fineGrained":
        return "Please enable access to public gated repositories in your fine-grained token settings to view this."
    if person.owns(repo.owner) or person.name in repo.granted:
        return ""
    if person.name in repo.asked:
        return f"Your request to access model {repo.id} is awaiting a review from the repo authors."
    return f"Access to model {repo.id} is restricted and you are not in the authorized list."


def commit_of(repo: Repo, request: web.Request) -> Commit:
    """The commit that the URL's revision names, default main."""
    revision = request.match_info.get("rev", "main")
    try:
        return repo.at(revision)
    except KeyError:
        refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def refuse(status: int, message: str, code: str = "") -> NoReturn:
    """Answer with an error, as the Hub words it: message and code in headers, the message in JSON."""
    headers = {"X-Error-Message": message}
    if code:
        headers["X-Error-Code"] = code
    error = web.HTTPException(headers=headers, text=json.dumps({"error": message}), content_type="application/json")
    error.set_status(status)
    raise error


def answer(data: Any, **options: Any) -> web.Response:
    """A JSON answer; dates in cards become text."""
    return web.json_response(data, dumps=lambda value: json.dumps(value, default=str), **options)
