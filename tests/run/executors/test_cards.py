"""Several GPUs and several cells on one, with an `nvidia-smi` that lists cards this machine lacks."""

from dataclasses import replace

import pytest

from harness.analysis.cautions import cautions
from harness.analysis.leaderboard import build_leaderboard
from harness.errors import HarnessError
from harness.plan.machine import Gpu, gpus, machine
from harness.plan.plan import make_plan
from harness.results.paths import CellPaths, read_json, write_json
from harness.results.result import load_result, save_result
from harness.results.run import load_run
from harness.results.value import value_of
from harness.run.executors.base import executor_of
from harness.run.executors.cards import Cards, chosen_gpus, most_alike
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

LISTED = """\
#!/bin/sh
case "$1" in
*compute_cap*) echo 9.0; echo 8.0;;
*index*) echo "0, GPU-aaaa-1, 81559, NVIDIA H100 80GB HBM3"
  echo "1, GPU-bbbb-2, 40960, NVIDIA A100-SXM4-40GB";;
esac
"""
A, B = (Gpu(f"GPU-{k}", n, f"card {k}", 80.0) for n, k in enumerate("ab"))
SAME = replace(A, id="GPU-b", index=1)


@pytest.fixture
def two_cards(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "nvidia-smi").write_text(LISTED)
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine.cache_clear()
    yield
    machine.cache_clear()


VISIBLE = {
    None: ["GPU-aaaa-1", "GPU-bbbb-2"],
    "": [],
    "-1": [],
    "1": ["1"],
    "1,0": ["1", "0"],
    "GPU-bbbb": ["GPU-bbbb"],
    "0,-1,1": ["0"],
    "MIG-cccc": ["MIG-cccc"],
}


@pytest.mark.parametrize("visible", VISIBLE)
def test_the_devices_are_those_that_cuda_would_see(two_cards, monkeypatch, visible):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.id for gpu in gpus()] == VISIBLE[visible]


def test_every_cell_says_which_card_it_ran_on_and_both_are_used(two_cards, scripted):
    executor = LocalExecutor()
    jobs = scripted(executor.machine())("time.sleep(0.5)", "time.sleep(0.5)", takes_gib=1.0)
    assert [event.kind for event in executor.run(jobs) if event.is_end] == ["done", "done"]
    results = [load_result(paths.result) for _, paths in jobs]
    assert {r.facts["device"]["index"] for r in results} == {0, 1}
    names = {0: "NVIDIA H100 80GB HBM3", 1: "NVIDIA A100-SXM4-40GB"}
    for result in results:  # the machine holds two kinds of card: each row names its own
        assert result.hardware == names[result.facts["device"]["index"]]


def test_a_worker_sees_its_card_alone(two_cards, scripted):
    executor = executor_of("local", devices=(1,))
    code = "assert os.environ['CUDA_VISIBLE_DEVICES'] == 'GPU-bbbb-2', dict(os.environ)"
    jobs = scripted(executor.machine())(code)
    assert [e.text for e in executor.run(jobs) if e.is_end] == [""]


def test_a_worker_sees_the_cards_that_its_model_lies_on(two_cards, tmp_path, scripted):
    alike = LISTED.replace("NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3")
    (tmp_path / "bin" / "nvidia-smi").write_text(alike)
    code = "assert os.environ['CUDA_VISIBLE_DEVICES'] == 'GPU-aaaa-1,GPU-bbbb-2', dict(os.environ)"
    executor = LocalExecutor()
    jobs = scripted(executor.machine())(code)
    job = read_json(jobs[0][1].cell)
    job["cell"]["model"]["requires"]["gpus"] = 2
    write_json(jobs[0][1].cell, job)
    assert [e.text for e in executor.run(jobs) if e.is_end] == [""]


WRONG = {(2,): "no GPU 2 here", (0, 0): "named twice", (0, 7): "no GPU 7 here"}


@pytest.mark.parametrize("numbers", WRONG)
def test_a_device_that_is_not_there_is_refused(two_cards, numbers):
    with pytest.raises(HarnessError, match=WRONG[numbers]):
        executor_of("local", devices=numbers)


