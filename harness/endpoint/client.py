"""Requests to an OpenAI-compatible server: patient with what passes, clear about what does not."""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from harness.endpoint.chat import Reply, read_reply
from harness.errors import HarnessError
from harness.suite.endpoint import LONGEST_WAIT_S, Endpoint
from harness.time_limit import within

if TYPE_CHECKING:
    from requests import Response, Session
    from requests.models import PreparedRequest

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
CONNECT_S = 10.0
"""Seconds for a connection: a server that is up accepts one at once, however long it thinks."""
FIRST_WAIT_S = 0.5
"""Waits double from this to `LONGEST_WAIT_S`; the server's `Retry-After` comes before them."""
PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that are worth another try, as in the `openai` client."""
MOST_BYTES = 16 * 2**20
"""Of a reply: a text of a million tokens has four."""
SECRET = 16
"""Characters of a key that is cut out of answers. Shorter ones are words, such as vLLM's `EMPTY`,
which an answer may hold by right; no provider's key is as short."""
QUOTED = 300
"""Characters of a server's own words in a message."""


class Asked(NamedTuple):
    """A reply, and what it took to get it."""

    reply: Reply
    seconds: float
    """From end to end, over the network, without the waits between tries."""


class _Passing(Exception):
    """A failure that may pass: what happened, and the seconds that the server asks to wait."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.wait = wait


class Client:
    """Asks one endpoint; may be shared by threads.

    Args:
        endpoint: Where, as whom, and how patiently.
        sleep: Waits some seconds between two tries.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = endpoint
        self.retries = 0
        """Requests that were sent again."""
        self.requests = 0
        """Requests that were sent, these included."""
        self._sleep = sleep
        self._lock = threading.Lock()
        self._key = _key_of(endpoint)
        self._spelled = _spelled(self._key) if self._key else None

    @cached_property
    def _session(self) -> Session:
        # in a function: `harness plan` reads this module's neighbours and never asks anybody
        from requests.adapters import HTTPAdapter

        session = _direct_session()
        # a proxy for the world outside knows no server on this machine
        session.trust_env = urlsplit(self.endpoint.base_url).hostname not in LOOPBACK
        size = self.endpoint.concurrency or 64
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=size))
        # always one of ours: requests would otherwise send a password from ~/.netrc
        session.auth = self._authorize
        return session

    def _authorize(self, request: PreparedRequest) -> PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def ask(self, path: str, body: Mapping[str, Any]) -> Asked:
        """The reply to ``body``, asked at ``path`` under the base address.

        Raises:
            HarnessError: the server refuses it, or still fails after all retries.
        """
        url = f"{self.endpoint.base_url}/{path}"
        whole = {"model": self.endpoint.model, **body}
        for tried in range(self.endpoint.max_retries + 1):
            began = time.monotonic()
            with self._lock:
                self.requests += 1
                self.retries += tried > 0
            try:
                once = partial(self._once, url, whole)
                return Asked(within(self.endpoint.timeout_s, once), time.monotonic() - began)
            except _Passing as failure:
                last = failure
            except TimeoutError:
                last = self._too_late()
            if tried < self.endpoint.max_retries:
                self._sleep(_wait(last, tried))
        raise HarnessError(
            f"{last.what} (asked {_times(self.endpoint.max_retries + 1)})",
            where=url,
            hint="Is the server up, at this address? `timeout_s` and `max_retries` of the endpoint"
            " set how long it is waited for.",
        )

    def _once(self, url: str, body: Mapping[str, Any]) -> Reply:
        from requests import ConnectionError as Lost
        from requests import RequestException, Timeout

        try:
            response = self._session.post(
                url,
                json=body,
                timeout=(min(CONNECT_S, self.endpoint.timeout_s), self.endpoint.timeout_s),
                # a key must not follow to an address that the suite does not name
                allow_redirects=False,
                stream=True,
            )
            with response:
                content = _content(response)
        except Timeout:
            raise self._too_late() from None
        except Lost as error:
            raise _Passing(f"no connection: {_cause(error)}") from None
        except RequestException as error:
            raise _Passing(f"the answer broke off: {_cause(error)}") from None
        return self._read(url, response, content)

    def _too_late(self) -> _Passing:
        return _Passing(f"no answer within {self.endpoint.timeout_s:g} s")

    def _read(self, url: str, response: Response, content: bytes) -> Reply:
        status = response.status_code
        if self._key and len(self._key) >= SECRET:
            content = self._without_key(content)  # nor may it come into the files of a run
        text = self._quoted(content)
        if status in PASSING or status >= 500:
            wait = _retry_after(response.headers.get("Retry-After"))
            raise _Passing(f"the server answers {status}: {text or 'nothing'}", wait)
        if 300 <= status < 400:
            place = self._quoted(response.headers.get("Location", "elsewhere").encode())
            hint = "Write the address that answers by itself into `endpoint.base_url`."
            raise HarnessError(f"it sends us on to {place}", where=url, hint=hint)
        if status >= 400:
            what = f"the server refuses the request ({status}): {text or 'without a word'}"
            raise HarnessError(what, where=url, hint=self._hint(status))
        if content.lstrip()[:1] == b"<":
            hint = "`endpoint.base_url` is the address of the API; most end in /v1."
            raise HarnessError("a web page answers, not an API", where=url, hint=hint)
        try:
            found = json.loads(content)
        except (
            ValueError,
            RecursionError,
        ):  # cut by a proxy or a server that died: the next one may be whole
            raise _Passing(f"the answer is no JSON: {text or 'nothing'}") from None
        try:
            return read_reply(found)
        except HarnessError as error:
            raise HarnessError(error.what, where=url, hint=error.hint) from None

    def _hint(self, status: int) -> str:
        if status in (401, 403):
            name = self.endpoint.api_key_env
            if name is None:
                return "Name the environment variable of the key: `endpoint.api_key_env`."
            return f"The key in {name} is not accepted."
        return (
            f'The model asked for is "{self.endpoint.model}" (`endpoint.model`); GET'
            f" {self.endpoint.base_url}/models names those that the server has."
        )

    def _quoted(self, content: bytes) -> str:
        """The server's words on one line, the key cut out: some quote it back."""
        # the key first: a cut through it would leave its beginning
        shown = self._without_key(content)[: 4 * QUOTED]
        text = " ".join(shown.decode("utf-8", "replace").split())
        return text if len(text) <= QUOTED else f"{text[: QUOTED - 1]}…"

    def _without_key(self, content: bytes) -> bytes:
        return self._spelled.sub(b"[key]", content) if self._spelled else content


