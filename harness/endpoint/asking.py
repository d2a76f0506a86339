"""Many questions to one endpoint: at the same time, from the cache where it can be believed.

A cached answer is believed if the server is still the one that gave it. Before any is used, the
longest of them are asked again; if the server names itself otherwise, or answers one otherwise, all
are asked again, and the row says so.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.counting import agreeing, counted
from harness.endpoint.answer_cache import AnswerCache, default_path, is_switched_off, key_of
from harness.endpoint.chat import Reply, server_name
from harness.endpoint.client import Asked, Client
from harness.errors import HarnessError
from harness.suite.endpoint import Endpoint

CHECKED = 3
"""Cached answers that are asked again before the others are believed. The longest ones: two models
agree on a short answer far more often than on a long one."""
HOPELESS = 20
"""So many questions in a row without an answer, and the server is taken to be gone."""

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """One request."""

    path: str
    """`chat/completions` or `completions`."""
    body: Body
    """The messages or the prompt, and every setting."""


@dataclass
class Tally:
    """What asking took, over all questions so far."""

    asked: int = 0
    """Questions that the server answered now."""
    cached: int = 0
    """Questions whose answers came from the cache."""
    seconds: list[float] = field(default_factory=list, repr=False)
    """From end to end, of each question asked now."""
    servers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Model and fingerprint, by the server's own words → answers."""
    finished: Counter[str] = field(default_factory=Counter)
    """Why answers ended → answers."""
    prompt_tokens: int = 0
    new_tokens: int = 0
    """Of all answers, cached ones included."""
    asked_prompt_tokens: int = 0
    asked_new_tokens: int = 0
    """Of the answers that were asked for now, which cost money now."""
    notes: list[str] = field(default_factory=list)

    def paid(self, asked: Asked) -> None:
        """Count what was asked for now."""
        self.asked += 1
        self.seconds.append(asked.seconds)
        self.asked_prompt_tokens += asked.reply.prompt_tokens or 0
        self.asked_new_tokens += asked.reply.new_tokens or 0

    def add(self, reply: Reply) -> None:
        """Count ``reply``."""
        self.servers[reply.server] += 1
        self.finished[reply.finish_reason] += 1
        self.prompt_tokens += reply.prompt_tokens or 0
        self.new_tokens += reply.new_tokens or 0

    @property
    def server_records(self) -> list[dict[str, str | int]]:
        """`servers` as plain JSON values, those with most answers first."""
        return [
            {"model": model, "system_fingerprint": fingerprint, "answers": count}
            for (model, fingerprint), count in self.servers.most_common()
        ]

    @property
    def median_seconds(self) -> float | None:
        """Of a question that was asked now; None if none was."""
        return statistics.median(self.seconds) if self.seconds else None


