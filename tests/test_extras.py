"""What `pip install finetune-harness` brings, what an extra brings, and what code asks first."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness.extras import EXTRA_OF, MissingPackage, missing_package, need

DEVELOPMENT = {"test", "docs", "lint", "typecheck"}
"""Extras that the program never imports."""
SAME = {
    "PyYAML": "yaml", "vl-convert-python": "vl_convert", "rouge-score": "rouge_score",
    "mlflow-skinny": "mlflow",
}  # fmt: skip
"""Distribution → the module that it is imported by, where that is not its name."""
BROUGHT = {
    "pydantic_core": "pydantic", "markupsafe": "jinja2", "sympy": "math_verify", "triton": "torch",
    "starlette": "gradio",
}  # fmt: skip
"""Module → the dependency that always brings it."""
ALWAYS = (
    "backends/hf/", "tiny_models/", "pytest_plugin.py", "run/executors/warm.py",
    "run/executors/light.py",
    *(f"trackers/{name}_run.py" for name in ("tensorboard", "mlflow", "wandb", "trackio")),
)  # fmt: skip
"""Files that are imported only where the extra `train`, that of a tracker, or pytest is installed."""


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def modules_of(requirements):
    names = [re.match(r"[\w.-]+", text)[0] for text in requirements]
    return {SAME.get(name, name.replace("-", "_")) for name in names} - {"finetune_harness"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_every_module_of_an_extra_is_in_the_table(project):
    for extra, requirements in project["optional-dependencies"].items():
        if extra not in DEVELOPMENT:
            wrong = [m for m in modules_of(requirements) if EXTRA_OF.get(m) != extra]
            assert wrong == [], extra
    assert set(EXTRA_OF.values()) <= set(project["optional-dependencies"])


def test_everything_that_is_imported_is_declared(root, project):
    """An undeclared package works until whatever brought it stops to."""
    core = modules_of(project["dependencies"])
    known = core | set(EXTRA_OF) | {"harness", "pytest"} | set(sys.stdlib_module_names)
    wrong = [
        (path.name, name)
        for path in (root / "harness").rglob("*.py")
        for name in imported(path)
        if BROUGHT.get(name, name) not in known
    ]
    assert wrong == []
    assert core.isdisjoint(EXTRA_OF)


WITHOUT = """
import importlib, sys
from pathlib import Path

left_out = set({left_out})

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in left_out:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusing())
for name in {modules}:
    importlib.import_module(name)
print("ok")
"""


def test_every_other_module_is_imported_without_any_extra(root):
    names = []
    for path in sorted((root / "harness").rglob("*.py")):
        inner = path.relative_to(root / "harness").as_posix()
        if not inner.startswith(ALWAYS) and path.stem != "__main__":
            parts = path.relative_to(root).with_suffix("").parts
            names.append(".".join(p for p in parts if p != "__init__"))
    code = WITHOUT.format(left_out=sorted(EXTRA_OF), modules=names)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout == "ok\n", done.stderr


def test_what_is_missing_is_said_with_its_extra(monkeypatch):
    need("reading", ["json", "pathlib"])  # what is there is never asked for
    monkeypatch.setitem(EXTRA_OF, "no_such_library", "tables")
    with pytest.raises(MissingPackage) as caught:
        need("reading a file", "no_such_library")
    assert str(caught.value) == (
        "reading a file needs no_such_library, which is not installed\n"
        "  pip install 'finetune-harness[tables]'"
    )
    said = missing_package(ModuleNotFoundError("No module", name="no_such_library.inner"))
    assert "finetune-harness[tables]" in str(said)


@pytest.mark.parametrize("name", ["json.nothing", "no_such_library_at_all", None])
def test_another_import_error_is_a_fault(name):
    assert missing_package(ImportError("cannot import name 'x'", name=name)) is None


def test_a_folder_of_that_name_is_not_the_package(tmp_path, monkeypatch):
    Path(tmp_path / "gguf_like").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(EXTRA_OF, "gguf_like", "gguf")
    with pytest.raises(MissingPackage):
        need("reading", "gguf_like")