def test_what_hides_a_device_is_named(two_cards, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(HarnessError, match="no GPU 0 here") as error:
        executor_of("local", devices=(0,))
    assert "CUDA_VISIBLE_DEVICES=1 leaves: 1." in str(error.value.hint)


@pytest.mark.parametrize("option", [{"devices": (0,)}, {"address": "auto"}])
def test_an_option_without_an_effect_is_refused(option):
    with pytest.raises(HarnessError, match="no effect on the executor in_process"):
        executor_of("in_process", **option)


ROOM = {
    "small cells share each card": ([2.0] * 6, "abababab"[:6]),
    "what needs more than the share is alone": ([60.0, 60.0, 2.0], "ab-"),
    "nothing is put beside a cell that nobody knows": ([None, None, 1.0], "ab-"),
    "an unknown cell is not put beside others": ([1.0, 1.0, None], "ab-"),
    "the sum counts, not the cell": ([30.0, 30.0, 15.0, 15.0, 15.0], "abab-"),
    "no more than eight on a card": ([0.1] * 17, "ab" * 8 + "-"),
}


def placed(cards, needs, folder, alone=()):
    found = ""
    for number, need in enumerate(needs):
        paths = CellPaths(folder / str(number))
        write_json(paths.cell, {"takes_gib": need, "environment": {"machine": {}}})
        card = cards.place(str(number), paths, alone=number in alone)
        found += "-" if card is None else card.gpu.id[-1]
    return found


@pytest.mark.parametrize("case", ROOM)
def test_cells_share_a_card_where_the_estimate_allows_it(tmp_path, case):
    needs, expected = ROOM[case]
    cards = Cards(replace(machine(), cores=64), [A, B], None)
    assert placed(cards, needs, tmp_path) == expected


@pytest.mark.parametrize(("workers", "copies"), [(None, True), (1, True), (2, False)])
def test_copies_are_made_where_memory_decides_what_runs_side_by_side(tmp_path, workers, copies):
    paths = CellPaths(tmp_path / "a")
    write_json(paths.cell, {"takes_gib": 1.0, "copies": True, "environment": {"machine": {}}})
    Cards(replace(machine(), cores=64), [A], workers).place("a", paths, alone=False)
    assert read_json(paths.cell)["copies"] == copies


SEVERAL = {
    # devices of each cell -> the first card of each
    "two cards for one cell, and nothing beside it": ([2, 1, 1], "a--"),
    "it waits until both are free": ([1, 2], "a-"),
    "two of them": ([2, 2], "a-"),
    "more than there are: on one, where its training skips it": ([3, 1], "ab"),
}


def asks(folder, key, devices):
    """The folder of a cell that trains on ``devices``."""
    paths = CellPaths(folder / key)
    cell = {"training": {"devices": devices}}
    write_json(paths.cell, {"takes_gib": 90.0, "environment": {"machine": {}}, "cell": cell})
    return paths


@pytest.mark.parametrize("case", SEVERAL)
def test_a_cell_that_trains_on_two_cards_has_both_to_itself(tmp_path, case):
    devices, expected = SEVERAL[case]
    cards = Cards(replace(machine(), cores=64), [A, SAME], None)
    found = ""
    for number, count in enumerate(devices):
        card = cards.place(str(number), asks(tmp_path, str(number), count), alone=False)
        found += "-" if card is None else card.gpu.id[-1]
    assert found == expected


def test_a_cell_is_told_all_of_its_cards_and_gives_all_of_them_back(tmp_path):
    cards = Cards(replace(machine(), cores=64), [A, SAME], 1)
    first, second = asks(tmp_path, "first", 2), asks(tmp_path, "second", 2)
    held = cards.place("first", first, alone=False)
    assert held.gpu == A
    device = read_json(first.cell)["device"]
    assert (device["ids"], device["cells_at_once"]) == ([A.id, SAME.id], 1)
    assert cards.place("second", second, alone=False) is None
    cards.leave(held, "first", first)
    assert cards.place("second", second, alone=False) is held


@pytest.mark.parametrize(("gpus", "most"), [([], 0), ([A], 1), ([A, B], 1), ([B, A, SAME], 2)])
def test_a_training_uses_cards_of_one_kind(tmp_path, gpus, most):
    assert most_alike(gpus) == most
    if len(gpus) > 1:
        cards = Cards(replace(machine(), cores=64), gpus, None)
        cards.place("cell", asks(tmp_path, "cell", 2), alone=False)
        ids = read_json(tmp_path / "cell" / "cell.json")["device"].get("ids")
        assert ids == ([A.id, SAME.id] if most == 2 else None)


def test_workers_override_the_estimate(tmp_path):
    assert placed(Cards(machine(), [A], 3), [70.0] * 4, tmp_path) == "aaa-"
    assert placed(Cards(machine(), [A, B], 1), [1.0] * 2, tmp_path) == "a-"


def test_few_cores_run_few_cells_and_stop_for_each_other():
    few = Cards(replace(machine(), cores=2), [A, B], None)
    assert (few.most, few.at_once) == (1, 2)
    assert few.all[0].group is few.all[1].group
    many = Cards(replace(machine(), cores=16), [A, B], None)
    assert many.all[0].group is not many.all[1].group


def test_what_a_cell_took_beyond_its_estimate_is_learned(tmp_path, scripted):
    executor = executor_of("local", 1)
    ((_, paths),) = jobs = scripted(executor.machine())("")
    list(executor.run(jobs))
    result = load_result(paths.result)
    took = value_of("train_reserved_vram_mib", 20 * 1024.0)
    save_result(paths, replace(result, values=(*result.values, took)))
    cards = Cards(replace(machine(), cores=64), [A], None)
    assert placed(cards, [10.0] * 4, tmp_path) == "aaaa"
    cards.leave(cards.all[0], "0", paths)  # 20.6 GiB where 10 were expected
    assert placed(cards, [10.0], tmp_path) == "-"
    for key in "123":
        cards.leave(cards.all[0], key, CellPaths(tmp_path / "none"))
    assert placed(cards, [10.0] * 3, tmp_path) == "aa-"


def test_a_cell_without_memory_beside_others_runs_again_alone(two_cards, scripted):
    executor = LocalExecutor(2, devices=(0,))
    code = """
    first = not (paths.directory / "again").exists()
    (paths.directory / "again").touch()
    while not (paths.directory.parent / "job1" / "cell.log").exists():
        time.sleep(0.01)
    if first:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    """
    jobs = scripted(executor.machine())(code, "time.sleep(0.5)")
    found = list(executor.run(jobs))
    assert sorted(e.kind for e in found if e.is_end) == ["done", "done"], found
    assert [e.text for e in found].count("again, alone on its card") == 1
    device = read_json(jobs[0][1].cell)["device"]
    assert device["cells_at_once"] == 1


def test_what_the_board_counts_for_all_is_no_number_of_a_cell_beside_others(two_cards, scripted):
    shared, own = LocalExecutor(2, devices=(0,)), LocalExecutor(1, devices=(0,))
    code = """
    from harness.backends.base import BackendResult
    self._share, found = 0.5, BackendResult({"device_vram_mib": 5.0})
    self.load = (lambda found: lambda probe: found)(found)
    """
    kept = []
    for executor in (shared, own):
        ((_, paths),) = jobs = scripted(executor.machine())(code)
        assert [e.text for e in executor.run(jobs) if e.is_end] == [""]
        kept.append("device_vram_mib" in {v.metric for v in load_result(paths.result).values})
        paths.directory.rename(paths.directory.with_name(f"kept{len(kept)}"))
    assert kept == [False, True]


def test_the_numbers_of_devices_follow_the_order_asked_for():
    assert chosen_gpus([A, B], [1, 0]) == [B, A]
    assert chosen_gpus([A, B], None) == [A, B]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_page_says_that_cells_trained_beside_others(two_cards, write_suite, tmp_path, workers):
    suite = write_suite().read_text().replace("[QUANTIZATION]", "[none]")
    executor = LocalExecutor(workers, devices=(0,))
    plan = make_plan(write_suite(suite), tmp_path / "run", backend="testing", where=executor.site())
    assert run_suite(plan, executor, lambda _: None)["ok"] == 2
    board = build_leaderboard(load_run(tmp_path / "run"))
    texts = [caution.text for caution in cautions(board, board.tables[0])]
    said = [text for text in texts if "trained on a card that up to 1 other cell used" in text]
    assert len(said) == (workers == 2)


def test_cards_of_several_kinds_get_the_cells_that_fit_them(tmp_path):
    small = Gpu("GPU-s", 2, "NVIDIA T4", 16.0)
    cards = Cards(replace(machine(), cores=64), [small, A], None)
    assert placed(cards, [1.0, 20.0, 12.0], tmp_path) == "saa"
    # what fits on none is run, and fails on the card, instead of waiting for ever
    assert placed(Cards(machine(), [small, A], None), [200.0], tmp_path) == "s"
