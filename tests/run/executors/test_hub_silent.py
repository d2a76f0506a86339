"""A hub that goes silent while cells run: tried again by `--retry`, else a failed cell alone."""

import pytest
from hub_server import Hub, serving
from scripted import PLUGIN, scripted_suite

from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.result import load_result
from harness.run.executors.limits import Limits
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

ASK = """\
import huggingface_hub.constants as constants
from huggingface_hub import hf_hub_download
constants.HF_HUB_OFFLINE = False
mark = folder / "asked"
name = "tiny/model" if mark.exists() else "tiny/silent"
ONCE
hf_hub_download(name, "config.json", endpoint="ADDRESS", cache_dir=str(folder / "cache"))
"""


@pytest.mark.parametrize(("retry", "status"), [(1, "ok"), (0, "failed")])
def test_a_hub_that_goes_silent_costs_no_other_cell(
    write_suite, install_plugin, tmp_path, root, monkeypatch, retry, status
):
    install_plugin("scripted_hub", PLUGIN)
    load_plugins()
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    model = root / "models" / "tiny" / "tiny-qwen2"
    with serving(Hub()) as hub:
        hub.add("tiny/model", model)
        hub.add("tiny/silent", model, silent=10**6)
        code = ASK.replace("ADDRESS", hub.address)
        scripts = {
            "once": {"train": code.replace("ONCE", "mark.touch()")},
            "always": {"train": code.replace("ONCE", "name = 'tiny/silent'")},
            "other": {},
        }
        plan = make_plan(
            scripted_suite(write_suite, scripts), tmp_path / "o", backend="scripted_hub"
        )
        run_suite(plan, LocalExecutor(1, 1, limits=Limits(retry=retry)), lambda _: None)
    found = {d.cell.adapter: load_result(plan.run.cell(d.key).result) for d in plan.decisions}
    assert found["once"].status == status, found["once"].reason
    assert found["always"].status == "failed"
    assert "Server disconnected" in found["always"].reason
    assert {found[name].status for name in ("base", "other")} == {"ok"}
