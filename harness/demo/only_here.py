"""Keeps pages of other web sites away from the one that is served on this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
HERE = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine, through a forwarded port too."""


class OnlyHere:
    """Refuses a request that was made by another site's page.

    A server on 127.0.0.1 is open to each page in the same browser. Such a page can let its own name
    point to 127.0.0.1 and then read the answers (DNS rebinding: the `Host` is its name), or send
    questions, votes and files without reading what comes back (the `Origin` is its name).
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request of this machine on; answer any other with 403."""
        if scope["type"] != "http" or is_of_here(scope["headers"]):
            await self.app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": b"This page is for this machine alone."})


def is_of_here(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether each `Host` and `Origin` of ``headers`` is this machine; a page sends both or one."""
    hosts = [f"//{value.decode('latin-1')}" for name, value in headers if name == b"host"]
    origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
    return len(hosts) == 1 and all(_host(address) in HERE for address in (*hosts, *origins))


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
