"""Sending a file as servers of models do: whole or from a Range on, slowly, or cut in the middle."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from tests.standins.serving import cut


@dataclass
class Throttle:
    """How large files are sent: in chunks with a pause, cut after so many bytes for the first `cuts` answers."""

    chunk: int = 1 << 20
    sleep: float = 0.0
    cut_after: int | None = None
    cuts: int = 0


async def send(
    request: web.Request, content: bytes, headers: Mapping[str, str], throttle: Throttle
) -> web.StreamResponse:
    """Answer with the content, or with the part of it that a Range asks for."""
    start, end, status = 0, len(content), 200
    headers = dict(headers)
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if wanted:
        start, status = int(wanted[1]), 206
        end = min(end, int(wanted[2]) + 1) if wanted[2] else end
        if start >= len(content):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    response = web.StreamResponse(status=status, headers=headers)
    if "Content-Type" not in headers:
        response.content_type = "application/octet-stream"
    response.content_length = end - start
    await response.prepare(request)
    if request.method != "HEAD":
        await _pour(request, response, content[start:end], throttle)
    await response.write_eof()
    return response


async def _pour(request: web.Request, response: web.StreamResponse, content: bytes, throttle: Throttle) -> None:
    breaks = throttle.cut_after if throttle.cuts > 0 else None
    for at in range(0, len(content), throttle.chunk):
        if breaks is not None and at >= breaks:
            throttle.cuts -= 1
            cut(request)
        await response.write(content[at : at + throttle.chunk])
        if throttle.sleep:
            await asyncio.sleep(throttle.sleep)
