"""Names are never paths: a cell's folder stays in its run, whatever its axes are called."""

import json
import os

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import HarnessError
from harness.plan.plan import make_plan
from harness.results.packing import pack
from harness.results.paths import RunPaths, folder_name, write_bytes
from harness.results.run import load_run
from harness.run.runner import run_here

NAMES = [
    "owner/name", "../../evil", "..", ".", "", "/etc/passwd", "~/x", "-rf", ".hidden", "a b", "a\nb",
    "a\x1b[31m", "a\\b", "C:\\x", "a:b", "a*?", "r8[attn]", "x" * 300, "ф" * 300, "модель", "a\x00b",
    "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_one_folder_inside_the_run(tmp_path, name):
    key = f"{folder_name([name, 'none', 'base', name])}-01234567"
    folder = RunPaths(tmp_path).cell(key).directory
    folder.mkdir(parents=True)
    assert folder.parent == tmp_path / "cells"
    assert folder.resolve().parent == (tmp_path / "cells").resolve()
    assert len(folder.name.encode()) <= 255


@pytest.mark.parametrize("name", ["tiny-qwen2", "lora-r8+lr1e-4", "qwen2.5-0.5b", "модель", "A_1"])
def test_usual_names_stay_as_they_are(name):
    assert folder_name([name, "none", "base", "finance-qa"]) == f"{name}--none--base--finance-qa"


def test_names_that_are_escaped_alike_keep_folders_of_their_own():
    names = ["a/b", "a b", "a:b", "a_b", "a\\b", f"{'x' * 300}1", f"{'x' * 300}2"]
    assert len({folder_name([name]) for name in names}) == len(names)


@pytest.mark.parametrize("key", ["../out", "/etc", "a/../../b", "", "a\\b", "a\0b"])
def test_a_plan_that_leads_out_of_the_run_is_refused(tmp_path, key):
    entry = {"key": key, "model": "m", "quantization": "none", "adapter": "base", "dataset": "d",
             "seed": None, "fingerprint": "f", "skip": None}  # fmt: skip
    plan = {"schema": 1, "suite": {"name": "s", "description": "", "path": "s"}, "cells": [entry]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(HarnessError, match=r"plan\.json.*is not a cell's name"):
        load_run(tmp_path)


def test_a_data_set_named_as_on_the_hub_is_packed_and_read_back(tmp_path, root):
    (tmp_path / "models").symlink_to(root / "models")
    (tmp_path / "s.yaml").write_text(
        "name: s\nmatrix:\n  model: [tiny-qwen2]\n  adapter: [{name: ../../a, config: {r: 4}}]\n"
        "  dataset: [{name: owner/name, source: ru-calculations, train: 60, test: 20}]\n"
    )
    run_here(make_plan(tmp_path / "s.yaml", tmp_path / "out", backend="testing"))
    here = load_run(tmp_path / "out")
    there = load_run(pack(tmp_path / "out", tmp_path / "run.tar.xz"))
    assert [c.status for c in there.cells] == ["ok", "ok"]
    assert [c.axes for c in there.cells] == [c.axes for c in here.cells]
    for mine, theirs in zip(here.cells, there.cells, strict=True):
        assert here.predictions(mine) == there.predictions(theirs) != []
    shown = CliRunner().invoke(main, ["report", str(tmp_path / "run.tar.xz"), "-o", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert not (tmp_path.parent / "a").exists()


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o007, 0o002])
def test_files_are_written_with_the_user_s_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_bytes(tmp_path / "new" / "x.json", b"{}")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "x.json").stat().st_mode & 0o777 == 0o666 & ~mask
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.json"]


def test_a_pipe_or_a_device_is_written_to_and_stays_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_bytes(tmp_path / "pipe", b"{}")
    assert os.read(reader, 10) == b"{}"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_folder_in_the_place_of_a_file_is_an_error_of_the_system(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "x.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_file_that_cannot_be_written_is_named_and_not_its_draft(tmp_path):
    long = tmp_path / ("n" * 250 + ".json")
    with pytest.raises(OSError, match="too long") as caught:
        write_bytes(long, b"{}")
    assert caught.value.filename == str(long)
