"""What commands print fits 80 columns of a terminal; a pipe gets every line whole."""

import pytest
from click.testing import CliRunner

from harness.cli import main

RUN = "reports/finance/run.tar.xz"
FOUR_SETS = "reports/real/run.tar.xz"
LISTS = {
    "cards": ["models", "list"],
    "a baseline": ["baseline", "show", "suites/ci.baseline.json"],
    "a plan": ["plan", "suites/real.yaml", "-o", "OUT"],
    "keys": ["plan", "suites/finance.yaml", "--keys", "-o", "OUT"],
    "a run": ["show", RUN],
    "a run in full": ["show", RUN, "--full"],
    "a cell": ["show", RUN, "tiny-qwen2--none--base--finance-qa"],
    "an axis": ["compare", RUN, "--axis", "quantization"],
    "a check": ["check", RUN, "--against", RUN, "--rules", "RULES", "-v"],
    "valid suites": ["validate", "suites/real.yaml", "suites/finance.yaml"],
}
RULES = "rules:\n  - {metric: rougeL, test: paired}\n"


def printed(words, root, folder, monkeypatch, **env):
    monkeypatch.chdir(root)
    (folder / "rules.yaml").write_text(RULES)
    places = {"OUT": str(folder / "out"), "RULES": str(folder / "rules.yaml")}
    result = CliRunner().invoke(main, [places.get(word, word) for word in words], env=env)
    assert result.exit_code in (0, 3), result.output
    return [line for line in result.stdout.splitlines() if str(folder) not in line]


@pytest.mark.parametrize("name", LISTS)
def test_a_listing_fits_eighty_columns(name, root, tmp_path, monkeypatch):
    lines = printed(LISTS[name], root, tmp_path, monkeypatch, COLUMNS="80")
    assert len(lines) > 1
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("name", ["cards", "a baseline", "keys", "an axis"])
def test_a_pipe_gets_an_entry_on_one_line_and_a_wide_terminal_too(
    name, root, tmp_path, monkeypatch
):
    narrow = printed(LISTS[name], root, tmp_path, monkeypatch, COLUMNS="80")
    whole = printed(LISTS[name], root, tmp_path, monkeypatch, COLUMNS=None)
    wide = printed(LISTS[name], root, tmp_path, monkeypatch, COLUMNS="400")
    assert wide == whole
    assert len(whole) < len(narrow)
    assert "".join(" ".join(narrow).split()) == "".join(" ".join(whole).split()), "nothing is cut"


def test_four_data_sets_are_decided_on_one_screen(root, tmp_path, monkeypatch):
    lines = printed(["show", FOUR_SETS], root, tmp_path, monkeypatch, COLUMNS="80")
    assert len(lines) <= 20
    heads = [line for line in lines if not line.startswith(" ")][:4]
    assert [head.partition(":")[0] for head in heads] == [
        "finance-qa", "ru-calculations", "finance-labels", "finance-labels-head",
    ]  # fmt: skip
    assert "Ship smollm2-135m-instruct · nf4 · lora-r8." in heads[0]
    text = "\n".join(lines)
    assert text.count("Careful: ") == 4
    assert "+0.058 ROUGE-L (95% +0.050 to +0.067); 689 MiB; 211 ms an answer" in text
