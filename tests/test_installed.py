"""Wheel and source distribution: their content, and an installation without torch in use."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BUILD = (
    "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
)
COMMANDS = Path(__file__).parent / "support" / "light_commands.py"


def call(*command, cwd, **more):
    surroundings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, env=surroundings,
        check=False, timeout=300, **more,
    )  # fmt: skip


def built(folder, verb, out):
    out.mkdir()
    done = call(sys.executable, "-c", BUILD, verb, out, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return next(path for path in out.iterdir() if path.suffix in (".whl", ".gz"))


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """The source distribution, the wheel made from it, and the wheel made from the tree."""
    place = tmp_path_factory.mktemp("made")
    tree = place / "tree"  # what a clone holds: no build folder, no caches
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, call(*command, cwd=root).stdout.split("\0")):
        if not name.startswith(("tests/", "reports/", "docs/")) and (root / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, tree / name)
    (tree / "tests").mkdir()
    (tree / "tests" / "test_left_out.py").write_text("")
    sdist = built(tree, "build_sdist", place / "sdist")
    with tarfile.open(sdist) as packed:
        packed.extractall(place / "unpacked", filter="data")
    from_sdist = built(next((place / "unpacked").iterdir()), "build_wheel", place / "wheel")
    return sdist, from_sdist, built(tree, "build_wheel", place / "direct")


def contents(wheel):
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_the_wheel_made_from_the_source_distribution_is_that_of_the_tree(made):
    assert contents(made[1]) == contents(made[2])


def test_the_wheel_holds_every_file_of_the_package_and_what_ships(root, made):
    found = contents(made[1])
    data = "finetune_harness-0.1.0.data/data/share/finetune-harness"
    tracked = call("git", "ls-files", "-z", "harness", "models", "suites", cwd=root).stdout
    missing = [
        name
        for name in filter(None, tracked.split("\0"))
        if (name if name.startswith("harness/") else f"{data}/{name}") not in found
    ]
    assert [name for name in missing if (root / name).is_file()] == []


def test_nothing_else_is_shipped(made):
    allowed = ("harness/", "finetune_harness-0.1.0.")
    found = contents(made[1])
    assert [name for name in found if not name.startswith(allowed)] == []
    with tarfile.open(made[0]) as packed:
        names = [*found, *packed.getnames()]
    unwanted = ("__pycache__", ".pyc", "/tests/", ".log", ".env", "runs/")
    assert [name for name in names if any(part in name for part in unwanted)] == []


def test_no_file_names_a_path_of_the_machine(root, made):
    own = [str(root).encode(), str(Path.home()).encode() + b"/", sys.prefix.encode()]
    wrong = [n for n, text in contents(made[1]).items() if any(p in text for p in own)]
    assert wrong == []


@pytest.fixture(scope="module")
def light(made, root, tmp_path_factory):
    """The Python of a fresh environment with `pip install finetune-harness`, from the sources."""
    place = tmp_path_factory.mktemp("light")
    made_one = call(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    assert made_one.returncode == 0, made_one.stderr
    python = place / "venv" / "bin" / "python"
    asked = ("-q", "--no-compile", "-c", root / "constraints.txt", made[0])
    done = call(sys.executable, "-m", "pip", "--python", python, "install", *asked, cwd=place)
    if done.returncode and "CI" not in os.environ:
        pytest.skip(f"pip has no packages here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-2000:]
    return python


@pytest.fixture(scope="module")
def said(light, root, tmp_path_factory):
    """Name → exit code and output of each command, in an empty folder."""
    empty = tmp_path_factory.mktemp("empty")
    done = call(light, COMMANDS, root / "reports", empty / "said.json", cwd=empty)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((empty / "said.json").read_text())


READING = (
    "schema", "models list", "validate", "plan", "report", "show", "compare", "check", "baseline",
    "check with it", "import", "score", "pack", "validate a hub data set", "init", "doctor",
)  # fmt: skip


@pytest.mark.parametrize("name", READING)
def test_reading_needs_no_torch(said, name):
    assert said[name]["code"] == 0, said[name]["output"]


REFUSED = {
    "run": "`harness run` needs torch, which is not installed",
    "calibrate": "`harness plan --calibrate` needs torch, which is not installed",
    "models show": "describing a model needs torch, which is not installed",
    "models build": "building a model needs torch, which is not installed",
    "predict": "the backend hf needs torch, which is not installed",
    "evaluate module": 'the metric "bleu" needs evaluate, which is not installed',
    "run on ray": "the executor ray needs ray, which is not installed",
    "parquet data": "needs pyarrow, which is not installed",
    "LaTeX": "working out a LaTeX answer needs math_verify, which is not installed",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_more_says_what_to_install(said, name):
    code, output = said[name]["code"], said[name]["output"]
    assert REFUSED[name] in output
    assert "pip install 'finetune-harness[" in output
    assert (code, "Traceback" in output) == (2, False)


def test_a_refused_run_leaves_nothing_behind(said):
    assert said["run"]["left"] == []


def test_tables_that_need_pyarrow_are_named(said):
    assert "results.parquet is left out" in said["report"]["output"]
    assert "finetune-harness[tables]" in said["report"]["output"]
    assert "finetune-harness[train]" in said["plan"]["output"]
    assert "not read" in said["validate a hub data set"]["output"]


def test_the_program_finds_its_suites_and_models(said):
    assert "12 cells" in said["validate"]["output"]
    assert "tiny-qwen2" in said["models list"]["output"]


def test_cells_that_need_no_torch_run_without_it(light, tmp_path):
    """As those of a served model; the suite and its model are the shipped ones."""
    words = ("run", "ci", "--backend", "testing", "--select", "dataset=finance-qa")
    done = call(light.parent / "harness", *words, cwd=tmp_path)
    assert (done.returncode, "4 ok; runs/ci/leaderboard.html" in done.stdout) == (0, True), done


def test_the_console_script_is_quick_and_light(light):
    done = call(light.parent / "harness", "--version", cwd=light.parent)
    assert done.stdout == "harness, version 0.1.0\n"
    megabytes = sum(f.stat().st_size for f in light.parent.parent.rglob("*") if f.is_file()) / 1e6
    assert megabytes < 500  # with torch it is 2,900
