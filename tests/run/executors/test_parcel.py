"""A cell on a machine that has none of the driver's files, and back; no cluster is needed for it."""

import shutil
from functools import partial
from pathlib import Path

import pytest
from moments import just_before

from harness.plan.machine import environment, machine
from harness.plan.plan import make_plan
from harness.results.paths import read_json, write_json
from harness.results.result import load_result
from harness.run.executors.hosted import Allowed, host
from harness.run.executors.parcel import (
    accept_delivery,
    asset_bytes,
    asset_hash,
    pack_delivery,
    parcel_of,
    unpack_parcel,
)

SUITE = """\
name: sent
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset:
    - {name: rows, source: data/rows.csv, test_source: data/more.csv, columns: {prompt: q, reference: a}}
evaluation: {control: data/control.jsonl, latency_prompts: 0, noise_examples: 0}
"""
CONTROL = (
    '{"prompt": "It rained, so he took his", "reference": " umbrella.", "wrong": " window."}\n'
)


@pytest.fixture
def cell(tmp_path, write_suite, monkeypatch):
    """A job of a suite whose data, control set and model lie in one folder; that folder."""
    home = tmp_path / "driver"
    (home / "data").mkdir(parents=True)
    for name, start in (("rows", 0), ("more", 100)):
        rows = [f"What is {k} plus {k}?,{2 * k}" for k in range(start, start + 20)]
        (home / "data" / f"{name}.csv").write_text("\n".join(["q,a", *rows]) + "\n")
    (home / "data" / "control.jsonl").write_text(CONTROL)
    shutil.copytree(Path(write_suite().parent, "models").resolve(), home / "models")
    (home / "suite.yaml").write_text(SUITE)
    plan = make_plan(home / "suite.yaml", home / "run", backend="testing")
    decision = plan.decisions[-1]
    paths = plan.run.cell(decision.key)
    write_json(paths.cell, decision.job(environment(home, machine())))
    return decision.key, paths, home


def sent(key, paths, scratch, hidden=None):
    """Run the cell as a node does that never saw ``hidden``; what it fetched."""
    parcel = parcel_of(key, paths)
    content = {digest: asset_bytes(path) for path, digest in parcel.assets}
    asked = []

    def fetch(digest):
        asked.append(digest)
        return content[digest]

    away = None
    if hidden is not None:
        away = hidden.with_name("gone")
        hidden.rename(away)
    asset_hash.cache_clear()
    try:
        there = unpack_parcel(parcel, scratch, fetch, {})
        events = host(key, there, lambda stage: None, Allowed())
        folder = pack_delivery(there)
    finally:
        if away is not None:
            away.rename(hidden)
    accept_delivery(parcel, folder, paths)
    return events, asked


def test_a_cell_runs_without_the_driver_s_files_and_comes_back_as_if_it_had_run_here(
    cell, tmp_path
):
    key, paths, home = cell
    before = read_json(paths.cell)
    events, asked = sent(key, paths, tmp_path / "node", hidden=home)
    assert events[-1].kind == "done", events
    assert len(asked) == 4  # the model, two tables, the control set
    result = load_result(paths.result)
    assert result.status == "ok"
    assert result.provenance.cell == before["cell"]
    assert read_json(paths.cell)["cell"] == before["cell"]
    assert (paths.adapter / "adapter.json").is_file()
    for name in ("result.json", "cell.json", "train.json"):
        assert "node" not in (paths.directory / name).read_text(), name
    again = make_plan(home / "suite.yaml", home / "run", backend="testing")
    assert [d.action for d in again.decisions] == ["run", "current"]


def test_what_a_node_has_is_not_sent_again(cell, tmp_path):
    key, paths, home = cell
    assert len(sent(key, paths, tmp_path / "node", hidden=home)[1]) == 4
    paths.result.unlink()
    events, asked = sent(key, paths, tmp_path / "node", hidden=home)
    assert (events[-1].kind, asked) == ("done", [])
    paths.result.unlink()
    events, asked = sent(key, paths, tmp_path / "other")  # the same files at the same paths
    assert (events[-1].kind, asked) == ("done", [])


def test_a_file_of_the_same_path_with_other_bytes_is_not_used(cell, tmp_path):
    key, paths, home = cell
    parcel = parcel_of(key, paths)
    content = {digest: asset_bytes(path) for path, digest in parcel.assets}
    table = home / "data" / "rows.csv"
    table.write_text(table.read_text().replace("plus", "minus"))
    asset_hash.cache_clear()
    asked = []
    unpack_parcel(parcel, tmp_path / "node", lambda d: asked.append(d) or content[d], {})
    assert asked == [digest for path, digest in parcel.assets if path == str(table)]


def test_large_files_keep_their_time_to_the_nanosecond(tmp_path):
    import io
    import os
    import tarfile

    from harness.run.executors import parcel

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"x" * 10)
    os.utime(folder / "weights", ns=(1, 1_700_000_000_123_456_789))
    content = asset_bytes(str(folder))
    parcel._unpack(content, tmp_path / "there")
    there = tmp_path / "there" / "model" / "weights"
    assert there.stat().st_mtime_ns == 1_700_000_000_123_456_789
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["model", "model/weights"]


def test_a_failed_cell_brings_back_its_log_and_no_result(cell, tmp_path):
    key, paths, home = cell
    job = read_json(paths.cell)
    job["cell"]["backend"] = "no such backend"
    write_json(paths.cell, job)
    events, _ = sent(key, paths, tmp_path / "node", hidden=home)
    assert events[-1].kind == "failed"
    assert not paths.result.exists()
    assert "Traceback" in paths.log.read_text()


def test_two_cells_of_a_node_may_fetch_the_same_file_at_once(cell, tmp_path):
    key, paths, home = cell
    parcel = parcel_of(key, paths)
    content = {digest: asset_bytes(path) for path, digest in parcel.assets}
    home.rename(tmp_path / "gone")
    asset_hash.cache_clear()
    here = partial(unpack_parcel, parcel, tmp_path / "node", content.__getitem__, {})
    with just_before("os.rename", "new", here):
        here()
    assert len(list((tmp_path / "node" / "assets").iterdir())) == len(parcel.assets)
