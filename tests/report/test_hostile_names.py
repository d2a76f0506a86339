"""Names and answers of a stranger: shown as they are, run nowhere, and never a path."""

import html
import json
import re

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.results.text import printable

NAMES = [
    "r8[attn]", "[/INST]", "[bold]x[/bold]", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "../../../../evil", "/abs/x",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](http://evil.example/a.png)", "[x](javascript:1)",
    "=cmd|' /C calc'!A0", "@SUM(A1)", "{{ 7 * 7 }}", "\\input{/etc/passwd}", "a|b", "`x`", "a\u202eb", "]]>", "--help",
    "datum.x", "a.b[0]", "\"';--", "$x$", "x\ny: z", "::error::x", "&lt;b&gt;", "%s%n", "a" * 300,
]  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What every command printed about a run whose models, data set and answers have such names."""
    folder = tmp_path_factory.mktemp("outer") / "inner"
    folder.mkdir()
    # six models with several names in each: pairs are drawn and tested, and cost their square
    models = ["base", *(" ".join(NAMES[k::6]) for k in range(6))]
    rows = [
        {"id": str(i), "model": model, "prompt": f"p{i} {NAMES[i]}", "reference": NAMES[i + 7], "category": NAMES[i],
         "prediction": NAMES[(k + i) % len(NAMES)] if i % 2 else NAMES[i + 7], "dataset": "d [x](javascript:1)"}
        for k, model in enumerate(models) for i in range(6)
    ]  # fmt: skip
    (folder / "t.json").write_text(json.dumps(rows))
    run, out = folder / "run", folder / "out"
    commands = {
        "import": ["import", folder / "t.json", "-o", run, "--columns", "prompt=prompt"],
        "report": ["report", run, "-o", out, "--latex", "--title", "<script>[bold]\x1b[31m"],
        "show": ["show", run, ""],
        "compare": ["compare", run, "--axis", "model", "--flips", "2"],
        "markdown": ["compare", run, "--axis", "model", "--markdown", "--flips", "2"],
        "update": ["baseline", "update", run, "--reason", "\x1b[31mx", "-o", folder / "b.json"],
        "baseline": ["baseline", "show", folder / "b.json"],
        "check": ["check", run, "--against", folder / "b.json", "-v", "--junit", folder / "j.xml",
                  "--summary", folder / "s.md"],
    }  # fmt: skip
    found = {}
    for name, arguments in commands.items():
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert result.exit_code == 0, result.output
        found[name] = result.output
    found |= {str(p.relative_to(folder)): p.read_text("utf-8") for p in _texts(folder)}
    assert sorted(p.name for p in folder.iterdir()) == [
        "b.json",
        "j.xml",
        "out",
        "run",
        "s.md",
        "t.json",
    ]
    assert [p.name for p in folder.parent.iterdir()] == ["inner"]
    return found


def _texts(folder):
    kinds = (".md", ".html", ".svg", ".csv", ".tex", ".xml")
    return [path for path in folder.rglob("*") if path.suffix in kinds]


def test_no_control_character_reaches_a_terminal_or_a_file(outputs):
    assert len(outputs) > 14
    for name, text in outputs.items():
        assert printable(text) == text, name


def test_the_terminal_shows_names_as_they_are(outputs):
    shown = re.sub(r"\s+", "", outputs["compare"])
    for name in NAMES:
        assert re.sub(r"\s+", "", printable(name)) in shown, name


@pytest.mark.parametrize("kind", [".html", ".svg"])
def test_no_markup_of_a_name_is_markup_of_the_page(outputs, kind):
    texts = [text for name, text in outputs.items() if name.endswith(kind)]
    assert texts
    for text in texts:
        own = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
        assert "<script>alert" not in text
        assert "<img src=x" not in own
        assert not re.search(r'(?:href|src)="\s*(?:javascript|http://evil)', text)


def test_the_page_s_data_ends_no_script_and_is_json(outputs):
    page = outputs["out/leaderboard.html"]
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert blocks
    for block in blocks:
        assert "<" not in block
        json.loads(block)
    assert html.escape("<script>alert(1)</script>") in page


def test_markdown_holds_no_image_and_no_link_of_a_stranger(outputs):
    for name in ("markdown", "out/leaderboard.md", "s.md"):
        assert not re.search(r"(?<!\\)\]\((?!charts/|#)", outputs[name]), name
        assert "<img" not in outputs[name]
        assert "<script" not in outputs[name]


def test_no_cell_of_the_table_is_a_formula(outputs):
    for line in outputs["out/results.csv"].splitlines():
        for cell in re.findall(r'(?:^|,)"?([^,"]*)', line):
            assert not cell.startswith(("=", "@", "+")), line
            assert re.match(r"-?\d|[^-]|$", cell), line


def test_latex_runs_no_command_of_a_name(outputs):
    assert "\\input" not in outputs["out/leaderboard.tex"]
    assert "textbackslash" in outputs["out/leaderboard.tex"]
