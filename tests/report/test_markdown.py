"""What a model wrote is text in the Markdown, never markup."""

import pytest

from harness.report.figure import anchor
from harness.report.markdown import markdown_table, render_markdown
from harness.report.section import Section

CASES = [
    ("![x](http://example.org/a.png)", "![x]\\(http://example.org/a.png)"),
    ("[x](http://example.org)", "[x]\\(http://example.org)"),
    ("<img src=x>", "&lt;img src=x&gt;"), ("a|b", "a\\|b"), ("a\nb", "a<br>b"),
    ("\x1b[31m", "\\\\u001b[31m"), ("+0.3 [+0.1, +0.5]", "+0.3 [+0.1, +0.5]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_every_place_of_a_section_is_escaped(text, shown):
    section = Section(f"Answers: {text}", (text,), ("n", text), (("1", text),))
    lines = render_markdown(text, [section]).split("\n")
    assert lines[0] == f"# {shown}"
    assert f"## Answers: {shown}" in lines
    assert f"- {shown}" in lines
    assert [f"| n | {shown} |", f"| 1 | {shown} |"] == [lines[-4], lines[-2]]
    assert markdown_table(("n", text), ())[0] == f"| n | {shown} |"


def test_titles_of_another_script_have_links_of_their_own():
    names = ["данные", "данные 2", "数据", "数据二", "données", "donnees", "дан"]
    assert len({anchor(f"Leaderboard: {name}") for name in names}) == len(names)
    assert anchor("Leaderboard: finance-qa") == "leaderboard-finance-qa"
    assert anchor("Δ") != anchor("Σ")
