"""The address of a model behind an OpenAI-compatible server, as a suite writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from harness.suite.parts import Options, Part

SERVED = "served"
"""The quantization and adapter of a served model's cells: what the server loaded is its own
business, and nothing here can look."""
ONE_ENGINE = (
    "there is no `engine: {}`: what is scored here is decoded by transformers. To score vLLM, serve"
    " the model (`vllm serve BASE --enable-lora --lora-modules NAME=RUN/cells/KEY/adapter`) and"
    " give a model of the axis its `endpoint`; docs/served.md shows it"
)
"""What somebody reads who looks for another tool's key under `evaluation`."""
NOT_IDENTITY = frozenset(
    {"base_url", "api_key_env", "timeout_s", "max_retries", "concurrency", "cache", "baseline"}
)
"""Keys of an endpoint that say how a model is reached, not what it answers: a server that moves to
another port is still the same model, and its results stay current."""

LONGEST_WAIT_S = 60.0
"""Between two tries of a request."""


def longest_question(endpoint: Mapping[str, Any]) -> float:
    """Seconds that one question to ``endpoint``, as a record, may take with all its retries."""
    tries = int(endpoint["max_retries"]) + 1
    return (float(endpoint["timeout_s"]) + LONGEST_WAIT_S) * tries


class Endpoint(Part):
    """A model behind an OpenAI-compatible server; its names are those of the `openai` client."""

    base_url: str
    """The address up to its version: `http://127.0.0.1:8000/v1`."""
    model: str = Field(min_length=1)
    """The model's name on the server."""
    api_key_env: str | None = None
    """The environment variable that holds the key, such as `OPENAI_API_KEY`. Without it no key is
    sent, so that a key of yours never goes to a server that you did not mean it for."""
    timeout_s: float = Field(120.0, gt=0)
    """Seconds to wait for an answer before it is asked for again."""
    max_retries: int = Field(5, ge=0)
    """How often a request is sent again after 429, 5xx, a time-out or a lost connection."""
    concurrency: int | None = Field(None, ge=1)
    """Requests at the same time; default: `evaluation.batch_size`."""
    cache: bool = True
    """Whether answers are kept in your cache folder and not asked for again."""
    extra_body: Options = Field(default_factory=dict)
    """Further keys of the request, such as `top_k: 1` or `chat_template_kwargs: {…}`, sent as they
    are written."""
    baseline: str | None = None
    """A local model on the same axis: differences of the served model's rows are to its untouched
    cells. Without it they have none."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as http://127.0.0.1:8000/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            # it would be written into every file of the run
            raise ValueError("write no password, key or query here; name the key's `api_key_env`")
        url = url.rstrip("/")
        for path in ("/chat/completions", "/completions"):
            if url.endswith(path):
                raise ValueError(f"leave out {path}: the address ends in /v1")
        return url

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the answers, as far as the suite says."""
        record = self.model_dump(mode="json")
        return {key: value for key, value in record.items() if key not in NOT_IDENTITY}
