"""Who may do what: the token, the authorizer with each method's own action, the page's proof, other HTTP verbs."""

from __future__ import annotations

import json
import warnings

import pytest
from jupyter_server.auth import AllowAllAuthorizer, Authorizer
from jupyter_server.serverapp import ServerApp
from tests.server.conftest import make_run, told
from tornado.httpclient import HTTPClientError

from modelnook.rpc import METHODS

ACTIONS = {**{name: row.action for name, row in METHODS.items()}, "events": "read"}


class ReadOnly(Authorizer):
    """Lets a person look and do nothing."""

    asked: list[tuple[str, str]] = []

    def is_authorized(self, handler, user, action, resource):
        self.asked.append((action, resource))
        return action == "read"


@pytest.fixture
def read_only(jp_serverapp, monkeypatch):
    """The server with that authorizer."""
    ReadOnly.asked.clear()
    monkeypatch.setitem(jp_serverapp.web_app.settings, "authorizer", ReadOnly(parent=jp_serverapp))
    return ReadOnly.asked


@pytest.mark.parametrize("method", sorted(ACTIONS))
async def test_no_token_no_answer(http_server_client, jp_base_url, method):
    with pytest.raises(HTTPClientError) as caught:
        await http_server_client.fetch(
            f"{jp_base_url}modelnook/api/{method}", method="POST", body="{}", follow_redirects=False
        )
    status, error = told(caught.value)
    assert status == 403
    assert error["code"].startswith("server.no")


_CALLS = {
    "search": {"query": "x"},
    "runs": {},
    "run": {"run": "topics"},
    "history": {"run": "topics"},
    "log": {"run": "topics"},
    "sources": {},
    "settings": {"language": "en"},
    "events": {},
    "stop": {"run": "topics"},
    "resume": {"run": "topics"},
    "delete": {"run": "topics"},
    "info": {"ref": "local:none"},
    "list": {},
    "compare": {"refs": ["a", "b"]},
    "cache": {},
    "facets": {"query": "x"},
}


@pytest.mark.parametrize("method", sorted(ACTIONS))
async def test_each_method_asks_with_its_own_action(read_only, call, store, method):
    make_run(store)
    action = ACTIONS[method]
    # A reading call first: @authorized would keep its action for all that follow.
    await call("runs")
    read_only.clear()
    if action == "read":
        # No model is there; what counts is that it was looked for.
        assert await _status(call, method) in (200, 404)
    else:
        with pytest.raises(HTTPClientError) as caught:
            await call(method, **_CALLS[method])
        status, error = told(caught.value)
        assert (status, error["code"]) == (403, "server.forbidden")
        assert action in error["message"]
    assert read_only == [(action, "modelnook")]
    assert (store.home / "runs" / "abcd1234").exists()


async def _status(call, method):
    try:
        await call(method, **_CALLS[method])
    except HTTPClientError as error:
        return error.code
    return 200


async def test_a_reader_may_see_the_settings(read_only, call):
    assert (await call("settings"))["language"] == "auto"


async def test_an_authorizer_may_be_asynchronous(jp_serverapp, call, monkeypatch):
    class Slow(AllowAllAuthorizer):
        async def is_authorized(self, handler, user, action, resource):
            return False

    monkeypatch.setitem(jp_serverapp.web_app.settings, "authorizer", Slow(parent=jp_serverapp))
    with pytest.raises(HTTPClientError) as caught:
        await call("runs")
    assert caught.value.code == 403


@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_only_post(jp_fetch, verb):
    with pytest.raises(HTTPClientError) as caught:
        await jp_fetch("modelnook", "api", "runs", method=verb, body="{}" if verb in ("PUT", "PATCH") else None)
    assert caught.value.code == 405
    if verb != "HEAD":
        assert told(caught.value)[1]["code"] == "server.only_post"


async def test_a_cookie_alone_does_not_do(http_server_client, jp_base_url, jp_serverapp, jp_auth_header):
    token = jp_serverapp.identity_provider.token
    page = await http_server_client.fetch(f"{jp_base_url}api/me?token={token}", follow_redirects=False)
    login = await http_server_client.fetch(f"{jp_base_url}login?next=x", follow_redirects=False, raise_error=False)
    cookies = {c.split("=", 1)[0]: c.split(";", 1)[0] for r in (page, login) for c in r.headers.get_list("Set-Cookie")}
    proof = cookies["_xsrf"].split("=", 1)[1]
    post = {"method": "POST", "body": "{}", "headers": {"Cookie": "; ".join(cookies.values())}}
    with pytest.raises(HTTPClientError) as caught:
        await http_server_client.fetch(f"{jp_base_url}modelnook/api/runs", **post)
    assert told(caught.value)[1]["code"] == "server.no_xsrf"
    post["headers"]["X-XSRFToken"] = proof
    answer = await http_server_client.fetch(f"{jp_base_url}modelnook/api/runs", **post)
    assert json.loads(answer.body)["items"] == []
    post["headers"]["Origin"] = "https://elsewhere.example"
    with pytest.raises(HTTPClientError) as caught:
        await http_server_client.fetch(f"{jp_base_url}modelnook/api/runs", **post)
    assert told(caught.value)[0] == 404


def test_every_handler_is_decorated():
    ServerApp.clear_instance()
    app = ServerApp(
        allow_unauthenticated_access=False,
        jpserver_extensions={"modelnook": True},
        reraise_server_extension_failures=True,
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        app.initialize(argv=[], find_extensions=False, new_httpserver=False)
    ours = [str(w.message) for w in said if "without @allow_unauthenticated" in str(w.message)]
    assert [text for text in ours if "modelnook" in text] == []
    ServerApp.clear_instance()
