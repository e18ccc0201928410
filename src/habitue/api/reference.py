"""The page at ``/docs``: every operation of the interface, to be read and tried in a browser.

It is one file that asks for nothing but ``/openapi.json`` of the same server, and a policy in its
header lets it do nothing else: an API key may be typed into it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["reference_page"]

_PAGE: Final = Path(__file__).with_name("reference.html")


def reference_page(path: str = "/docs") -> Route:
    """The route that answers with the page."""
    page = _PAGE.read_text(encoding="utf-8")
    headers = {
        "content-security-policy": "; ".join(
            (
                "default-src 'none'",
                "connect-src 'self'",
                f"script-src {_allowed('script', page)}",
                f"style-src {_allowed('style', page)}",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            )
        ),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }

    async def answer(request: Request) -> Response:
        del request
        return Response(page, headers=headers, media_type="text/html")

    return Route(path, answer, methods=["GET"], include_in_schema=False)


def _allowed(tag: str, page: str) -> str:
    """What a policy calls the inline code of the page: its hash.

    >>> _allowed("style", "<style>p { margin: 0 }</style>")
    "'sha256-7IWhgxoOGTB5NQzjGk9OPt0FwhVeBvZGoWgF9xLLh8c='"
    """
    (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"
