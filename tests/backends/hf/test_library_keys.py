import json
import shutil

import pytest


@pytest.fixture(scope="module")
def snapshots(root):
    from harness.backends.hf.library_keys import snapshot

    return json.loads((root / "harness" / "suite" / "keys.json").read_text()), snapshot()


def test_the_key_snapshot_is_that_of_the_installed_libraries(snapshots):
    stored, here = snapshots
    if stored["versions"] != here["versions"]:
        pytest.skip(f"made of {stored['versions']}, installed are {here['versions']}")
    assert stored == here


def test_keys_of_the_shipped_suites_exist_in_the_installed_libraries(snapshots, root, tmp_path):
    from harness.plan.expand import expand
    from harness.suite.loading import load_suite
    from harness.suite.options import HARNESS_TRAINING_KEYS

    _, here = snapshots
    suites = shutil.copytree(root / "suites", tmp_path / "suites")
    (tmp_path / "models").symlink_to(root / "models")
    # the texts of real-text.yaml are not ours to ship, and its keys do not depend on them
    (tmp_path / "data").mkdir()
    for name, columns in (
        ("fiqa_answers", "instruction,output"),
        ("financial_phrasebank", "text,label"),
    ):
        (tmp_path / "data" / f"{name}.csv").write_text(f"{columns}\na question,an answer\n")
    for path in suites.rglob("*.yaml"):
        for cell in expand(load_suite(path), path):
            assert set(cell.training) - set(HARNESS_TRAINING_KEYS) <= set(here["training"])
            assert set(cell.generation) <= set(here["generation"])
            assert set(cell.quantization_config) <= set(here["quantization"])
            if not cell.is_baseline:
                method = cell.adapter_config["peft_type"]
                known = here["adapter"].get(method, {"peft_type"})  # `full` is ours, without keys
                assert set(cell.adapter_config) <= set(known)
