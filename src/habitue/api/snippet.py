"""The snippet of the browser at ``/habitue.js``, and its types at ``/habitue.d.ts``."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["served", "snippet_routes"]

_FOLDER: Final = Path(__file__).parent
_MEDIA: Final = {"habitue.js": "text/javascript", "habitue.d.ts": "text/plain"}
_LEFT_OUT: Final = re.compile(r"^\s*(//.*)?\n|^[ \t]+", re.MULTILINE)


def served(name: str) -> bytes:
    """The file as it goes out: the script without lines of comment, blank lines, indentation."""
    text = (_FOLDER / name).read_text("utf-8")
    return (_LEFT_OUT.sub("", text) if name.endswith(".js") else text).encode()


def snippet_routes() -> list[Route]:
    """The routes that answer with the two files, to any page of any site."""
    return [_route(name) for name in _MEDIA]


def _route(name: str) -> Route:
    plain = served(name)
    packed = gzip.compress(plain, 9, mtime=0)
    headers = {
        "cache-control": "public, max-age=3600",
        "cross-origin-resource-policy": "cross-origin",
        "etag": f'"{hashlib.sha256(plain).hexdigest()[:16]}"',
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(plain, headers=headers, media_type=_MEDIA[name])
        encoded = headers | {"content-encoding": "gzip"}
        return Response(packed, headers=encoded, media_type=_MEDIA[name])

    return Route(f"/{name}", answer, methods=["GET"], include_in_schema=False)
