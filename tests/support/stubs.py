"""Cells of the testing backend: no model, some milliseconds each."""

from harness.plan.plan import make_plan
from harness.run.runner import run_here

SUITE = """\
name: stubs
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 1}}]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
  seed: [SEEDS]
evaluation: {latency_prompts: 0, noise_examples: 0}
"""


def stub_plan(write_suite, directory, *, seeds):
    """The plan of a baseline and of an adapter with ``seeds`` seeds."""
    text = SUITE.replace("SEEDS", ", ".join(map(str, range(seeds))))
    return make_plan(write_suite(text), directory, backend="testing")


def stub_run(folder, root, suite):
    """The directory of a run of the text ``suite`` in ``folder``, by the backend without torch."""
    (folder / "models").symlink_to(root / "models")
    (folder / "suite.yaml").write_text(suite)
    run_here(make_plan(folder / "suite.yaml", folder / "run", backend="testing"))
    return folder / "run"
