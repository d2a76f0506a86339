"""The page answers this machine alone: no other site's page can read or fill it."""

import asyncio

import pytest

from harness.demo.only_here import OnlyHere, is_of_here

HEADERS = [
    ("127.0.0.1:7860", None, True),
    ("localhost:8080", "http://localhost:8080", True),
    ("[::1]:7860", None, True),
    ("127.0.0.1:7860", "http://127.0.0.1:7860", True),
    ("evil.example:7860", None, False),
    ("127.0.0.1.evil.example", None, False),
    ("localhost@evil.example", None, False),
    ("127.0.0.1:7860", "http://evil.example", False),
    ("127.0.0.1:7860", "null", False),
    ("127.0.0.1:7860", "http://127.0.0.1.evil.example", False),
    ("[::1", None, False),
    ("", None, False),
]


@pytest.mark.parametrize(("host", "origin", "allowed"), HEADERS)
def test_a_page_of_this_machine_may_ask(host, origin, allowed):
    headers = [(b"host", host.encode()), *([(b"origin", origin.encode())] if origin else [])]
    assert is_of_here(headers) is allowed


@pytest.mark.parametrize("hosts", [[], ["localhost", "evil.example"]])
def test_a_request_without_one_host_is_refused(hosts):
    assert not is_of_here([(b"host", host.encode()) for host in hosts])


def test_another_request_than_a_page_s_is_passed_on():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(OnlyHere(app)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