def _direct_session() -> Session:
    """A session that does not even look where a redirect leads."""
    from requests import Session

    session = Session()
    # even where redirects are not followed, requests would parse the address and read the whole
    # page that comes with it, which may have no end
    session.get_redirect_target = lambda _: None
    return session


def _spelled(key: str) -> re.Pattern[bytes]:
    """``key`` as it may be written in JSON, with escapes, or in an address."""
    each = (rf"(?:\\?{re.escape(c)}|\\u{ord(c):04x}|%{ord(c):02x})" for c in key)
    return re.compile("".join(each).encode(), re.IGNORECASE)


def _key_of(endpoint: Endpoint) -> str | None:
    """The key in the environment variable that ``endpoint`` names.

    Raises:
        HarnessError: the variable is not set.
    """
    if endpoint.api_key_env is None:
        return None
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key:
        hint = "Set it, or delete `endpoint.api_key_env` for a server without keys."
        what = f"the environment variable {endpoint.api_key_env} is not set"
        raise HarnessError(what, where=endpoint.base_url, hint=hint)
    if not key.isascii() or not key.isprintable():
        what = f"the key in {endpoint.api_key_env} holds characters that no header can carry"
        raise HarnessError(what, where=endpoint.base_url)
    return key


def _content(response: Response) -> bytes:
    found = bytearray()
    for chunk in response.iter_content(2**16):
        found += chunk
        if len(found) > MOST_BYTES:
            raise HarnessError(
                f"the answer is longer than {MOST_BYTES // 2**20} MiB", where=response.url
            )
    return bytes(found)


def _wait(failure: _Passing, tried: int) -> float:
    """Seconds until the next try; spread, so that many workers do not come back at once."""
    if failure.wait is not None:
        return min(failure.wait, LONGEST_WAIT_S)
    return min(FIRST_WAIT_S * 2.0**tried, LONGEST_WAIT_S) * random.uniform(0.75, 1.25)


def _retry_after(header: str | None) -> float | None:
    """Seconds that `Retry-After` asks for: a number or a date; None where it says neither."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _cause(error: Exception) -> str:
    """What lies under an error of requests, without the names of its classes and addresses."""
    inner: BaseException = error
    while (under := inner.__cause__ or inner.__context__) is not None:
        inner = under
    return getattr(inner, "strerror", None) or str(inner).partition(": ")[2] or str(inner) or "lost"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
