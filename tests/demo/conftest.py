"""A run with a trained tiny model, and the process that serves its page."""

import json
import os
import re
import shutil
import sys
from importlib.util import find_spec

import pytest
from demo_process import ODD, served
from filelock import FileLock

import harness
from harness.results.run import load_run

# not imported here: the server does, which takes its seconds
collect_ignore_glob = [] if find_spec("gradio") else ["test_*.py"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SUITE = """\
name: answers
matrix:
  model:
    - {name: tiny-qwen2, training: {learning_rate: 1e-2}}
    - {name: alpaca, like: tiny-qwen2, card: {prompt: alpaca, system: Be brief.}, training: {learning_rate: 1e-2}}
  adapter:
    - {name: lora-r4, config: {r: 4, lora_alpha: 8, target_modules: all-linear}}
    - {name: merged, serve: merged, config: {r: 4, lora_alpha: 8, target_modules: all-linear}}
  dataset: [{name: rows, source: rows.jsonl, test: 8, columns: {prompt: instruction, context: input, reference: output}}]
exclude: [{model: tiny-qwen2, adapter: merged}, {model: alpaca, adapter: lora-r4}]
training: {per_device_train_batch_size: 8, max_length: 256, max_steps: 8}
evaluation: {batch_size: 4, latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 24}
"""


def rows():
    """Questions of a data set, some with a context."""
    for k in range(40):
        question = f"What is {k} plus {k}?" if k % 4 else f"{ODD} {k}"
        context = f"Answer in euros, table {k}." if k % 2 else ""
        yield {"instruction": question, "input": context, "output": f"It is {2 * k} euros."}


@pytest.fixture(scope="session")
def folder(tmp_path_factory, root):
    """A folder with a run in it, made once for all processes of xdist."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    place = shared / "demo-run"
    with FileLock(f"{place}.lock"):
        if not place.is_dir():
            place.mkdir()
            (place / "models").symlink_to(root / "models")
            (place / "rows.jsonl").write_text("\n".join(map(json.dumps, rows())))
            (place / "suite.yaml").write_text(SUITE)
            plan = harness.plan(place / "suite.yaml", output=place / "run", executor="in_process")
            harness.run(plan)
    return place


@pytest.fixture(scope="session")
def run(folder):
    """The run, read back."""
    return load_run(folder / "run")


@pytest.fixture(scope="session")
def server(folder):
    """The page of the run: its address and the id of its process."""
    words = [sys.executable, "-m", "harness.cli", "demo", "run", "--no-browser"]
    with served(words, folder) as found:
        yield found


@pytest.fixture
def page(server):
    """The page in a browser, which must stay silent and load nothing from elsewhere."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 390, "height": 844})
        made.noise = []
        made.on("console", lambda m: made.noise.append(m.text) if m.type == "error" else None)
        made.on("pageerror", lambda error: made.noise.append(str(error)))
        made.on("request", lambda r: made.noise.append(r.url) if _is_foreign(r.url) else None)
        made.goto(server[0])
        made.wait_for_selector("#question textarea")
        yield made
        assert made.noise == []
        browser.close()


def _is_foreign(url):
    return not re.match(r"http://127\.0\.0\.1:|data:|blob:", url)
