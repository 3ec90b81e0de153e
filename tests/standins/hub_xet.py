"""Xet at the hub stand-in: the token routes name a folder, which the real client's own simulation uses as its storage.

The client uploads into that folder and commits sha256 sums; which Xet hash each has is read from the shards there.
"""

import time
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.standins.hub_state import HubState

__all__ = ["Xet", "add_xet_routes"]

_ROW = 48
_VERIFIED, _HAS_SHA256 = 0x80000000, 0x40000000


class Xet:
    """A content store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def url(self) -> str:
        return f"local://{self.folder}"

    def headers(self) -> dict[str, str]:
        """What a client needs to use it."""
        return {
            "X-Xet-Cas-Url": self.url,
            "X-Xet-Access-Token": "xet",
            "X-Xet-Token-Expiration": str(int(time.time()) + 3600),
        }

    def hashes(self) -> dict[str, str]:
        """sha256 -> Xet hash of every file that was uploaded."""
        found = {}
        for shard in self.folder.rglob("*.mdb"):
            found |= _files(shard.read_bytes())
        return found

    def content(self, sha256: str) -> bytes:
        """A file as the real client brings it back; KeyError for none."""
        import hf_xet

        target = self.folder / "out" / sha256
        target.parent.mkdir(parents=True, exist_ok=True)
        session, wanted = hf_xet.XetSession(), hf_xet.XetFileInfo(self.hashes()[sha256], None)
        with session.new_file_download_group(endpoint=self.url, token="xet", token_expiry_unix_secs=2**40) as group:
            group.start_download_file(wanted, str(target))
        return target.read_bytes()


def _files(shard: bytes) -> dict[str, str]:
    """A shard's file rows: hash, flags, number of segments; then these, their checks, and a row with a sha256."""
    found, at = {}, _ROW
    while at + _ROW <= len(shard) and shard[at : at + 32] != b"\xff" * 32:
        hash_, flags = shard[at : at + 32], int.from_bytes(shard[at + 32 : at + 36], "little")
        count = int.from_bytes(shard[at + 36 : at + 40], "little")
        at += _ROW * (1 + count * (2 if flags & _VERIFIED else 1))
        if flags & _HAS_SHA256:
            found[_text(shard[at : at + 32])] = _text(hash_)
            at += _ROW
    return found


def _text(hash_: bytes) -> str:
    """Xet writes a hash as four numbers of eight bytes, the lowest byte first."""
    return "".join(hash_[i : i + 8][::-1].hex() for i in range(0, 32, 8))


def add_xet_routes(app: web.Application, hub: HubState) -> None:
    """The token routes; 404 where there is no Xet, as at any endpoint without it."""

    async def token(request: web.Request) -> web.Response:
        xet: Any = hub.xet
        (hub.writable if request.match_info["way"] == "write" else hub.readable)(request)
        if xet is None:
            raise web.HTTPNotFound
        headers = xet.headers()
        body = {"casUrl": xet.url, "accessToken": "xet", "exp": int(headers["X-Xet-Token-Expiration"])}
        return web.json_response(body, headers=headers)

    app.router.add_get("/api/{kind:models|datasets}/{owner}/{name}/xet-{way:read|write}-token/{rev}", token)