class Asker:
    """Asks one endpoint, through the cache.

    Args:
        endpoint: Which.
        cache: Instead of the one in your cache folder.
    """

    def __init__(self, endpoint: Endpoint, *, cache: AnswerCache | None = None) -> None:
        self.endpoint = endpoint
        self.client = Client(endpoint)
        self.tally = Tally()
        self._cache = cache
        if cache is None and endpoint.cache and not is_switched_off():
            self._cache = AnswerCache(default_path())

    def ask(
        self,
        questions: Sequence[Question],
        *,
        concurrency: int,
        repeat: str = "",
        keep: bool = True,
    ) -> list[Reply]:
        """The reply to each of ``questions``, in order.

        Args:
            questions: What to ask.
            concurrency: How many at the same time.
            repeat: Which repetition of the same questions this is.
            keep: Whether the cache may serve; sampled answers are drawn anew each time.

        Raises:
            HarnessError: a question has no answer after all retries. Those that have one are in
                the cache.
        """
        numbered = dict(enumerate(questions))
        cache = self._cache if keep else None
        replies = self._replies(_Round(numbered, concurrency, repeat, cache), Refuse())
        return [replies[k] for k in numbered]

    def ask_each(
        self, questions: Sequence[Question], *, concurrency: int
    ) -> list[Reply | HarnessError]:
        """As `ask`, with the error in place of the reply where a question has none.

        Raises:
            HarnessError: no question has a reply, or `HOPELESS` in a row have none: the server is
                gone, and each further question might wait for minutes.
        """
        if not questions:
            return []
        # one question first, and another one if that fails: a server that is not there, or takes
        # no question at all, is known before many have waited for it
        errors, found = Collect(), dict[int, Reply]()
        for k in dict.fromkeys((0, len(questions) - 1)):
            found |= self._replies(_Round({k: questions[k]}, 1, "", self._cache), errors)
            if found:
                break
        else:
            raise errors.found[0]
        rest = {k: q for k, q in enumerate(questions) if k not in (*found, *errors.found)}
        found |= self._replies(_Round(rest, concurrency, "", self._cache), errors)
        return [found.get(k) or errors.found[k] for k in range(len(questions))]

    def _replies(self, asked: _Round, errors: Errors) -> dict[int, Reply]:
        cache = asked.cache
        found: dict[int, Reply] = {}
        if cache is not None:
            stored = {
                k: reply for k in asked.questions if (reply := cache.get(self._key(asked, k)))
            }
            found = self._believed(asked, stored, errors)
        missing = [k for k in asked.questions if k not in found and k not in errors.found]
        found |= self._live(asked, missing, errors)
        if cache is not None and cache.problem and cache.problem not in self.tally.notes:
            self.tally.notes.append(cache.problem)
        for reply in found.values():
            self.tally.add(reply)
        return found

    def _key(self, asked: _Round, number: int) -> str:
        question = asked.questions[number]
        return key_of(self.endpoint.model, question.path, question.body, repeat=asked.repeat)

    def _believed(
        self, asked: _Round, stored: dict[int, Reply], errors: Errors
    ) -> dict[int, Reply]:
        """Those of ``stored`` that the server of now would give, and those asked to find out."""
        if not stored:
            return {}
        longest = sorted(stored, key=lambda k: (-len(stored[k].text), k))[:CHECKED]
        now = self._live(asked, longest, errors)
        servers = {reply.server for reply in now.values()}
        reason = next((why for k in now if (why := _difference(stored[k], now[k]))), None)
        kept = {
            k: reply
            for k, reply in stored.items()
            if k not in longest and reason is None and reply.server in servers
        }
        lost = len(stored) - len(longest) - len(kept)
        if reason or lost:
            reason = reason or "they are of a server with another name or fingerprint"
            self.tally.notes.append(
                f"{counted(len(stored), 'answer')} in the cache"
                f" {agreeing(len(stored), 'was', 'were')} not used: {reason}; all were asked again"
            )
        self.tally.cached += len(kept)
        return {**now, **kept}

    def _live(self, asked: _Round, wanted: Sequence[int], errors: Errors) -> dict[int, Reply]:
        """Question number → its reply from the server, kept as soon as it is there."""

        def one(k: int) -> Asked | None:
            question = asked.questions[k]
            try:
                found = self.client.ask(question.path, question.body)
            except HarnessError as error:
                errors.add(k, error)
                return None
            errors.answered()
            if asked.cache is not None:  # now, not at the end: a run that is killed loses nothing
                asked.cache.put(self._key(asked, k), found.reply)
            return found

        with ThreadPoolExecutor(max(1, min(asked.concurrency, len(wanted)))) as pool:
            futures = [pool.submit(one, k) for k in wanted]
            try:
                answers = [future.result() for future in futures]
            except BaseException:
                # the first lasting failure ends the cell: what is not sent yet need not be
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        found = {k: answer for k, answer in zip(wanted, answers, strict=True) if answer}
        for answer in found.values():
            self.tally.paid(answer)
        return {k: answer.reply for k, answer in found.items()}


@dataclass(frozen=True)
class _Round:
    """Questions that are asked together."""

    questions: Mapping[int, Question]
    concurrency: int
    repeat: str
    cache: AnswerCache | None


class Errors(Protocol):
    """What becomes of a question without an answer."""

    found: dict[int, HarnessError]

    def add(self, number: int, error: HarnessError) -> None:
        """Take note of the ``error`` of question ``number``, or raise it."""

    def answered(self) -> None:
        """Take note that a question has an answer."""


class Refuse:
    """One question without an answer ends them all."""

    def __init__(self) -> None:
        self.found: dict[int, HarnessError] = {}

    def add(self, number: int, error: HarnessError) -> None:
        """Raise ``error``."""
        raise error

    def answered(self) -> None:
        """Nothing to note."""


class Collect:
    """A question without an answer is one, and the others are asked all the same, up to a point."""

    def __init__(self) -> None:
        self.found: dict[int, HarnessError] = {}
        self._in_a_row = 0

    def add(self, number: int, error: HarnessError) -> None:
        """Keep ``error``; raise it if it is one too many in a row."""
        self.found[number] = error
        self._in_a_row += 1
        if self._in_a_row >= HOPELESS:
            raise error

    def answered(self) -> None:
        """Begin to count anew."""
        self._in_a_row = 0


def _difference(then: Reply, now: Reply) -> str | None:
    """How the server's answer of ``now`` shows that it is another server; None if it does not."""
    if then.server != now.server:
        was, is_ = (server_name(*reply.server) or "nothing" for reply in (then, now))
        return f'the server was "{was}" and is "{is_}"'
    if then.text != now.text:
        return "the server answers a question otherwise than it did, under the same name"
    return None
