"""A model behind an OpenAI-compatible server: it is asked, and nothing else.

What is deployed is what is scored: the server's own template, precision and stop tokens are part of
the answer. Nothing is known here of likelihoods, memory or decoding speed, so none is reported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from harness.backends.base import Answers, Asking, BackendResult, Device
from harness.backends.prompting import asked, messages, render
from harness.counting import counted
from harness.datasets.example import Example
from harness.endpoint.asking import Asker, Question
from harness.endpoint.chat import Reply, sampling, server_name
from harness.metrics.prediction import Prediction
from harness.plan.cell import Cell
from harness.results.paths import CellPaths

CHAT, TEXT = "chat/completions", "completions"
KNOWN_ENDS = frozenset({"stop", "length"})
"""Reasons to end that local models have, too; others are worth a warning."""


class ServedBackend:
    """Asks the endpoint of a cell's model card."""

    def __init__(self, cell: Cell) -> None:
        assert cell.model.endpoint is not None, "the plan chooses this backend for served models"
        self._cell = cell
        self._asker = Asker(cell.model.endpoint)
        self._path = CHAT if cell.model.prompt in (None, "chat") else TEXT

    def load(self, probe: Example) -> BackendResult:
        """Nothing: the first questions show whether the server is there."""
        return BackendResult()

    def predict(self, test: Sequence[Example], asking: Asking) -> Answers:
        """What the server answers to ``test``."""
        endpoint, task = self._asker.endpoint, self._cell.task
        generation = self._cell.generation
        questions = asked(test, task.labels) if task.labels else test
        settings = sampling(generation, endpoint, seed=asking.seed)
        bodies = [{**self._question(example), **settings} for example in questions]
        replies = self._asker.ask(
            [Question(self._path, body) for body in bodies],
            concurrency=endpoint.concurrency or asking.batch_size,
            repeat="" if asking.likelihoods else f"again {asking.batch_size}",
            keep=not generation.get("do_sample"),
        )
        records = [_record(body, reply) for body, reply in zip(bodies, replies, strict=True)]
        return Answers(facts={"served": self._facts(bodies)}, records=records)

    def measure(self, test: Sequence[Example]) -> BackendResult:
        """Nothing: seconds over a network are no decoding latency."""
        return BackendResult()

    def _question(self, example: Example) -> dict[str, object]:
        card = self._cell.model
        if self._path == TEXT:
            return {"prompt": render(card, example)}
        turns = [{"role": role, "content": text} for role, text in messages(card, example)]
        if not card.template_kwargs:
            return {"messages": turns}
        # vLLM, SGLang and `transformers serve` pass these on to the template
        return {"messages": turns, "chat_template_kwargs": dict(card.template_kwargs)}

    def _facts(self, bodies: Sequence[Mapping[str, object]]) -> dict[str, object]:
        """What was asked, how, and what the server said of itself; for the result."""
        tally, client = self._asker.tally, self._asker.client
        return {
            "model": self._asker.endpoint.model,
            "path": self._path,
            "settings": {k: v for k, v in bodies[0].items() if k not in ("messages", "prompt")},
            "servers": tally.server_records,
            "finish_reasons": dict(tally.finished),
            "asked": tally.asked,
            "from_cache": tally.cached,
            "requests": client.requests,
            "retries": client.retries,
            "prompt_tokens": tally.prompt_tokens,
            "new_tokens": tally.new_tokens,
            "seconds_end_to_end_p50": tally.median_seconds,
            "notes": self._notes(),
        }

    def _notes(self) -> list[str]:
        """What a reader must know before the scores."""
        tally = self._asker.tally
        notes = list(tally.notes)
        if len(tally.servers) > 1:
            names = ", ".join(
                f"{server_name(*server) or 'unnamed'} ({count})"
                for server, count in tally.servers.most_common()
            )
            notes.append(f"answers come from {counted(len(tally.servers), 'server')}: {names}")
        other = {end: n for end, n in tally.finished.items() if end not in KNOWN_ENDS}
        if other:
            words = ", ".join(f"{end}: {n}" for end, n in sorted(other.items()))
            notes.append(f"answers ended for reasons that local models do not have ({words})")
        return notes


def open_backend(cell: Cell, paths: CellPaths, device: Device) -> ServedBackend:
    """The backend of ``cell``."""
    return ServedBackend(cell)


def _record(body: Mapping[str, object], reply: Reply) -> Prediction:
    prompt = body.get("prompt")
    if prompt is None:  # the server renders the template: what was sent is all that is known
        prompt = json.dumps(body["messages"], ensure_ascii=False)
    return {
        "prompt": str(prompt),
        "prediction": reply.text,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.prompt_tokens,
        "new_tokens": reply.new_tokens,
        "decoded_by": "server",
    }
