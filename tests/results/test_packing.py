import io
import json
import lzma
import shutil
import tarfile

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import HarnessError
from harness.plan.plan import make_plan
from harness.results.packing import pack, unpacked
from harness.results.run import load_run
from harness.results.tidy import tidy_records
from harness.run.runner import run_here


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("packed")
    (folder / "models").symlink_to(root / "models")
    (folder / "s.yaml").write_text(
        "name: s\nmatrix:\n  model: [tiny-qwen2]\n  adapter: [{name: a, config: {r: 4}}]\n"
        "  dataset: [{name: ru-calculations, train: 60, test: 20}]\n"
    )
    run_here(make_plan(folder / "s.yaml", folder / "out", backend="testing"))
    return folder / "out"


def harness(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_a_packed_run_is_the_run(run_dir, tmp_path):
    result = harness("pack", run_dir, "-o", tmp_path / "run.tar.xz")
    assert result.exit_code == 0, result.output
    here, there = load_run(run_dir), load_run(tmp_path / "run.tar.xz")
    assert tidy_records(there) == tidy_records(here)
    for mine, theirs in zip(here.cells, there.cells, strict=True):
        assert here.predictions(mine) == there.predictions(theirs) != []
        assert here.train_log(mine) == there.train_log(theirs)


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(run_dir, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(run_dir, moved)
    (moved / "cells" / "left over").mkdir()
    one, two = (
        pack(p, tmp_path / f"{k}.tar.xz").read_bytes() for k, p in enumerate((run_dir, moved))
    )
    assert one == two


def test_a_pack_names_no_folder_of_the_machine(run_dir, tmp_path):
    result = next(run_dir.glob("cells/*/result.json"))
    assert str(run_dir.parent) in result.read_text()  # what is cut is there before
    folder = unpacked(pack(run_dir, tmp_path / "run.tar.xz"))
    for path in folder.rglob("*.json"):
        assert str(run_dir.parent) not in path.read_text(), path
        assert '"/' not in path.read_text(), path
    assert {p.name for p in folder.rglob("*") if p.is_file()} <= {
        "plan.json", "environment.json", "result.json", "predictions.jsonl", "control.jsonl",
        "train_log.jsonl",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kept"),
    [("/home/me/data/x.csv", "x.csv"), ("cannot read /tmp/a/b.json: gone", "cannot read b.json: gone"),
     ("https://example.org/a/b", "https://example.org/a/b"), ("token/s", "token/s"),
     ("models/tiny/tiny-qwen2", "models/tiny/tiny-qwen2"), ("~/runs/x", "x")],
)  # fmt: skip
def test_paths_are_cut_to_their_names(text, kept):
    from harness.results.packing import portable

    assert portable({"a": [text]}) == {"a": [kept]}


def test_a_packed_run_is_reported_and_shown(run_dir, tmp_path):
    packed = pack(run_dir, tmp_path / "run.tar.xz")
    for path, out in ((run_dir, "a"), (packed, "b")):
        assert harness("report", path, "-o", tmp_path / out).exit_code == 0
    ours, theirs = ((tmp_path / out / "leaderboard.md").read_text() for out in "ab")
    assert theirs == ours.replace(f"{run_dir.parent}/", "")  # the command names the suite
    assert "ok" in harness("show", packed, "tiny-qwen2--none--a").output
    assert harness("compare", packed, run_dir).exit_code == 0
    assert harness("report", packed).exit_code == 2  # nowhere to write to
    for command in (
        ["show", packed, "zzz"],
        ["check", packed],
        ["predict", packed, "tiny-qwen2--none--a"],
    ):
        said = harness(*command, *(["--prompt", "x"] if command[0] == "predict" else []))
        assert said.exit_code in (2, 3)
        assert str(packed) in said.output  # not the temporary folder, which is gone by then
        assert str(unpacked(packed)) not in said.output
    for misspelt in (["report", packed, "-o", tmp_path], ["compare", packed, "--axis", "adapter"]):
        said = harness(*misspelt, "--metric", "numeric_acuracy")
        assert said.exit_code == 2
        assert 'Did you mean "numeric_accuracy"?' in said.output
    assert len(repr(load_run(packed))) < 300


def test_what_is_no_packed_run_is_one_clear_error(tmp_path):
    other = tmp_path / "x.tar.xz"
    other.write_bytes(b"nothing packed")
    with pytest.raises(HarnessError, match="not a packed run"):
        load_run(other)
    assert "not a packed run" in harness("report", other, "-o", tmp_path).output
    with tarfile.open(tmp_path / "y.tar.xz", "w:xz") as archive:
        archive.addfile(tarfile.TarInfo("../outside.json"), io.BytesIO())
    with pytest.raises(HarnessError, match="not a packed run"):
        load_run(tmp_path / "y.tar.xz")
    with pytest.raises(HarnessError, match="not a run directory"):
        pack(tmp_path, tmp_path / "z.tar.xz")
    assert not (tmp_path / "outside.json").exists()


def test_an_unfinished_run_is_packed_as_it_is(run_dir, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(run_dir, part)
    next(part.glob("cells/*--a--*/result.json")).unlink()
    states = [c.status for c in load_run(pack(part, tmp_path / "p.tar.xz")).cells]
    assert states == ["ok", "missing"]
    assert json.loads((unpacked(tmp_path / "p.tar.xz") / "plan.json").read_text())["schema"] == 1


def test_a_file_made_to_fill_the_disk_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "x.tar.xz"
    with tarfile.open(path, "w:xz", preset=0) as archive:
        entry = tarfile.TarInfo("plan.json")
        entry.size = 120 * 2**20
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    with pytest.raises(
        HarnessError, match=r"x\.tar\.xz: \d+ KiB grow to more than 1\d\d MiB: refused"
    ):
        unpacked(path)


NAMES = [
    "../plan.json", "/plan.json", "cells/../../x/result.json", "cells/a/../result.json", "cells/./result.json",
    "plan.json/x", "cells/a/evil.py", "cells/a/adapter/x.json", "evil.json", "cells/result.json", "./plan.json",
]  # fmt: skip
KINDS = {
    "a link": tarfile.SYMTYPE, "a hard link": tarfile.LNKTYPE, "a device": tarfile.CHRTYPE,
    "a disk": tarfile.BLKTYPE, "a pipe": tarfile.FIFOTYPE, "a folder": tarfile.DIRTYPE,
}  # fmt: skip


def refused(tmp_path, member, content=b"{}"):
    path = tmp_path / "x.tar.xz"
    member.size = len(content) if member.isreg() else 0
    with tarfile.open(path, "w:xz", preset=0, format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(content))
    with pytest.raises(HarnessError, match=r"x\.tar\.xz: this is not a packed run"):
        load_run(path)
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar.xz"]


@pytest.mark.parametrize("name", NAMES)
def test_a_member_elsewhere_or_of_another_name_is_refused(tmp_path, name):
    refused(tmp_path, tarfile.TarInfo(name))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_member_that_is_no_file_is_refused(tmp_path, kind):
    member = tarfile.TarInfo("plan.json")
    member.type, member.linkname = kind, "/etc/passwd"
    refused(tmp_path, member)


def test_a_sparse_member_that_says_it_is_large_is_refused(tmp_path):
    header = bytearray(tarfile.TarInfo("plan.json").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398] = b"00000000000\0"  # one block at the start, of no bytes
    header[398:410] = b"00000000000\0"
    header[483:495] = b"37777777777\0"  # the size that it says it has: 4 GiB
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "x.tar.xz"
    path.write_bytes(lzma.compress(bytes(header) + bytes(1024)))
    with tarfile.open(path) as archive:
        assert archive.getmembers()[0].size > 2**31
    with pytest.raises(HarnessError, match="this is not a packed run"):
        load_run(path)
