"""A package imports its own floor or the floors above it in this list; torch stays in a few places."""

import ast

import pytest

FLOORS = """
errors counting registry plugins extras collector parent_death time_limit user_path secret_texts
statistics metrics trackers
suite
datasets endpoint
results
plan
scoring judging
backends tiny_models
run importers analysis starter doctor
report
sharing
gate demo
api
commands pytest_plugin
cli
"""
LAYERS = [line.split() for line in FLOORS.strip().splitlines()]
HEAVY_ALLOWED = ("backends/hf/", "tiny_models/", "run/executors/")
HEAVY = {"torch", "transformers", "peft", "trl", "bitsandbytes"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.fixture(scope="module")
def files(root):
    return sorted((root / "harness").rglob("*.py"))


def layer_of(name):
    return next(i for i, names in enumerate(LAYERS) if name in names)


def top(root, path):
    return path.relative_to(root / "harness").with_suffix("").parts[0]


def test_heavy_libraries_are_imported_where_models_run_alone(root, files):
    wrong = [
        (str(path.relative_to(root)), name)
        for path in files
        if not path.relative_to(root / "harness").as_posix().startswith(HEAVY_ALLOWED)
        for name in imports(path)
        if name.partition(".")[0] in HEAVY
    ]
    assert wrong == []


def test_no_module_imports_a_higher_layer(root, files):
    wrong = []
    for path in files:
        name = top(root, path)
        if name in ("__init__", "__main__"):
            continue
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "harness" and len(parts) > 1 and layer_of(parts[1]) > layer_of(name):
                wrong.append((str(path.relative_to(root)), module))
    assert wrong == []


def test_every_module_has_a_layer(root, files):
    names = {top(root, path) for path in files} - {"__init__", "__main__"}
    assert names <= {name for layer in LAYERS for name in layer}


OWN = ("harness.api", "harness.commands")
PRINTING = {
    "harness", "harness.counting", "harness.errors", "harness.extras", "harness.gate.comment", "harness.gate.render",
    "harness.report.contrast_text", "harness.report.exported", "harness.report.markdown", "harness.report.plan_table",
    "harness.report.section", "harness.report.sections.answers", "harness.report.terminal",
    "harness.results.paths", "harness.results.text", "harness.run.progress", "harness.secret_texts",
}  # fmt: skip
"""What a command may use besides the API: how results and progress are put into words."""


def test_commands_and_the_pytest_plug_in_call_the_api_and_nothing_else(root, files):
    wrong = []
    for path in files:
        if top(root, path) not in ("commands", "pytest_plugin"):
            continue
        tree = ast.parse(path.read_text())
        typing = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
        for_types = {id(n) for i in typing if "TYPE_CHECKING" in ast.dump(i.test) for n in i.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and id(node) not in for_types:
                module = node.module or ""
                if module.startswith("harness") and not module.startswith(OWN):
                    wrong += [(path.name, module)] if module not in PRINTING else []
    assert wrong == []
