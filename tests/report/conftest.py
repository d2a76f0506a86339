"""One run and its page for all browser tests, with memory and latency as if a GPU had measured."""

import json
import shutil

import pytest
from click.testing import CliRunner

from harness.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SUITE = """\
name: s
matrix:
  model: [tiny-qwen2, tiny-llama]
  quantization: [none, nf4]
  adapter: [{name: a4, config: {r: 4}}, {name: a7, config: {r: 7}}]
  dataset:
    - {name: ru-calculations, train: 60, test: 40}
    - {name: finance-labels, train: 30, test: 24}
"""
SIZES = {"none": 9000.0, "nf4": 3000.0}
"""Quantization → MiB; model and adapter add to it, so that no two points of the picture meet."""


@pytest.fixture(scope="session")
def browser_run(tmp_path_factory, root):
    from harness.plan.plan import make_plan
    from harness.run.runner import run_here

    folder = tmp_path_factory.mktemp("browser")
    (folder / "models").symlink_to(root / "models")
    (folder / "s.yaml").write_text(SUITE)
    run_here(make_plan(folder / "s.yaml", folder / "out", backend="testing"))
    for path in (folder / "out").glob("cells/*/result.json"):
        result = json.loads(path.read_text())
        rank = int(result["adapter"].strip("abse") or 0)
        size = SIZES[result["quantization"]] + 150 * rank + 2000 * (result["model"] == "tiny-llama")
        for name, value in (("infer_peak_vram_mib", size), ("latency_p50_ms", size / 100)):
            result["values"] += [{"metric": name, "value": value, "higher_is_better": False}]
        path.write_text(json.dumps(result))
    return folder / "out"


@pytest.fixture(scope="session")
def address(browser_run):
    CliRunner().invoke(main, ["report", str(browser_run), "-o", str(browser_run.parent / "r")])
    return (browser_run.parent / "r" / "leaderboard.html").as_uri()


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, address):
    """A page that must stay silent: no message, no error, no request."""
    made = browser.new_page(viewport={"width": 1280, "height": 900})
    made.set_default_timeout(5000)
    made.noise = []
    made.on("console", lambda message: made.noise.append(message.text))
    made.on("pageerror", lambda error: made.noise.append(str(error)))
    made.on(
        "request",
        lambda request: (
            made.noise.append(request.url) if request.url.partition("#")[0] != address else None
        ),
    )
    made.goto(address)
    yield made
    assert made.noise == []
    made.close()
