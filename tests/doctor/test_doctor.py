"""`harness doctor`: a broken installation is a line of its answer, and a secret never is."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import main
from harness.commands.ending import EXIT_CODES
from harness.doctor import surroundings, training
from harness.errors import UNFIT

BROKEN = {
    "raises": ("raise RuntimeError('libcudart.so.12: cannot open')", "libcudart.so.12"),
    "exits": ("raise SystemExit('no license')", "no license"),
    "dies": ("import os; os._exit(7)", "exit code 7"),
    "hangs": ("import time; time.sleep(60)", "no answer within"),
}


@pytest.fixture
def break_torch(tmp_path, monkeypatch):
    """Puts a torch before the real one for the processes that start from here."""

    def broken(how: str) -> None:
        folder = tmp_path / "broken" / "torch"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(BROKEN[how][0])
        paths = [str(folder.parent), *sys.path]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))

    return broken


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_torch_is_said_in_a_line(how, break_torch):
    break_torch(how)
    (step,) = training.probed(seconds=3 if how == "hangs" else 60).values()
    assert step["ok"] is False
    assert BROKEN[how][1] in step["error"]
    failed = [f for f in training.packages({"torch": step}) if f.state == "fail"]
    assert [f.name for f in failed] == ["torch"]


def run(*arguments, **more):
    command = [sys.executable, "-m", "harness.cli", "doctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **more})


def test_the_command_ends_well_with_a_broken_torch(break_torch, write_suite):
    break_torch("raises")
    found = run(write_suite(), "--json", HF_TOKEN="hf_secretsecretsecret")
    assert found.returncode == UNFIT
    assert "Traceback" not in found.stdout + found.stderr
    assert "hf_secret" not in found.stdout + found.stderr
    record = json.loads(found.stdout)
    assert record["ok"] is False
    suite = [each for each in record["findings"] if each["area"] == "suite"]
    assert suite[0]["text"] == "0 of 2 cells can run here"
    assert "torch does not work here: RuntimeError: libcudart" in suite[1]["text"]


def test_lines_fit_a_terminal_of_80_columns(break_torch, write_suite):
    break_torch("exits")
    found = run(write_suite(), COLUMNS="80", NO_COLOR="1")
    assert max(map(len, found.stdout.splitlines())) <= 80
    assert "not ready: torch" in found.stdout


def test_what_of_a_suite_cannot_run_is_said_with_its_reason(write_suite, monkeypatch):
    from harness.api.suites import plan
    from harness.doctor import suite as of_suite

    text = write_suite().read_text().replace("none", "none, nf4")
    made = plan(write_suite(text.replace("tiny-qwen2", "llama-2-7b")))
    steps = {"nf4 on cpu": {"ok": False, "error": "no kernel"}}
    assert next(iter(of_suite.findings(made, steps, False))).state == "fail"
    made = plan(write_suite(text))
    found = list(of_suite.findings(made, steps, False))
    assert (found[0].state, found[0].text) == ("warn", "2 of 4 cells can run here")
    assert "2 cells of tiny-qwen2: nf4 on cpu does not work here: no kernel" in found[1].text
    assert [each.name for each in found[2:]] == ["disk", "time"]


@pytest.mark.parametrize("package", ["trl", "datasets", "bitsandbytes"])
def test_a_cell_lacks_what_a_run_would_refuse_it_for(package, write_suite, monkeypatch):
    from harness.api.running import missing_here
    from harness.api.suites import plan
    from harness.doctor import suite as of_suite

    made = plan(write_suite())
    for module in ("harness.extras", "harness.doctor.suite"):
        monkeypatch.setattr(f"{module}.is_installed", lambda name: name != package)
    found = list(of_suite.findings(made, {}, False))
    assert (found[0].state, found[0].facts["can_run"]) == ("fail", 0)
    assert f"{package}: not installed; pip install" in found[1].text
    assert f"needs {package}, which is not installed" in missing_here(made)


def test_a_served_model_is_not_to_be_downloaded(write_suite):
    from harness.api.suites import plan
    from harness.doctor import suite as of_suite

    suite = yaml.safe_load(write_suite().read_text())
    endpoint = {"base_url": "http://127.0.0.1:9/v1", "model": "some/thing"}
    suite["matrix"]["model"] = [{"name": "far", "endpoint": endpoint}]
    made = plan(write_suite(yaml.safe_dump(suite)))
    found = list(of_suite.findings(made, {}, False))
    assert (found[0].state, found[0].facts["can_run"]) == ("ok", 1)
    assert [each.name for each in found[1:]] == ["disk", "time"]


def test_a_suite_with_a_problem_is_a_finding_and_a_missing_one_is_wrong_input(
    break_torch, write_suite
):
    break_torch("dies")
    path = write_suite()
    path.write_text(path.read_text().replace("rows: 160", "row: 160"))
    found = run(path, "--json")
    assert found.returncode == UNFIT
    (suite,) = [f for f in json.loads(found.stdout)["findings"] if f["area"] == "suite"]
    assert 'unknown key "row"' in suite["text"]
    assert run("nowhere.yaml").returncode == 2


@pytest.mark.parametrize(
    ("installed", "state"),
    [("2.10.1", "fail"), ("2.11.0", "ok"), ("2.13.0+cpu", "ok"), ("2.13.9", "ok"), ("2.14.0", "note"),
     ("3.0", "note")],
)  # fmt: skip
def test_versions_are_compared_with_what_is_tested(installed, state):
    assert training._against_tested("torch", installed, {}).state == state


def test_the_tested_versions_are_the_project_s(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    floors = dict(
        re.fullmatch(r"([\w-]+)>=([\d.]+)", a).groups()
        for a in asked
        if re.fullmatch(r"[\w-]+>=[\d.]+", a)
    )
    pinned = dict(
        line.split("==") for line in (root / "constraints.txt").read_text().split() if "==" in line
    )
    for name, (oldest, newest) in training.TESTED.items():
        assert floors[name] == oldest, name
        assert f"{pinned[name]}.".startswith(f"{newest}."), name


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_is_found(tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written" in surroundings.unwritable(tmp_path / "hub")


def test_a_cache_that_is_a_file_is_found(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    found = {f.name: f for f in surroundings.findings(tmp_path) if f.area == "caches"}
    assert found["models"].state == "fail"
    assert "HF_HUB_CACHE" in found["models"].hint


def test_a_password_in_the_hub_s_address_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://me:secret@hub.example")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "secret" not in json.dumps([f.record for f in surroundings.findings(tmp_path)])


def test_the_browsers_are_those_that_reports_are_printed_by():
    from harness.report.pdf import BROWSERS

    assert surroundings.BROWSERS == BROWSERS


def test_exit_code_and_help_agree():
    assert UNFIT in EXIT_CODES
    assert f"Exit code {UNFIT}" in CliRunner().invoke(main, ["doctor", "--help"]).output


@pytest.mark.parametrize(
    "folder",
    ["", "~", "\x1b[31m", "\udcff", "x" * 5000, "file", "file/below", "loop", "a\nb", "é漢"],
)
def test_an_odd_folder_is_a_finding_or_one_line(folder, break_torch, tmp_path, monkeypatch):
    break_torch("raises")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    result = CliRunner().invoke(main, ["doctor", "-o", folder])
    assert result.exit_code in (2, UNFIT)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "\x1b" not in result.output
