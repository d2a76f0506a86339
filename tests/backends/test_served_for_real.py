"""`transformers serve` on the loopback answers as the local model does, token for token."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from harness.backends.base import Alone, Asking, answering_backend
from harness.datasets.splits import load_splits
from harness.plan.expand import expand
from harness.results.paths import CellPaths
from harness.suite.loading import load_suite

for package in ("openai", "fastapi", "uvicorn"):
    pytest.importorskip(package, reason="pip install 'transformers[serving]'")

ROWS = 5
SUITE = """\
name: served
matrix:
  model:
    - tiny-qwen2
    - name: deployed
      endpoint: {base_url: "BASE_URL", model: "MODEL", cache: false}
    - name: completed
      card: {prompt: plain}
      endpoint: {base_url: "BASE_URL", model: "MODEL", cache: false}
    - {name: tiny-plain, like: tiny-qwen2, card: {prompt: plain}}
  adapter: [base]
  dataset: [{name: DATASET, train: 8, test: 20}]
generation: {max_new_tokens: 24}
"""
START_S = 120
"""Seconds that a loaded machine may take to start the server; a quiet one takes six."""


@pytest.fixture(scope="module")
def model(root):
    return root / "models" / "tiny" / "tiny-qwen2"


@pytest.fixture(scope="module")
def base_url(model, tmp_path_factory):
    """A server of transformers with a tiny model, in float32 as the local cell."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    script = Path(sys.executable).with_name("transformers")
    command = [
        script, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
        "--dtype", "float32",
    ]  # fmt: skip
    with log.open("w") as out:
        server = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out)
    try:
        _wait(server, port, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def _wait(server, port, log):
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


@pytest.mark.parametrize("pair", [("tiny-qwen2", "deployed"), ("tiny-plain", "completed")])
def test_a_server_answers_as_the_local_model_does(base_url, model, write_suite, tmp_path, pair):
    path = write_suite(SUITE.replace("BASE_URL", base_url).replace("MODEL", str(model)))
    cells = {cell.model.name: cell for cell in expand(load_suite(path), path)}
    sides = []
    for name in pair:
        test = load_splits(cells[name].dataset, path.parent).test[:ROWS]
        backend = answering_backend(cells[name], CellPaths(tmp_path / name), Alone())
        backend.load(test[0])
        sides.append(backend.predict(test, Asking(4, likelihoods=False)))
    local, served = (side.records for side in sides)
    assert [r["prediction"] for r in served] == [r["prediction"] for r in local]
    assert [r["prompt_tokens"] for r in served] == [r["prompt_tokens"] for r in local]
    assert [r["new_tokens"] for r in served] == [r["new_tokens"] for r in local]
    # the server calls an answer cut that ends in the last token that it was allowed
    ends = {(a["finish_reason"], b["finish_reason"]) for a, b in zip(local, served, strict=True)}
    assert ends <= {("stop", "stop"), ("length", "length"), ("stop", "length")}
    (server,) = sides[1].facts["served"]["servers"]
    assert server["model"].startswith(str(model))
