import json
import subprocess
import sys
import warnings

from click.testing import CliRunner

from harness.cli import main


def test_importing_the_command_leaves_torch_out():
    code = "import sys, harness.cli, harness.run.runner; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_every_command_has_help_with_an_example():
    for name, command in main.commands.items():
        for one in getattr(command, "commands", {name: command}).values():
            assert "Example:" in (one.help or ""), name


def test_a_missing_suite_is_one_line_and_exit_code_2():
    result = CliRunner().invoke(main, ["run", "nowhere.yaml"])
    assert result.exit_code == 2
    assert result.output.startswith("error: nowhere.yaml: no such file")


def test_schema_names_the_axes():
    result = CliRunner().invoke(main, ["schema"])
    assert set(json.loads(result.output)["$defs"]["Matrix"]["properties"]) == {
        "model", "quantization", "adapter", "dataset", "training", "seed",
    }  # fmt: skip


def test_shipped_suites_and_models_are_valid(root, shipped_suites):
    from harness.suite.model_card import load_model_card

    suites = [str(path) for path in shipped_suites.glob("*.yaml")]
    result = CliRunner().invoke(main, ["validate", *suites])
    assert result.exit_code == 0, result.output
    for path in (root / "models").glob("*.yaml"):
        assert load_model_card(path).name == path.stem


def test_real_models_are_skipped_with_a_reason_without_a_gpu(root, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    from harness.plan.machine import machine

    machine.cache_clear()
    result = CliRunner().invoke(main, ["plan", str(root / "suites" / "finance.yaml")])
    assert "qwen2-0.5b-instruct needs a CUDA GPU; this machine has none" in result.output
    machine.cache_clear()


def test_what_a_library_will_rename_is_not_shown(monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", [])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert CliRunner().invoke(main, ["models", "list"]).exit_code == 0
        warnings.warn("renamed in the next version", FutureWarning, stacklevel=1)
    assert not seen


def test_prompts_that_are_not_utf_8_are_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "prompts.txt").write_bytes("да\n".encode("cp1251"))
    words = ["predict", str(tmp_path), "any", "--file", str(tmp_path / "prompts.txt")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "prompts.txt: not UTF-8: byte 0 cannot be read" in result.output
    result = CliRunner().invoke(main, [*words[:3], "--prompt", "x\udcff"])
    assert (result.exit_code, result.output.partition("\n")[0]) == (
        2,
        "error: prompt 1 is not UTF-8",
    )
