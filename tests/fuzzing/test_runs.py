"""Broken files of a run, broken baselines and broken packs, under every command that reads them."""

import io
import json
import lzma
import random
import shutil
import tarfile

import pytest
from mutations import SEED, broken_bytes, broken_text, broken_values, json_of

import harness
from harness.gate.check import update_baseline
from harness.importers import Reading, import_answers
from harness.results.packing import pack
from harness.results.run import load_run

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [{name: lora-r4, config: {r: 4, lora_alpha: 8}}]
  dataset:
    - {name: ru-calculations, rows: 40, train: 20, test: 8}
    - {name: finance-labels, rows: 60, train: 24, test: 12}
evaluation: {control: everyday, noise_examples: 8}
gate: {rules: [{metric: primary}, {metric: predictions, test: exact}]}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory, root):
    """A run of the testing backend, an imported one, their baselines and packs."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "models").symlink_to(root / "models")
    (folder / "s.yaml").write_text(SUITE)
    harness.run(folder / "s.yaml", output=folder / "run", backend="testing", executor="in_process")
    rows = [
        {"id": str(i), "model": model, "prompt": f"p{i}", "label": "yes", "group": str(i // 2),
         "prediction": "yes" if i % 3 else "no"}
        for model in "ab" for i in range(12)
    ]  # fmt: skip
    (folder / "t.json").write_text(json.dumps(rows))
    import_answers([folder / "t.json"], folder / "mine", Reading(labels=("yes", "no")), name="mine")
    # with the hashes of now a changed table is refused at once, so half the runs have none, as
    # older versions wrote them
    for path in folder.glob("mine/cells/*/result.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"companions": {}, "schema": 2}))
    for name in ("run", "mine"):
        update_baseline(load_run(folder / name), folder / f"{name}.baseline.json", "first")
        pack(folder / name, folder / f"{name}.tar.xz")
    return folder


@pytest.fixture
def here(attempts, made):
    shutil.copytree(made, attempts.folder, dirs_exist_ok=True, symlinks=True)
    return attempts.folder


def test_the_files_that_are_broken_below_are_good_ones(attempts, here):
    for name in ("run", "mine"):
        for arguments in commands(here / name):
            assert attempts.run(*arguments).exit_code == 0, arguments
    attempts.check()


def commands(run):
    name = run.name.removesuffix(".tar.xz")
    against = ("--against", f"{name}.baseline.json", "--rules", "rules.yaml")
    (run.parent / "rules.yaml").write_text("rules: [{metric: primary}]\n")
    return [
        ("show", run, ""), ("check", run, *against), ("compare", run, run), ("show", run, ""),
        ("compare", run, "--axis", "adapter" if name == "run" else "model"), ("check", f"{name}.tar.xz", "--against", run, *against[2:]),
        ("report", run, "-o", "out"),
    ]  # fmt: skip


def broken(data, draw):
    """One broken version of the file content ``data``."""
    new = draw.randrange(2**32)
    text = data.decode()
    if draw.random() < 0.25:
        return list(broken_bytes(data, 17, new))[draw.randrange(17)]
    if draw.random() < 0.1:
        return next(broken_text(text, 1, new)).encode("utf-8", "surrogatepass")
    try:
        value = json.loads(text)
    except ValueError:  # JSON lines: one of them is broken
        rows = text.splitlines()
        place = draw.randrange(len(rows))
        rows[place] = json.dumps(_odd(json.loads(rows[place]), new, draw))
        return "\n".join(rows).encode("utf-8", "surrogatepass")
    return json_of(_odd(value, new, draw)).encode("utf-8", "surrogatepass")


def _odd(value, seed, draw):
    from mutations import places

    every = len(list(places(value)))
    return list(broken_values(value, every + 40, seed))[draw.randrange(every + 40)]


def broken_runs(attempts, here, count, seed):
    draw = random.Random(seed)
    for number in range(count):
        run = here / ("run" if number % 2 else "mine")
        files = sorted(p for p in run.rglob("*.json*") if p.is_file() and ".damaged" not in p.name)
        weights = [1 if p.name in ("cell.json", "environment.json") else 4 for p in files]
        path = draw.choices(files, weights)[0]
        good = path.read_bytes()
        path.write_bytes(broken(good, draw))
        every = commands(run)
        attempts.run(
            *every[number % (len(every) if number % 70 < 7 else len(every) - 1)], regression=True
        )
        if number % 25 == 0:  # these write into the run
            saved = here / "saved"
            shutil.copytree(run, saved)
            attempts.run("score", run)
            attempts.run("baseline", "update", run, "--reason", "x", "-o", "new.json")
            attempts.run("pack", run, "-o", "new.tar.xz")
            attempts.run("plan", "s.yaml", "-o", "run", "--backend", "testing")
            shutil.rmtree(run)
            saved.rename(run)
        path.write_bytes(good)
    attempts.check()


def broken_baselines(attempts, here, count, seed):
    draw = random.Random(seed)
    for number in range(count):
        name = "run" if number % 2 else "mine"
        path = here / f"{name}.baseline.json"
        good = path.read_bytes()
        path.write_bytes(broken(good, draw))
        attempts.run("check", name, "--against", path, "--rules", "rules.yaml", regression=True)
        if number % 5 == 0:
            attempts.run("baseline", "show", path)
        path.write_bytes(good)
    attempts.check()


def broken_packs(attempts, here, count, seed):
    draw = random.Random(seed)
    good = (here / "mine.tar.xz").read_bytes()
    for number in range(count):
        if number % 3 == 0:
            data = list(broken_bytes(good, 17, draw.randrange(2**32)))[draw.randrange(17)]
        elif number % 3 == 1:  # whole xz, broken tar
            data = lzma.compress(
                list(broken_bytes(lzma.decompress(good), 17, draw.randrange(2**32)))[-1], preset=0
            )
        else:
            data = _with_other_members(good, draw)
        (here / f"{number}.tar.xz").write_bytes(data)
        attempts.run("show", f"{number}.tar.xz", "")
        if number % 10 == 0:
            attempts.run("compare", f"{number}.tar.xz", "mine.tar.xz")
        (here / f"{number}.tar.xz").unlink()
    attempts.check()


ODD_MEMBERS = [
    "../evil.json", "/tmp/evil.json", "cells/../../evil/result.json", "cells/a/../b/result.json", "plan.json",
    "cells//result.json", "cells/a\x00/result.json", "cells/" + "a" * 300 + "/result.json", "evil.py", "",
    "cells/a/result.json/result.json", "cells/" + "a/" * 300 + "result.json", "cells/\udcff/result.json",
]  # fmt: skip
ODD_KINDS = [
    tarfile.REGTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
    tarfile.DIRTYPE,
]


def _with_other_members(good, draw):
    """``good`` with one member broken inside, or one more of an odd name or kind."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(good), mode="r:xz") as old:
        members = [(m, old.extractfile(m).read()) for m in old.getmembers()]
    chosen = draw.randrange(len(members))
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new:
        for number, (member, content) in enumerate(members):
            if number == chosen and draw.random() < 0.7:
                content = broken(content, draw)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
        if draw.random() < 0.5:
            more = tarfile.TarInfo(draw.choice(ODD_MEMBERS))
            more.type = draw.choice(ODD_KINDS)
            more.linkname = draw.choice(("/etc/passwd", "../../evil", "plan.json"))
            new.addfile(more)
    return lzma.compress(plain.getvalue(), preset=0)


def test_a_broken_file_of_a_run_is_named(attempts, here):
    broken_runs(attempts, here, 40, seed=1)


def test_a_broken_baseline_is_named(attempts, here):
    broken_baselines(attempts, here, 60, seed=1)


def test_a_broken_pack_is_refused(attempts, here):
    broken_packs(attempts, here, 40, seed=1)


@pytest.mark.reliability
def test_thousands_of_broken_files_of_a_run_are_named(attempts, here):
    broken_runs(attempts, here, 3000, seed=SEED)


@pytest.mark.reliability
def test_thousands_of_broken_baselines_are_named(attempts, here):
    broken_baselines(attempts, here, 3000, seed=SEED)


@pytest.mark.reliability
def test_thousands_of_broken_packs_are_refused(attempts, here):
    broken_packs(attempts, here, 1500, seed=SEED)
