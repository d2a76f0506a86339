"""A foreign server on the loopback that speaks OpenAI's API, and fails in the ways of servers."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Fault:
    """One reply that is no answer."""

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """Waited before it."""
    pause: float = 0.0
    """Waited before each byte of its content."""
    drops: bool = False
    """Whether the connection is closed without a reply."""


class ModelServer:
    """Answers questions by a function, and the next of them by ``faults``.

    Args:
        answer: Body of a request → the answer's text, or a whole reply as a dictionary.
    """

    def __init__(self, answer=lambda body: f"I was asked: {question_of(body)}") -> None:
        self.answer = answer
        self.faults: list[Fault] = []
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.model = "weights-a"
        self.fingerprint: str | None = "fp_1"
        self.base_url = ""
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def reply(self, body: dict[str, Any]) -> dict[str, Any]:
        given = self.answer(body)
        if isinstance(given, dict):
            return given
        choice = {"index": 0, "finish_reason": "stop"}
        if "messages" in body:
            choice["message"] = {"role": "assistant", "content": given}
        else:
            choice["text"] = given
        usage = {"prompt_tokens": 7, "completion_tokens": len(given.split())}
        reply = {"id": "1", "model": self.model, "choices": [choice], "usage": usage}
        if self.fingerprint:
            reply["system_fingerprint"] = self.fingerprint
        return reply


def question_of(body: dict[str, Any]) -> str:
    """What the user said last, or the prompt."""
    return body["messages"][-1]["content"] if "messages" in body else body["prompt"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: ModelServer

    def log_message(self, *_):
        """Quiet."""

    def do_POST(self):
        served = self.served
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with served.lock:
            served.asked.append(body)
            served.paths.append(self.path)
            served.keys.append(self.headers.get("Authorization"))
            served.at_once += 1
            served.most_at_once = max(served.most_at_once, served.at_once)
            fault = served.faults.pop(0) if served.faults else None
        try:
            self._respond(fault, body)
        finally:
            with served.lock:
                served.at_once -= 1

    def _respond(self, fault, body):
        if fault is None:
            content = json.dumps(self.served.reply(body)).encode()
            return self._send(200, content, {"Content-Type": "application/json"})
        time.sleep(fault.seconds)
        if fault.drops:
            self.close_connection = True
            return None
        return self._send(fault.status, fault.content, fault.headers, fault.pause)

    def _send(self, status, content, headers, pause=0.0):
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in [content] if not pause else map(bytes, zip(content)):
                time.sleep(pause)
                self.wfile.write(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client gave up: that is what a test of time-outs wants


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def model_server(**options):
    """A running server; ``base_url`` is its address."""
    served = ModelServer(**options)
    handler = type("Handler", (_Handler,), {"served": served})
    server = _Quiet(("127.0.0.1", 0), handler)
    served.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
