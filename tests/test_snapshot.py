import json


def test_the_key_snapshot_holds_only_keys_that_the_installed_libraries_take(root):
    from harness.hf.snapshot import snapshot

    stored = json.loads((root / "harness" / "keys.json").read_text())
    assert stored == snapshot()
